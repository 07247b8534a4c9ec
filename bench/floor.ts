/*
 * Measures what slotwire costs more than the bare protocol: npm run bench:floor [rounds]
 * Both run in processes of their own, in turn, against one cluster. The ratio is taken pair by pair.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { startCluster } from "../src/testing/index.ts";
import type { LoadResult } from "./support/load-worker.ts";
import { median } from "./support/statistics.ts";

const run = promisify(execFile);
const rounds = Number(process.argv[2] ?? 7);
const loads = [
  { inFlight: 1, calls: 20_000 },
  { inFlight: 64, calls: 150_000 },
  { inFlight: 1024, calls: 400_000 },
];

const cluster = await startCluster({ primaries: 3 });
console.log(`${cluster.version}\nNode ${process.version}, 3 primaries on loopback, ${rounds} paired rounds, medians\n`);
console.log("in flight | floor CPU us/call | slotwire CPU us/call | ratio (min-max) | slotwire calls/s | p50 ratio");
for (const load of loads) {
  const floors: LoadResult[] = [];
  const ours: LoadResult[] = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["floor", "slotwire"] as const) : (["slotwire", "floor"] as const);
    for (const client of order) (client === "floor" ? floors : ours).push(await measure(client, load));
  }
  const ratios = floors.map((floor, index) => (ours[index] as LoadResult).cpuMicroseconds / floor.cpuMicroseconds);
  const latency = floors.map((floor, index) => (ours[index] as LoadResult).p50Microseconds / floor.p50Microseconds);
  const cells = [
    String(load.inFlight).padStart(9),
    median(floors.map((result) => result.cpuMicroseconds))
      .toFixed(2)
      .padStart(17),
    median(ours.map((result) => result.cpuMicroseconds))
      .toFixed(2)
      .padStart(20),
    `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`.padStart(15),
    Math.round(median(ours.map((result) => result.callsPerSecond)))
      .toLocaleString("en")
      .padStart(16),
    median(latency).toFixed(2).padStart(9),
  ];
  console.log(cells.join(" | "));
}

async function measure(client: string, { inFlight, calls }: { inFlight: number; calls: number }): Promise<LoadResult> {
  const worker = new URL("./support/load-worker.ts", import.meta.url).pathname;
  const args = ["--import", "tsx", worker, client, String(inFlight), String(calls), ...cluster.nodes];
  const { stdout } = await run(process.execPath, args, { timeout: 120_000 });
  return JSON.parse(stdout) as LoadResult;
}

await cluster.stop();
