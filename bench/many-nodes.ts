import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Cluster, connect, defineScript } from "../src/index.ts";
import { TurnMeter } from "./many-nodes/turn-meter.ts";

/*
 * npm run bench:nodes [-- COUNT...]: how a client takes many nodes. The nodes are scripted, all in a second process.
 * Each line is a client of its own, in this process.
 */

const SCRIPTS = 50;
const WATCH_MS = 5000;

const scripts = Array.from({ length: SCRIPTS }, (_, index) =>
  defineScript({
    name: `script${index}`,
    source: `-- ${String(index).padStart(1000, "x")}\nreturn redis.call('get', KEYS[1])`,
    numberOfKeys: 1,
  }),
);

interface Fleet {
  readonly seed: string;
  stop(): void;
}

async function start(count: number, dead: number, ranges: number): Promise<Fleet> {
  const child = fork(fileURLToPath(new URL("many-nodes/fleet.ts", import.meta.url)), { execArgv: process.execArgv });
  const seed = new Promise<string>((resolve) => child.once("message", (said) => resolve((said as Fleet).seed)));
  child.send({ count, dead, ranges });
  return { seed: await seed, stop: () => child.kill("SIGKILL") };
}

function loadedEverywhere(client: Cluster): number {
  return client.scripts().filter(({ loaded }) => loaded.length === SCRIPTS).length;
}

async function measure(count: number, dead: number): Promise<string[]> {
  const fleet = await start(count, dead, Math.max(count, 1));
  const before = process.memoryUsage().rss;
  const meter = new TurnMeter();
  const client = await connect({ nodes: [fleet.seed], scripts });
  const connecting = meter.lap();
  const loaded = loadedEverywhere(client);
  const memory = (process.memoryUsage().rss - before) / 2 ** 20;
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  const later = meter.end();
  client.destroy();
  fleet.stop();
  return [
    String(count),
    String(dead),
    `${(connecting.wallMs / 1000).toFixed(2)} s`,
    String(loaded),
    `${connecting.cpuMs.toFixed(0)} ms`,
    `${connecting.longestMs.toFixed(0)} ms`,
    `${((later.cpuMs / later.wallMs) * 100).toFixed(0)} %`,
    `${later.longestMs.toFixed(0)} ms`,
    `${memory.toFixed(0)} MB`,
  ];
}

const counts = process.argv.slice(2).map(Number);
const head = ["nodes", "dead", "connect", "loaded", "CPU", "turn", "CPU then", "turn then", "memory"];
console.log(head.map((word) => word.padStart(10)).join(""));
for (const count of counts.length > 0 ? counts : [500, 1000, 2000, 5000]) {
  for (const dead of [0, count - 1]) {
    console.log((await measure(count, dead)).map((word) => word.padStart(10)).join(""));
  }
}
process.exit(0);
