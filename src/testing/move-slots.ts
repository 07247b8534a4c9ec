import type { Reply } from "../protocol/reply.ts";
import { idOf, settled, until } from "./form-cluster.ts";
import type { ServerProcess } from "./server-process.ts";

/** The options of `moveSlots`. */
export interface MoveSlots {
  /** The slots to move, 0 to 16383 each. They may have different owners. */
  readonly slots: readonly number[];
  /** The address (`host:port`) of the primary that gets the slots. */
  readonly to: string;
  /**
   * Milliseconds to wait after each key that is moved.
   * @default 0
   */
  readonly pause?: number | undefined;
  /**
   * Whether to move all slots of a node in one step. Needs Valkey 9.0 (CLUSTER MIGRATESLOTS) or Redis 8.4 (CLUSTER
   * MIGRATION IMPORT).
   * @default false
   */
  readonly atomic?: boolean | undefined;
}

/**
 * Resolves when the replicas of `owner` know that `owner` has `slots`. Replicas learn this by gossip. A replica that is
 * promoted earlier claims only the slots that it knows of; the other slots stay with the dead primary.
 */
export async function knownToReplicas(
  slots: readonly number[],
  owner: ServerProcess,
  servers: readonly ServerProcess[],
): Promise<void> {
  const id = await idOf(owner);
  const nodes = String(await owner.command("CLUSTER", "NODES")).split("\n");
  const replicas = servers.filter(({ address }) => {
    return nodes.some((line) => line.includes(` ${address}@`) && line.includes(` ${id} `));
  });
  for (const replica of replicas) {
    await until(async () => {
      const ranges = (await replica.command("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
      const its = ranges.filter(([, , [, port]]) => port === owner.port);
      return slots.every((slot) => its.some(([start, end]) => slot >= start && slot <= end));
    }, `${replica.address} to know the slots of its primary`);
  }
}

/** Moves slots in one step: the servers copy them and then hand them over at once. Clients only get MOVED. */
export async function moveInOneStep(
  slots: readonly number[],
  source: ServerProcess,
  target: ServerProcess,
  all: readonly ServerProcess[],
): Promise<void> {
  const ranges = slots.flatMap((slot) => [slot, slot]);
  const stateOf = (await pullsSlots(target)) ? await pull(ranges, target) : await push(ranges, source, target);
  await until(async () => {
    const { state, message = "", last_error: error = message } = await stateOf();
    if (state === "failed" || state === "cancelled" || state === "canceled") {
      throw new Error(`The slots were not moved to ${target.address}: ${error || state}.`);
    }
    return state === "success" || state === "completed";
  }, `the slots to be moved to ${target.address}`);
  await settled(all);
}

/** Whether the server moves slots as Redis does from 8.4 on. */
export async function pullsSlots(server: ServerProcess): Promise<boolean> {
  const help = (await server.command("CLUSTER", "HELP")) as string[];
  return help.some((line) => line.startsWith("MIGRATION "));
}

/** As Redis does it: the new owner is asked. */
async function pull(ranges: readonly number[], target: ServerProcess): Promise<() => Promise<Migration>> {
  const id = (await target.command("CLUSTER", "MIGRATION", "IMPORT", ...ranges)) as string;
  return async () => {
    const [migration] = migrationsIn(await target.command("CLUSTER", "MIGRATION", "STATUS", "ID", id));
    return migration ?? {};
  };
}

/** As Valkey does it: the old owner is asked. */
async function push(
  ranges: readonly number[],
  source: ServerProcess,
  target: ServerProcess,
): Promise<() => Promise<Migration>> {
  const migrations = async () => migrationsIn(await source.command("CLUSTER", "GETSLOTMIGRATIONS"));
  const earlier = new Set((await migrations()).map(({ name }) => name));
  await source.command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", ...ranges, "NODE", await idOf(target));
  return async () => (await migrations()).find(({ name }) => !earlier.has(name)) ?? {};
}

interface Migration {
  readonly name?: string;
  readonly state?: string;
  readonly message?: string;
  readonly last_error?: string;
}

function migrationsIn(reply: Reply): Migration[] {
  return (reply as Reply[][]).map((fields) => {
    const entries = fields.flatMap((field, index) => (index % 2 === 0 ? [[field, fields[index + 1]]] : []));
    return Object.fromEntries(entries) as Migration;
  });
}
