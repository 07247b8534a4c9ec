import { connect } from "../../src/index.ts";
import { ByteProxy } from "../support/byte-proxy.ts";
import { CountedLoad, kindsOf, type LoadReport, recordScript, repeatableScript } from "./counted-load.ts";
import { type Fault, finding } from "./fault.ts";
import { pause, type Shards, withShards } from "./shards.ts";

/** A client that reaches the victim through a proxy. */
async function throughProxy(
  { cluster, victim }: Shards,
  body: (client: Awaited<ReturnType<typeof connect>>, proxy: ByteProxy) => Promise<LoadReport>,
): Promise<LoadReport> {
  const proxy = await ByteProxy.start(victim);
  const client = await connect({
    nodes: cluster.nodes,
    scripts: [recordScript, repeatableScript],
    natMap: { [victim]: { host: proxy.host, port: proxy.port } },
  });
  try {
    return await body(client, proxy);
  } finally {
    client.destroy();
    await proxy.stop();
  }
}

const halfOpen: Fault = {
  name: "half-open",
  must: "half-open socket (bytes vanish, no close): noticed and replaced in at most 1.5 s; at most 250 unknown, then no more errors",
  cause: () =>
    withShards({}, async (shards) => {
      let brokenAt = 0;
      let lastErrorAt = 0;
      const report = await throughProxy(shards, async (client, proxy) => {
        const load = new CountedLoad(client, [...shards.own, ...shards.others]);
        await pause(1000);
        brokenAt = performance.now();
        proxy.swallow();
        client.on("nodeUp", () => {
          lastErrorAt = performance.now();
        });
        await pause(4000);
        return load.end(6000);
      });
      const gap = report.longestGapMs(shards.own);
      return finding({
        gap: [`${Math.round(gap)} ms`, gap <= 1500],
        replaced: [
          `after ${Math.round(lastErrorAt - brokenAt)} ms`,
          lastErrorAt > brokenAt && lastErrorAt - brokenAt <= 1500,
        ],
        errors: [
          kindsOf(report.errors),
          report.errors.length <= 250 && report.errors.every(({ outcome }) => outcome === "unknown"),
        ],
        doubles: [report.doubles, report.doubles === 0],
        hanging: [report.hanging, report.hanging === 0],
      });
    }),
};

const repliesCut = (repeatable: boolean): Fault => ({
  name: repeatable ? "cut-idempotent" : "cut",
  must: repeatable
    ? "the same with the script declared idempotent: 0 errors"
    : "replies cut 20 times with more than 130 calls in doubt: doubles 0, each unknown, none called not-executed wrongly",
  cause: () =>
    withShards({}, async (shards) => {
      let inDoubt = 0;
      const report = await throughProxy(shards, async (client, proxy) => {
        const load = new CountedLoad(
          client,
          [...shards.own, ...shards.others],
          repeatable ? repeatableScript : recordScript,
        );
        await pause(500);
        for (let time = 0; time < 20; time++) {
          const before = load.pending;
          proxy.swallowReplies();
          load.burst(20);
          await pause(60);
          inDoubt += load.pending - before;
          proxy.cut();
          await pause(150);
        }
        return load.end(6000);
      });
      const unknown = report.errors.filter(({ outcome }) => outcome === "unknown").length;
      return finding({
        "in doubt": [inDoubt, inDoubt > 130],
        errors: [kindsOf(report.errors), repeatable ? report.errors.length === 0 : unknown === report.errors.length],
        doubles: [report.doubles, repeatable || report.doubles === 0],
        lies: [report.lies, report.lies === 0],
        lost: [report.lost, report.lost === 0],
        hanging: [report.hanging, report.hanging === 0],
      });
    }),
});

export const brokenWays: readonly Fault[] = [halfOpen, repliesCut(false), repliesCut(true)];
