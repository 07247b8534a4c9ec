import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, defineScript, SlotwireError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error, noScript, ok } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { SteppedClock, turns } from "../support/stepped-clock.ts";

const key = keyForSlot(0);
const push = defineScript({ name: "push", source: "return redis.call('rpush', KEYS[1], ARGV[1])", numberOfKeys: 1 });

describe("a batch", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  /** The values in the order in which the nodes took them. */
  let ran: string[];
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    client = await cluster.connect({ scripts: [push], commandTimeout: 60_000 });
    ran = [];
    for (const node of cluster.nodes) {
      node.always("RPUSH", ([, , value = ""]) => {
        ran.push(value);
        return ok;
      });
      node.always("EVALSHA", ([, , , , value = ""]) => {
        ran.push(value);
        return ok;
      });
    }
  });
  afterEach(() => cluster.stop());

  const refusals: Readonly<Record<string, () => string>> = {
    NOSCRIPT: () => noScript,
    MOVED: () => error(`MOVED 0 ${cluster.node(1).address}`),
    ASK: () => error(`ASK 0 ${cluster.node(1).address}`),
    TRYAGAIN: () => error("TRYAGAIN Multiple keys request during rehashing of slot"),
    CLUSTERDOWN: () => error("CLUSTERDOWN The cluster is down"),
    LOADING: () => error("LOADING Redis is loading the dataset in memory"),
    MASTERDOWN: () => error("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    BUSY: () => error("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
  };
  for (const [name, refusal] of Object.entries(refusals)) {
    it(`runs a key's calls in call order when ${name} meets one of them, and not those behind it`, async () => {
      const batch = client.batch();
      for (let index = 0; index < 6; index += 2) batch.run(push, [key], [index]).command("RPUSH", key, index + 1);
      // After a MOVED nothing more comes here.
      cluster.node(0).expect("EVALSHA", refusal(), name === "MOVED" ? 1 : 2);
      if (name !== "NOSCRIPT" && name !== "MOVED") cluster.node(0).expect("RPUSH", refusal());
      assert.deepEqual(new Set(await batch.exec()), new Set(["OK"]));
      assert.deepEqual(ran, ["0", "1", "2", "3", "4", "5"]);
    });
  }

  it("sends calls of other keys at once, in one write", async () => {
    const beside = `{${key}}beside`;
    const batch = client.batch().command("RPUSH", key, 1).command("RPUSH", key, 2).command("RPUSH", beside, 3);
    await batch.exec();
    assert.deepEqual(ran, ["1", "3", "2"]);
    const [first, other, second] = cluster.node(0).received.slice(-3);
    assert.equal(first?.write, other?.write);
    assert.notEqual(first?.write, second?.write);
  });

  it("lets reads of a key pass together, and a write behind them wait for all", async () => {
    await client.batch().command("GET", key).command("STRLEN", key).command("RPUSH", key, 1).command("GET", key).exec();
    const [get, strlen, write, last] = cluster.node(0).received.slice(-4);
    assert.deepEqual([get?.args[0], strlen?.args[0], write?.args[0], last?.args[0]], ["GET", "STRLEN", "RPUSH", "GET"]);
    assert.equal(get?.write, strlen?.write);
    assert.equal(new Set([get?.write, write?.write, last?.write]).size, 3);
  });

  it("repeats a read that was lost, and no later write of its key has run by then", async () => {
    const node = cluster.node(0);
    let value = "old";
    node.expect("GET", "disconnect");
    node.always("GET", () => `$${value.length}\r\n${value}\r\n`);
    node.always("SET", ([, , given = ""]) => {
      value = given;
      return ok;
    });
    assert.deepEqual(await client.batch().command("GET", key).command("SET", key, "new").exec(), ["old", "OK"]);
  });

  it("tells a write that was lost as unknown, and goes on with those behind it", async () => {
    cluster.node(0).expect("RPUSH", "disconnect");
    const [lost, next] = await client.batch().command("RPUSH", key, 1).command("RPUSH", key, 2).exec();
    assert.ok(lost instanceof SlotwireError, "the first call failed");
    assert.deepEqual([lost.code, lost.outcome, next], ["CONNECTION_LOST", "unknown", "OK"]);
    assert.deepEqual(ran, ["2"]);
  });

  it("settles every call by its deadline, when the first one is put off for ever", async () => {
    cluster.node(0).always("EVALSHA", () => error("TRYAGAIN Multiple keys request during rehashing of slot"));
    const hurried = client.with({ timeout: 200 });
    const results = await hurried.batch().run(push, [key], [1]).command("RPUSH", key, 2).run(push, [key], [3]).exec();
    const [first, ...others] = results.map(
      (result) => result instanceof SlotwireError && [result.code, result.outcome],
    );
    // An attempt of the first call can be under way.
    assert.equal(first && first[0], "DEADLINE");
    assert.deepEqual(
      others,
      [2, 3].map(() => ["DEADLINE", "not-executed"]),
    );
    assert.deepEqual(ran, []);
  });

  it("gives up together the calls without a deadline that wait for one which is refused for 60 s", async () => {
    const clock = new SteppedClock();
    const patient = await cluster.connect({ commandTimeout: 0 }, clock.environment);
    cluster.node(0).always("RPUSH", () => error("TRYAGAIN Multiple keys request during rehashing of slot"));
    const batch = patient.batch();
    for (let index = 0; index < 10; index++) batch.command("RPUSH", key, index);
    let results: readonly unknown[] | undefined;
    void batch.exec().then((all) => {
      results = all;
    });
    await turns(20);
    for (let second = 0; second < 130 && results === undefined; second++) await clock.pass(1000);
    assert.deepEqual(
      results?.map((result) => result instanceof SlotwireError && [result.code, result.outcome]),
      Array.from({ length: 10 }, () => ["DEADLINE", "not-executed"]),
    );
  });

  it("rejects what waits when the client is destroyed", async () => {
    cluster.node(0).expect("RPUSH", "hang");
    const results = client.batch().command("RPUSH", key, 1).command("RPUSH", key, 2).exec();
    while (cluster.node(0).count("RPUSH") === 0) await new Promise((resolve) => setImmediate(resolve));
    client.destroy();
    assert.deepEqual(
      (await results).map((result) => result instanceof SlotwireError && [result.code, result.outcome]),
      [
        ["CLOSED", "unknown"],
        ["CLOSED", "not-executed"],
      ],
    );
  });

  it("without order waits for nothing", async () => {
    const unordered = client.batch({ ordered: false });
    for (let index = 0; index < 20; index++) unordered.command("RPUSH", key, index);
    await unordered.exec();
    assert.equal(
      new Set(
        cluster
          .node(0)
          .received.slice(-20)
          .map(({ write }) => write),
      ).size,
      1,
    );
  });
});

