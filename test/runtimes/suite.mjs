import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { AbortedError, connect, DeadlineError, defineScript, loadScripts, SlotwireError, slotOf } from "slotwire";
import { Cluster } from "slotwire/ioredis";
import { startCluster } from "slotwire/testing";

/*
 * The suite that every runtime runs, from a folder in which slotwire is installed. It is plain JavaScript that Node 20.9
 * understands, and uses what a user's program would use. Standard output is TAP.
 */

/** A step that hangs fails alone. Servers on a busy machine take seconds for an election. */
const STEP_TIMEOUT_MS = 60_000;

const append = defineScript({
  name: "append",
  source: "redis.call('append', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])",
  numberOfKeys: 1,
});
const increment = defineScript({
  name: "increment",
  source: "return redis.call('incrby', KEYS[1], ARGV[1])",
  numberOfKeys: 1,
});

const warnings = [];
process.on("warning", (warning) => warnings.push(String(warning)));

/** Set by the first two steps, for all others. */
let local;
let cluster;
let step = 0;

await test("startCluster of slotwire/testing: 3 primaries, 3 replicas", async () => {
  local = await startCluster({ replicasPerPrimary: 1, args: ["--notify-keyspace-events", "KEA"] });
  assert.equal(local.nodes.length, 6);
});

await test("connect preloads a script on every node", async () => {
  cluster = await connect({ ...local.connectOptions, scripts: [append, increment] });
  const scripts = await Promise.all(
    local.nodes.map((address) => cluster.node(address).command("SCRIPT", "EXISTS", append.sha, increment.sha)),
  );
  assert.deepEqual(scripts, Array(6).fill([1, 1]));
});

await test("run: 1,000 calls at once", async () => {
  const calls = Array.from({ length: 1000 }, (_, index) => cluster.run(increment, [`run:${index % 100}`], [1]));
  const sum = (await Promise.all(calls)).reduce((total, count) => total + count, 0);
  assert.equal(sum, (100 * (10 * 11)) / 2);
  assert.equal(cluster.metrics().counters.scriptMisses, 0);
});

await test("NOSCRIPT: calls are replayed after a flush", async () => {
  const missed = [];
  const off = cluster.on("scriptMissing", (event) => missed.push(event));
  await local.flushScripts();
  const calls = Array.from({ length: 100 }, (_, index) => cluster.run(append, [`flushed:${index}`], ["once"]));
  assert.deepEqual(await Promise.all(calls), Array(100).fill("once"));
  off();
  assert.ok(missed.length > 0, "the event scriptMissing was told");
});

await test("scripts from files: defineScript and loadScripts", async () => {
  const folder = mkdtempSync(join(tmpdir(), "slotwire-suite-"));
  const file = join(folder, "double-1.lua");
  writeFileSync(file, "-- @args amount\n-- @returns integer\nreturn ARGV[1] * 2\n");
  const scripts = loadScripts(folder);
  const fromFile = defineScript({ file: pathToFileURL(file) });
  rmSync(folder, { recursive: true });
  assert.equal(await cluster.run(scripts.double, ["key"], [21]), 42);
  assert.equal(await cluster.run(fromFile, ["key"], [4]), 8);
});

await test("require: scripts and errors pass between CommonJS and ES modules", async () => {
  const required = createRequire(import.meta.url)("slotwire");
  const script = required.defineScript({ name: "required", source: "return 'both'", numberOfKeys: 1 });
  assert.equal(await cluster.run(script, ["key"]), "both");
  const error = await rejection(cluster.command("RENAME", "a", "b"));
  assert.ok(error instanceof required.CrossSlotError, `${error} is a CrossSlotError of either`);
});

await test("command: texts, bytes, integers past 2^53, null, 1 MiB", async () => {
  assert.equal(await cluster.command("SET", "text", "grün 🚀"), "OK");
  assert.equal(await cluster.command("GET", "text"), "grün 🚀");
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  await cluster.command("SET", "bytes", new Uint8Array(bytes));
  const buffers = cluster.with({ replies: "buffer" });
  assert.ok(bytes.equals(await buffers.command("GET", "bytes")), "the bytes come back");
  await cluster.command("SET", "large", 2n ** 62n);
  assert.equal(await cluster.command("INCR", "large"), 2n ** 62n + 1n);
  assert.equal(await cluster.command("GET", "absent"), null);
  const long = "x".repeat(1024 * 1024);
  await cluster.command("SET", "long", long);
  assert.ok((await cluster.command("GET", "long")) === long, "the long text comes back");
});

