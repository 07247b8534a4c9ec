import { Commands } from "./sim-commands.ts";
import { describerOf } from "./sim-description.ts";
import { type NodeWorld, SimNode } from "./sim-node.ts";
import { View } from "./sim-view.ts";

/** What starts at an address that a node of the cluster has left. */
export type StrangerKind = "plain server" | "node of another cluster";

/** A server that has nothing to do with the cluster, and answers all that it is asked. */
export function strangerAt(host: string, kind: StrangerKind, { commands: _, ...surroundings }: NodeWorld): SimNode {
  const isPlain = kind === "plain server";
  const nodes: SimNode[] = [];
  const commands = new Commands(
    describerOf(() => nodes),
    !isPlain,
  );
  const world: NodeWorld = { ...surroundings, commands };
  // The other half of its cluster is never there.
  const primaries = isPlain ? [0] : [0, 1];
  const view = () => {
    const own = new View(primaries, primaries.length, true);
    own.nodeIsAt(0, host);
    own.nodeIsAt(1, "10.9.0.2");
    return own;
  };
  for (const index of primaries) {
    nodes.push(new SimNode({ index, id: "ef"[index]?.repeat(40) as string, isStranger: true }, index, view(), world));
  }
  return nodes[0] as SimNode;
}
