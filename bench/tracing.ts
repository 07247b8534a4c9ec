/*
 * Measures the cost of tracing and metrics: npm run bench:tracing [rounds]
 * "removed" is a copy of the built client without the check for listeners and without the counters of calls. Each
 * variant runs in a process of its own, in turn, against one cluster. Ratios to "removed" are taken round by round.
 */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startCluster } from "../src/testing/index.ts";
import { median } from "./support/statistics.ts";
import type { Listening } from "./support/tracing-listeners.ts";
import type { TracingResult } from "./support/tracing-worker.ts";

const run = promisify(execFile);
const rounds = Number(process.argv[2] ?? 7);
const root = fileURLToPath(new URL("../", import.meta.url));
const worker = fileURLToPath(new URL("./support/tracing-worker.ts", import.meta.url));
const loads = [
  { inFlight: 1, calls: 15_000 },
  { inFlight: 256, calls: 200_000 },
];

const work = mkdtempSync(join(tmpdir(), "slotwire-tracing-"));
const dist = join(root, "dist");
const removed = join(work, "dist");
const variants: readonly { readonly name: string; readonly dist: string; readonly listening: Listening }[] = [
  { name: "removed", dist: removed, listening: "nobody" },
  { name: "nobody listens", dist, listening: "nobody" },
  { name: "durations: true", dist, listening: "durations" },
  { name: "slotwire:attempt", dist, listening: "attempts" },
  { name: "slotwire:command", dist, listening: "commands" },
  { name: "OpenTelemetry", dist, listening: "opentelemetry" },
];

const cluster = await startCluster({ primaries: 3 });
try {
  withoutTracing();
  console.log(`${cluster.version}\nNode ${process.version}, 3 primaries on loopback, ${rounds} rounds, medians\n`);
  console.log("in flight | who listens      | CPU us/call | ratio to removed (min-max)");
  for (const load of loads) await compare(load);
} finally {
  await cluster.stop();
  rmSync(work, { recursive: true, force: true });
}

/** A copy of the built client that never checks for listeners, and counts nothing. */
function withoutTracing(): void {
  cpSync(dist, removed, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(work, "node_modules"));
  const path = join(removed, "shared/core.js");
  let code = readFileSync(path, "utf8");
  const cut = (what: RegExp, by: string) => {
    const without = code.replace(what, by);
    if (without === code) throw new Error(`There is nothing to cut: ${what}`);
    code = without;
  };
  cut(/(function areCallsHeard\(\) \{)/, "$1 return false;");
  cut(/const isHeard = areWritesHeard\(\);/, "const isHeard = false;");
  cut(/this\.#isAnswerHeard = answerChannel\.hasSubscribers;/, "");
  cut(/counters\.calls\+\+;|if \(replied\)\s*counters\.replies\+\+;/g, "");
  cut(/this\.#counters\.bytes(Written|Read) \+= bytes\.length;/g, "");
  writeFileSync(path, code);
}

async function compare({ inFlight, calls }: { readonly inFlight: number; readonly calls: number }): Promise<void> {
  const costs = variants.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another variant.
    for (let turn = 0; turn < variants.length; turn++) {
      const index = (turn + round) % variants.length;
      const { dist, listening } = variants[index] as (typeof variants)[number];
      const args = ["--import", "tsx", worker, dist, listening, String(inFlight), String(calls), ...cluster.nodes];
      const { stdout } = await run(process.execPath, args, { timeout: 120_000 });
      costs[index]?.push((JSON.parse(stdout) as TracingResult).cpuMicroseconds);
    }
  }
  variants.forEach(({ name }, index) => {
    const mine = costs[index] as number[];
    const ratios = mine.map((cost, round) => cost / (costs[0]?.[round] as number));
    const spread = `${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`;
    const cells = [String(inFlight).padStart(9), name.padEnd(16), median(mine).toFixed(2).padStart(11), spread];
    console.log(cells.join(" | "));
  });
}
