import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Informant } from "../topology/inquiry.ts";

/** The nodes that may be asked for the topology: connected nodes, from one of them on that chance picks, then the seeds. */
export function informantsOf(
  nodes: readonly ClusterNode[],
  random: () => number,
  seeds: readonly Informant[],
): Informant[] {
  const ready = nodes.filter(({ pool }) => pool.ready);
  const turn = Math.floor(random() * ready.length);
  return [...[...ready.slice(turn), ...ready.slice(0, turn)].map(informantAt), ...seeds];
}

function informantAt(node: ClusterNode): Informant {
  const { address, info } = node;
  return {
    address,
    answersAs: { host: info.host, port: info.port },
    known: {
      id: info.id,
      isPrimary: info.role === "primary",
      onStranger: (cause) => node.dropConnections(cause),
    },
    connect: async () => {
      for (const lane of node.pool.lanes) {
        const connection = lane.useConnection();
        if (connection !== undefined) return connection;
      }
      throw node.pool.cause ?? new Error("the connection was lost");
    },
  };
}
