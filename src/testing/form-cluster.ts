import { realTime } from "../environment.ts";
import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { Reply } from "../protocol/reply.ts";
import type { ServerProcess } from "./server-process.ts";

const SETTLE_TIMEOUT_MS = 30_000;
const POLL_MS = 25;

/**
 * Forms a cluster: the first `primaries` servers share the slots, and the other servers become their replicas in turn.
 */
export async function form(servers: readonly ServerProcess[], primaries: number): Promise<void> {
  const [first, ...others] = servers as [ServerProcess, ...ServerProcess[]];
  await Promise.all(
    servers.slice(0, primaries).map(async (server, index) => {
      await server.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
      const start = Math.floor((index * SLOT_COUNT) / primaries);
      const end = Math.floor(((index + 1) * SLOT_COUNT) / primaries);
      const slots = Array.from({ length: end - start }, (_, offset) => start + offset);
      await server.command("CLUSTER", "ADDSLOTS", ...slots);
    }),
  );
  for (const server of others) await first.command("CLUSTER", "MEET", server.host, server.port);
  await settled(servers);
  await Promise.all(
    servers.slice(primaries).map(async (replica, index) => {
      const primary = servers[index % primaries] as ServerProcess;
      await replicate(replica, await idOf(primary));
    }),
  );
  await settled(servers);
}

export async function replicate(replica: ServerProcess, primaryId: string): Promise<void> {
  await replica.command("CLUSTER", "REPLICATE", primaryId);
  await until(
    async () => String(await replica.command("INFO", "replication")).includes("master_link_status:up"),
    `${replica.address} to be in step with its primary`,
  );
}

/**
 * Resolves when all servers know each other, agree on the slots, and report the cluster's state as ok.
 * @param open  Slots that are half-way between nodes. About these, and as to its state, a server that imports one of them
 *              can differ from the others for ever: Redis 7 lets it know no owner once the owner's replica was promoted.
 */
export async function settled(servers: readonly ServerProcess[], open: ReadonlySet<number> = new Set()): Promise<void> {
  await until(async () => {
    const told = await Promise.all(
      servers.map((server) => Promise.all([server.command("CLUSTER", "INFO"), server.command("CLUSTER", "NODES")])),
    );
    // While slots are lost with their node, no server's state is ok.
    const isBroken = told.some(([, nodes]) => hasLostSlots(String(nodes)));
    const views = told.map(([info, nodes]) => {
      const mayFail = isBroken || (open.size > 0 && String(nodes).includes("-<-"));
      if (!mayFail && !String(info).includes("cluster_state:ok")) return undefined;
      const lines = String(nodes)
        .split("\n")
        .filter((line) => line !== "" && !/handshake|\bfail\b/.test(line));
      if (lines.length < servers.length) return undefined;
      const view = lines.map((line) => {
        const [id, , flags, , , , , , ...slots] = line.split(" ");
        return [id, /master|slave/.exec(flags ?? "")?.[0], ...rangesWithout(open, slots)].join(" ");
      });
      return view.sort().join("\n");
    });
    return views[0] !== undefined && views.every((view) => view === views[0]);
  }, "the cluster to agree");
}

/** Whether a server takes a node with slots for down. */
function hasLostSlots(nodes: string): boolean {
  return nodes.split("\n").some((line) => {
    const [, , flags = "", , , , , , ...slots] = line.split(" ");
    return /\bfail\b/.test(flags) && slots.length > 0;
  });
}

/** The ranges of a line of CLUSTER NODES, without the marks of open slots and without these slots. */
function rangesWithout(open: ReadonlySet<number>, texts: readonly string[]): string[] {
  const ranges = texts.filter((text) => !text.startsWith("["));
  if (open.size === 0) return ranges;
  const slots = ranges.flatMap((range) => {
    const [start = 0, end = start] = range.split("-").map(Number);
    return Array.from({ length: end - start + 1 }, (_, offset) => start + offset).filter((slot) => !open.has(slot));
  });
  const isStart = (slot: number, index: number) => slots[index - 1] !== slot - 1;
  return slots.filter(isStart).map((start) => {
    let end = start;
    for (let index = slots.indexOf(start); slots[index + 1] === end + 1; index++) end++;
    return `${start}-${end}`;
  });
}

export async function isPrimary(server: ServerProcess): Promise<boolean> {
  return ((await server.command("ROLE")) as Reply[])[0] === "master";
}

export async function idOf(server: ServerProcess): Promise<string> {
  return (await server.command("CLUSTER", "MYID")) as string;
}

export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = realTime.wallNow() + SETTLE_TIMEOUT_MS;
  while (!(await condition())) {
    if (realTime.wallNow() > deadline) throw new Error(`Waited ${SETTLE_TIMEOUT_MS} ms in vain for ${what}.`);
    await sleep(POLL_MS);
  }
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => realTime.setTimeout(resolve, milliseconds));
}
