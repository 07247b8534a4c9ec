import { ReplyError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";
import { isPrimary, sleep, until } from "./form-cluster.ts";
import type { Line, ServerProcess } from "./server-process.ts";

/** A server with its node id. */
export interface Node {
  readonly server: ServerProcess;
  readonly id: string;
}

/** What is known while the keys of a slot are moved. */
export interface Move {
  readonly slot: number;
  /** Milliseconds to wait after each key. */
  readonly pauseMs: number;
  readonly password: string | undefined;
  /** Told of a key that both ends had, with different values: the source's value counts, or the target's. */
  readonly onConflict?: (key: Buffer) => void;
}

const MIGRATE_TIMEOUT_MS = 5000;
const KEYS_AT_ONCE = 100;

/** Marks the slot as being on its way, which is the first half of a move. */
export async function beginMove(slot: number, source: Node, target: Node): Promise<void> {
  await prepare(slot, target, source);
  await target.server.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id);
  await source.server.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id);
}

/**
 * Moves a slot key by key, as resharding tools do. While it moves, clients get ASK and TRYAGAIN. Where both ends have a
 * key, the value of `source` counts, because the owner has answered calls with it.
 * @returns the number of keys that were moved
 */
export async function handOver(move: Move, source: Node, target: Node, all: readonly ServerProcess[]): Promise<number> {
  await beginMove(move.slot, source, target);
  const moved = await moveKeys(move, source.server, target.server, "source");
  await assign(move.slot, source.server, target, all);
  return moved;
}

/** Makes `target` the owner, as all primaries see it. */
export async function assign(
  slot: number,
  source: ServerProcess | undefined,
  target: Node,
  all: readonly ServerProcess[],
): Promise<void> {
  // The new owner is told first. Otherwise it would refuse the calls that the old owner redirects to it.
  const others = all.filter((server) => server !== target.server && server !== source);
  for (const server of [target.server, ...(source === undefined ? [] : [source]), ...others]) {
    if (await isPrimary(server)) await server.command("CLUSTER", "SETSLOT", slot, "NODE", target.id);
  }
}

/**
 * Makes `node` accept keys of the slot of `owner`, or give them back to it. A node that was importing the slot while its
 * owner was replaced by a failover can know no owner at all, and then refuses everything with CLUSTERDOWN.
 */
export async function prepare(slot: number, node: Node, owner: Node): Promise<void> {
  const lines = String(await node.server.command("CLUSTER", "NODES")).split("\n");
  if (lines.some((line) => line.startsWith(owner.id) && hasSlot(line, slot))) return;
  await node.server.command("CLUSTER", "SETSLOT", slot, "NODE", owner.id);
  // Its state follows in the next turn of the server's clock, unless slots are missing for another reason.
  const isOk = async () => String(await node.server.command("CLUSTER", "INFO")).includes("cluster_state:ok");
  await until(isOk, `${node.server.address} to take part in the cluster again`);
}

function hasSlot(line: string, slot: number): boolean {
  return line.split(" ").some((text) => {
    const [, start, end = start] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
    return start !== undefined && Number(start) <= slot && slot <= Number(end);
  });
}

/**
 * Moves all keys of the slot that `source` holds.
 * @param counts  Whose value counts, if both have a key.
 * @returns the number of keys that were moved
 */
export function moveKeys(
  { slot, pauseMs, password, onConflict }: Move,
  source: ServerProcess,
  target: ServerProcess,
  counts: "source" | "target",
): Promise<number> {
  return source.use(async (line) => {
    let moved = 0;
    for (;;) {
      const keys = (await line.commandForBytes("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE)) as Buffer[];
      if (keys.length === 0) return moved;
      for (const key of keys) {
        const outcome = await tryToMove(line, target, key, password);
        if (outcome === "taken") {
          if (!(await haveSameValue(line, target, key))) onConflict?.(key);
          if (counts === "source") await migrate(line, target, key, password, "REPLACE");
          else await asking(line, "DEL", key);
        }
        if (outcome !== "gone") moved++;
        if (pauseMs > 0) await sleep(pauseMs);
      }
    }
  });
}

/** `taken`: the target has a key of that name already. `gone`: the source has it no more. */
async function tryToMove(
  line: Line,
  target: ServerProcess,
  key: Buffer,
  password: string | undefined,
): Promise<"moved" | "taken" | "gone"> {
  try {
    return (await migrate(line, target, key, password)) === "NOKEY" ? "gone" : "moved";
  } catch (error) {
    if (error instanceof ReplyError && error.reply.includes("BUSYKEY")) return "taken";
    throw error;
  }
}

/** Moves one key from the server of `line` to `target`. A key that is not there is no failure. */
export function migrate(
  line: Line,
  target: ServerProcess,
  key: Buffer | string,
  password: string | undefined,
  ...options: readonly "REPLACE"[]
): Promise<Reply> {
  const login = password === undefined ? [] : ["AUTH", password];
  return line.command("MIGRATE", target.host, target.port, key, 0, MIGRATE_TIMEOUT_MS, ...options, ...login);
}

/** Compares what both servers hold under the key. */
async function haveSameValue(line: Line, target: ServerProcess, key: Buffer): Promise<boolean> {
  const [here, there] = await Promise.all([
    asking(line, "DUMP", key),
    target.use((other) => asking(other, "DUMP", key)),
  ]);
  return here instanceof Buffer && there instanceof Buffer && here.equals(there);
}

/** Sends a command about a key that the server may hold for another owner. */
async function asking(line: Line, command: string, key: Buffer): Promise<Reply> {
  const [, reply] = await Promise.all([line.command("ASKING"), line.commandForBytes(command, key)]);
  return reply;
}
