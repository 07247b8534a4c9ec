import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, defineScript, SlotwireError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error, ok } from "../support/fake-node.ts";
import { type TransactionRules, takeTransactions } from "../support/fake-transactions.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const key = keyForSlot(0);
const push = defineScript({ name: "push", source: "return redis.call('rpush', KEYS[1], ARGV[1])", numberOfKeys: 1 });
const COMMANDS = ["RPUSH", "GET", "EVALSHA", "EVAL", "SCRIPT LOAD"];
const NOPERM = "NOPERM this user has no permissions to run the 'rpush' command";
const CALLS = 40;
const inOrder = Array.from({ length: CALLS }, (_, index) => index);

describe("a long chain of calls in a batch", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  let rules: TransactionRules;
  let ran: number[];
  let forbidden: string | undefined;
  const run = (args: readonly string[]) => {
    const [name = ""] = args;
    if (name === "SCRIPT") return `$40\r\n${push.sha}\r\n`;
    const value = Number(args.at(-1));
    if (name === forbidden) return error(NOPERM);
    ran.push(value);
    return name === "GET" ? ok : `:${value}\r\n`;
  };
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    client = await cluster.connect({ scripts: [push], commandTimeout: 60_000 });
    ran = [];
    forbidden = undefined;
    rules = takeTransactions(cluster.node(0), COMMANDS, run);
    for (const name of COMMANDS) cluster.node(1).always(name, run);
  });
  afterEach(() => cluster.stop());

  const transactions = () => cluster.node(0).count("EXEC");
  const outcomes = (results: readonly unknown[]) =>
    results.map((result) => (result instanceof SlotwireError ? result.outcome : result));
  const batchOf = (calls: readonly number[]) => {
    const batch = client.batch();
    for (const index of calls) {
      if (index % 2 === 0) batch.run(push, [key], [index]);
      else batch.command("RPUSH", key, index);
    }
    return batch;
  };

  it("asks whether the node takes transactions, and goes in one from the second call on", async () => {
    assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
    assert.deepEqual(ran, inOrder);
    assert.equal(transactions(), 2, "the question and the group");
    assert.equal(cluster.node(0).count("SCRIPT LOAD"), 2, "the preload and the group's");
    assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
    assert.equal(transactions(), 3, "the question is asked once");
  });

  it("waits where the node takes no transactions", async () => {
    rules.multi = () => error("NOPERM this user has no permissions to run the 'multi' command");
    assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
    assert.deepEqual(ran, inOrder);
    assert.equal(transactions(), 1);
  });

  it("waits where nothing may be sent but what was asked for", async () => {
    const single = await cluster.connect({ mode: "single", scripts: [push] });
    const batch = single.batch();
    for (const index of inOrder) batch.command("RPUSH", key, index);
    assert.deepEqual(await batch.exec(), inOrder);
    assert.equal(transactions(), 0);
  });

  it("takes each answer as its call's, where MULTI is refused later", async () => {
    assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
    rules.multi = () => error("NOPERM this user has no permissions to run the 'multi' command");
    const next = inOrder.map((index) => index + CALLS);
    assert.deepEqual(await batchOf(next).exec(), next);
    assert.deepEqual(ran, [...inOrder, ...next]);
    const asked = transactions();
    assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
    assert.equal(transactions(), asked);
  });

  const refusals: Readonly<Record<string, () => string>> = {
    MOVED: () => `MOVED 0 ${cluster.node(1).address}`,
    ASK: () => `ASK 0 ${cluster.node(1).address}`,
    TRYAGAIN: () => "TRYAGAIN Multiple keys request during rehashing of slot",
    CLUSTERDOWN: () => "CLUSTERDOWN The cluster is down",
    BUSY: () =>
      "EXECABORT Transaction discarded because of: BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    OOM: () => "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
  };
  for (const [name, refusal] of Object.entries(refusals)) {
    it(`keeps its order when the transaction meets ${name}`, async () => {
      const redirections: string[] = [];
      client.on("redirection", ({ kind }) => redirections.push(kind));
      let refused = 0;
      rules.exec = () => (refused++ === 0 ? error(refusal()) : undefined);
      assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
      assert.deepEqual(ran, inOrder);
      assert.ok(refused > 0, "a group was refused");
      if (name === "MOVED" || name === "ASK") assert.deepEqual(redirections, [name]);
    });

    it(`keeps its order when a call in the transaction meets ${name}`, async () => {
      let refused = 0;
      rules.refuse = () => (refused++ === 3 ? refusal() : undefined);
      assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
      assert.deepEqual(ran, inOrder);
    });
  }

  it("goes one by one when a call is not allowed in a transaction, and that one fails alone", async () => {
    forbidden = "RPUSH";
    rules.refuse = ([name]) => (name === forbidden ? NOPERM : undefined);
    assert.deepEqual(
      outcomes(await batchOf(inOrder).exec()),
      inOrder.map((index) => (index % 2 === 0 ? index : "not-executed")),
    );
  });

  it("brings its sources by EVAL where loading is forbidden", async () => {
    rules.refuse = ([name]) =>
      name === "SCRIPT" ? "NOPERM this user has no permissions to run the 'script|load' command" : undefined;
    assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
    assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
    assert.deepEqual(ran, [...inOrder, ...inOrder]);
    assert.ok(cluster.node(0).count("EVAL") >= CALLS / 2, "the second batch came by EVAL");
  });

  it("is told as unknown when its connection is lost, call by call, but for reads that no write is behind", async () => {
    await batchOf(inOrder).exec();
    rules.exec = () => "disconnect";
    const batch = client.batch().command("GET", key);
    for (const index of inOrder.slice(1, 20)) batch.command("RPUSH", key, index);
    batch.command("GET", key);
    const results = await batch.exec();
    assert.deepEqual(new Set(outcomes(results.slice(0, -1))), new Set(["unknown"]));
    assert.equal(results.at(-1), "OK", "the last read is behind every write");
  });

  it("is told as unknown when EXEC is answered in words that no server is known for", async () => {
    await batchOf(inOrder).exec();
    rules.exec = () => error("ERR upstream went away");
    assert.deepEqual(new Set(outcomes(await batchOf(inOrder).exec())), new Set(["unknown"]));
  });

  it("is told as unknown, and its connection ended, when EXEC is answered by too few replies", async () => {
    await batchOf(inOrder).exec();
    rules.exec = () => "*1\r\n:1\r\n";
    const results = await batchOf(inOrder).exec();
    assert.equal(
      results.filter((result) => result instanceof SlotwireError && result.code === "PROTOCOL").length,
      CALLS,
    );
    assert.deepEqual(new Set(outcomes(results)), new Set(["unknown"]));
  });

  it("runs nothing of a group that was given up before it was written", async () => {
    await batchOf(inOrder).exec();
    ran = [];
    const controller = new AbortController();
    const view = client.with({ signal: controller.signal });
    const batch = view.batch();
    for (const index of inOrder) batch.command("RPUSH", key, index);
    const results = batch.exec();
    controller.abort();
    assert.deepEqual(new Set(outcomes(await results)), new Set(["not-executed"]));
    await client.command("PING");
    assert.deepEqual(ran, []);
    assert.deepEqual(await batchOf(inOrder).exec(), inOrder);
  });

  it("counts call by call in the bounds", async () => {
    const bounded = await cluster.connect({ scripts: [push], maxPendingPerNode: 20 });
    const batch = bounded.batch();
    let most = 0;
    rules.exec = (queued) => {
      most = Math.max(most, queued.length);
      return undefined;
    };
    for (const index of inOrder) batch.command("RPUSH", key, index);
    assert.deepEqual(await batch.exec(), inOrder);
    assert.ok(most >= 8 && most <= 20, `${most} calls in one transaction`);
    assert.equal(bounded.metrics().nodes[0]?.pending, 0);
  });
});
