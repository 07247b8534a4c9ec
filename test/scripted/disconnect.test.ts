import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import {
  type CallOptions,
  ConnectionLostError,
  DeadlineError,
  ProtocolError,
  UnavailableError,
} from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { type Answer, error, type FakeNode } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { idempotentScript, setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const key = keyForSlot(0);

describe("a connection that ends", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  it("leaves calls in flight with an unknown outcome, sent once", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", "disconnect");
    const calls = Array.from({ length: 10 }, () => client.run(setScript, [key], [1]));
    for (const result of await Promise.allSettled(calls)) {
      assert.equal(result.status, "rejected");
      assert.ok(result.reason instanceof ConnectionLostError);
      assert.equal(result.reason.outcome, "unknown");
      assert.equal(result.reason.address, cluster.node(0).address);
    }
    assert.equal(cluster.node(0).count("EVALSHA"), 1, "the node stopped reading at the first");
    assert.equal(await client.run(setScript, [key], [1]), "OK", "and the next call is served by a new connection");
  });

  it("runs an idempotent script again", async () => {
    const client = await cluster.connect({ scripts: [idempotentScript] });
    cluster.node(0).expect("EVALSHA", "disconnect");
    assert.equal(await client.run(idempotentScript, [key], [1]), "OK");
    assert.equal(cluster.node(0).count("EVALSHA"), 2);
  });

  it("leaves a call that may run twice in doubt, whatever comes of its second attempt", async () => {
    const client = await cluster.connect({ scripts: [idempotentScript], maxRedirections: 1 });
    const node = cluster.node(0);
    node.always("EVALSHA", () => error("CLUSTERDOWN The cluster is down"));
    const inDoubt = async (options: CallOptions = {}) => {
      node.expect("EVALSHA", "disconnect");
      return client.run(idempotentScript, [key], [1], options);
    };
    await assert.rejects(inDoubt({ timeout: 150 }), { code: "DEADLINE", outcome: "unknown" });
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 60);
    await assert.rejects(inDoubt({ signal: abort.signal }), { code: "ABORTED", outcome: "unknown" });
    node.always("EVALSHA", () => error("NOPERM this user has no permissions to run the 'evalsha' command"));
    await assert.rejects(inDoubt(), { code: "REPLY", outcome: "unknown" });
    node.always("EVALSHA", () => error("CLUSTERDOWN The cluster is down"));
    const asked = node.count("EVALSHA");
    const closed = inDoubt();
    // It is lost by the first answer, and refused by the second.
    const isInDoubt = async () => {
      while (node.count("EVALSHA") < asked + 2) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    void isInDoubt().then(() => client.destroy());
    await assert.rejects(closed, { code: "CLOSED", outcome: "unknown" });
  });

  it("is never told as UNAVAILABLE by a call that was written: its deadline is, or the loss", async () => {
    await cluster.stop();
    cluster = await FakeCluster.start(2);
    const client = await cluster.connect({ commandTimeout: 700 });
    const [node, other] = cluster.nodes as [FakeNode, FakeNode];
    node.silentAt.add("GET");
    const written = Array.from({ length: 10 }, () => client.command("GET", key).catch((cause: unknown) => cause));
    while (node.count("GET") < 1) await new Promise((resolve) => setTimeout(resolve, 1));
    const down = new Promise((resolve) => client.on("nodeDown", resolve));
    await node.stop();
    await down;
    const unwritten = client.command("GET", key).catch((cause: unknown) => cause);
    for (const error of await Promise.all(written)) {
      assert.ok(error instanceof DeadlineError, String(error));
      assert.equal(error.outcome, "unknown");
      assert.ok(error.cause instanceof ConnectionLostError, String(error.cause));
    }
    assert.ok((await unwritten) instanceof UnavailableError, String(await unwritten));

    cluster.ranges = [[0, 8191, 0]];
    other.expect("GET", "disconnect");
    other.always("GET", () => error("CLUSTERDOWN Hash slot not served"));
    const late = client.with({ timeout: 20_000 }).command("GET", keyForSlot(16_000));
    const lost = await late.catch((cause: unknown) => cause);
    assert.ok(lost instanceof ConnectionLostError, String(lost));
    assert.equal(lost.outcome, "unknown");
    assert.equal(client.metrics().counters.decisions["given-up-after-loss"], 1);
  });

  it("sends a command again that the server flags readonly, and no other", async () => {
    const client = await cluster.connect();
    cluster.node(0).expect("GET", "disconnect");
    assert.equal(await client.command("GET", key), "OK");
    cluster.node(0).expect("SET", "disconnect");
    await assert.rejects(client.command("SET", key, "v"), { code: "CONNECTION_LOST", outcome: "unknown" });
    assert.equal(cluster.node(0).count("GET"), 2);
    assert.equal(cluster.node(0).count("SET"), 1);
  });

  it("sends calls that were not written yet on the next connection, in order, after its scripts", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    const down = new Promise((resolve) => client.on("nodeDown", resolve));
    node.dropConnections();
    await down;
    node.scripts.clear();
    node.received.length = 0;
    const calls = Array.from({ length: 5 }, (_, index) => client.run(setScript, [key], [index]));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(["OK"]));
    const runs = Array.from({ length: 5 }, (_, index) => `EVALSHA ${key} ${index}`);
    assert.deepEqual(node.got("SCRIPT LOAD", "EVALSHA"), ["SCRIPT LOAD", ...runs]);
  });

  it("is told once by nodeDown and once by nodeUp", async () => {
    const client = await cluster.connect();
    const seen: string[] = [];
    client.on("nodeDown", ({ address }) => seen.push(`down ${address}`));
    const up = new Promise<void>((resolve) => {
      client.on("nodeUp", ({ address }) => {
        seen.push(`up ${address}`);
        resolve();
      });
    });
    cluster.node(0).dropConnections();
    await up;
    const { address } = cluster.node(0);
    assert.deepEqual(seen, [`down ${address}`, `up ${address}`]);
  });
});

