import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Argument, type Cluster, connect, loadScripts, ReplyError, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

// BullMQ's scripts were written by others, for another client, and include each other three folders of calls deep.
const require = createRequire(import.meta.url);
const bullmq = dirname(require.resolve("bullmq"));
const folder = join(bullmq, "commands");
const byName = loadScripts(folder);
const scripts = Object.values(byName);

interface MessagePack {
  readonly Packr: new (options: object) => { pack(value: unknown): Buffer };
}
const { Packr } = createRequire(require.resolve("bullmq"))("msgpackr") as MessagePack;
const packer = new Packr({ useRecords: false, encodeUndefinedAsNil: true });

/** What BullMQ's `Queue` and `Worker` send, for one queue. */
class TestQueue {
  readonly #client: Cluster;
  /** What every key of the queue begins with. */
  readonly prefix: string;

  constructor(client: Cluster, prefix: string) {
    this.#client = client;
    this.prefix = prefix;
  }

  keys(...types: string[]): string[] {
    return types.map((type) => this.prefix + type);
  }

  run(name: string, keys: readonly string[], ...args: Argument[]): Promise<unknown> {
    const script = byName[name];
    assert.ok(script, `BullMQ has no script ${name}`);
    return this.#client.run(script, this.keys(...keys), args);
  }

  add(data: object, options: { readonly delay?: number } = {}): Promise<unknown> {
    const about = packer.pack([this.prefix, "", "paint", 1000, null, null, undefined, undefined, null, null]);
    const [name, keys] = options.delay
      ? ["addDelayedJob", ["marker", "meta", "id", "delayed", "completed", "events"]]
      : ["addStandardJob", ["wait", "paused", "meta", "id", "completed", "delayed", "active", "events", "marker"]];
    return this.run(name as string, keys as string[], about, JSON.stringify(data), packer.pack(options));
  }

  counts(...types: string[]): Promise<unknown> {
    return this.run("getCounts", [""], ...types);
  }

  state(id: string): Promise<unknown> {
    const types = ["completed", "failed", "delayed", "active", "wait", "paused", "waiting-children", "prioritized"];
    return this.run("getStateV2", types, id);
  }

  pause(isPaused: boolean): Promise<unknown> {
    const [from, to] = isPaused ? ["wait", "paused"] : ["paused", "wait"];
    const keys = [from as string, to as string, "meta", "prioritized", "events", "delayed", "marker"];
    return this.run("pause", keys, isPaused ? "paused" : "resumed", "1");
  }

  take(token: string): Promise<unknown> {
    const first = ["wait", "active", "prioritized", "events", "stalled", "limiter"];
    const options = packer.pack({ token, lockDuration: 30_000, limiter: undefined, name: "worker" });
    const keys = [...first, "delayed", "paused", "meta", "pc", "marker"];
    return this.run("moveToActive", keys, this.prefix, 2000, options);
  }

  complete(id: string, token: string, result: string): Promise<unknown> {
    const first = ["wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta", "pc"];
    const options = { token, keepJobs: { count: -1 }, lockDuration: 30_000, attempts: 1, maxMetricsSize: "" };
    const keys = [...first, "completed", id, "metrics:completed", "marker"];
    const rest = [this.prefix, packer.pack(options)];
    return this.run("moveToFinished", keys, id, 3000, "returnvalue", result, "completed", 0, ...rest);
  }
}

