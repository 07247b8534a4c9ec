import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { CachedLoad, type CachedReport } from "../support/cached-load.ts";
import { byMigrate } from "../support/slot-moves.ts";

// The same for 60 s, and with everything that can go wrong: npm run test:faults -- cached

const MAX_STALENESS_MS = 400;

describe("cached reads beside writers, on real servers", () => {
  let cluster: LocalCluster;
  let load: CachedLoad;
  let report: CachedReport;

  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    load = await CachedLoad.start(cluster, {
      ...{ maxStaleness: MAX_STALENESS_MS, readsPerMs: 2 },
      keysAreOnTheirWay: true,
    });
    await sleep(1000);
    const { topology } = load.client;
    for (const tag of load.tags.slice(0, 2)) {
      const owner = topology.primaryOf(load.slotOf(tag))?.address as string;
      const to = topology.nodes.find(({ role, address }) => role === "primary" && address !== owner)?.address as string;
      await byMigrate.move(cluster, load.slotOf(tag), owner, to);
    }
    await cluster.failover(topology.replicasOf(load.slotOf(load.tags[2] as string))[0]?.address as string);
    // Connections that read, and those that hear of changes.
    for (const address of cluster.nodes) {
      const lines = String(await cluster.command(address, "CLIENT", "LIST")).split("\n");
      for (const line of lines.filter((each) => / flags=\w*t/.test(each) || / sub=[1-9]/.test(each))) {
        await cluster.command(address, "CLIENT", "KILL", "ID", /^id=(\d+)/.exec(line)?.[1] ?? "").catch(() => {});
        await sleep(50);
      }
    }
    await sleep(1000);
    report = await load.end();
  });

  after(() => cluster?.stop());

  it("are never older than maxStaleness", () => {
    assert.deepEqual(report.stale, []);
    assert.equal(report.staleCount, 0);
  });

  it("show the client's own writes, whichever way they went", () => {
    assert.deepEqual(report.unseen, []);
    assert.equal(report.ownWrites > 20, true, `${report.ownWrites} own writes`);
  });

  it("came from memory, and were changed by others meanwhile", () => {
    const { hits, reads, writes } = report;
    assert.equal(hits > 50 && reads > 500 && writes > 100, true, `${hits} hits of ${reads} reads, ${writes} writes`);
  });
});
