import type { LocalCluster } from "../../src/testing/index.ts";

/** A way in which a slot gets another owner. */
export interface SlotMove {
  readonly name: string;
  move(cluster: LocalCluster, slot: number, from: string, to: string): Promise<void>;
}

async function idOf(cluster: LocalCluster, address: string): Promise<string> {
  return String(await cluster.command(address, "CLUSTER", "MYID"));
}

/** IMPORTING, MIGRATING, MIGRATE of each key, and SETSLOT NODE at every primary. */
export const byMigrate: SlotMove = {
  name: "MIGRATE and SETSLOT",
  move: (cluster, slot, _, to) => cluster.moveSlots({ slots: [slot], to }),
};

/** SETSLOT NODE at every primary, as for a slot without keys. */
export const bySetSlot: SlotMove = {
  name: "SETSLOT alone",
  move: async (cluster, slot, from, to) => {
    const id = await idOf(cluster, to);
    const others = cluster.nodes.filter((address) => address !== from && address !== to);
    for (const address of [to, from, ...others]) {
      const [role] = (await cluster.command(address, "ROLE")) as string[];
      if (role === "master") await cluster.command(address, "CLUSTER", "SETSLOT", slot, "NODE", id);
    }
  },
};

/** SETSLOT NODE at the new owner, which has imported the slot: the others hear of it from each other. */
export const byGossip: SlotMove = {
  name: "SETSLOT at the new owner",
  move: async (cluster, slot, from, to) => {
    await cluster.command(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(cluster, from));
    await cluster.command(to, "CLUSTER", "SETSLOT", slot, "NODE", await idOf(cluster, to));
  },
};

/** In one step, where servers know how. */
export const atOnce: SlotMove = {
  name: "atomic",
  move: (cluster, slot, _, to) => cluster.moveSlots({ slots: [slot], to, atomic: true }),
};

/** Whether these servers move slots in one step. */
export async function movesInOneStep(cluster: LocalCluster): Promise<boolean> {
  const help = (await cluster.command(cluster.nodes[0] as string, "CLUSTER", "HELP")) as string[];
  return help.some((line) => /^(MIGRATESLOTS|MIGRATION) /.test(line));
}