describe("a batch of a view that reads from replicas", () => {
  it("reads at the primary behind a write of the key, and at the replica otherwise", async () => {
    const cluster = await FakeCluster.start(2);
    try {
      cluster.primaryOf.set(1, 0);
      cluster.ranges = [[0, 16_383, 0]];
      const client = await cluster.connect();
      const [primary, replica] = [cluster.node(0), cluster.node(1)];
      primary.always("GET", () => "$3\r\nnew\r\n");
      replica.always("GET", () => "$3\r\nold\r\n");
      const read = defineScript({ name: "read", source: "return 1", numberOfKeys: 1, readOnly: true });
      primary.always("EVALSHA_RO", () => "$3\r\nnew\r\n");
      replica.always("EVALSHA_RO", () => "$3\r\nold\r\n");
      for (const readFrom of ["replica", "any"] as const) {
        const batch = () => client.with({ readFrom }).batch();
        // The slot of this key begins with the replica for both.
        const own = keyForSlot(1);
        const results = await batch()
          .command("GET", own)
          .command("SET", own, "new")
          .command("GET", own)
          .run(read, [own])
          .command("GET", keyForSlot(3))
          .exec();
        assert.deepEqual(results, ["old", "OK", "new", "new", "old"], readFrom);
        assert.deepEqual(await batch().command("GET", own).command("GET", own).exec(), ["old", "old"]);
        const unordered = client.with({ readFrom }).batch({ ordered: false });
        assert.deepEqual(await unordered.command("SET", own, "new").command("GET", own).exec(), ["OK", "old"]);
      }
    } finally {
      await cluster.stop();
    }
  });
});
