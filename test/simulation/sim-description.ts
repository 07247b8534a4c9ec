import type { Value } from "./resp.ts";
import type { SimNode } from "./sim-node.ts";

/** What a node answers when it is asked about its cluster. */
export interface Describer {
  shards(node: SimNode): Value;
  nodes(node: SimNode): Value;
  slots(node: SimNode): Value;
}

interface Member {
  readonly member: SimNode;
  readonly isPrimary: boolean;
  readonly isFailed: boolean;
}

/** @param nodes  All nodes of the cluster. A node tells of those that its view has. */
export function describerOf(nodes: () => readonly SimNode[], tellsZones = false): Describer {
  return {
    shards: (node) => shardsOf(node, nodes(), tellsZones),
    nodes: (node) => nodesTextOf(node, nodes()),
    slots: (node) => slotsOf(node, nodes()),
  };
}

function membersOf(node: SimNode, nodes: readonly SimNode[]): { shard: number; ranges: number[]; members: Member[] }[] {
  const { view } = node;
  return view.primaries.flatMap((primary, shard) => {
    const members = nodes
      .filter((member) => member.shard === shard && !view.lacks.has(member.index))
      .map((member) => ({
        member,
        isPrimary: member.index === primary,
        isFailed: view.failed.has(member.index),
      }))
      .sort((a, b) => Number(b.isPrimary) - Number(a.isPrimary));
    if (members.length === 0) return [];
    return [{ shard, ranges: view.lacks.has(primary) ? [] : view.rangesOf(shard), members }];
  });
}

/** The zone of a node, for as long as it lives. */
export function zoneOf({ index }: Pick<SimNode, "index">): "a" | "b" {
  return index % 2 === 0 ? "a" : "b";
}

function shardsOf(node: SimNode, nodes: readonly SimNode[], tellsZones: boolean): Value {
  return membersOf(node, nodes).map(({ ranges, members }) => [
    "slots",
    ranges,
    "nodes",
    members.map(({ member, isPrimary, isFailed }) => {
      const host = node.view.hostOf(member.index);
      return [
        ...["id", member.id, "port", member.port, "ip", host, "endpoint", host],
        ...["role", isPrimary ? "master" : "replica", "replication-offset", 0],
        ...["health", isFailed ? "fail" : "online"],
        ...(tellsZones ? ["availability-zone", zoneOf(member)] : []),
      ];
    }),
  ]);
}

function slotsOf(node: SimNode, nodes: readonly SimNode[]): Value {
  return membersOf(node, nodes).flatMap(({ ranges, members }) => {
    const entries = members
      .filter(({ isFailed }) => !isFailed)
      .map(({ member }) => [node.view.hostOf(member.index), member.port, member.id]);
    return ranges.flatMap((start, index) =>
      index % 2 === 0 ? [[start, ranges[index + 1] as number, ...entries]] : [],
    );
  });
}

function nodesTextOf(node: SimNode, nodes: readonly SimNode[]): string {
  return membersOf(node, nodes)
    .flatMap(({ shard, ranges, members }) => {
      const slots = ranges.flatMap((start, index) => (index % 2 === 0 ? `${start}-${ranges[index + 1]}` : []));
      const primaryId = members.find(({ isPrimary }) => isPrimary)?.member.id ?? "-";
      return members.map(({ member, isPrimary, isFailed }) => {
        const isMyself = member === node;
        const flags = [isMyself && "myself", isPrimary ? "master" : "slave", isFailed && "fail"].filter(Boolean);
        const address = `${node.view.hostOf(member.index)}:${member.port}`;
        const epoch = node.view.epochs[shard] as number;
        const rest = [isPrimary ? "-" : primaryId, 0, 0, epoch, "connected", ...(isPrimary ? slots : [])];
        if (isMyself) rest.push(...onTheirWay(node, nodes));
        return `${member.id} ${address}@17000 ${flags.join(",")} ${rest.join(" ")}\n`;
      });
    })
    .join("");
}

/** A node tells of its own slots only that they are on their way. */
function onTheirWay({ migrating, importing }: SimNode, nodes: readonly SimNode[]): string[] {
  const idOf = (index: number) => nodes[index]?.id;
  return [
    ...[...migrating].map(([slot, to]) => `[${slot}->-${idOf(to)}]`),
    ...[...importing].map(([slot, from]) => `[${slot}-<-${idOf(from)}]`),
  ];
}