const BROKEN: [string, Answer][] = [
  ["an unknown type", "@nonsense\r\n"],
  ["a reply of RESP3", "%1\r\n+a\r\n+b\r\n"],
  ["a length that is no number", "$abc\r\nxyz\r\n"],
  ["a bulk string longer than it says", "$2\r\nabcdef\r\n"],
  ["an absurd length", "$99999999999\r\n"],
  ["an array of four billion", "*4294967296\r\n"],
  ["a line feed alone", "+OK\n"],
  ["arrays ten thousand deep", "*1\r\n".repeat(10_000)],
  ["a reply nobody waits for", "+OK\r\n+SURPLUS\r\n+SURPLUS\r\n+SURPLUS\r\n+SURPLUS\r\n"],
];

describe("bytes that are no reply", () => {
  for (const [what, bytes] of BROKEN) {
    it(`${what}: the connection ends, no reply goes to the wrong caller, the next call is served`, async () => {
      const cluster = await FakeCluster.start(1);
      try {
        const client = await cluster.connect({ scripts: [setScript] });
        const node = cluster.node(0);
        node.expect("EVALSHA", "+first\r\n");
        node.expect("EVALSHA", bytes);
        const calls = Array.from({ length: 3 }, (_, index) => client.run(setScript, [key], [index]));
        const results = await Promise.allSettled(calls);
        assert.deepEqual(results[0], { status: "fulfilled", value: "first" });
        if (what === "a reply nobody waits for") {
          // One extra reply cannot be told from an answer that came early; the surplus behind it can.
          assert.equal(client.topology.nodes.length, 1);
        } else {
          for (const result of results.slice(1)) {
            assert.equal(result.status, "rejected");
            assert.ok(result.reason instanceof ProtocolError, String(result.reason));
            assert.equal(result.reason.outcome, "unknown");
          }
        }
        using watch = new Stopwatch();
        const next = await client.run(setScript, [key], [4]);
        assert.equal(next, "OK");
        assert.ok(watch.ms < 100);
      } finally {
        await cluster.stop();
      }
    });
  }

  it("half a reply, then silence: the deadline, unknown", async () => {
    const cluster = await FakeCluster.start(1);
    try {
      const client = await cluster.connect({ scripts: [setScript], commandTimeout: 150 });
      cluster.node(0).expect("EVALSHA", "$100\r\nhalf");
      await assert.rejects(client.run(setScript, [key], [1]), { code: "DEADLINE", outcome: "unknown" });
    } finally {
      await cluster.stop();
    }
  });
});
