/*
 * The tour (npm start) shows on a real cluster what can happen to a call, and how slotwire handles it: each refusal once,
 * hop by hop, then many calls at once. Every step prints what happened to its calls. One failed call makes the tour fail,
 * except the one that is meant to be lost. No line is wider than 80 columns.
 */
import { createHash } from "node:crypto";
import { hanging, wrapped } from "../src/cli/draw-text.ts";
import type { Explained } from "../src/cli/explanation.ts";
import { lineOf } from "../src/cli/printable.ts";
import { paintFor } from "../src/cli/terminal.ts";
import { type Cluster, connect, defineScript, slotOf } from "../src/index.ts";
import { type LocalCluster, startCluster } from "../src/testing/index.ts";
import { TOUR } from "./support/commands.ts";
import { compareQuickly } from "./support/compare-quickly.ts";
import { ExplainedCalls } from "./support/explained-calls.ts";
import { settingsOf } from "./support/options.ts";
import { Load, type LoadResult } from "./support/tour-load.ts";

settingsOf(TOUR, () => undefined);
const COLUMNS = 80;
const started = performance.now();
const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
const paint = paintFor(process.stdout.isTTY, process.env);
/** Prints lines; one that is too long goes on below its own beginning. */
const say = (text = "") => {
  for (const line of text.split("\n")) {
    const margin = " ".repeat(line.length - line.trimStart().length);
    // An empty text has no lines, but an empty line is one.
    const lines = line === "" ? [""] : wrapped(line.trimStart(), COLUMNS, hanging(margin));
    for (const each of lines) console.log(each.trimEnd());
  }
};
const step = (title: string) => {
  say();
  say(paint.strong(`[${seconds()}] ${title}`));
};
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const portOf = (address: string) => address.slice(address.lastIndexOf(":"));

const SOURCE = "return redis.call('incrby', KEYS[1], ARGV[1])";
const count = defineScript({ name: "count", source: SOURCE, numberOfKeys: 1 });
/** Three keys, one in the middle of each third of the slots. */
const KEYS = keysOfThirds();

let failures = 0;
let leaving = false;
let cluster: LocalCluster | undefined;
let client: Cluster | undefined;
let explained: ExplainedCalls | undefined;

// The signal can come more than once, because both the terminal and npm send it.
process.on("SIGINT", () => void leave(130));
process.on("SIGTERM", () => void leave(143));
try {
  await tour();
  await leave(failures === 0 ? 0 : 1);
} catch (error) {
  // After Ctrl-C the step that was under way fails. That failure is not reported.
  if (!leaving) {
    console.error(`tour: ${lineOf(error)}`);
    await leave(1);
  }
}

async function tour(): Promise<void> {
  step("Starting a real cluster: 3 primaries, 3 replicas");
  cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
  say(`  ${cluster.version.split(" ").slice(0, 3).join(" ")}`);
  say(`  ${cluster.nodes.join("  ")}`);
  say("  The keys of a cluster are divided into 16,384 slots. Each slot has one owner.");

  step("The problem: SCRIPT LOAD on one node, EVALSHA on three");
  await showTheProblem(cluster);

  step("slotwire connects and preloads on every node, replicas included");
  client = await connect({ ...cluster.connectOptions, scripts: [count], commandTimeout: 10_000 });
  for (const { address, role, loaded } of client.scripts()) {
    say(
      `  ${address}  ${role.padEnd(7)}  holds ${loaded.map(({ name, sha }) => `${name} (${sha.slice(0, 8)}...)`).join(", ")}`,
    );
  }

  explained = await ExplainedCalls.open(cluster);
  step("One call, hop by hop: EVALSHA on the node that owns the keys");
  show("The braces are a hash tag: only it is hashed, so both keys have one slot.", await explained.straight(), {
    isWhole: true,
  });

  step("The same call after the slot has moved");
  show(
    "MOVED means: the slot belongs to the node that is named, for good. The client asks there, and remembers it.",
    await explained.moved(),
    { refusal: "MOVED" },
  );

  step("... while the slot moves, when both keys have gone ahead");
  show(
    "ASK means: ask the node that is named for this one call, with ASKING in front. The client remembers nothing.",
    await explained.ask(),
    { refusal: "ASK" },
  );

  step("... while the slot moves, when only one of the keys has gone ahead");
  show(
    "TRYAGAIN means: no node has all the keys now. The client waits a moment and asks again, until the other key has moved too.",
    await explained.tryAgain(),
    { refusal: "TRYAGAIN" },
  );

  step("... when the owner has forgotten its scripts (SCRIPT FLUSH)");
  show(
    "NOSCRIPT means: the node does not have the script. The client loads it in the same write as the second attempt.",
    await explained.noscript(),
    { refusal: "NOSCRIPT" },
  );

  step("SCRIPT FLUSH on every node, then 1,000 calls at once");
  await cluster.flushScripts();
  const burst = new Load(client, count);
  burst.burst(1000);
  report(await burst.end());

  step("An empty node joins and takes 60 slots, one key at a time, under load");
  const load = new Load(client, count);
  load.start();
  const address = await cluster.addNode();
  const slots = [...new Set(load.keys.map((key) => slotOf(key)))].slice(0, 60);
  await cluster.moveSlots({ slots, to: address, pause: 1 });
  say(`  ${address} now owns ${slots.length} slots`);
  report(await load.end());

  step("A replica is promoted under load (CLUSTER FAILOVER)");
  await client.refreshTopology();
  const slot = slotOf(KEYS[0] as string);
  const replica = client.topology.replicasOf(slot)[0]?.address as string;
  const failover = new Load(client, count);
  failover.start();
  await sleep(200);
  await cluster.failover(replica);
  await sleep(500);
  const result = await failover.end();
  say(`  slot ${slot} moved to ${client.topology.primaryOf(slot)?.address}, which was a replica`);
  report(result);

  step("The owner is killed while it has a call in hand");
  show(
    "A connection that is lost says nothing about the call: it may have run. So slotwire does not send it again, and the error says unknown.",
    await explained.lost(),
    { refusal: "LOST" },
  );
  const { reply, ms } = await explained.again();
  say(
    `  The next call waited ${(ms / 1000).toFixed(1)} s for a replica to be promoted, and had the reply ${reply}: the lost call had not run.`,
  );

  step("EVALSHA against EVAL: the same script, by name or by body");
  await compareQuickly(client, say);

  say();
  say(`[${seconds()}] Done. ${failures === 0 ? "Every call ended as it should." : `${failures} calls FAILED.`}`);
  say("Next: the same on a page in your browser, where you break the cluster by hand:");
  say("  npm run build && npx slotwire cluster --web");
}

