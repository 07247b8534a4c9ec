import { connect, slotOf } from "../../src/index.ts";
import { again, type ChainReport, pushScript, sendChains } from "../support/chains.ts";
import { type Fault, type Finding, finding, none } from "./fault.ts";
import { answersOf, pause, withShards } from "./shards.ts";

/** Milliseconds. */
const LASTS_MS = 8000;
const MOST_CHAINS = 120;

const tags = Array.from({ length: MOST_CHAINS }, (_, index) => `chain ${index}`);

function found(
  { chains, outOfOrder, miscounted, failed, slowestBatch }: ChainReport,
  leastChains: number,
  more: Readonly<Record<string, readonly [value: unknown, holds: boolean]>>,
): Finding {
  return finding({
    chains: [chains, chains >= leastChains],
    "out of order": none(outOfOrder),
    "run twice or not at all": none(miscounted),
    errors: none(failed),
    "slowest batch": [`${slowestBatch.toFixed(0)} ms`, true],
    ...more,
  });
}

const flushing: Fault = {
  name: "batch-flush",
  must: "batches of scripts and commands on one key each, while one client flushes the scripts every millisecond and another loads them: thousands of chains, 0 out of order, 0 errors",
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, client }) => {
      await client.preload(pushScript);
      const time = pause(LASTS_MS);
      const other = await connect(cluster.connectOptions);
      const flushes = again(() => cluster.flushScripts(), 1, time);
      const loads = again(() => other.run(pushScript, ["another"], ["x"]), 1, time);
      const report = await sendChains(client, tags, time);
      await loads;
      await other.close();
      const missed = await answersOf(cluster, cluster.nodes, "NOSCRIPT");
      return found(report, 3000, { flushes: [await flushes, true], NOSCRIPT: [missed, missed > 100] });
    }),
};

const moving: Fault = {
  name: "batch-moving",
  must: "the same while their slots move, key by key, and calls of two keys meet TRYAGAIN: 0 out of order, 0 errors",
  cause: (setting) =>
    withShards(setting, { commandTimeout: 30_000 }, async ({ cluster, client, victim }) => {
      await client.preload(pushScript);
      const own = tags.filter((tag) => client.topology.primaryOf(slotOf(tag))?.address === victim).slice(0, 25);
      const to = client.topology.primaryOf(16_383)?.address as string;
      // Each slot has many keys to move while calls come.
      const before = client.batch();
      for (const tag of own) for (let key = 0; key < 30; key++) before.command("SET", `{${tag}}${key}`, key);
      await before.exec();
      const moved = cluster.moveSlots({ slots: own.map(slotOf), to, pause: 1 }).then(() => pause(500));
      const report = await sendChains(client, own, moved);
      const [asks, tryAgains] = await Promise.all(
        ["ASK", "TRYAGAIN"].map((word) => answersOf(cluster, [victim, to], word)),
      );
      return found(report, 1000, {
        ASK: [asks, Number(asks) > 20],
        TRYAGAIN: [tryAgains, Number(tryAgains) > 20],
      });
    }),
};

const paused: Fault = {
  name: "batch-paused",
  must: "the same while writes are paused (CLIENT PAUSE WRITE) nearly all the time, and scripts are flushed meanwhile: 0 out of order, 0 errors",
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, client }) => {
      await client.preload(pushScript);
      const time = pause(LASTS_MS);
      const primaries = client.topology.nodes.filter(({ role }) => role === "primary");
      const pauses = again(
        () => Promise.all(primaries.map(({ address }) => cluster.command(address, "CLIENT", "PAUSE", 20, "WRITE"))),
        21,
        time,
      );
      const flushes = again(() => cluster.flushScripts(), 2, time);
      const report = await sendChains(client, tags, time);
      return found(report, 1000, { pauses: [await pauses, true], flushes: [await flushes, true] });
    }),
};

export const batchOrder: readonly Fault[] = [flushing, moving, paused];
