/*
 * Measures what a message costs its subscriber: npm run bench:subscriptions -- --help
 * slotwire and a bare socket with redis-parser run in processes of their own, in turn, against one server; messages are
 * published by another process at an even pace. Ratios are taken within rounds.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { estimateOf, ratioOf } from "../src/cli/bench/estimate.ts";
import { figureOf, intervalText, ratioText } from "../src/cli/bench/page-words.ts";
import { startCluster } from "../src/testing/index.ts";
import { SUBSCRIPTIONS, subscriptionSettings } from "./support/commands.ts";
import { conducted } from "./support/conducted.ts";
import { Occasion } from "./support/occasion.ts";
import { settingsOf } from "./support/options.ts";
import { Progress } from "./support/progress.ts";
import { linesOf } from "./support/report.ts";
import type { SubscriptionLoad, SubscriptionResult } from "./support/subscription-load.ts";
import { shuffled } from "./support/turns.ts";

const { rounds, messagesPerSecond } = settingsOf(SUBSCRIPTIONS, subscriptionSettings);
/** The first seconds are left out, because nothing is compiled then. */
const pace = {
  messagesPerSecond,
  payloadBytes: 100,
  warmUp: 1.5 * messagesPerSecond,
  messages: 3 * messagesPerSecond,
};
const loads = (["channel", "pattern", "sharded"] as const).flatMap((kind) =>
  (["string", "buffer"] as const).map((replies): SubscriptionLoad => ({ ...pace, kind, replies })),
);
const NAMES = ["bare", "slotwire"] as const;
type Name = (typeof NAMES)[number];
const children = new Set<ChildProcessByStdio<null, Readable, null>>();

await conducted(SUBSCRIPTIONS.name, async (undo) => {
  // One node, because it would be chance otherwise whether a message comes from another node.
  const cluster = await startCluster({ primaries: 1 });
  undo(() => cluster.stop());
  undo(() => {
    for (const child of children) child.kill("SIGKILL");
  });
  const progress = new Progress(rounds * loads.length);
  undo(() => progress.end());
  const [address] = cluster.nodes as [string];
  const setting = `1 node on loopback, ${messagesPerSecond.toLocaleString("en")} messages/s of ${pace.payloadBytes} bytes on 10 channels`;
  const occasion = await Occasion.begin(cluster.version, setting);
  const costs = new Map(loads.map((load) => [load, { bare: [] as number[], slotwire: [] as number[] }]));
  for (let round = 0; round < rounds; round++) {
    for (const load of shuffled(loads)) {
      progress.step(`${load.kind}, ${load.replies}`);
      for (const name of shuffled(NAMES)) {
        costs.get(load)?.[name].push((await measured(name, address, load)).cpuMicroseconds);
      }
    }
  }
  progress.end();
  const ways = [...costs.values()].flatMap((each) => NAMES.map((name) => ({ rounds: each[name] })));
  for (const line of occasion.lines(ways)) console.log(line);
  const head = ["kind", "replies", "bare CPU us a message", "slotwire CPU us a message", "ratio", "messages of each"];
  const rows = [...costs].map(([{ kind, replies, messages }, { bare, slotwire }]) => [
    kind,
    replies,
    intervalText(estimateOf(bare), (us) => us.toFixed(1)),
    intervalText(estimateOf(slotwire), (us) => us.toFixed(1)),
    ratioText(ratioOf(slotwire, bare)),
    figureOf(rounds * messages),
  ]);
  for (const line of linesOf([head, ...rows])) console.log(line);
  return 0;
});

async function measured(name: Name, address: string, load: SubscriptionLoad): Promise<SubscriptionResult> {
  const subscriber = start("subscription-worker", name, address, JSON.stringify(load));
  const lines = createInterface(subscriber.stdout)[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.value !== "ready") throw new Error(`The subscriber "${name}" ended before it was ready.`);
  const publisher = start("subscription-publisher", address, JSON.stringify(load));
  const second = await lines.next();
  publisher.kill();
  await Promise.all([publisher, subscriber].map(ended));
  if (second.done) throw new Error(`The subscriber "${name}" ended before it had heard all messages.`);
  return JSON.parse(String(second.value)) as SubscriptionResult;
}

async function ended(child: ChildProcessByStdio<null, Readable, null>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  children.delete(child);
}

function start(script: string, ...args: readonly string[]) {
  const path = fileURLToPath(new URL(`./support/${script}.ts`, import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  return child;
}
