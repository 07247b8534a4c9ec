import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript, ReplyError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { scriptFolder } from "../support/script-folder.ts";

/** The error with which a call ends, as a rejection or as a value. */
async function errorOf(call: Promise<unknown>): Promise<ReplyError> {
  const error = await call.catch((reason: unknown) => reason);
  assert.ok(error instanceof ReplyError, String(error));
  return error;
}

const places = ({ file, line, sourceLine }: ReplyError) => [file, line, sourceLine];

describe("a script that fails says where", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  // The failing line is always the third.
  const failing: [string, string][] = [
    ["an operation on nothing", "\n\nlocal x = KEYS[9] + 1"],
    ["error()", "\n\nerror('boom')"],
    ["error() without a place of its own", "\n\nerror('boom', 0)"],
    ["a command that fails", "\n\nredis.call('lpush', KEYS[1], 'x')"],
    [
      "a command that fails, inside a function",
      "local call = redis.call\nlocal function f()\n  call('nope')\nend\nf()",
    ],
    ["an unknown global", "\n\nreturn foo"],
    ["a new global", "\n\nfoo = 1"],
    ["assert()", "\n\nassert(false, 'no good')"],
    ["an error that is passed on", "local ok, e = pcall(function() error('x') end)\n\nerror(e)"],
  ];
  for (const [what, source] of failing) {
    it(`after ${what}`, async () => {
      const script = defineScript({ name: what, source, numberOfKeys: 1 });
      await client.command("SET", "text", "text");
      const error = await errorOf(client.run(script, ["text"]));
      const text = source.split("\n")[2]?.trim();
      assert.deepEqual(places(error), [undefined, 3, text]);
      assert.deepEqual([error.script, error.outcome], [what, "executed"]);
      const named = `(script "${what}", line 3: ${text}) [slot ${error.slot}, node ${error.address}]`;
      assert.ok(error.message.endsWith(named), error.message);
      assert.ok(error.message.startsWith(error.reply));
      // The server's own text, as by any other way.
      const [key, number] = ["text", "1"];
      const raw = await errorOf(client.command("EVAL", source, number, key));
      assert.equal(error.reply, raw.reply);
    });
  }

  it("but of no line for an error that it returned", async () => {
    const source = "redis.call('get', KEYS[1])\nreturn redis.error_reply('MY user_script:1: error')";
    const error = await errorOf(client.run(defineScript({ name: "returns", source }), ["text"]));
    assert.deepEqual(places(error), [undefined, undefined, undefined]);
    assert.deepEqual([error.reply, error.script], ["MY user_script:1: error", "returns"]);
  });

  it("in the file that the line is in, for every way a call can go", async () => {
    const folder = scriptFolder({
      "outer-1.lua": "-- @include './includes/push'\n\npush(KEYS[1])\nredis.call('nope')",
      "includes/push.lua": "-- Pushes.\n\nlocal function push(key)\n  redis.call('lpush', key, 'x')\nend",
    });
    const outer = defineScript({ file: join(folder, "outer-1.lua"), numberOfKeys: 1 });
    const included = [join(folder, "includes/push.lua"), 4, "redis.call('lpush', key, 'x')"];
    await client.command("SET", "text", "text");
    await client.command("DEL", "list");
    assert.deepEqual(places(await errorOf(client.run(outer, ["text"]))), included);
    assert.deepEqual(places(await errorOf(client.run(outer, ["list"]))), [outer.file, 4, "redis.call('nope')"]);

    await cluster.flushScripts();
    assert.deepEqual(places(await errorOf(client.run(outer, ["text"]))), included, "replayed after NOSCRIPT");
    const [inBatch] = await client.batch([outer.call(["text"])]);
    assert.deepEqual(places(inBatch as ReplyError), included);
    const [inTransaction] = (await client.transaction("text").run(outer, ["text"]).exec()) as unknown[];
    assert.deepEqual(places(inTransaction as ReplyError), included);
  });

  it("when it does not compile, too: in the call's error and in every node's report", async () => {
    const folder = scriptFolder({
      "broken.lua": "-- @include './_part'\nlocal a = = 1",
      "_part.lua": "-- one\n-- two",
      "open.lua": "-- open\nif true then",
    });
    const broken = defineScript({ file: join(folder, "broken.lua") });
    const place = [broken.file, 2, "local a = = 1"];
    const report = await client.preload(broken);
    assert.equal(report.length, 3);
    for (const { failed } of report) {
      assert.equal(failed.length, 1);
      assert.deepEqual(places(failed[0]?.cause as ReplyError), place);
    }
    const error = await errorOf(client.run(broken, ["text"]));
    assert.deepEqual([...places(error), error.outcome], [...place, "not-executed"]);
    assert.match(
      error.message,
      /^ERR Error compiling script .*\(script "broken", .*broken\.lua:2: local a = = 1\) \[slot \d+, node \S+\]$/,
    );

    const open = defineScript({ file: join(folder, "open.lua") });
    assert.deepEqual(places(await errorOf(client.run(open, ["text"]))), [open.file, 2, "if true then"]);
  });
});