/** Prints what became of an explained call. Fails if it was not refused as it should be, or ended otherwise. */
function show(meaning: string, call: Explained, { refusal, isWhole = false }: { refusal?: string; isWhole?: boolean }) {
  say(`  ${meaning}`);
  say();
  const lines = ExplainedCalls.draw(call, paint);
  // What stands in front of the first empty line is the same for each of the calls.
  for (const line of isWhole ? lines : lines.slice(lines.indexOf("") + 1)) console.log(line);
  const isMet = refusal === undefined || call.hops.some(({ answer }) => answer?.kind === refusal);
  const isEnded = (call.error !== null) === (refusal === "LOST");
  if (isMet && isEnded) return;
  failures++;
  say(`  NOT as it should be: ${refusal === undefined ? "a reply" : `${refusal}, and its end,`} was to be seen.`);
}

function report({ calls, errors, redirections, missing, slowestMs }: LoadResult): void {
  failures += errors.length;
  const what = [
    `${calls} calls`,
    `${errors.length} failed`,
    `${redirections} redirected`,
    `${missing} SCRIPT LOADs for a missing script`,
    `slowest ${slowestMs.toFixed(1)} ms`,
  ];
  say(`  ${what.join(", ")}`);
  for (const error of errors.slice(0, 3)) say(`    ${error}`);
}

async function showTheProblem(servers: LocalCluster): Promise<void> {
  const primaries = servers.nodes.slice(0, 3);
  const sha = createHash("sha1").update(SOURCE).digest("hex");
  say(`  ${portOf(primaries[0] as string)}> SCRIPT LOAD "${SOURCE}"`);
  say(`         "${await servers.command(primaries[0] as string, "SCRIPT", "LOAD", SOURCE)}"`);
  for (const [index, address] of primaries.entries()) {
    const key = KEYS[index] as string;
    const answer = await servers.command(address, "EVALSHA", sha, 1, key, 1).then(
      (reply) => `(integer) ${reply}`,
      (error: Error) => `(error) ${error.message}`,
    );
    say(`  ${portOf(address)}> EVALSHA ${sha.slice(0, 8)}... 1 ${key} 1\n         ${answer}`);
  }
}

/** Each of the first three servers owns a third of the slots. */
function keysOfThirds(): string[] {
  return [0, 1, 2].map((third) => {
    for (let number = 0; ; number++) {
      const key = `key:${number}`;
      if (Math.floor((slotOf(key) * 3) / 16_384) === third) return key;
    }
  });
}

async function leave(status: number): Promise<void> {
  if (leaving) return;
  leaving = true;
  explained?.close();
  client?.destroy();
  await cluster?.stop();
  process.exit(status);
}
