import type { TopologyDescription } from "./topology.ts";

/*
 * Whom to believe: pure decisions on a view, which is what one server says of the cluster, beside the present topology.
 */

/** The nodes of a view, as far as they tell who they are. */
interface Nodes {
  readonly nodes: readonly Pick<TopologyDescription["nodes"][number], "id" | "host" | "port">[];
}

/**
 * Why a view cannot be of the present cluster; undefined where it can. Views without ids are compared by addresses.
 *
 * | present | view | |
 * | --- | --- | --- |
 * | a single server | anything | undefined |
 * | a cluster | a single server | no-cluster |
 * | nodes with ids | nodes with ids, none in common | other-cluster |
 * | either without ids | no address in common | other-cluster |
 */
export function isForeign(present: Nodes, view: Nodes): "no-cluster" | "other-cluster" | undefined {
  if (isSingle(present)) return undefined;
  if (isSingle(view)) return "no-cluster";
  const byId = hasIds(present) && hasIds(view);
  const nameOf = ({ id, host, port }: Nodes["nodes"][number]) => (byId ? id : `${host} ${port}`);
  const known = new Set(present.nodes.map(nameOf));
  return view.nodes.some((node) => known.has(nameOf(node))) ? undefined : "other-cluster";
}

/** Whether the view is that of a server without cluster mode. */
function isSingle({ nodes }: Nodes): boolean {
  return nodes.length === 1 && nodes[0]?.id === "";
}

function hasIds({ nodes }: Nodes): boolean {
  return nodes.every(({ id }) => id !== "");
}
