import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { defineScript } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk, error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

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
    const batch = () => client.batch().run(getScript, [key]).command("SET", key, 1).run(getScript, [key]).exec();
    return {
      client,
      batch,
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

  it("waits for an answer to EVALSHA_RO only until there has been one", async () => {
    cluster.node(0).always("EVALSHA_RO", () => bulk("x"));
    const { batch, sent } = await mixed();
    assert.deepEqual(await batch(), ["x", "OK", "x"]);
    assert.equal(sent().includes("SCRIPT LOAD"), false);
    assert.deepEqual(await batch(), ["x", "OK", "x"]);
    assert.equal(sent().filter((command) => command === "SCRIPT LOAD").length, 1);
  });
});