await test("errors: REPLY with its outcome, CROSSSLOT", async () => {
  await cluster.command("SET", "word", "no number");
  const reply = await rejection(cluster.run(increment, ["word"], [1]));
  assert.ok(reply instanceof SlotwireError, `${reply} is a SlotwireError`);
  assert.deepEqual([reply.code, reply.outcome, reply.script], ["REPLY", "executed", "increment"]);
  assert.equal((await rejection(cluster.command("RENAME", "a", "b"))).code, "CROSSSLOT");
});

await test("batch: calls of many slots, in order where they share a key", async () => {
  const batch = cluster.batch();
  for (let index = 0; index < 200; index++) batch.run(increment, [`batch:${index % 20}`], [1]);
  const counts = await batch.command("GET", "batch:0").exec();
  const expected = Array.from({ length: 200 }, (_, index) => Math.floor(index / 20) + 1);
  assert.deepEqual(counts, [...expected, "10"]);
});

await test("transaction", async () => {
  const transaction = cluster.transaction("{tx}");
  const replies = transaction.command("SET", "{tx}:a", 1).run(increment, ["{tx}:a"], [2]).command("GET", "{tx}:a");
  assert.deepEqual(await replies.exec(), ["OK", 3, "3"]);
});

await test("WATCH: 8 writers lose no update", async () => {
  const add = async () => {
    for (;;) {
      const done = await cluster.transaction("watched", { watch: ["watched"] }, async (tx) => {
        const before = Number(await tx.command("GET", "watched"));
        return tx.multi().command("SET", "watched", before + 1);
      });
      if (done !== null) return;
    }
  };
  await Promise.all(Array.from({ length: 8 }, add));
  assert.equal(await cluster.command("GET", "watched"), "8");
});

await test("scan: every key of all primaries", async () => {
  const keys = Array.from({ length: 300 }, (_, index) => `scanned:${index}`);
  await Promise.all(keys.map((key) => cluster.command("SET", key, 1)));
  const found = new Set();
  for await (const key of cluster.scan({ match: "scanned:*", count: 50 })) found.add(key);
  assert.deepEqual([...found].sort(), keys.sort());
});

await test("blocking pop: delays no other call", async () => {
  const popped = cluster.command("BLPOP", "{jobs}:ready", 0);
  assert.equal(await cluster.command("SET", "{jobs}:other", 1), "OK");
  await cluster.command("RPUSH", "{jobs}:ready", "job");
  assert.deepEqual(await popped, ["{jobs}:ready", "job"]);
});

await test("abort: the server pops nothing for a caller that is gone", async () => {
  const controller = new AbortController();
  const popped = rejection(cluster.with({ signal: controller.signal }).command("BLPOP", "{aborted}:ready", 0));
  const owner = cluster.node(cluster.topology.primaryOf(slotOf("{aborted}")).address);
  const blocked = async () => /blocked_clients:(\d+)/.exec(await owner.command("INFO", "clients"))?.[1];
  await until(async () => (await blocked()) === "1");
  controller.abort(new Error("enough"));
  const error = await popped;
  assert.ok(error instanceof AbortedError, `${error} is an AbortedError`);
  assert.equal(error.cause.message, "enough");
  await until(async () => (await blocked()) === "0");
  await cluster.command("RPUSH", "{aborted}:ready", "kept");
  assert.equal(await cluster.command("LLEN", "{aborted}:ready"), 1);
});

await test("deadline: of a frozen node, with its outcome", async () => {
  const { address } = cluster.topology.primaryOf(slotOf("frozen"));
  local.pause(address);
  const error = await rejection(cluster.with({ timeout: 300 }).run(append, ["frozen"], ["x"]));
  local.resume(address);
  assert.ok(error instanceof DeadlineError, `${error} is a DeadlineError`);
  assert.equal(error.outcome, "unknown");
  assert.equal(await cluster.command("PING"), "PONG");
});

await test("subscribe and psubscribe: a listener, and an iteration", async () => {
  const heard = [];
  const news = await cluster.subscribe(["news"], ({ channel, payload }) => heard.push([channel, payload]));
  const all = await cluster.psubscribe("new*");
  for (let index = 0; index < 100; index++) await cluster.command("PUBLISH", "news", index);
  const iterated = [];
  for await (const { pattern, payload } of all) if (iterated.push([pattern, payload]) === 100) break;
  await until(() => heard.length === 100);
  const expected = (first) => Array.from({ length: 100 }, (_, index) => [first, String(index)]);
  assert.deepEqual([heard, iterated], [expected("news"), expected("new*")]);
  await Promise.all([news.close(), all.close()]);
});