describe("BullMQ's scripts, from their files", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  /** One queue on each of the three primaries. */
  let queues: TestQueue[];
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, scripts });
    const tags = client.topology.ranges.map(({ start }) => keyForSlot(start));
    assert.equal(new Set(tags.map((tag) => client.topology.primaryOf(slotOf(tag))?.address)).size, 3);
    queues = tags.map((tag) => new TestQueue(client, `bull:{${tag}}:`));
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("are all read, more than sixty, and are what BullMQ itself makes of them, empty lines aside", () => {
    const commands = readdirSync(folder).filter((name) => name.endsWith(".lua"));
    assert.deepEqual(scripts.map(({ name, numberOfKeys }) => `${name}-${numberOfKeys}.lua`).sort(), commands.sort());
    assert.ok(scripts.length > 60, `${scripts.length}`);
    for (const { name, numberOfKeys, source } of scripts) {
      const own = require(join(bullmq, "scripts", `${name}-${numberOfKeys}.js`))[name] as { content: string };
      assert.equal(withoutEmptyLines(source), withoutEmptyLines(own.content), name);
    }
  });

  it("compile on every node", async () => {
    const shas = scripts.map(({ sha }) => sha);
    assert.deepEqual(
      client.scripts().flatMap(({ failed }) => failed),
      [],
    );
    for (const address of cluster.nodes) {
      assert.deepEqual(await cluster.command(address, "SCRIPT", "EXISTS", ...shas), new Array(shas.length).fill(1));
    }
  });

  // The second time no node knows any of them.
  for (const when of ["preloaded", "flushed"] as const) {
    it(`do a queue's work on each primary, ${when}`, async (test) => {
      if ((await client.command("EVAL", "return rawget(_G, 'cjson') and 1 or 0", 0)) === 0) {
        test.skip("this server was built without cjson");
        return;
      }
      if (when === "flushed") await cluster.flushScripts();
      let missing = 0;
      const off = client.on("scriptMissing", () => missing++);
      await Promise.all(queues.map(work));
      off();
      assert.equal(missing > 0, when === "flushed", `${missing} times NOSCRIPT`);
    });
  }

  async function work(queue: TestQueue): Promise<void> {
    assert.equal(await queue.add({ colour: "red" }), "1");
    assert.equal(await queue.add({ colour: "blue" }), "2");
    assert.equal(await queue.add({ colour: "green" }, { delay: 1_000_000 }), "3");
    assert.deepEqual(await queue.counts("wait", "active", "delayed", "completed"), [2, 0, 1, 0]);
    // The oldest last, as a list that is pushed to at its head has it.
    assert.deepEqual(await queue.run("getRanges", [""], 0, -1, "1", "wait"), [["2", "1"]]);
    assert.equal(await queue.run("isJobInList", ["wait"], "2"), 1);
    assert.equal(await queue.run("isJobInList", ["wait"], "3"), null);
    assert.equal(await queue.state("3"), "delayed");

    assert.equal(await queue.pause(true), 0);
    assert.deepEqual(await queue.take("token"), [0, 0, 0, 0]);
    assert.equal(await queue.pause(false), 0);
    const [fields, id, ...limits] = (await queue.take("token")) as [string[], string, number, number];
    const job = Object.fromEntries(
      Array.from({ length: fields.length / 2 }, (_, at) => fields.slice(2 * at, 2 * at + 2)),
    );
    assert.deepEqual([id, ...limits], ["1", 0, 0]);
    assert.deepEqual([job.name, job.data, job.pb, job.ats], ["paint", '{"colour":"red"}', "worker", "1"]);
    assert.equal(await queue.state("1"), "active");

    assert.equal(await queue.run("extendLock", ["1:lock", "stalled"], "token", 30_000, "1"), 1);
    assert.equal(await queue.run("extendLock", ["1:lock", "stalled"], "other", 30_000, "1"), 0);
    assert.equal(await queue.run("addLog", ["1", "1:logs"], "1", "mixed", ""), 1);
    assert.equal(await queue.run("updateProgress", ["1", "events", "meta"], "1", "50"), 0);
    assert.equal(await queue.complete("1", "other", '"done"'), -6);
    assert.equal(await queue.complete("1", "token", '"done"'), 0);
    assert.equal(await queue.state("1"), "completed");

    const toPromote = ["delayed", "wait", "paused", "meta", "prioritized", "active", "pc", "events", "marker"];
    assert.equal(await queue.run("promote", toPromote, queue.prefix, "3"), 0);
    assert.deepEqual(await queue.counts("wait", "active", "delayed", "completed"), [2, 0, 0, 1]);
    assert.equal(await queue.run("removeJob", ["1", "repeat"], "1", "1", queue.prefix), 1);
    await queue.run("drain", ["wait", "paused", "delayed", "prioritized", "repeat"], queue.prefix, "1");
    assert.deepEqual(await queue.counts("wait", "active", "delayed", "completed"), [0, 0, 0, 0]);
    await queue.pause(true);
    assert.equal(await queue.run("obliterate", ["meta", ""], 1000, ""), 0);
    assert.equal(await queue.state("1"), "unknown");
  }

  it("fail with the line and the file that it stands in", async () => {
    const [queue] = queues as [TestQueue];
    const failing = async (name: string, keys: string[], ...args: Argument[]) => {
      const error = await queue.run(name, keys, ...args).catch((reason: unknown) => reason);
      assert.ok(error instanceof ReplyError, String(error));
      assert.equal(error.script, name);
      const { file = "", line = 0, sourceLine = "" } = error;
      assert.equal(readFileSync(file, "utf8").split("\n")[line - 1]?.trim(), sourceLine);
      return { file: file.slice(folder.length + 1), sourceLine };
    };
    // The script's own line, below some hundred lines of includes.
    const toActive = [
      "wait",
      "active",
      "prioritized",
      "events",
      "stalled",
      "limiter",
      "delayed",
      "paused",
      "meta",
      "pc",
    ];
    await client.command("SET", `${queue.prefix}wait`, "no list");
    const own = await failing("moveToActive", [...toActive, "marker"], queue.prefix, 1, packer.pack({}));
    assert.equal(own.file, "moveToActive-11.lua");
    assert.match(own.sourceLine, /rcall\("RPOPLPUSH", waitKey, activeKey\)/);
    // A line of an include.
    await client.command("SET", `${queue.prefix}meta`, "no hash");
    const included = await failing("moveToActive", [...toActive, "marker"], "p:", 1, packer.pack({}));
    assert.equal(included.file, join("includes", "getQueueMetadata.lua"));
    assert.match(included.sourceLine, /HMGET/);
  });
});

function withoutEmptyLines(source: string): string {
  return source.replace(/\s*\n(\s*\n)*/g, "\n").trim();
}
