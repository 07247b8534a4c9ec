import { createHash } from "node:crypto";
import { connect as openSocket } from "node:net";
import { median } from "../../src/cli/bench/estimate.ts";
import { encodeCommand } from "../../src/protocol/encode.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { sourceOf } from "../support/bench-script.ts";
import { bytesInUse } from "../support/memory.ts";
import type { Peer } from "./client.ts";
import { PEERS } from "./peers.ts";
import { atMost, type Claim, claim } from "./summary.ts";
import { KEYS, SCRIPTS } from "./workload.ts";

type Slotwire = typeof import("../../src/index.ts");

const MANY_NODES = 60;
const SCRIPT_COUNT = 50;
const PENDING = 100_000;

/** Measures slotwire alone: many nodes, memory, recovery from a flush. */
export async function ofItsOwn(cluster: LocalCluster): Promise<Claim[]> {
  const built = new URL("../../dist/index.js", import.meta.url).href;
  const slotwire = (await import(built)) as Slotwire;
  const claims = [await memoryOfCalls(slotwire, cluster), await recovery(slotwire, cluster)];
  const many = await startCluster({ primaries: MANY_NODES });
  try {
    claims.push(...(await cpuOfManyNodes(cluster, many)), ...(await connectAndPreload(slotwire, many)));
  } finally {
    await many.stop();
  }
  return claims;
}