await test("ssubscribe: sharded channels of all nodes", async () => {
  const channels = Array.from({ length: 20 }, (_, index) => `shard:${index}`);
  const heard = [];
  const subscription = await cluster.ssubscribe(channels, ({ channel }) => heard.push(channel));
  await Promise.all(channels.map((channel) => cluster.command("SPUBLISH", channel, "x")));
  await until(() => heard.length === channels.length);
  assert.deepEqual(heard.sort(), channels.sort());
  await subscription.close();
});

await test("keyspaceEvents: of every primary", async () => {
  const heard = [];
  const events = await cluster.keyspaceEvents("watch:*", ({ channel }) => heard.push(channel));
  const keys = Array.from({ length: 20 }, (_, index) => `watch:${index}`);
  await Promise.all(keys.map((key) => cluster.command("SET", key, 1)));
  await until(() => heard.length === keys.length);
  assert.deepEqual(heard.sort(), keys.map((key) => `__keyspace@0__:${key}`).sort());
  await events.close();
});

await test("moveSlots: calls follow, the event redirection tells it", async () => {
  const slot = slotOf("moving");
  await cluster.command("SET", "moving", "here");
  const redirections = [];
  const off = cluster.on("redirection", (event) => redirections.push(event));
  const from = cluster.topology.primaryOf(slot).address;
  const { address: to } = cluster.topology.nodes.find(({ role, address }) => role === "primary" && address !== from);
  await local.moveSlots({ slots: [slot], to });
  assert.equal(await cluster.command("GET", "moving"), "here");
  off();
  assert.deepEqual([redirections[0]?.kind, redirections[0]?.slot, redirections[0]?.to], ["MOVED", slot, to]);
  await until(() => cluster.topology.primaryOf(slot).address === to);
});

await test("kill: a gap, the events nodeDown and topology, scripts on the new primary", async () => {
  const [gaps, down, changes] = [[], [], []];
  const offs = [cluster.on("nodeDown", (event) => down.push(event)), cluster.on("topology", (e) => changes.push(e))];
  const onGap = (gap) => gaps.push(gap);
  const subscription = await cluster.ssubscribe(["killed"], () => {}, { onGap });
  const { address } = cluster.topology.primaryOf(slotOf("killed"));
  await local.kill(address);
  assert.equal(await cluster.with({ timeout: 40_000 }).run(increment, ["killed"], [1]), 1);
  await until(() => gaps.some(({ to }) => to !== null));
  const ended = gaps.find(({ to }) => to !== null);
  assert.deepEqual(ended.channels, ["killed"]);
  assert.ok(ended.from <= ended.to, "the gap begins before it ends");
  assert.ok(
    down.some((event) => event.address === address && event.cause instanceof Error),
    "nodeDown was told",
  );
  assert.ok(changes.length > 0, "topology was told");
  for (const off of offs) off();
  await subscription.close();
});

await test("addNode: it gets the scripts before traffic", async () => {
  const address = await local.addNode();
  await local.moveSlots({ slots: [slotOf("joined")], to: address });
  assert.equal(await cluster.run(increment, ["joined"], [5]), 5);
  assert.deepEqual(await cluster.node(address).command("SCRIPT", "EXISTS", append.sha, increment.sha), [1, 1]);
});

await test("metrics, and channels of node:diagnostics_channel", async () => {
  const told = [];
  const listener = (message) => told.push(message);
  subscribe("tracing:slotwire:command:asyncEnd", listener);
  await cluster.command("GET", "text");
  unsubscribe("tracing:slotwire:command:asyncEnd", listener);
  assert.equal(told.length, 1);
  const { counters } = cluster.metrics();
  assert.ok(
    counters.scriptMisses > 0 && counters.redirections.MOVED > 0 && counters.messages > 0,
    "events are counted",
  );
  assert.ok(counters.bytesRead > 1024 * 1024 && counters.bytesWritten > 1024 * 1024, "bytes are counted");
});

await test("TLS: verified by default, and used by a cluster", async () => {
  const secure = await startCluster({ tls: true });
  const { nodes, tls } = secure.connectOptions;
  const refused = await rejection(connect({ nodes, tls: true }));
  assert.match(refused.message, /certificate/i);
  const client = await connect({ nodes, tls, scripts: [append] });
  const calls = Array.from({ length: 100 }, (_, index) => client.run(append, [`tls:${index}`], ["x".repeat(10_000)]));
  for (const reply of await Promise.all(calls)) assert.equal(reply.length, 10_000);
  await client.close();
  await secure.stop();
});

