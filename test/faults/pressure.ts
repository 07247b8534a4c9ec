import { connect } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { CountedLoad, recordScript } from "./counted-load.ts";
import { atMost, type Fault, finding, none } from "./fault.ts";
import { pause, withShards } from "./shards.ts";

const CALLS = 100_000;
const BOUND = 10_000;

const stopsReading: Fault = {
  name: "stops-reading",
  must: "server stops reading; 100,000 calls of 1 KiB: the bound holds, QUEUE_FULL at once and not-executed, memory at most 64 MB above the start, no log output; served when it reads again",
  cause: (setting) =>
    withShards(setting, { commandTimeout: 30_000 }, async ({ cluster, client, victim, heir, own }) => {
      // Its replica as well: nobody is to take over.
      for (const address of [victim, heir]) cluster.pause(address);
      const value = "x".repeat(1024);
      const settled = { served: 0, full: 0, other: 0 };
      const calls: Promise<void>[] = [];
      let mostPending = 0;
      collectGarbage();
      const start = performance.now();
      const before = process.memoryUsage.rss();
      let most = before;
      for (let made = 1; made <= CALLS; made++) {
        const call = client.run(recordScript, [own[made % own.length] as string], [value]).then(
          () => void settled.served++,
          ({ code, outcome }) => {
            if (code === "QUEUE_FULL" && outcome === "not-executed") settled.full++;
            else settled.other++;
          },
        );
        calls.push(call);
        if (made % 1000 !== 0) continue;
        // A call that is refused has settled in the very tick that made it.
        await pause(0);
        mostPending = Math.max(mostPending, made - settled.served - settled.full - settled.other);
        most = Math.max(most, process.memoryUsage.rss());
      }
      const tookMs = performance.now() - start;
      const { full } = settled;
      await pause(2000);
      most = Math.max(most, process.memoryUsage.rss());
      for (const address of [victim, heir]) cluster.resume(address);
      await Promise.all(calls);
      return finding({
        "100,000 calls made in": atMost(tookMs, 10_000),
        "most pending": [mostPending, mostPending === BOUND],
        "QUEUE_FULL at once": [full, full === CALLS - BOUND && settled.full === full],
        "memory (RSS) above the start": [`${Math.round((most - before) / 2 ** 20)} MB`, most - before <= 64 * 2 ** 20],
        "served afterwards": [settled.served, settled.served === BOUND],
      });
    }),
};

const churn: Fault = {
  name: "churn",
  must: "1,000 failovers' worth of connection churn: heap, sockets and timers flat",
  cause: async () => {
    const nodes = await FakeCluster.start(3);
    const client = await nodes.connect({ scripts: [recordScript], commandTimeout: 2000 });
    const key = keyForSlot(0);
    const once = async () => {
      nodes.ranges = nodes.ranges.map(([start, end, owner]) => [start, end, (owner + 1) % 3]);
      for (const node of nodes.nodes) node.dropConnections();
      await client.refreshTopology().catch(() => {});
      for (const node of nodes.nodes) node.received.length = 0;
      await client.run(recordScript, [key], [1]).catch(() => {});
    };
    for (let time = 0; time < 500; time++) await once();
    const before = counts();
    for (let time = 0; time < 1000; time++) await once();
    await pause(700);
    const after = counts();
    const served = await client.run(recordScript, [key], [1]);
    await nodes.stop();
    const grown = after.heap - before.heap;
    return finding({
      served: [served, served === "OK"],
      heap: [`${(grown / 2 ** 20).toFixed(1)} MB more`, grown < 2 ** 20],
      sockets: [`${before.sockets} then ${after.sockets}`, after.sockets <= before.sockets + 6],
      timers: [`${before.timers} then ${after.timers}`, after.timers <= before.timers + 3],
    });
  },
};

const closing: Fault = {
  name: "closing",
  must: "close() and destroy() at any moment, also right after connect and during a failover: all calls settle within 100 ms of the bound, and no socket or timer is left",
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, client, own, others, victim }) => {
      client.destroy();
      await pause(100);
      const before = counts();
      const codes = new Set<string>();
      let slowest = 0;
      let hanging = 0;
      for (let time = 0; time < 60; time++) {
        const each = await connect({ ...cluster.connectOptions, scripts: [recordScript] });
        const load = new CountedLoad(each, [...own, ...others]);
        load.burst(200);
        await pause(time % 20);
        if (time === 20) void cluster.kill(victim);
        const start = performance.now();
        const boundMs = time % 2 === 0 ? 0 : 200;
        if (boundMs === 0) each.destroy();
        else await each.close({ timeout: boundMs });
        load.stop();
        for (let wait = 0; load.pending().length > 0 && wait < 40; wait++) await pause(5);
        slowest = Math.max(slowest, performance.now() - start - boundMs);
        hanging += load.pending().length;
        for (const code of load.codes) codes.add(code);
      }
      await pause(300);
      const after = counts();
      return finding({
        hanging: none(hanging),
        "slowest above the bound": atMost(slowest, 100),
        "calls ended in": [[...codes].join(" + "), !codes.has("REPLY executed")],
        sockets: [`${before.sockets} then ${after.sockets}`, after.sockets <= before.sockets],
        timers: [`${before.timers} then ${after.timers}`, after.timers <= before.timers],
      });
    }),
};

function counts(): { heap: number; sockets: number; timers: number } {
  collectGarbage();
  const resources = process.getActiveResourcesInfo();
  return {
    heap: process.memoryUsage().heapUsed,
    sockets: resources.filter((name) => name === "TCPSocketWrap").length,
    timers: resources.filter((name) => name === "Timeout").length,
  };
}

function collectGarbage(): void {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("memory can only be told with node --expose-gc");
  gc();
  gc();
}

export const pressure: readonly Fault[] = [stopsReading, churn, closing];