/** Makes many calls that no server answers, and measures the memory that they hold. */
export async function memoryOfCalls({ connect, defineScript }: Slotwire, cluster: LocalCluster): Promise<Claim> {
  const script = defineScript({ name: "held", source: SCRIPTS.write, numberOfKeys: 1 });
  const client = await connect({
    nodes: cluster.nodes,
    scripts: [script],
    maxPendingPerNode: PENDING,
    maxPendingBytesPerNode: 2 ** 30,
    commandTimeout: 60_000,
  });
  const keys = Array.from({ length: PENDING }, (_, index) => `held:${index}`);
  const promises = new Array<Promise<unknown>>(PENDING);
  for (const address of cluster.nodes) cluster.pause(address);
  const before = bytesInUse();
  for (let index = 0; index < PENDING; index++) {
    promises[index] = client.run(script, [keys[index] as string], ["value-16-bytes-x"]);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  const bytes = (bytesInUse() - before) / PENDING;
  for (const address of cluster.nodes) cluster.resume(address);
  await Promise.all(promises);
  await client.close();
  return claim(
    "100,000 calls in flight: at most 450 bytes each beside the arguments, the caller's promise included",
    `${Math.round(bytes)} bytes`,
    bytes <= 450 ? "holds" : "short",
  );
}

/** With 1,024 callers, flushes the scripts on all nodes and measures the time until 90% of the throughput is back. */
async function recovery({ connect, defineScript }: Slotwire, cluster: LocalCluster): Promise<Claim> {
  const script = defineScript({ name: "flushed", source: SCRIPTS.write, numberOfKeys: 1 });
  const client = await connect({ nodes: cluster.nodes, scripts: [script] });
  const WINDOW_MS = 10;
  const times: number[] = [];
  let going = true;
  let next = 0;
  const caller = async () => {
    while (going) {
      await client.run(script, [KEYS[next++ % KEYS.length] as string], ["value"]);
      times.push(performance.now());
    }
  };
  const callers = Array.from({ length: 1024 }, caller);
  const durations: number[] = [];
  await pause(1000);
  for (let time = 0; time < 9; time++) {
    times.length = 0;
    const start = performance.now();
    await pause(300);
    const usual = times.length / ((performance.now() - start) / WINDOW_MS);
    times.length = 0;
    const flushedAt = performance.now();
    await cluster.flushScripts();
    await pause(300);
    const windows = Array.from({ length: 30 }, (_, index) => {
      const from = flushedAt + index * WINDOW_MS;
      return times.filter((at) => at >= from && at < from + WINDOW_MS).length;
    });
    // Finds the last of the consecutive slow windows that begin with the flush.
    const back = windows.findIndex((calls) => calls >= 0.9 * usual);
    durations.push((back === -1 ? windows.length : back) * WINDOW_MS);
  }
  going = false;
  await Promise.all(callers);
  await client.close();
  const middle = median(durations);
  return claim(
    "SCRIPT FLUSH under 1,024 in flight: calls/s back to 90% within 50 ms (median of 9)",
    `${middle} ms`,
    middle <= 50 ? "holds" : "short",
  );
}

/**
 * When the calls in flight are spread over more nodes, fewer calls share a write, and sixty servers compete for the CPU
 * caches. Both also slow bare sockets. So the CPU time is given as a multiple of the floor on the same nodes.
 */
async function cpuOfManyNodes(few: LocalCluster, many: LocalCluster): Promise<Claim[]> {
  const one: number[] = [];
  const plain: number[] = [];
  const aboveFloor: number[] = [];
  for (let round = 0; round < 5; round++) {
    const at = async (nodes: readonly string[], inFlight: number, calls: number) => {
      const ours = await cpuPerCall(PEERS.slotwire, nodes, inFlight, calls);
      return { ours, floor: await cpuPerCall(PEERS.floor, nodes, inFlight, calls) };
    };
    const [fewOne, manyOne] = [await at(few.nodes, 1, 5000), await at(many.nodes, 1, 5000)];
    const [fewAll, manyAll] = [await at(few.nodes, 1024, 100_000), await at(many.nodes, 1024, 100_000)];
    one.push(manyOne.ours / manyOne.floor / (fewOne.ours / fewOne.floor));
    plain.push(manyAll.ours / fewAll.ours);
    aboveFloor.push(manyAll.ours / manyAll.floor / (fewAll.ours / fewAll.floor));
  }
  const what = `${MANY_NODES} nodes instead of 3`;
  return [
    atMost(`${what}, 1 in flight: CPU above the floor at most 1.10 x`, median(one), 1.1),
    atMost(
      `${what}, 1,024 in flight: CPU above the floor at most 1.10 x (as it is: ${median(plain).toFixed(1)} x)`,
      median(aboveFloor),
      1.1,
    ),
  ];
}

async function cpuPerCall(peer: Peer, nodes: readonly string[], inFlight: number, calls: number): Promise<number> {
  const client = await peer.connect(nodes);
  const loop = async (count: number) => {
    let next = 0;
    const caller = async () => {
      while (next < count) await client.run("write", KEYS[next++ % KEYS.length] as string, "value-16-bytes-x");
    };
    await Promise.all(Array.from({ length: inFlight }, caller));
  };
  await loop(calls / 4);
  const before = process.cpuUsage();
  await loop(calls);
  const { user, system } = process.cpuUsage(before);
  await client.close();
  return (user + system) / calls;
}

/** Compares `connect` with scripts to raw sockets that load the same scripts and wait for the replies. */
async function connectAndPreload({ connect, defineScript }: Slotwire, cluster: LocalCluster): Promise<Claim[]> {
  const sources = Array.from({ length: SCRIPT_COUNT }, (_, index) => `${sourceOf(1000)} -- ${index}`);
  const scripts = sources.map((source, index) => defineScript({ name: `script ${index}`, source, numberOfKeys: 1 }));
  const times = { slotwire: [] as number[], raw: [] as number[] };
  for (let round = 0; round < 7; round++) {
    await cluster.flushScripts();
    const start = performance.now();
    const client = await connect({ nodes: cluster.nodes, scripts });
    times.slotwire.push(performance.now() - start);
    await client.close();
    await cluster.flushScripts();
    const rawStart = performance.now();
    await Promise.all(cluster.nodes.map((address) => loadRaw(address, sources)));
    times.raw.push(performance.now() - rawStart);
  }
  const [ours, raw] = [median(times.slotwire), median(times.raw)];
  const what = `connect and preload, ${MANY_NODES} nodes x ${SCRIPT_COUNT} scripts`;
  return [
    claim(`${what}: at most 1 s`, `${Math.round(ours)} ms`, ours <= 1000 ? "holds" : "short"),
    atMost(`${what}: at most 2 x a raw loader (${Math.round(raw)} ms)`, ours / raw, 2),
  ];
}

function loadRaw(address: string, sources: readonly string[]): Promise<void> {
  const colon = address.lastIndexOf(":");
  const frames = sources.map((source) => encodeCommand(["SCRIPT", "LOAD", source])).join("");
  const last = createHash("sha1")
    .update(sources.at(-1) as string)
    .digest("hex");
  return new Promise((resolve, reject) => {
    const socket = openSocket({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true });
    let received = "";
    socket.on("error", reject);
    socket.on("connect", () => socket.write(frames, "latin1"));
    socket.on("data", (bytes) => {
      received += bytes.toString("latin1");
      if (!received.includes(last)) return;
      socket.destroy();
      resolve();
    });
  });
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
