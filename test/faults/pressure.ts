import { connect } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { CountedLoad, recordScript } from "./counted-load.ts";
import { type Fault, finding } from "./fault.ts";
import { pause, withShards } from "./shards.ts";

const stopsReading: Fault = {
  name: "stops-reading",
  must: "server stops reading; 100,000 calls of 1 KiB: the bound holds, QUEUE_FULL at once and not-executed, memory at most 64 MB above the start",
  cause: (setting) =>
    withShards(setting, { commandTimeout: 10_000 }, async ({ cluster, client, victim, heir, own }) => {
      // Its replica as well: nobody is to take over.
      for (const address of [victim, heir]) cluster.pause(address);
      const value = "x".repeat(1024);
      const before = memory();
      let pending = 0;
      let mostPending = 0;
      let mostMemory = 0;
      let full = 0;
      let wrong = 0;
      const calls: Promise<void>[] = [];
      for (let index = 0; index < 100_000; index++) {
        pending++;
        const call = client.run(recordScript, [own[index % own.length] as string], [value]).then(
          () => {
            pending--;
          },
          ({ code, outcome }) => {
            pending--;
            if (code === "QUEUE_FULL") full++;
            if (code === "QUEUE_FULL" && outcome !== "not-executed") wrong++;
          },
        );
        calls.push(call);
        if (index % 2000 !== 0) continue;
        // A call that is refused has settled in the very tick that made it.
        await pause(0);
        mostPending = Math.max(mostPending, pending);
        if (index % 20_000 === 0) mostMemory = Math.max(mostMemory, memory() - before);
      }
      await Promise.all(calls);
      for (const address of [victim, heir]) cluster.resume(address);
      return finding({
        "most pending": [mostPending, mostPending <= 10_000],
        QUEUE_FULL: [full, full > 0 && wrong === 0],
        "memory above the start": [`${Math.round(mostMemory / 2 ** 20)} MB`, mostMemory <= 64 * 2 ** 20],
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
  must: "close() and destroy() at any moment, also during connect and failover: all calls settle within 100 ms of the bound",
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, own, others, victim }) => {
      let slowest = 0;
      let hanging = 0;
      for (let time = 0; time < 20; time++) {
        const client = await connect({ ...cluster.connectOptions, scripts: [recordScript] });
        const load = new CountedLoad(client, [...own, ...others]);
        load.burst(200);
        await pause(time);
        if (time === 10) await cluster.kill(victim);
        const start = performance.now();
        if (time % 2 === 0) client.destroy();
        else await client.close({ timeout: 200 });
        for (let wait = 0; load.pending().length > 0 && wait < 40; wait++) await pause(5);
        slowest = Math.max(slowest, performance.now() - start - (time % 2 === 0 ? 0 : 200));
        hanging += load.pending().length;
        load.stop();
      }
      const connecting = connect({ ...cluster.connectOptions, scripts: [recordScript] });
      (await connecting).destroy();
      return finding({
        hanging: [hanging, hanging === 0],
        "slowest above the bound": [`${Math.round(slowest)} ms`, slowest <= 100],
      });
    }),
};

/** What is in use; garbage does not count. */
function memory(): number {
  collectGarbage();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
}

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
