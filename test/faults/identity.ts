import { setTimeout as pause } from "node:timers/promises";
import { connect, type SlotwireError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { startStranger } from "../support/stranger.ts";
import { CountedLoad, recordScript } from "./counted-load.ts";
import { atMost, type Fault, finding, none } from "./fault.ts";
import { withShards } from "./shards.ts";

/** What a handshake and a topology query ask, and what the test itself does. */
const HARMLESS = /^(ping|readonly|auth|client\|.*|cluster(\|.*)?|info|config(\|.*)?|psync|replconf)$/;

const strangers: readonly Fault[] = (["plain", "other-cluster"] as const).map((kind) => ({
  name: `stranger-${kind}`,
  must: `a ${kind === "plain" ? "plain server" : "node of another cluster"} at the address of a dead replica, under load: 0 errors, 0 lost, 0 wrong replies; no call and no script reaches it, and it is told by nodeDown`,
  cause: (setting) =>
    withShards(setting, { readFrom: "any" }, async ({ cluster, client, heir, own, others }) => {
      const told: string[] = [];
      client.on("nodeDown", ({ cause }) => told.push(String(cause.message)));
      const load = new CountedLoad(client, [...own, ...others]);
      await pause(500);
      await cluster.kill(heir);
      const stranger = await startStranger(heir, kind);
      try {
        const isTold = () => told.some((text) => text.includes("now belongs to"));
        for (let time = 0; time < 20 || (time < 80 && !isTold()); time++) {
          await client.refreshTopology();
          await pause(100);
        }
        const report = await load.end(6000);
        const reached = (await stranger.received()).filter((name) => !HARMLESS.test(name));
        return finding({
          calls: [`${report.calls} at ${report.perSecond}/s`, report.calls > 500],
          errors: none(report.errors.length),
          "wrong replies": none(report.wrongReplies),
          lost: none(report.lost),
          "commands at the stranger": [reached.join(" ") || "none", reached.length === 0],
          told: [told.length, told.some((text) => text.includes("now belongs to"))],
        });
      } finally {
        await stranger.stop();
      }
    }),
}));

/** CLUSTER RESET HARD on every node, and the same shape anew. */
async function replace(cluster: LocalCluster): Promise<void> {
  const { nodes } = cluster;
  for (const address of nodes) {
    await cluster.command(address, "FLUSHALL");
    await cluster.command(address, "CLUSTER", "RESET", "HARD");
  }
  const [first = ""] = nodes;
  const share = Math.ceil(16_384 / nodes.length);
  for (const [index, address] of nodes.entries()) {
    const end = Math.min(16_383, (index + 1) * share - 1);
    await cluster.command(address, "CLUSTER", "ADDSLOTSRANGE", index * share, end);
    await cluster.command(address, "CLUSTER", "SET-CONFIG-EPOCH", index + 1);
  }
  for (const address of nodes.slice(1)) await cluster.command(address, "CLUSTER", "MEET", ...first.split(":"));
  const isUp = async (address: string) =>
    String(await cluster.command(address, "CLUSTER", "INFO")).includes("cluster_state:ok");
  for (const address of nodes) while (!(await isUp(address))) await pause(100);
}

const replaced: Fault = {
  name: "replaced",
  must: "the whole cluster replaced at its addresses (CLUSTER RESET HARD everywhere): the client comes back by itself, at most 2 x connectTimeout + 1 s after the new cluster is up",
  cause: async () => {
    const connectTimeout = 1000;
    const cluster = await startCluster({ primaries: 3 });
    const client = await connect({ ...cluster.connectOptions, connectTimeout, scripts: [recordScript] });
    try {
      const keys = [500, 6000, 12_000].map((slot) => keyForSlot(slot, "replaced"));
      await Promise.all(keys.map((key) => client.run(recordScript, [key], ["before"])));
      const before = new Set(client.topology.nodes.map(({ id }) => id));
      await replace(cluster);
      // As long as no connection ends, nothing has changed for the client.
      for (const address of cluster.nodes) await cluster.command(address, "CLIENT", "KILL", "TYPE", "normal");
      const start = performance.now();
      const patient = client.with({ timeout: 10_000 });
      const replies = await Promise.all(keys.map((key) => patient.run(recordScript, [key], ["after"]).catch(String)));
      const tookMs = Math.round(performance.now() - start);
      const stale = client.topology.nodes.filter(({ id }) => before.has(id)).length;
      return finding({
        served: [replies.filter((reply) => reply === "after").length, replies.every((reply) => reply === "after")],
        "nodes of the old cluster": none(stale),
        after: [`${tookMs} ms`, tookMs <= 2 * connectTimeout + 1000],
      });
    } finally {
      client.destroy();
      await cluster.stop();
    }
  },
};

const CALLS = 100_000;
const BOUND = 10_000;

const ownerless: Fault = {
  name: "ownerless",
  must: `${CALLS} calls for a slot that nobody owns: QUEUE_FULL past ${BOUND}, UNAVAILABLE for the others long before their deadline, memory at most 64 MB above the start`,
  cause: async () => {
    const cluster = await startCluster({ primaries: 3, args: ["--cluster-require-full-coverage", "no"] });
    const client = await connect({ ...cluster.connectOptions, commandTimeout: 30_000 });
    try {
      for (const address of cluster.nodes) await cluster.command(address, "CLUSTER", "DELSLOTS", 500).catch(() => {});
      await client.refreshTopology();
      while (client.topology.primaryOf(500) !== undefined) await client.refreshTopology();
      const key = keyForSlot(500, "ownerless");
      globalThis.gc?.();
      const heap = process.memoryUsage().heapUsed;
      const codes = new Map<string, number>();
      let slowestMs = 0;
      const calls: Promise<void>[] = [];
      for (let call = 0; call < CALLS; call++) {
        const madeAt = performance.now();
        const note = ({ code, outcome }: SlotwireError) => {
          const what = `${code} ${outcome}`;
          slowestMs = Math.max(slowestMs, performance.now() - madeAt);
          codes.set(what, (codes.get(what) ?? 0) + 1);
        };
        calls.push(client.command("INCR", key).then(() => note({ code: "REPLY", outcome: "executed" } as never), note));
        if (call % 1000 === 999) await pause(0);
      }
      globalThis.gc?.();
      // Of the promises that the load itself keeps, some hundred bytes each are its own.
      const grownMb = (process.memoryUsage().heapUsed - heap) / 1e6;
      await Promise.all(calls);
      const full = codes.get("QUEUE_FULL not-executed") ?? 0;
      const unavailable = codes.get("UNAVAILABLE not-executed") ?? 0;
      return finding({
        QUEUE_FULL: [full, full > 0],
        UNAVAILABLE: [unavailable, unavailable > 0],
        "other ends": none(CALLS - full - unavailable),
        "memory above the start": [`${grownMb.toFixed(0)} MB`, grownMb < 64],
        slowest: atMost(slowestMs, 15_000),
      });
    } finally {
      client.destroy();
      await cluster.stop();
    }
  },
};

export const identity: readonly Fault[] = [...strangers, replaced, ownerless];
