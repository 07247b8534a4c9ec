import type { ConnectOptions } from "../options.ts";
import type { TopologyNode } from "../topology/topology.ts";
import { JSON_OPTION, readArguments, refuseWords } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { countOf, drawTopology, spansOf, unownedOf } from "./draw-topology.ts";
import { jsonOf, textOf } from "./printable.ts";
import { inSession, type Session } from "./session.ts";
import type { Terminal } from "./terminal.ts";

const OPTIONS = { ...CONNECTION, ...JSON_OPTION } as const;

/** `slotwire topology`: shows which node owns which slots. */
export const topology: Command = {
  usage: "[-h HOST] [-p PORT] [-u URI] ... [--json]",
  summary: "the slot ranges as bars, with their nodes and replicas, as one node of the cluster sees them",
  options: OPTIONS,
  notes:
    "In a bar, a full cell means that the node owns all of the cell's slots; a shaded cell means that it owns some of them.\nNodes that cannot be reached from here are marked, whatever health the cluster reports for them.",
  run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    refuseWords("topology", words);
    return showTopology(connectionOf(values, process.env, terminal), values.json === true, terminal);
  },
};

export function showTopology(options: ConnectOptions, json: boolean, terminal: Terminal): Promise<string> {
  return inSession(options, async (session) => {
    const { topology } = session.cluster;
    const causes = causesIn(session);
    if (json) return `${jsonOf(describe(session, causes))}\n`;
    const lines = drawTopology(topology, terminal.width, terminal.paint, ({ address }) => causes.get(address));
    return textOf(lines, terminal.paint);
  });
}

/** For each node that cannot be reached, by address: the reason. */
function causesIn({ client }: Session): ReadonlyMap<string, string> {
  const down = client.nodes.filter(({ pool }) => !pool.ready);
  return new Map(down.map(({ address, pool }) => [address, pool.cause?.message ?? "no answer yet"]));
}

function describe({ cluster }: Session, causes: ReadonlyMap<string, string>) {
  const { topology } = cluster;
  const nodeOf = (node: TopologyNode) => ({
    ...node,
    primary: node.primary ?? null,
    slots: countOf(spansOf(topology, node)),
    unreachable: causes.get(node.address) ?? null,
  });
  return {
    nodes: topology.nodes.map(nodeOf),
    ranges: topology.ranges.map(({ start, end, primary, replicas }) => ({
      start,
      end,
      primary: primary.address,
      replicas: replicas.map(({ address }) => address),
    })),
    unowned: unownedOf(topology),
  };
}
