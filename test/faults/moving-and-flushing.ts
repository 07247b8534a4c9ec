import { slotOf } from "../../src/index.ts";
import { commandStats } from "../support/command-stats.ts";
import { CountedLoad, kindsOf, recordScript } from "./counted-load.ts";
import { type Fault, type Finding, finding } from "./fault.ts";
import { pause, type Shards, withShards } from "./shards.ts";

/** Milliseconds that a slot stays half here, half there, after each key. */
const PAUSE_MS = 20;

async function moveSlots({ cluster, client, own, others, victim }: Shards): Promise<Finding> {
  const keys = Array.from({ length: 300 }, (_, index) => `moving:${index}`).filter(
    (key) => client.topology.primaryOf(slotOf(key))?.address === victim,
  );
  // Two keys to a slot, so that some slots are half moved.
  const pairs = keys.flatMap((key) => [`{${key}}:a`, `{${key}}:b`]);
  const slots = [...new Set([...keys, ...own].map(slotOf))].slice(0, 100);
  const target = cluster.nodes.find((address) => client.topology.primaryOf(16_383)?.address === address) as string;
  const load = new CountedLoad(client, [...pairs, ...own, ...others]);
  await pause(1200);
  await cluster.moveSlots({ slots, to: target, pause: PAUSE_MS });
  await pause(300);
  const report = await load.end(6000);
  return finding({
    slots: [slots.length, slots.length === 100],
    calls: [report.calls, true],
    errors: [kindsOf(report.errors), report.errors.length === 0],
    doubles: [report.doubles, report.doubles === 0],
    lost: [report.lost, report.lost === 0],
    slowest: [`${Math.round(report.slowestMs)} ms`, report.slowestMs <= 2 * PAUSE_MS + 100],
  });
}

async function flush({ cluster, client, own, others }: Shards): Promise<Finding> {
  const primaries = client.topology.nodes.filter(({ role }) => role === "primary");
  for (const { address } of primaries) await cluster.command(address, "CONFIG", "RESETSTAT");
  const load = new CountedLoad(client, [...own, ...others]);
  await pause(500);
  for (let time = 0; time < 4; time++) {
    await cluster.flushScripts();
    await pause(700);
  }
  const report = await load.end(6000);
  let most = 0;
  for (const { address } of primaries) {
    most = Math.max(most, (await commandStats(cluster, address))("script|load").calls);
  }
  return finding({
    calls: [report.calls, true],
    errors: [kindsOf(report.errors), report.errors.length === 0],
    doubles: [report.doubles, report.doubles === 0],
    slowest: [`${report.slowestMs.toFixed(1)} ms`, report.slowestMs <= 25],
    // Two scripts, four flushes.
    "most loads on a primary": [most, most <= 8],
  });
}

/** The same while a replica that has nothing to do with it is frozen. */
async function besideFrozenReplica(shards: Shards, body: (shards: Shards) => Promise<Finding>): Promise<Finding> {
  const replica = shards.client.topology.replicasOf(8000)[0]?.address as string;
  await shards.cluster.pause(replica);
  try {
    return await body(shards);
  } finally {
    await shards.cluster.resume(replica);
  }
}

const MOVED = `100 slots moved live, one key at a time: 0 errors, 0 doubles, slowest at most ${2 * PAUSE_MS + 100} ms`;
const FLUSHED =
  "SCRIPT FLUSH on all nodes, 4 times: 0 errors, slowest at most 25 ms, at most one load per node, script and flush";

const askBeforeOwning: Fault = {
  name: "ask-empty",
  must: "ASK to a node that owns nothing yet, keys present or absent: 0 errors",
  cause: () =>
    withShards({}, async ({ cluster, client }) => {
      const added = await cluster.addNode();
      const keys = Array.from({ length: 20 }, (_, index) => `asked:${index}`);
      for (const key of keys.slice(0, 10)) await client.run(recordScript, [key], ["first"]);
      const idOf = async (address: string) => String(await cluster.command(address, "CLUSTER", "MYID"));
      for (const slot of new Set(keys.map(slotOf))) {
        const owner = client.topology.primaryOf(slot)?.address as string;
        await cluster.command(added, "CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(owner));
        await cluster.command(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", await idOf(added));
      }
      let asked = 0;
      client.on("redirection", () => asked++);
      const results = await Promise.allSettled(keys.map((key) => client.run(recordScript, [key], ["second"])));
      const failed = results.filter(({ status }) => status === "rejected").length;
      return finding({
        "present and absent keys": [keys.length, true],
        ASK: [asked, asked === 10],
        errors: [failed, failed === 0],
      });
    }),
};

export const movingAndFlushing: readonly Fault[] = [
  { name: "moving", must: MOVED, cause: () => withShards({}, moveSlots) },
  askBeforeOwning,
  { name: "flush", must: FLUSHED, cause: () => withShards({}, flush) },
  {
    name: "moving+frozen-replica",
    must: `${MOVED}; an unrelated replica is frozen`,
    cause: () => withShards({}, (shards) => besideFrozenReplica(shards, moveSlots)),
  },
  {
    name: "flush+frozen-replica",
    must: `${FLUSHED}; an unrelated replica is frozen`,
    cause: () => withShards({}, (shards) => besideFrozenReplica(shards, flush)),
  },
];
