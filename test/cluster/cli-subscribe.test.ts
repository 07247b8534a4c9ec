import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { after, afterEach, before, describe, it } from "node:test";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { scriptFolder } from "../support/script-folder.ts";
import { CLI, optionsFor, ROOT, slotwire } from "../support/slotwire-cli.ts";
import { takesShardChannels } from "../support/subscribed-cluster.ts";

/** `slotwire subscribe` while it runs. */
class Subscriber {
  readonly child: ChildProcess;
  readonly exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;
  err = "";

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [CLI, "subscribe", ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    this.exited = new Promise((resolve) => this.child.once("exit", (code, signal) => resolve([code, signal])));
    this.child.stderr?.on("data", (text) => {
      this.err += text;
    });
    this.#reader = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    assert.equal(done ?? false, false, `it has ended: ${this.err}`);
    return value;
  }

  /** Closes the pipe, as `head` does. */
  stopReading(): void {
    this.#reader.close();
    this.child.stdout?.destroy();
  }
}

describe("slotwire subscribe", () => {
  let cluster: LocalCluster;
  let where: string[];
  const running: Subscriber[] = [];
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    where = optionsFor(cluster, scriptFolder({}));
  });
  afterEach(async () => {
    for (const { child, exited } of running.splice(0)) {
      child.kill("SIGKILL");
      await exited;
    }
  });
  after(() => cluster?.stop());

  const ask = (...command: [string, ...string[]]) =>
    Promise.all(cluster.nodes.map((address) => cluster.command(address, ...command)));
  const sum = async (...command: [string, ...string[]]) =>
    (await ask(...command)).map((reply) => (Array.isArray(reply) ? reply[1] : reply) as number).reduce((a, b) => a + b);
  /** Starts it, and waits until the servers count one subscription more. */
  const subscribed = async (words: readonly string[], ...counted: [string, ...string[]]) => {
    const subscriber = new Subscriber([...words, ...where]);
    running.push(subscriber);
    await eventually(async () => assert.equal(await sum(...counted), 1, subscriber.err));
    return subscriber;
  };
  const publish = (channel: string, payload: string) =>
    cluster.command(cluster.nodes[0] as string, "PUBLISH", channel, payload);

  it("shows each message as a line, and Ctrl-C ends it with status 0, after it has unsubscribed", async () => {
    const subscriber = await subscribed(["news", "sport"], "PUBSUB", "NUMSUB", "news");
    await publish("news", "one");
    await publish("sport", "two\nlines \x1b[31m");
    const lines = [await subscriber.line(), await subscriber.line()];
    const [, ...first] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) {2}(.*) {2}(.*)$/.exec(lines[0] as string) ?? [];
    assert.deepEqual(first.slice(1), ["news", "one"]);
    assert.equal(Math.abs(Date.parse(first[0] as string) - Date.now()) < 60_000, true, first[0]);
    assert.match(lines[1] as string, /^\S+ {2}sport {2}two\\x0alines \\x1b\[31m$/);
    subscriber.child.kill("SIGINT");
    assert.deepEqual(await subscriber.exited, [0, null]);
    assert.equal(subscriber.err, "");
    assert.equal(await sum("PUBSUB", "NUMSUB", "news"), 0);
  });

  it("takes patterns, and SIGTERM ends it too", async () => {
    const subscriber = await subscribed(["news:*", "--pattern", "--json"], "PUBSUB", "NUMPAT");
    await publish("news:berlin", "{}");
    assert.deepEqual(JSON.parse(await subscriber.line()), { channel: "news:berlin", payload: "{}", pattern: "news:*" });
    subscriber.child.kill("SIGTERM");
    assert.deepEqual(await subscriber.exited, [0, null]);
  });

  it("takes sharded channels, and shows a gap as a line when it begins and when it ends", async (t) => {
    if (!(await takesShardChannels(cluster))) return t.skip("this server has no sharded channels");
    const json = await subscribed(["shard", "--sharded", "--json"], "PUBSUB", "SHARDNUMSUB", "shard");
    const kill = () => ask("CLIENT", "KILL", "TYPE", "pubsub");
    await kill();
    const [begun, ended] = [JSON.parse(await json.line()), JSON.parse(await json.line())];
    const { from, to, ...gap } = ended;
    assert.deepEqual(gap, { channels: ["shard"], reason: "connection-lost" });
    assert.deepEqual(begun, { ...gap, from, to: null });
    assert.equal(to >= from && Math.abs(to - Date.now()) < 60_000, true, JSON.stringify(ended));
    await json.child.kill("SIGINT");
    await json.exited;
    const plain = await subscribed(["shard", "--sharded"], "PUBSUB", "SHARDNUMSUB", "shard");
    await kill();
    assert.match(await plain.line(), /^\S+Z {2}\*\*\* gap since \S+Z \(connection-lost\): shard$/);
    assert.match(await plain.line(), /^\S+Z {2}\*\*\* gap ends after \d+\.\d{3} s \(connection-lost\): shard$/);
  });

  it("ends with status 0 when nobody reads any more", async () => {
    const subscriber = await subscribed(["pipe"], "PUBSUB", "NUMSUB", "pipe");
    subscriber.stopReading();
    await eventually(async () => {
      await publish("pipe", "is it closed?");
      assert.deepEqual([subscriber.child.exitCode, subscriber.err], [0, ""]);
    });
    assert.equal(await sum("PUBSUB", "NUMSUB", "pipe"), 0);
  });

  it("keeps a slow reader's messages within bounds, and tells what it dropped", async () => {
    const subscriber = await subscribed(["slow", "--json"], "PUBSUB", "NUMSUB", "slow");
    subscriber.child.stdout?.pause();
    // More than a pipe, the process's buffers and 10,000 waiting messages take.
    const payload = "x".repeat(4000);
    for (let written = 0; written < 20; written++) {
      await Promise.all(Array.from({ length: 1000 }, () => publish("slow", payload)));
    }
    subscriber.child.stdout?.resume();
    let line = await subscriber.line();
    while (!line.includes('"reason"')) line = await subscriber.line();
    const { channels, reason, to } = JSON.parse(line);
    assert.deepEqual({ channels, reason, to }, { channels: ["slow"], reason: "overflow", to: null });
  });

  it("fails with one line: words that are missing, options that exclude each other, a channel that is not allowed", async () => {
    const fails = async (args: readonly string[], err: RegExp) => {
      const outcome = await slotwire(["subscribe", ...args]);
      assert.deepEqual([outcome.status, outcome.out], [1, ""]);
      assert.match(outcome.err, err);
    };
    await fails([...where], /^slotwire: subscribe needs at least one CHANNEL\.\n$/);
    await fails(["a", "--pattern", "--sharded"], /^slotwire: .*--pattern and --sharded; accepted is one of them\.\n$/);
    await fails(
      ["a", "--patern"],
      /^slotwire: Unknown option '--patern'; accepted are [^\n]*--pattern, --sharded, [^\n]*\n$/,
    );
    // Rights to channels came with 6.2.
    if (!(await takesShardChannels(cluster))) return;
    await ask("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "+@all", "resetchannels");
    await fails(["a", ...where, "--user", "deaf", "-a", "pw"], /^slotwire: NOPERM [^\n]*\n$/);
  });
});
