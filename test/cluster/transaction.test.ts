import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript, ReplyError, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { incrScript, setScript } from "../support/scripts.ts";

const failing = defineScript({ name: "failing", source: "return redis.error_reply('OUCH no')", numberOfKeys: 1 });
const bytes = defineScript({ name: "bytes", source: "return '\\255\\0'", numberOfKeys: 0, replies: "buffer" });
const doubled = defineScript({
  name: "doubled",
  source: "return tonumber(redis.call('get', KEYS[1])) * 2",
  numberOfKeys: 1,
  readOnly: true,
  parse: (reply) => `${Number(reply)}!`,
});

describe("a transaction", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript] });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("runs commands and scripts, met before or not, and gives results in their order", async () => {
    const results = await client
      .transaction("{t}")
      .run(incrScript, ["{t}:n"])
      .command<string>("SET", "{t}:s", "grün")
      .run(doubled, ["{t}:n"])
      .run(bytes, [])
      .command<string>("GET", "{t}:s")
      .run(failing, ["{t}:n"])
      .run(incrScript, ["{t}:n"])
      .exec();
    const [one, ok, twice, buffer, text, error, two] = results;
    assert.deepEqual([one, ok, twice, buffer, text, two], [1, "OK", "2!", Buffer.from([255, 0]), "grün", 2]);
    assert.ok(error instanceof ReplyError && error.reply === "OUCH no" && error.script === "failing");
    assert.deepEqual(await client.transaction("{t}").exec(), []);
  });

  it("is refused before a byte is sent when a key is in another slot, and when it is executed twice", async () => {
    const transaction = client.transaction("{t}");
    assert.throws(() => transaction.run(incrScript, ["elsewhere"]), { code: "CROSSSLOT" });
    assert.throws(() => transaction.command("GET", "elsewhere"), { code: "CROSSSLOT" });
    assert.throws(() => transaction.command("SUBSCRIBE", "{t}"), { code: "INVALID_ARGUMENT" });
    assert.throws(() => client.transaction({} as never), { code: "INVALID_ARGUMENT" });
    transaction.command("SET", "{t}:once", 1);
    assert.deepEqual(await transaction.exec(), ["OK"]);
    await assert.rejects(transaction.exec(), { code: "INVALID_ARGUMENT" });
  });

  it("of which the server refuses a command runs nothing", async () => {
    const refused = client.transaction("{t}").command("SET", "{t}:none", 1).command("NOSUCHCOMMAND", "{t}").exec();
    await assert.rejects(refused, { code: "REPLY", outcome: "not-executed", reply: /^ERR unknown command/ });
    assert.equal(await client.command("GET", "{t}:none"), null);
  });

  it("in which a script does not compile says so, and not that it is missing", async () => {
    const broken = defineScript({ name: "broken", source: "local a = 1\nreturn +", numberOfKeys: 1 });
    const [error] = await client.transaction("{t}").run(broken, ["{t}"]).exec();
    assert.ok(error instanceof ReplyError);
    assert.deepEqual([error.script, error.line, error.outcome], ["broken", 2, "not-executed"]);
    assert.match(error.reply, /^ERR Error compiling script/);
  });

  it("never ends in NOSCRIPT with its neighbours committed, also while scripts are flushed all the time", async () => {
    let flushing = true;
    let flushes = 0;
    const flusher = (async () => {
      for (; flushing; flushes++) await cluster.flushScripts();
    })();
    for (let round = 0; round < 300; round++) {
      const key = `{flush:${round}}`;
      const results = await Promise.all(
        [incrScript, setScript].map((script) =>
          client
            .transaction(key)
            .command("INCR", `${key}:a`)
            .run(script as typeof setScript, [`${key}:b`], [1] as never)
            .exec(),
        ),
      );
      assert.deepEqual(
        results.flat().filter((result) => result instanceof Error),
        [],
      );
    }
    flushing = false;
    await flusher;
    assert.ok(flushes > 30, `${flushes} flushes`);
  });

  it("follows its slot while that moves, and runs once", async () => {
    const keys = Array.from({ length: 20 }, (_, index) => `{moving:${index}}`);
    for (const key of keys) await client.command("MSET", `${key}:a`, 0, `${key}:b`, 0);
    const [target] = cluster.nodes as [string];
    const slots = keys.map(slotOf).filter((slot) => client.topology.primaryOf(slot)?.address !== target);
    let moved = false;
    const moving = cluster.moveSlots({ slots, to: target, pause: 2 }).then(() => {
      moved = true;
    });
    let rounds = 0;
    for (; !moved || rounds < 3; rounds++) {
      const all = keys.map((key) =>
        client
          .transaction(key)
          .run(incrScript, [`${key}:a`])
          .command("INCR", `${key}:b`)
          .exec(),
      );
      for (const result of await Promise.all(all)) assert.deepEqual(result, [rounds + 1, rounds + 1]);
    }
    await moving;
    assert.ok(rounds > 3, `${rounds} rounds`);
  });
});
