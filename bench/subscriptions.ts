/*
 * Measures what a message costs its subscriber: npm run bench:subscriptions [rounds] [messages a second]
 * slotwire and a bare socket with redis-parser run in processes of their own, in turn, against one server; messages are
 * published by another process at an even pace. The ratio is taken pair by pair.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startCluster } from "../src/testing/index.ts";
import { median } from "./support/statistics.ts";
import type { SubscriptionLoad, SubscriptionResult } from "./support/subscription-load.ts";

const rounds = Number(process.argv[2] ?? 5);
const messagesPerSecond = Number(process.argv[3] ?? 10_000);
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

// One node, because it would be chance otherwise whether a message comes from another node.
const cluster = await startCluster({ primaries: 1 });
const [address] = cluster.nodes as [string];
try {
  console.log(
    `${cluster.version}\nNode ${process.version}, ${pace.messagesPerSecond} messages/s of ${pace.payloadBytes}`,
  );
  console.log(`bytes on 10 channels, ${rounds} paired rounds, medians\n`);
  console.log("kind    | replies | bare CPU us/message | slotwire CPU us/message | ratio (min-max)");
  for (const load of loads) await compare(load);
} finally {
  await cluster.stop();
}

async function compare(load: SubscriptionLoad): Promise<void> {
  const costs = { bare: [] as number[], slotwire: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["bare", "slotwire"] as const) : (["slotwire", "bare"] as const);
    for (const name of order) costs[name].push((await measure(name, load)).cpuMicroseconds);
  }
  const ratios = costs.bare.map((cost, index) => (costs.slotwire[index] as number) / cost);
  const cells = [
    load.kind.padEnd(7),
    load.replies.padEnd(7),
    median(costs.bare).toFixed(1).padStart(19),
    median(costs.slotwire).toFixed(1).padStart(23),
    `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`,
  ];
  console.log(cells.join(" | "));
}

async function measure(name: "bare" | "slotwire", load: SubscriptionLoad): Promise<SubscriptionResult> {
  const subscriber = start("subscription-worker", name, address, JSON.stringify(load));
  const lines = createInterface(subscriber.stdout)[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.value !== "ready") throw new Error(`the subscriber said ${first.value}`);
  const publisher = start("subscription-publisher", address, JSON.stringify(load));
  const second = await lines.next();
  publisher.kill();
  await Promise.all([once(publisher, "exit"), subscriber.exitCode === null ? once(subscriber, "exit") : undefined]);
  return JSON.parse(String(second.value)) as SubscriptionResult;
}

function start(script: string, ...args: readonly string[]) {
  const path = fileURLToPath(new URL(`./support/${script}.ts`, import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}
