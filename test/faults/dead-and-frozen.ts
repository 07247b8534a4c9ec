import { CountedLoad, kindsOf } from "./counted-load.ts";
import { type Fault, finding } from "./fault.ts";
import { pause, promotion, withShards } from "./shards.ts";

export const primaryKilled: Fault = {
  name: "killed",
  must: "primary killed (SIGKILL), D = 10 s: at most 5 errors, all unknown; doubles 0; gap of that shard at most F + 250 ms; other shards' calls held, not failed",
  cause: () =>
    withShards({ commandTimeout: 10_000 }, async ({ cluster, client, victim, heir, own, others }) => {
      const load = new CountedLoad(client, [...own, ...others]);
      await pause(1000);
      const [promoted] = await Promise.all([promotion(cluster, heir), cluster.kill(victim)]);
      await pause(3000);
      const report = await load.end(11_000);
      const gap = report.longestGapMs(own);
      return finding({
        F: [`${Math.round(promoted)} ms`, true],
        gap: [`${Math.round(gap)} ms`, gap <= promoted + 250],
        errors: [
          kindsOf(report.errors),
          report.errors.length <= 5 && report.errors.every(({ outcome }) => outcome === "unknown"),
        ],
        doubles: [report.doubles, report.doubles === 0],
        lies: [report.lies, report.lies === 0],
        "wrong replies": [report.wrongReplies, report.wrongReplies === 0],
        hanging: [report.hanging, report.hanging === 0],
      });
    }),
};

const primaryFrozen = (frozenMs: number): Fault => ({
  name: `frozen-${frozenMs / 1000}s`,
  must: `primary frozen (SIGSTOP) for ${frozenMs / 1000} s, D = 1 s: every call settles within D + 50 ms; the shard works at most F + 1 s after the freeze; acknowledged writes lost 0; hanging 0`,
  cause: () =>
    withShards({ commandTimeout: 1000 }, async ({ cluster, client, victim, heir, own, others }) => {
      const load = new CountedLoad(client, [...own, ...others]);
      await pause(1000);
      await cluster.pause(victim);
      const [promoted] = await Promise.all([promotion(cluster, heir), pause(frozenMs)]);
      await cluster.resume(victim);
      await pause(3000);
      const report = await load.end(3000);
      const gap = report.longestGapMs(own);
      return finding({
        F: [`${Math.round(promoted)} ms`, true],
        gap: [`${Math.round(gap)} ms`, gap <= promoted + 1000],
        slowest: [`${Math.round(report.slowestMs)} ms`, report.slowestMs <= 1050],
        lost: [report.lost, report.lost === 0],
        doubles: [report.doubles, report.doubles === 0],
        lies: [report.lies, report.lies === 0],
        hanging: [report.hanging, report.hanging === 0],
        errors: [kindsOf(report.errors), true],
      });
    }),
});

export const deadAndFrozen: readonly Fault[] = [primaryKilled, primaryFrozen(5000), primaryFrozen(12_000)];
