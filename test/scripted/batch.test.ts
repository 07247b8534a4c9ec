import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import { Cluster, defineScript } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error, noScript, ok } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

/** As often as this a full node is looked at. */
const LOOK_AGAIN_MS = 5;

const getScript = defineScript({
  name: "get",
  source: "return redis.call('get', KEYS[1])",
  numberOfKeys: 1,
  readOnly: true,
});

describe("a batch", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  const key = keyForSlot(0);
  const mixed = async () => {
    const client = await cluster.connect({ scripts: [getScript] });
    return {
      client,
      sent: () => cluster.node(0).got("EVALSHA", "EVALSHA_RO", "SET", "INCR", "SCRIPT LOAD").slice(1),
    };
  };

  it("keeps a key's order on servers that turn out to be too old for EVALSHA_RO", async () => {
    cluster.node(0).always("EVALSHA_RO", () => error("ERR unknown command `EVALSHA_RO`, with args beginning with: "));
    const { client, sent } = await mixed();
    const batch = client.batch().run(getScript, [key]).command("SET", key, 1).run(getScript, [key]);
    assert.deepEqual(await batch.command("INCR", key).exec(), ["OK", "OK", "OK", "OK"]);
    // The second one had been encoded before anything was sent.
    const twice = [`EVALSHA_RO ${key}`, `EVALSHA ${key}`];
    assert.deepEqual(sent(), [...twice, "SET", ...twice, "INCR"]);
  });

  it("says that WAIT cannot be part of it, and goes on without", async () => {
    const { client } = await mixed();
    const batch = client.batch();
    for (const name of ["WAIT", "wait"]) {
      assert.throws(() => batch.command(name, 1, 0), {
        code: "INVALID_ARGUMENT",
        message: /^WAIT cannot be part of a batch/,
      });
    }
    assert.deepEqual(await batch.command("SET", key, 1).exec(), ["OK"]);
  });
});

describe("a batch of more calls than its node has room for", () => {
  it("goes on as its calls are answered, without waiting for the next look at the node", async () => {
    const cluster = await FakeCluster.start(1);
    try {
      const { clock } = nodeEnvironment;
      const setTimer: typeof clock.setTimer = (callback, delayMs, background) =>
        delayMs === LOOK_AGAIN_MS ? { cancel() {} } : clock.setTimer(callback, delayMs, background);
      const environment = { ...nodeEnvironment, clock: { ...clock, setTimer } };
      const client = await cluster.connect({ maxPendingPerNode: 3, scripts: [setScript] }, environment);
      for (const ordered of [true, false]) {
        const batch = client.batch({ ordered });
        for (let index = 0; index < 20; index++) batch.run(setScript, [`key:${index}`], [index]);
        assert.deepEqual(await batch.exec(), new Array(20).fill("OK"));
      }
      assert.equal(cluster.node(0).count("EVALSHA"), 40);
    } finally {
      await cluster.stop();
    }
  });
});

describe("a batch that does not fit into one write", () => {
  it("keeps each key's order when scripts are flushed between two reads of the server", async () => {
    const cluster = await FakeCluster.start(1);
    try {
      const client = await cluster.connect({ scripts: [setScript] });
      const node = cluster.node(0);
      // A server takes 16 KiB at a time; in between, another client has its turn.
      node.bytesPerRead = 16 * 1024;
      let flushes = 0;
      node.onFullRead = () => {
        flushes++;
        node.scripts.clear();
      };
      const ran: string[] = [];
      const run = ([, , third, key]: readonly string[]) => {
        if (!node.scripts.has(setScript.sha)) return noScript;
        ran.push(`${key ?? third} script`);
        return ok;
      };
      node.always("EVALSHA", run);
      node.always("SET", ([, key]) => {
        ran.push(`${key} SET`);
        return ok;
      });
      const value = "v".repeat(200);
      const batch = (count: number) => {
        const keys = Array.from({ length: count }, (_, index) => `key:${index}`);
        const calls = client.batch();
        for (const key of keys) calls.run(setScript, [key], [value]).command("SET", key, value);
        return { keys, replies: calls.exec() };
      };
      // One large value shows that such reads happen here, and takes the scripts away.
      await client.command("SET", "large", "v".repeat(100_000));
      assert.ok(flushes > 0);
      const { keys, replies } = batch(300);
      assert.deepEqual(new Set(await replies), new Set(["OK"]));
      const order = new Map(ran.map((what, at) => [what, at]));
      const wrong = keys.filter((key) => (order.get(`${key} script`) ?? 0) > (order.get(`${key} SET`) ?? 0));
      assert.deepEqual(wrong, []);
    } finally {
      await cluster.stop();
    }
  });
});

describe("a batch whose slot moves while a call of it waits for room", () => {
  it("sends it behind the one that is on its way to the new owner, and not past it", async () => {
    const cluster = await FakeCluster.start(2);
    try {
      const client = await cluster.connect({ connectionsPerNode: 2, maxPendingPerNode: 2 });
      const [first, beside] = [keyForSlot(0), keyForSlot(1)];
      const [old, owner] = [cluster.node(0), cluster.node(1)];
      let refuse: (answer: string) => void = () => {};
      let answer: (answer: string) => void = () => {};
      old.expect("INCR", new Promise<string>((resolve) => (refuse = resolve)));
      old.expect("STRLEN", new Promise<string>((resolve) => (answer = resolve)));
      // The third one has no room until the second one is answered, which comes by another connection.
      const replies = client.batch().command("INCR", first).command("STRLEN", beside).command("TTL", first).exec();
      while (old.count("INCR") + old.count("STRLEN") < 2) await turn();
      cluster.ranges = [
        [0, 0, 1],
        [1, 8191, 0],
        [8192, 16_383, 1],
      ];
      Cluster.clientOf(client).believe({ slot: 0, owner: owner.address });
      answer(":3\r\n");
      for (let turns = 0; turns < 20; turns++) await turn();
      refuse(`-MOVED 0 ${owner.address}\r\n`);
      assert.deepEqual(await replies, ["OK", 3, "OK"]);
      assert.deepEqual(owner.got("INCR", "TTL"), ["INCR", "TTL"]);
      assert.equal(old.count("TTL"), 0);
    } finally {
      await cluster.stop();
    }
  });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));
