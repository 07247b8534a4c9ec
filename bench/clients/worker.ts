/* Runs one workload with one client, in a process of its own, and prints the result as a line of JSON. */
import { bytesInUse } from "../support/memory.ts";
import { quantile } from "../support/statistics.ts";
import type { PeerClient } from "./client.ts";
import { PEERS, type PeerName } from "./peers.ts";
import { BATCH, KEYS, type Result, valueKey, type Workload } from "./workload.ts";

const [name, json, ...nodes] = process.argv.slice(2) as [PeerName, string, ...string[]];
const workload = JSON.parse(json) as Workload;
const client = await PEERS[name].connect(nodes);
const arg = "x".repeat(workload.argBytes);
const slowEvery = workload.slowShare === 0 ? 0 : Math.round(1 / workload.slowShare);

await measure(Math.ceil(workload.calls / 4));
const inUseBefore = bytesInUse();
const cpuBefore = process.cpuUsage();
const start = performance.now();
const { calls, latencies } = await measure(workload.calls);
const seconds = (performance.now() - start) / 1000;
const cpu = process.cpuUsage(cpuBefore);
const residentMiB = process.memoryUsage().rss / 2 ** 20;
const grownMiB = (bytesInUse() - inUseBefore - latencies.byteLength) / 2 ** 20;
await client.close();
const sorted = latencies.sort();
const result: Result = {
  callsPerSecond: calls / seconds,
  bytesPerSecond: (calls * (workload.argBytes + workload.replyBytes)) / seconds,
  cpu: (cpu.user + cpu.system) / calls,
  p50: quantile(sorted, 0.5) * 1000,
  p99: quantile(sorted, 0.99) * 1000,
  p999: quantile(sorted, 0.999) * 1000,
  most: (sorted.at(-1) ?? Number.NaN) * 1000,
  residentMiB,
  grownMiB,
};
console.log(JSON.stringify(result));
// A client that keeps something open must not delay the benchmark.
process.exit(0);

function measure(count: number): Promise<{ calls: number; latencies: Float64Array }> {
  if (workload.kind === "open") return openLoop(client, count);
  return workload.kind === "batch" ? batches(client, count) : closedLoop(client, count);
}

function call(peer: PeerClient, index: number): Promise<unknown> {
  if (workload.script === "read") return peer.run("read", valueKey(index, workload.replyBytes), arg);
  const script = slowEvery > 0 && index % slowEvery === 0 ? "slow" : "write";
  return peer.run(script, KEYS[index % KEYS.length] as string, arg);
}

function check(reply: unknown): void {
  const fits = workload.script === "read" ? String(reply).length === workload.replyBytes : reply === "OK";
  if (!fits) throw new Error(`${name} gave a wrong reply: ${String(reply).slice(0, 80)}`);
}

/**
 * A closed loop: each caller makes its next call when its last one is answered. Times every 8th call, or all if few.
 */
async function closedLoop(peer: PeerClient, count: number): Promise<{ calls: number; latencies: Float64Array }> {
  const every = workload.inFlight === 1 ? 1 : 8;
  const times: number[] = [];
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const index = next++;
      if (index % every !== 0) check(await call(peer, index));
      else {
        const before = performance.now();
        check(await call(peer, index));
        times.push(performance.now() - before);
      }
    }
  };
  await Promise.all(Array.from({ length: workload.inFlight }, caller));
  return { calls: count, latencies: Float64Array.from(times) };
}

/** An open loop: calls at a fixed rate, timed from the moment they were due, so a stall shows in every delayed call. */
async function openLoop(peer: PeerClient, count: number): Promise<{ calls: number; latencies: Float64Array }> {
  const times = new Float64Array(count);
  const begun = performance.now();
  const pending: Promise<void>[] = [];
  for (let index = 0; index < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - begun) * workload.rate) / 1000));
    for (; index < due; index++) {
      const at = index;
      const dueAt = begun + (at / workload.rate) * 1000;
      const done = call(peer, at).then((reply) => {
        check(reply);
        times[at] = performance.now() - dueAt;
      });
      pending.push(done);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
  return { calls: count, latencies: times };
}

async function batches(peer: PeerClient, count: number): Promise<{ calls: number; latencies: Float64Array }> {
  if (peer.batch === undefined) throw new Error(`${name} has no batches`);
  const times = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    const before = performance.now();
    const replies = await peer.batch(arg);
    times[index] = performance.now() - before;
    if (replies.length !== BATCH) throw new Error(`${name} gave ${replies.length} replies to ${BATCH} calls`);
    for (const reply of replies) check(reply);
  }
  return { calls: count * BATCH, latencies: times };
}
