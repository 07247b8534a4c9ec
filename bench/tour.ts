/*
 * The tour (npm start) shows on a real cluster what goes wrong with scripts, and how slotwire handles it.
 * Every step prints what happened to its calls. One failed call makes the tour fail.
 */
import { createHash } from "node:crypto";
import { type Cluster, connect, defineScript, slotOf } from "../src/index.ts";
import { type LocalCluster, startCluster } from "../src/testing/index.ts";
import { compareQuickly } from "./support/compare-quickly.ts";
import { Load, type LoadResult } from "./support/tour-load.ts";

const started = performance.now();
const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;
const say = (line = "") => console.log(line);
const step = (title: string) => say(`\n[${seconds()}] ${title}`);
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const portOf = (address: string) => address.slice(address.lastIndexOf(":"));

const SOURCE = "redis.call('incr', KEYS[1]) return redis.call('incrby', KEYS[1], ARGV[1])";
const count = defineScript({ name: "count", source: SOURCE, numberOfKeys: 1 });
/** Three keys, one in the middle of each third of the slots. */
const KEYS = keysOfThirds();

let failures = 0;
let leaving = false;
let cluster: LocalCluster | undefined;
let client: Cluster | undefined;

// The signal can come more than once, because both the terminal and npm send it.
process.on("SIGINT", () => void leave(130));
process.on("SIGTERM", () => void leave(143));
try {
  await tour();
  await leave(failures === 0 ? 0 : 1);
} catch (error) {
  // After Ctrl-C the step that was under way fails. That failure is not reported.
  if (!leaving) {
    // If there is no cluster, the message says why: no server was found, or a server did not start.
    console.error(cluster === undefined ? (error as Error).message : error);
    await leave(1);
  }
}

async function tour(): Promise<void> {
  step("Starting a real cluster: 3 primaries, 3 replicas");
  cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
  say(`  ${cluster.version}`);
  say(`  ${cluster.nodes.join("  ")}`);

  step("The problem, with plain commands: SCRIPT LOAD on one node, EVALSHA on three");
  await showTheProblem(cluster);

  step("slotwire connects and preloads on every node, replicas included");
  client = await connect({ ...cluster.connectOptions, scripts: [count], commandTimeout: 10_000 });
  for (const { address, role, loaded } of client.scripts()) {
    say(
      `  ${address}  ${role.padEnd(7)}  holds ${loaded.map(({ name, sha }) => `${name} (${sha.slice(0, 8)}...)`).join(", ")}`,
    );
  }

  step("Scripts run by EVALSHA on the node that owns the key");
  for (const key of KEYS) {
    const before = performance.now();
    const reply = await client.run(count, [key], [1]);
    const spent = (performance.now() - before).toFixed(2);
    say(`  ${key.padEnd(8)} slot ${String(slotOf(key)).padEnd(5)} node ${owner(key)}  reply ${reply}  ${spent} ms`);
  }

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

  step("EVALSHA against EVAL: the same script, by name or by body");
  await compareQuickly(client, say);

  say(`\n[${seconds()}] Done. ${failures === 0 ? "Every call succeeded." : `${failures} calls FAILED.`}`);
  say("Next: npm test for the proof, npm run bench for the full comparison.");
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

function owner(key: string): string {
  return client?.topology.primaryOf(slotOf(key))?.address ?? "nobody";
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
  client?.destroy();
  await cluster?.stop();
  process.exit(status);
}
