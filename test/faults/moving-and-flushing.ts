import { slotOf } from "../../src/index.ts";
import { commandStats } from "../support/command-stats.ts";
import { CountedLoad, kindsOf, recordScript } from "./counted-load.ts";
import { atMost, type Fault, type Finding, finding, none } from "./fault.ts";
import { answersOf, pause, type Shards, withShards } from "./shards.ts";

/** Milliseconds that a slot stays half here, half there, after each key. */
const PAUSE_MS = 30;

async function moveSlots({ cluster, client, victim, others }: Shards): Promise<Finding> {
  const names = Array.from({ length: 600 }, (_, index) => `moving:${index}`).filter(
    (name) => client.topology.primaryOf(slotOf(name))?.address === victim,
  );
  const slots = [...new Set(names.map(slotOf))].slice(0, 100);
  // Two keys of a slot in one call: half moved, they are TRYAGAIN. One key of its own, half moved, is ASK.
  const moved = slots.flatMap((slot) => {
    const name = names.find((each) => slotOf(each) === slot);
    return [[`{${name}}:a`, `{${name}}:b`], [`{${name}}:b`], [`{${name}}:c`]];
  });
  const to = client.topology.primaryOf(16_383)?.address as string;
  const load = new CountedLoad(client, [...moved, ...others]);
  // Every key has been written once.
  await pause(1200);
  await cluster.moveSlots({ slots, to, pause: PAUSE_MS });
  await pause(300);
  const report = await load.end(6000);
  const [asks, tryAgains] = await Promise.all(
    ["ASK", "TRYAGAIN"].map((word) => answersOf(cluster, [victim, to], word)),
  );
  return finding({
    slots: [slots.length, slots.length === 100],
    calls: [`${report.calls} at ${report.perSecond}/s`, report.perSecond > 400],
    ASK: [asks, Number(asks) > 5],
    TRYAGAIN: [tryAgains, Number(tryAgains) > 5],
    errors: [kindsOf(report.errors), report.errors.length === 0],
    doubles: none(report.doubles),
    lost: none(report.lost),
    "wrong replies": none(report.wrongReplies),
    slowest: atMost(report.slowestMs, 2 * PAUSE_MS + 100),
  });
}

export const moving: Fault = {
  name: "moving",
  must: `100 slots moved live, one key at a time, ASK and TRYAGAIN for real: 0 errors, 0 doubles, slowest at most 2 x the pause + 100 ms (${2 * PAUSE_MS + 100} ms)`,
  cause: (setting) => withShards(setting, {}, moveSlots),
};

export const askBeforeOwning: Fault = {
  name: "ask-empty",
  must: "ASK to a node that owns nothing yet, keys present or absent: 0 errors, nothing unhandled",
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, client }) => {
      const added = await cluster.addNode();
      const keys = Array.from({ length: 40 }, (_, index) => `asked:${index}`);
      for (const key of keys.slice(0, 20)) await client.run(recordScript, [key], ["first"]);
      const idOf = async (address: string) => String(await cluster.command(address, "CLUSTER", "MYID"));
      for (const slot of new Set(keys.map(slotOf))) {
        const owner = client.topology.primaryOf(slot)?.address as string;
        await cluster.command(added, "CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(owner));
        await cluster.command(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", await idOf(added));
      }
      let asked = 0;
      client.on("redirection", ({ kind }) => {
        if (kind === "ASK") asked++;
      });
      const results = await Promise.allSettled(keys.map((key) => client.run(recordScript, [key], ["second"])));
      const failed = results.filter(({ status }) => status === "rejected").length;
      const there = await commandStats(cluster, added);
      return finding({
        "keys present": [20, true],
        "keys absent, ASK": [asked, asked === 20],
        "served by the new node": [there("evalsha").calls, there("evalsha").calls >= 20],
        errors: none(failed),
      });
    }),
};

const FLUSHES = 4;

export const flushed: Fault = {
  name: "flush",
  must: "SCRIPT FLUSH on all nodes, 4 times: 0 errors, slowest at most 25 ms, at most one load per node, script and flush",
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, client, own, others }) => {
      const nodes = [
        ...new Set([...own, ...others].map((key) => client.topology.primaryOf(slotOf(key))?.address as string)),
      ];
      for (const address of nodes) await cluster.command(address, "CONFIG", "RESETSTAT");
      const load = new CountedLoad(client, [...own, ...others]);
      await pause(500);
      for (let time = 0; time < FLUSHES; time++) {
        await cluster.flushScripts();
        await pause(700);
      }
      const report = await load.end(6000);
      const loads = await Promise.all(
        nodes.map(async (address) => (await commandStats(cluster, address))("script|load").calls),
      );
      const missed = await answersOf(cluster, nodes, "NOSCRIPT");
      return finding({
        calls: [`${report.calls} at ${report.perSecond}/s`, report.perSecond > 400],
        NOSCRIPT: [missed, missed > 0],
        errors: [kindsOf(report.errors), report.errors.length === 0],
        doubles: none(report.doubles),
        slowest: atMost(report.slowestMs, 25),
        // Of two scripts.
        "loads by node": [
          loads.join(", "),
          loads.length === 3 && loads.every((count) => count > 0 && count <= 2 * FLUSHES),
        ],
      });
    }),
};

export const pausedWrites: Fault = {
  name: "paused-writes",
  must: "writes paused for 2 s on all primaries (CLIENT PAUSE, as in a failover on command): 0 errors, 0 doubles, no connection given up",
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, client, own, others }) => {
      const nodes = client.topology.nodes.filter(({ role }) => role === "primary");
      const load = new CountedLoad(client, [...own, ...others]);
      await pause(500);
      for (const { address } of nodes) await cluster.command(address, "CLIENT", "PAUSE", 2000, "WRITE");
      await pause(3000);
      const report = await load.end(6000);
      return finding({
        errors: [kindsOf(report.errors), report.errors.length === 0],
        doubles: none(report.doubles),
        lost: none(report.lost),
        slowest: atMost(report.slowestMs, 2500),
      });
    }),
};
