import { monitorEventLoopDelay } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { Latencies } from "../../src/cli/bench/latency.ts";
import { BusiestTurn } from "../../test/support/busiest-turn.ts";
import { floorClient } from "./floor-client.ts";
import { LOAD_KEYS, LOAD_SCRIPT, LOAD_VALUE } from "./load-script.ts";
import { bytesInUse } from "./memory.ts";

/*
 * One process that connects to many nodes, preloads, and serves calls. Its result is one line of JSON. The parent passes
 * who it is, a seed, and the numbers of scripts, of calls in flight and of calls.
 */

/** `turns` measures the turns of the event loop, which costs so much that nothing else is measured. */
export type NodesWorker = "slotwire" | "turns" | "floor";

export interface Serving {
  /** The CPU time of the process, in microseconds per call. */
  readonly cpuMicroseconds: number;
  readonly callsPerSecond: number;
  /** Absent where fewer than 10 calls lie beyond. */
  readonly p50Milliseconds: number | undefined;
  readonly p99Milliseconds: number | undefined;
  /** The longest time between two looks of the event loop at a timer of one millisecond. */
  readonly stallMs: number;
}

export interface Connecting {
  readonly tookMs: number;
  readonly cpuMs: number;
  readonly stallMs: number;
  /** Nodes that are believed to hold every script. */
  readonly prepared: number;
  /** The growth of the memory in use without garbage, and of the resident set, in bytes. */
  readonly inUse: number;
  readonly resident: number;
}

export interface NodesResult {
  readonly connecting?: Connecting;
  readonly serving?: Serving;
  /** The most CPU time of one turn of the event loop while connecting, in its own thread. */
  readonly turnMs?: number;
}

type Call = (index: number) => Promise<unknown>;

const [who, seed, scriptCount, inFlight, calls] = process.argv.slice(2) as [
  NodesWorker,
  string,
  string,
  string,
  string,
];
const result = who === "floor" ? await ofFloor() : who === "turns" ? await ofTurns() : await ofSlotwire();
console.log(JSON.stringify(result));
process.exit(0);

async function built() {
  // A test names a package that it has built itself.
  const folder = process.env.SLOTWIRE_BUILT_PACKAGE;
  const path =
    folder === undefined ? new URL("../../dist/index.js", import.meta.url) : pathToFileURL(`${folder}/dist/index.js`);
  const { connect, defineScript } = (await import(path.href)) as typeof import("../../src/index.ts");
  const load = defineScript({ name: "load", source: LOAD_SCRIPT, numberOfKeys: 1 });
  const others = Array.from({ length: Math.max(0, Number(scriptCount) - 1) }, (_, index) =>
    defineScript({ name: `script ${index}`, source: `-- ${String(index).padStart(1000, "x")}\nreturn 1` }),
  );
  return { connect, load, scripts: [load, ...others] };
}

async function ofSlotwire(): Promise<NodesResult> {
  const { connect, load, scripts } = await built();
  const [inUse, resident] = [bytesInUse(), process.memoryUsage.rss()];
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  stalls.enable();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const cluster = await connect({ nodes: [seed], scripts });
  const tookMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  await pause();
  stalls.disable();
  const connecting: Connecting = {
    tookMs,
    cpuMs: (user + system) / 1000,
    stallMs: stalls.max / 1e6,
    prepared: cluster.scripts().filter(({ loaded }) => loaded.length === scripts.length).length,
    resident: process.memoryUsage.rss() - resident,
    inUse: bytesInUse() - inUse,
  };
  const serving = await serve((index) =>
    cluster.run(load, [LOAD_KEYS[index % LOAD_KEYS.length] as string], [LOAD_VALUE]),
  );
  await cluster.close();
  return { connecting, serving };
}

async function ofTurns(): Promise<NodesResult> {
  const { connect, scripts } = await built();
  using turns = new BusiestTurn();
  const cluster = await connect({ nodes: [seed], scripts });
  const turnMs = turns.ms;
  await cluster.close();
  return { turnMs };
}

async function ofFloor(): Promise<NodesResult> {
  const { connect } = await built();
  const cluster = await connect({ nodes: [seed] });
  const nodes = cluster.topology.nodes.map(({ address }) => address);
  await cluster.close();
  const client = await floorClient(nodes);
  const serving = await serve((index) => client.call(index));
  await client.close();
  return { serving };
}

async function serve(call: Call): Promise<Serving> {
  await closedLoop(call, Number(inFlight), Math.ceil(Number(calls) / 2));
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  stalls.enable();
  const cpu = process.cpuUsage();
  const { seconds, latencies } = await closedLoop(call, Number(inFlight), Number(calls));
  const { user, system } = process.cpuUsage(cpu);
  stalls.disable();
  return {
    cpuMicroseconds: (user + system) / Number(calls),
    callsPerSecond: Number(calls) / seconds,
    p50Milliseconds: latencies.quantile(0.5),
    p99Milliseconds: latencies.quantile(0.99),
    stallMs: stalls.max / 1e6,
  };
}

/** Makes so many calls, some in flight at a time. Latencies are in milliseconds. */
async function closedLoop(call: Call, callers: number, count: number) {
  const latencies = new Latencies();
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const index = next++;
      const made = performance.now();
      await call(index);
      latencies.add(performance.now() - made);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: callers }, caller));
  return { seconds: (performance.now() - start) / 1000, latencies };
}

/** The delay of the turn in which `connect` resolves is noted in the next one. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
