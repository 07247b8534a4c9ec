import { slotOf } from "../../src/index.ts";
import { CountedLoad, kindsOf } from "./counted-load.ts";
import { atMost, type Fault, finding, none } from "./fault.ts";
import { answersOf, pause, promotion, withShards } from "./shards.ts";

export const primaryKilled: Fault = {
  name: "killed",
  must: "primary killed (SIGKILL), D = 10 s: at most 5 errors, all unknown; doubles 0; gap of that shard at most F + 250 ms; calls that other shards refuse meanwhile (CLUSTERDOWN) are held, not failed",
  cause: (setting) =>
    withShards(setting, { commandTimeout: 10_000 }, async ({ cluster, client, victim, heir, own, others }) => {
      const load = new CountedLoad(client, [...own, ...others]);
      await pause(1000);
      const [promoted] = await Promise.all([promotion(cluster, heir), cluster.kill(victim)]);
      await pause(3000);
      const report = await load.end(11_000);
      const elsewhere = new Set(others.map((key) => client.topology.primaryOf(slotOf(key))?.address as string));
      const refusals = await answersOf(cluster, [...elsewhere], "CLUSTERDOWN");
      return finding({
        F: [`${Math.round(promoted)} ms`, promoted < 15_000],
        gap: atMost(report.longestGapMs(own), promoted + 250),
        "CLUSTERDOWN elsewhere": [refusals, refusals > 0],
        errors: [
          kindsOf(report.errors),
          report.errors.length <= 5 && report.errors.every(({ outcome }) => outcome === "unknown"),
        ],
        doubles: none(report.doubles),
        lies: none(report.lies),
        "wrong replies": none(report.wrongReplies),
        hanging: none(report.hanging),
      });
    }),
};

const primaryFrozen = (frozenMs: number): Fault => ({
  name: `frozen-${frozenMs / 1000}s`,
  must: `primary frozen (SIGSTOP) for ${frozenMs / 1000} s, D = 1 s: every call settles within D + 50 ms; the shard works at most F + 1 s after the freeze, not when it thaws; acknowledged writes lost 0; hanging 0`,
  cause: (setting) =>
    withShards(setting, { commandTimeout: 1000 }, async ({ cluster, client, victim, heir, own, others }) => {
      const load = new CountedLoad(client, [...own, ...others]);
      await pause(1000);
      cluster.pause(victim);
      const [promoted] = await Promise.all([promotion(cluster, heir), pause(frozenMs)]);
      cluster.resume(victim);
      await pause(3000);
      const report = await load.end(3000);
      return finding({
        F: [`${Math.round(promoted)} ms`, promoted < 15_000],
        gap: atMost(report.longestGapMs(own), promoted + 1000),
        slowest: atMost(report.slowestMs, 1050),
        lost: none(report.lost),
        doubles: none(report.doubles),
        lies: none(report.lies),
        "wrong replies": none(report.wrongReplies),
        hanging: none(report.hanging),
        errors: [kindsOf(report.errors), true],
      });
    }),
});

export const deadAndFrozen: readonly Fault[] = [primaryKilled, primaryFrozen(5000), primaryFrozen(12_000)];
