import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineLibrary, ReplyError, type Script, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { commandStats, resetStats } from "../support/command-stats.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const sourceOf = (step: number) => `#!lua name=counters
redis.register_function("add", function(keys, args) return redis.call("incrby", keys[1], args[1] * ${step}) end)
redis.register_function{
  function_name = "read",
  callback = function(keys) return redis.call("get", keys[1]) end,
  flags = { "no-writes" },
}
redis.register_function("fail", function(keys)
  local nothing = nil
  return nothing.field
end)
`;

const libraryOf = (step: number) =>
  defineLibrary({
    source: sourceOf(step),
    functions: {
      add: { numberOfKeys: 1, args: ["amount"], parse: (reply) => Number(reply) },
      read: { keys: ["counter"], readOnly: true },
      fail: { numberOfKeys: 1 },
      missing: { numberOfKeys: 1 },
    },
  });
const counters = libraryOf(1);
const { add, read, fail, missing } = counters.functions;

describe("a library of functions", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let isTooOld = false;
  const keys = Array.from({ length: 30 }, (_, index) => keyForSlot(index * 500));
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect({ ...cluster.connectOptions, scripts: [counters] });
    isTooOld = /v=[0-6]\./.test(cluster.version);
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("is refused with a clear cause by servers older than functions", async (test) => {
    if (!isTooOld) return test.skip("this one has functions");
    const needs = /^Error: Functions need Redis 7\.0 or later, or Valkey\.$/;
    for (const { role, failed } of client.scripts()) {
      if (role === "primary") assert.match(String(failed[0]?.cause.cause), needs);
    }
    const error = await client.run(add, ["k"], [1]).catch((reason: unknown) => reason);
    assert.ok(error instanceof ReplyError);
    assert.deepEqual([error.outcome, needs.test(String(error.cause))], ["not-executed", true]);
  });

  const codeOn = async (address: string) => {
    const [library] = (await cluster.command(address, "FUNCTION", "LIST", "WITHCODE")) as unknown[][];
    return library?.at(-1);
  };

  it("is on every primary when connect resolves, and is called by FCALL and FCALL_RO on the owner of the keys", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    const primaries = client.topology.nodes.filter(({ role }) => role === "primary");
    for (const { address } of primaries) assert.equal(await codeOn(address), counters.source);
    await resetStats(cluster);
    for (const key of keys) {
      const sum: number = await client.run(add, [key], [5]);
      assert.equal(sum, 5);
      assert.equal(await client.run(read, [key]), "5");
    }
    for (const { address } of primaries) {
      const stat = await commandStats(cluster, address);
      assert.ok(stat("fcall").calls > 0 && stat("fcall_ro").calls > 0);
      assert.deepEqual([stat("fcall").failed, stat("function|load").calls], [0, 0]);
    }
  });

  it("works in batches and in transactions", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    const [key] = keys as [string];
    assert.deepEqual(await client.batch().run(add, [key], [1]).run(read, [key]).exec(), [6, "6"]);
    assert.deepEqual(await client.transaction(key).run(add, [key], [1]).command("GET", key).exec(), [7, "7"]);
  });

  it("that was not preloaded is loaded ahead of a transaction, and again when it was deleted", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    const bare = await connect({ ...cluster.connectOptions });
    const [key] = keys as [string];
    const libraryNamed = (name: string) =>
      defineLibrary({
        source: `#!lua name=${name}\nredis.register_function("${name}", function() return "${name}" end)`,
        functions: { [name]: { numberOfKeys: 1 } },
      }).functions[name] as Script<1>;
    const [one, two, three] = ["one", "two", "three"].map(libraryNamed) as [Script<1>, Script<1>, Script<1>];
    assert.deepEqual(await bare.transaction(key).run(one, [key]).run(two, [key]).exec(), ["one", "two"]);
    const watching = () =>
      bare.transaction(key, { watch: [key] }, async (tx) => {
        assert.equal(await tx.run(one, [key]), "one");
        return tx.multi().run(three, [key]);
      });
    assert.deepEqual(await watching(), ["three"]);
    const owner = bare.topology.primaryOf(slotOf(key))?.address as string;
    for (const name of ["one", "three"]) await cluster.command(owner, "FUNCTION", "DELETE", name);
    const [missing] = await bare.transaction(key).run(three, [key]).exec();
    assert.ok(missing instanceof ReplyError && missing.outcome === "not-executed");
    assert.deepEqual(await bare.transaction(key).run(three, [key]).exec(), ["three"]);
    assert.deepEqual(await watching(), ["three"]);
    await Promise.all(
      client.topology.nodes.map(async ({ address, role }) => {
        for (const name of role === "primary" ? ["one", "two", "three"] : []) {
          await cluster.command(address, "FUNCTION", "DELETE", name).catch(() => {});
        }
      }),
    );
    await bare.close();
  });

  it("is loaded again where it is missing: deleted, or on a node that joined by a bare CLUSTER MEET", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    const added = await cluster.addNode();
    await client.refreshTopology();
    assert.equal(await codeOn(added), counters.source);
    for (const { address, role } of client.topology.nodes) {
      if (role === "primary") await cluster.command(address, "FUNCTION", "FLUSH");
    }
    const sums = await Promise.all(keys.slice(1).map((key) => client.run(add, [key], [1])));
    assert.deepEqual(new Set(sums), new Set([6]));
    await client.refreshTopology();
    for (const { address, role } of client.topology.nodes) {
      if (role === "primary") assert.equal(await codeOn(address), counters.source);
    }
  });

  it("survives SCRIPT FLUSH", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    await client.command("SCRIPT", "FLUSH");
    await resetStats(cluster);
    await Promise.all(keys.map((key) => client.run(read, [key])));
    for (const address of cluster.nodes) {
      assert.equal((await commandStats(cluster, address))("function|load").calls, 0);
    }
  });

  it("is replaced by preload when its source changed, and left alone when another client replaced it since", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    const doubling = libraryOf(2);
    const other = await connect({ ...cluster.connectOptions, scripts: [doubling] });
    const key = keyForSlot(7);
    assert.equal(await other.run(doubling.functions.add, [key], [5]), 10);
    await client.refreshTopology();
    assert.equal(await other.run(doubling.functions.add, [key], [5]), 20);
    await client.preload(counters);
    assert.equal(await client.run(add, [key], [5]), 25);
    await other.close();
  });

  it("fails with the function's name, the line and what it says", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    const error = await client.run(fail, keys.slice(0, 1) as [string]).catch((reason: unknown) => reason);
    assert.ok(error instanceof ReplyError);
    assert.deepEqual(
      [error.script, error.line, error.sourceLine, error.outcome],
      ["fail", 10, "return nothing.field", "executed"],
    );
  });

  it("that does not register a function it promised says so, and does not try for ever", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    await assert.rejects(client.run(missing, ["k"]), {
      code: "REPLY",
      reply: /Function not found/,
      outcome: "not-executed",
    });
  });

  it("that the servers refuse is in the report, and its functions reject with the cause", async (test) => {
    if (isTooOld) return test.skip("no functions here");
    const clash = defineLibrary({
      source: '#!lua name=clash\nredis.register_function("add", function() return 1 end)',
      functions: { add: {} },
    });
    const report = await client.preload(clash);
    for (const { role, failed } of report) {
      if (role === "primary") assert.match(String(failed[0]?.cause), /Function add already exists/);
    }
    const broken = defineLibrary({ source: "#!lua name=broken\nboo(", functions: { boo: {} } });
    await assert.rejects(client.run(broken.functions.boo, ["k"]), { code: "REPLY", line: 2, outcome: "not-executed" });
  });
});

describe("defineLibrary", () => {
  const functions = { f: {} };
  for (const [what, definition, message] of [
    ["no object", undefined, /takes an object with source and functions, not undefined/],
    [
      "another option",
      { source: sourceOf(1), functions, name: "x" },
      /no option "name"; accepted are source, functions/,
    ],
    ["a source that is no library", { source: "return 1", functions }, /first line is #!lua name=/],
    ["no functions", { source: sourceOf(1), functions: {} }, /an object of options by function name/],
    [
      "a function with a wrong option",
      { source: sourceOf(1), functions: { f: { numberOfKeys: -1 } } },
      /numberOfKeys is -1/,
    ],
  ] as const) {
    it(`refuses ${what}, and says what is accepted`, () => {
      assert.throws(() => defineLibrary(definition as never), { code: "INVALID_ARGUMENT", message });
    });
  }
});