await test("close lets calls end; asyncDispose; `await using` where there is such syntax", async () => {
  const { nodes } = local;
  const first = await connect({ nodes });
  const calls = Array.from({ length: 100 }, (_, index) => first.command("SET", `closing:${index}`, index));
  await first.close();
  assert.deepEqual(await Promise.all(calls), Array(100).fill("OK"));
  assert.equal((await rejection(first.command("PING"))).code, "CLOSED");
  const second = await connect({ nodes });
  await second[Symbol.asyncDispose]();
  assert.equal((await rejection(second.command("PING"))).code, "CLOSED");
  const third = await connect({ nodes });
  const body = usingBody();
  if (body === undefined) await third.close();
  else assert.equal(await body(third), "PONG");
  assert.equal((await rejection(third.command("PING"))).code, "CLOSED");
});

await test("slotwire/ioredis: commands, events, defineCommand after a flush", async () => {
  const facade = new Cluster(local.nodes);
  const ready = new Promise((resolve) => facade.once("ready", resolve));
  facade.defineCommand("append2", { numberOfKeys: 1, lua: append.source });
  assert.equal(await facade.set("facade", "a"), "OK");
  await ready;
  await local.flushScripts();
  assert.equal(await facade.append2("facade", "b"), "ab");
  assert.deepEqual(await facade.hset("facade:hash", { a: 1, b: 2 }), 2);
  assert.deepEqual(await facade.hgetall("facade:hash"), { a: "1", b: "2" });
  const ended = new Promise((resolve) => facade.once("end", resolve));
  assert.equal(await facade.quit(), "OK");
  await ended;
});

await test("slotwire/ioredis: pipeline, multi, messages, sscanStream", async () => {
  const facade = Cluster.from(await connect(local.connectOptions));
  const piped = await facade.pipeline().set("{f}:a", 1).incr("{f}:a").get("{f}:a").exec();
  assert.deepEqual(piped, [
    [null, "OK"],
    [null, 2],
    [null, "2"],
  ]);
  assert.deepEqual(await facade.multi().incr("{f}:a").exec(), [[null, 3]]);
  const heard = [];
  facade.on("message", (...message) => heard.push(message));
  await facade.subscribe("facade:news");
  await cluster.command("PUBLISH", "facade:news", "hello");
  await until(() => heard.length > 0);
  assert.deepEqual(heard, [["facade:news", "hello"]]);
  await facade.sadd("{f}:set", ...Array.from({ length: 1000 }, (_, index) => index));
  const members = new Set();
  for await (const some of facade.sscanStream("{f}:set", { count: 100 })) for (const each of some) members.add(each);
  assert.equal(members.size, 1000);
  facade.disconnect();
});

await test("stop: the servers are gone", async () => {
  const other = await startCluster({ primaries: 1 });
  const client = await connect({ ...other.connectOptions });
  const pid = await pidOf(client, other.nodes[0]);
  await client.close();
  await other.stop();
  assert.equal(isAlive(pid), false);
});

await test("the runtime has warned of nothing", () => assert.deepEqual(warnings, []));

// The process has nothing more to do, and has to end by itself although the first cluster was not stopped. The runner
// looks whether it does, and whether the servers of that cluster then end.
const pids = await Promise.all((local?.nodes ?? []).map((address) => pidOf(cluster, address))).catch(() => []);
console.log(`# servers left: ${pids.join(" ")}`);
await cluster?.close({ timeout: 5000 });
console.log(`1..${step}`);

async function test(name, body) {
  const started = Date.now();
  step++;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${STEP_TIMEOUT_MS} ms`)), STEP_TIMEOUT_MS);
  });
  try {
    await Promise.race([(async () => body())(), late]);
    console.log(`ok ${step} - ${name}`);
  } catch (error) {
    console.log(`not ok ${step} - ${name}`);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    console.log(text.replace(/^/gm, "# "));
  } finally {
    clearTimeout(timer);
    console.log(`# ${Date.now() - started} ms`);
  }
}

/** The error with which a promise rejects. */
async function rejection(promise) {
  let reply;
  try {
    reply = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`It resolved with ${JSON.stringify(reply)}.`);
}

/** Resolves when a condition holds. The step's own limit ends it otherwise. */
async function until(condition) {
  const end = Date.now() + STEP_TIMEOUT_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`It never came true: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A function with `await using`, made from its text, because runtimes without that syntax could not read this file. */
function usingBody() {
  const AsyncFunction = (async () => {}).constructor;
  try {
    return new AsyncFunction("client", 'await using cluster = client; return await cluster.command("PING");');
  } catch {
    return undefined;
  }
}

async function pidOf(client, address) {
  return Number(/process_id:(\d+)/.exec(await client.node(address).command("INFO", "server"))?.[1]);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
