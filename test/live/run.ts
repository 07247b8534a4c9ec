import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { LocalActions } from "../../src/cli/local-actions.ts";
import { LiveCluster } from "../../src/cli/web/live-cluster.ts";
import type { Rate } from "../../src/cli/web/protocol.ts";
import { startCluster } from "../../src/testing/index.ts";
import { perform } from "../support/page-client.ts";

/*
 * npm run test:live [-- --seconds 3600 --rate 1000 --disturb-every 30]: the live page of a real cluster under a steady load, with one page that
 * reads and one that does not, while scripts are flushed and a slot is moved to and fro. It fails when the heap after a
 * collection grows, or when the calls are not made.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "300" },
    rate: { type: "string", default: "1000" },
    "disturb-every": { type: "string", default: "30" },
  },
});
const seconds = Number(values.seconds);
const rate = Number(values.rate);
const SAMPLE_S = 10;
const DISTURBED_S = Number(values["disturb-every"]);
/** Until then, rings fill and code is compiled. */
const WARM_UP_S = Math.min(120, seconds / 4);
const MOST_GROWTH = 1.1;
/** The heap after a collection goes up and down by so much. */
const NOISE_MB = 3;
const { gc } = globalThis as { gc?: () => void };
if (gc === undefined) throw new Error("Node has to be started with --expose-gc.");

interface Report {
  readonly bytes: number;
  readonly beginnings: number;
  readonly rate: Rate | undefined;
}

const local = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
const actions = await LocalActions.open(local);
const live = await LiveCluster.open({ actions, scripts: [], port: 0 });
const listeners = fork(fileURLToPath(new URL("listeners.ts", import.meta.url)), [live.url]);
let report: Report | undefined;
let calls = 0;
let dropped = 0;
let refused = 0;
listeners.on("message", (message) => {
  report = message as Report;
  calls += report.rate?.calls ?? 0;
  dropped += report.rate?.dropped ?? 0;
  refused += report.rate?.refused ?? 0;
});
const heaps: number[] = [];
try {
  await perform(live.url, { name: "load", calls: rate });
  const began = performance.now();
  let cpu = process.cpuUsage();
  let at = began;
  console.log("   s   calls  kept  refused  heap MB  rss MB  CPU %  read MB  begun  unread MB");
  for (let second = SAMPLE_S; second <= seconds; second += SAMPLE_S) {
    await sleep(Math.max(0, began + second * 1000 - performance.now()));
    const used = process.cpuUsage(cpu);
    const now = performance.now();
    const share = (used.user + used.system) / 10 / (now - at);
    gc();
    const { heapUsed, rss } = process.memoryUsage();
    cpu = process.cpuUsage();
    at = performance.now();
    const heap = heapUsed / 2 ** 20;
    if (second >= WARM_UP_S) heaps.push(heap);
    const columns = [
      String(second).padStart(4),
      String(calls).padStart(7),
      String(calls - dropped).padStart(5),
      String(refused).padStart(8),
      heap.toFixed(1).padStart(8),
      (rss / 2 ** 20).toFixed(0).padStart(7),
      share.toFixed(0).padStart(6),
      ((report?.bytes ?? 0) / 2 ** 20).toFixed(1).padStart(8),
      String(report?.beginnings ?? 0).padStart(6),
      (live.unreadBytes / 2 ** 20).toFixed(1).padStart(10),
    ];
    console.log(columns.join(" "));
    calls = 0;
    dropped = 0;
    refused = 0;
    if (second % DISTURBED_S === 0) await disturb(second);
  }
  const third = Math.max(1, Math.floor(heaps.length / 3));
  const [first, last] = [median(heaps.slice(0, third)), median(heaps.slice(-third))];
  console.log(`heap after a collection: ${first.toFixed(1)} MB at first, ${last.toFixed(1)} MB at last`);
  const made = Number(actions.loadFigures?.answered);
  console.log(
    `${made} calls answered, ${(made / seconds).toFixed(0)} a second; the page began ${report?.beginnings} times`,
  );
  if (last > first * MOST_GROWTH + NOISE_MB) fail("the heap has grown");
  if (made < rate * seconds * 0.9) fail("calls were not made");
  if ((report?.bytes ?? 0) === 0) fail("the page was told nothing");
} finally {
  listeners.kill();
  await live.close();
  await actions.close();
  await local.stop();
}

/** Scripts are flushed, and a slot that the load uses goes to and fro. It is always the same: the slot map stays as long. */
async function disturb(second: number): Promise<void> {
  await perform(live.url, { name: "flush" });
  const names = (second / DISTURBED_S) % 2 === 0 ? ["A", "B"] : ["B", "A"];
  for (const to of names) await perform(live.url, { name: "move-slot", key: "load:7", to });
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0;
}

function fail(why: string): void {
  console.error(`FAILED: ${why}.`);
  process.exitCode = 1;
}
