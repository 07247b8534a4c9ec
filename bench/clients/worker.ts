/* Runs one workload with one client, in a process of its own, and prints the result as a line of JSON. */
import { Latencies } from "../../src/cli/bench/latency.ts";
import { openLoop } from "../../src/cli/bench/open-loop.ts";
import { bytesInUse } from "../support/memory.ts";
import type { PeerClient } from "./client.ts";
import { PEERS, type PeerName } from "./peers.ts";
import { BATCH, KEYS, type Result, valueKey, type Workload } from "./workload.ts";

const [name, json, ...nodes] = process.argv.slice(2) as [PeerName, string, ...string[]];
const workload = JSON.parse(json) as Workload;
const client = await PEERS[name].connect(nodes);
const arg = "x".repeat(workload.argBytes);
const slowEvery = workload.slowShare === 0 ? 0 : Math.round(1 / workload.slowShare);

/** The latencies of the calls that count, and before that those of the warm-up. */
let latencies = new Latencies();
await measure(Math.ceil(workload.calls / 4));
latencies = new Latencies();
const inUseBefore = bytesInUse();
const cpuBefore = process.cpuUsage();
const start = performance.now();
const { calls, stopped, late } = await measure(workload.calls);
const seconds = (performance.now() - start) / 1000;
const cpu = process.cpuUsage(cpuBefore);
const residentMiB = process.memoryUsage().rss / 2 ** 20;
const grownMiB = (bytesInUse() - inUseBefore) / 2 ** 20;
await client.close();
const { p50, p99, p999, max } = latencies.summary();
const result: Result = {
  calls,
  callsPerSecond: calls / seconds,
  bytesPerSecond: (calls * (workload.argBytes + workload.replyBytes)) / seconds,
  ...(workload.kind === "open" ? {} : { cpu: (cpu.user + cpu.system) / calls }),
  ...(p50 === undefined ? {} : { p50: p50 * 1000 }),
  ...(p99 === undefined ? {} : { p99: p99 * 1000 }),
  ...(p999 === undefined ? {} : { p999: p999 * 1000 }),
  most: max * 1000,
  ...(late === undefined ? {} : { late: late * 1000 }),
  residentMiB,
  grownMiB,
  ...(stopped ? { stopped } : {}),
};
console.log(JSON.stringify(result));
// A client that keeps something open must not delay the benchmark.
process.exit(0);

interface Done {
  readonly calls: number;
  /** Whether an open loop left out calls, because too many waited for their answers. */
  readonly stopped?: boolean;
  /** The p99 of how late an open loop made the calls, in milliseconds. */
  readonly late?: number | undefined;
}

function measure(count: number): Promise<Done> {
  if (workload.kind === "open") return atRate(client, count);
  return workload.kind === "batch" ? batches(client, count) : closedLoop(client, count);
}

async function call(peer: PeerClient, index: number): Promise<void> {
  if (workload.script === "read") return check(await peer.run("read", valueKey(index, workload.replyBytes), arg));
  const script = slowEvery > 0 && index % slowEvery === 0 ? "slow" : "write";
  check(await peer.run(script, KEYS[index % KEYS.length] as string, arg));
}

function check(reply: unknown): void {
  const fits = workload.script === "read" ? String(reply).length === workload.replyBytes : reply === "OK";
  if (!fits) throw new Error(`${name} gave a wrong reply: ${String(reply).slice(0, 80)}`);
}

/**
 * A closed loop: each caller makes its next call when its last one is answered. Times every 8th call, or all if few.
 */
async function closedLoop(peer: PeerClient, count: number): Promise<Done> {
  const every = workload.inFlight === 1 ? 1 : 8;
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const index = next++;
      if (index % every !== 0) await call(peer, index);
      else {
        const before = performance.now();
        await call(peer, index);
        latencies.add(performance.now() - before);
      }
    }
  };
  await Promise.all(Array.from({ length: workload.inFlight }, caller));
  return { calls: count };
}

/** An open loop: calls at a fixed rate, timed from the moment they were due, so a stall shows in every delayed call. */
async function atRate(peer: PeerClient, count: number): Promise<Done> {
  const { rate } = workload;
  const slice = await openLoop((index) => call(peer, index), { rate, milliseconds: (count / rate) * 1000 });
  latencies.join(slice.latencies);
  const late = slice.lateness.quantile(0.99);
  return { calls: slice.latencies.calls, stopped: slice.stopped !== undefined, late };
}

async function batches(peer: PeerClient, count: number): Promise<Done> {
  if (peer.batch === undefined) throw new Error(`${name} has no batches`);
  for (let index = 0; index < count; index++) {
    const before = performance.now();
    const replies = await peer.batch(arg);
    latencies.add(performance.now() - before);
    if (replies.length !== BATCH) throw new Error(`${name} gave ${replies.length} replies to ${BATCH} calls`);
    for (const reply of replies) check(reply);
  }
  return { calls: count * BATCH };
}
