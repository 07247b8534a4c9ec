import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ReplyError, UnavailableError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

describe("announced addresses that cannot be reached", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());
  const key = keyForSlot(0);
  const advice =
    /; the cluster announces this address: if it cannot be reached from here, `natMap` leads to one that can/;

  it("are told with natMap, as by containers that announce their inner addresses", async () => {
    // Nobody listens there: each node listens at 127.0.0.1 alone.
    cluster.hostOf = () => "127.0.0.9";
    const client = await cluster.connect({ commandTimeout: 100 });
    await assert.rejects(client.command("GET", key), { code: "UNAVAILABLE", message: advice });
    assert.match(String(client.scripts().length), /^1$/);
  });

  it("are told once for all calls that fail in one turn, so that many calls do not list many nodes many times", async () => {
    cluster.hostOf = () => "127.0.0.9";
    const client = await cluster.connect({ commandTimeout: 100 });
    const [one, other] = await Promise.all([1, 2].map(() => client.command("GET", key).catch((error) => error)));
    assert.ok(one instanceof UnavailableError && other instanceof UnavailableError, String(one));
    assert.equal(one.causes, other.causes);
    const later = await client.command("GET", key).catch((error) => error);
    assert.notEqual(later.causes, one.causes, "what holds then");
  });

  it("are told without advice where natMap is given, the seed has that host, or the node was reached before", async () => {
    const options = { commandTimeout: 100, connectTimeout: 100 };
    const isPlain = (thrown: Error) => /127\.0\.0\.[19]/.test(thrown.message) && !advice.test(thrown.message);
    cluster.hostOf = () => "127.0.0.9";
    const mapped = await cluster.connect({ ...options, natMap: () => ({ host: "127.0.0.9", port: 1 }) });
    await assert.rejects(mapped.command("GET", key), isPlain);
    cluster.hostOf = () => "127.0.0.1";
    const client = await cluster.connect(options);
    assert.equal(await client.command("SET", key, 1), "OK");
    await cluster.node(0).stop();
    await assert.rejects(client.command("GET", key), isPlain);
  });
});

describe("a script that does not compile", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
  });
  afterEach(() => cluster.stop());
  const words = "ERR Error compiling script (new function): user_script:1: unexpected symbol near 'x'";
  const refuseAt = (...nodes: number[]) => {
    for (const index of nodes) cluster.node(index).always("SCRIPT LOAD", () => error(words));
  };

  it("on any node rejects connect with the server's words and the line", async () => {
    refuseAt(0, 1);
    await assert.rejects(cluster.connect({ scripts: [setScript] }), (thrown: unknown) => {
      if (!(thrown instanceof ReplyError)) throw thrown;
      assert.deepEqual([thrown.reply, thrown.outcome, thrown.command], [words, "not-executed", setScript.name]);
      assert.deepEqual([thrown.line, thrown.sourceLine], [1, setScript.source]);
      assert.match(thrown.message, /line 1: .* \[node 127\.0\.0\.1:\d+\]$/);
      return true;
    });
    // Nothing of the client is left.
    while (cluster.nodes.some((node) => node.openConnections > 0))
      await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("on one of the nodes is told by scripts(), and connect resolves", async () => {
    refuseAt(1);
    const client = await cluster.connect({ scripts: [setScript] });
    assert.deepEqual(
      client
        .scripts()
        .map(({ loaded, failed }) => `${loaded.length} loaded, ${failed.length} failed`)
        .sort(),
      ["0 loaded, 1 failed", "1 loaded, 0 failed"],
    );
  });

  it("is not what a node says that forbids loads, or is silent", async () => {
    cluster.node(0).always("SCRIPT LOAD", () => error("NOPERM this user has no permissions to run 'script|load'"));
    refuseAt(1);
    await cluster.connect({ scripts: [setScript] });
    cluster.node(0).always("SCRIPT LOAD", () => "hang");
    await cluster.connect({ scripts: [setScript], connectTimeout: 100 });
  });
});
