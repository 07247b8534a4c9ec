import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineLibrary, defineScript, type Outcome, ReplyError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

const write = "return redis.call('set', KEYS[1], ARGV[1])";
const flagged = defineScript({ name: "flagged", source: `#!lua\n${write}`, numberOfKeys: 1 });
const plain = defineScript({ name: "plain", source: write, numberOfKeys: 1 });
/** The error that it returns reads like one of the server. It has run: the key is gone. */
const catching = defineScript({
  name: "catching",
  source: "local full = redis.pcall('set', KEYS[1], ARGV[1]) redis.call('del', KEYS[1]) return full",
  numberOfKeys: 1,
});
const library = defineLibrary({
  source: `#!lua name=memory
redis.register_function('write', function(keys, args) return redis.call('set', keys[1], args[1]) end)`,
  functions: { write: { numberOfKeys: 1 } },
});

describe("where a server's memory is full", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 1 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  async function ended(call: Promise<unknown>): Promise<Outcome> {
    const error = await call.catch((reason: unknown) => reason);
    assert.ok(error instanceof ReplyError, String(error));
    assert.match(error.reply, /^OOM |-OOM /);
    return error.outcome;
  }

  it("a script that is checked first is told as not executed, and one that met it in its middle as executed", async (test) => {
    client = await connect(cluster.connectOptions);
    const [address] = cluster.nodes as [string];
    const knowsFlags = await client.run(flagged, ["k"], ["before"]).then(
      () => true,
      () => false,
    );
    if (!knowsFlags) {
      test.skip("the server knows no scripts with #!");
      return;
    }
    await client.preload(library, plain, catching);
    await cluster.command(address, "CONFIG", "SET", "maxmemory", 1);
    const { write: writing } = library.functions;
    assert.equal(await ended(client.run(flagged, ["k"], ["x"])), "not-executed");
    assert.equal(await ended(client.run(writing, ["k"], ["x"])), "not-executed");
    assert.equal(await ended(client.command("SET", "k", "x")), "not-executed");
    assert.equal(await ended(client.run(plain, ["k"], ["x"])), "executed");
    assert.equal(await client.command("GET", "k"), "before");

    const results = await client.batch().run(flagged, ["k"], ["x"]).run(catching, ["k"], ["x"]).exec();
    const outcomes = results.map((result) => result instanceof ReplyError && result.outcome);
    assert.deepEqual(outcomes, ["not-executed", "executed"]);
    assert.equal(await client.command("GET", "k"), null, "the script that met it in its middle has deleted the key");

    // The server takes no script either, so the transaction is discarded.
    assert.equal(await ended(client.transaction("k").run(flagged, ["k"], ["x"]).exec()), "not-executed");
    await cluster.command(address, "CONFIG", "SET", "maxmemory", 0);
    assert.equal(await client.run(flagged, ["k"], ["after"]), "OK");
  });
});
