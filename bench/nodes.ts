/*
 * One process connects to many nodes, preloads scripts, and serves calls: npm run bench:nodes -- --help
 * The nodes are scripted, and live in a second process. Each round measures slotwire and bare sockets in processes of
 * their own, in turn.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { median } from "../src/cli/bench/estimate.ts";
import { startFleet } from "../test/support/many-nodes.ts";
import { NODES, type NodesSettings, nodesSettings } from "./support/commands.ts";
import { conducted } from "./support/conducted.ts";
import type { Connecting, NodesResult, NodesWorker, Serving } from "./support/nodes-worker.ts";
import { settingsOf } from "./support/options.ts";

const MIB = 2 ** 20;
const run = promisify(execFile);
const worker = fileURLToPath(new URL("support/nodes-worker.ts", import.meta.url));
const settings = settingsOf(NODES, nodesSettings);

await conducted(NODES.name, async (undo) => {
  const ending = new AbortController();
  undo(() => ending.abort());
  await measureAll(settings, ending.signal);
  return 0;
});

async function measureAll(options: NodesSettings, signal: AbortSignal): Promise<void> {
  const { nodes, scripts, inFlight, rounds } = options;
  const ours: NodesResult[] = [];
  const floors: NodesResult[] = [];
  const turns: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const who of round % 2 === 0 ? (["slotwire", "floor"] as const) : (["floor", "slotwire"] as const)) {
      (who === "slotwire" ? ours : floors).push(await measure(who, options, signal));
    }
    turns.push((await measure("turns", options, signal)).turnMs as number);
  }
  const connecting = ours.map((each) => each.connecting as Connecting);
  const serving = ours.map((each) => each.serving as Serving);
  const floor = floors.map((each) => each.serving as Serving);
  const ratio = (field: "cpuMicroseconds" | "p50Milliseconds") =>
    serving.map((each, round) => {
      const [own, bare] = [each[field], (floor[round] as Serving)[field]];
      return own === undefined || bare === undefined ? undefined : own / bare;
    });
  const prepared = Math.min(...connecting.map((each) => each.prepared));
  console.log(
    `Node ${process.version}; ${nodes} scripted nodes in a second process, ${scripts} scripts, ${rounds} ${rounds === 1 ? "round" : "rounds"}: medians (min-max)\n`,
  );
  say(
    "connect and preload, ms",
    connecting.map((each) => each.tookMs),
    0,
  );
  say(
    "  CPU, ms",
    connecting.map((each) => each.cpuMs),
    0,
  );
  say(
    "  longest stall of the event loop, ms",
    connecting.map((each) => each.stallMs),
    1,
  );
  say("  longest turn, ms of CPU in its thread", turns, 1);
  say(
    "  memory in use, MiB more",
    connecting.map((each) => each.inUse / MIB),
    1,
  );
  say(
    "  resident set, MiB more",
    connecting.map((each) => each.resident / MIB),
    1,
  );
  console.log(`${"  nodes that hold every script".padEnd(44)} ${prepared} of ${nodes}\n`);
  say(
    `${inFlight.toLocaleString("en")} in flight: CPU us/call`,
    serving.map((each) => each.cpuMicroseconds),
    2,
  );
  say(
    "  bare sockets",
    floor.map((each) => each.cpuMicroseconds),
    2,
  );
  say("  ratio", ratio("cpuMicroseconds"), 2);
  say(
    "  calls/s",
    serving.map((each) => each.callsPerSecond),
    0,
  );
  say(
    "  p50, ms",
    serving.map((each) => each.p50Milliseconds),
    2,
  );
  say("  p50 to that of bare sockets", ratio("p50Milliseconds"), 2);
  say(
    "  p99, ms",
    serving.map((each) => each.p99Milliseconds),
    2,
  );
  say(
    "  longest stall of the event loop, ms",
    serving.map((each) => each.stallMs),
    1,
  );
}

async function measure(
  who: NodesWorker,
  { nodes, scripts, inFlight, calls }: NodesSettings,
  signal: AbortSignal,
): Promise<NodesResult> {
  const fleet = await startFleet(nodes, 0, nodes);
  try {
    const numbers = [scripts, inFlight, calls].map(String);
    const args = ["--expose-gc", "--import", "tsx", worker, who, fleet.seed, ...numbers];
    const { stdout } = await run(process.execPath, args, { timeout: 120_000, signal });
    return JSON.parse(stdout) as NodesResult;
  } finally {
    fleet.stop();
  }
}

function say(what: string, values: readonly (number | undefined)[], digits: number): void {
  const text = (value: number) =>
    value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const known = values.filter((value) => value !== undefined);
  const spread = `${text(median(known))} (${text(Math.min(...known))}-${text(Math.max(...known))})`;
  console.log(`${what.padEnd(44)} ${known.length === 0 ? "-" : spread}`);
}
