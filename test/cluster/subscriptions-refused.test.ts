import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, type Message, ReplyError, type SubscribeOptions } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { heardAt, totals } from "../support/heard-at.ts";

const KINDS = ["subscribe", "psubscribe", "ssubscribe"] as const;
/** Of one slot, so that one request asks for all. A pattern is allowed only if the user's rights name the very pattern. */
const nameFor = (kind: (typeof KINDS)[number]) => (what: string) => `{t}${what}${kind === "psubscribe" ? "*" : ""}`;
const noPermission = (error: unknown) => {
  assert.ok(error instanceof ReplyError, String(error));
  assert.match(error.reply, /^NOPERM /);
  assert.equal(error.outcome, "not-executed");
  return true;
};

describe("subscriptions that a server refuses", () => {
  let cluster: LocalCluster;
  const clients: Cluster[] = [];
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 0 });
    await setUser("u", "+@all", "resetchannels", "&{t}a*", "&{t}b*");
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  after(async () => {
    await cluster?.stop();
  });
  const setUser = (user: string, ...rights: string[]) =>
    Promise.all(
      cluster.nodes.map((node) => cluster.command(node, "ACL", "SETUSER", user, "reset", "on", ">p", "~*", ...rights)),
    );
  const connectAs = async (username: string) => {
    const client = await connect({ ...cluster.connectOptions, username, password: "p" });
    clients.push(client);
    return client;
  };
  const heard = async (name: (what: string) => string) =>
    totals(await heardAt(cluster, { channels: ["a", "b", "x"].map(name), sharded: ["a", "b", "x"].map(name) }));

  for (const kind of KINDS) {
    const name = nameFor(kind);
    it(`${kind}: a forbidden name harms its own call, and no other of the same tick`, async () => {
      const client = await connectAs("u");
      const publishing = await connect(cluster.connectOptions);
      clients.push(publishing);
      const payloads: string[] = [];
      const listener = ({ payload }: Message) => payloads.push(payload);
      for (let round = 0; round < 10; round++) {
        const results = await Promise.allSettled([
          client[kind](name("a"), listener),
          client[kind]([name("b"), name("x")], listener),
          client[kind](name("b"), listener),
          client[kind](name("x"), listener),
        ]);
        assert.deepEqual(
          results.map(({ status }) => status),
          ["fulfilled", "rejected", "fulfilled", "rejected"],
        );
        for (const result of results) if (result.status === "rejected") noPermission(result.reason);
        const counts = await heard(name);
        const both = { [name("a")]: 1, [name("b")]: 1 };
        if (kind === "subscribe") assert.deepEqual(counts, { channels: both, sharded: {}, patterns: 0 });
        if (kind === "psubscribe") assert.equal(counts.patterns, 2);
        if (kind === "ssubscribe") assert.deepEqual(counts, { channels: {}, sharded: both, patterns: 0 });
        await publishing.command(kind === "ssubscribe" ? "SPUBLISH" : "PUBLISH", "{t}b", round);
        await eventually(() => assert.equal(payloads.length, round + 1));
        for (const result of results) if (result.status === "fulfilled") await result.value.close();
        assert.deepEqual(await heard(name), { channels: {}, sharded: {}, patterns: 0 });
      }
    });

    it(`${kind}: a name that is left while it is refused together with another is not asked for again`, async () => {
      const client = await connectAs("u");
      // It keeps the connection, on which a topic that nobody wants would stay.
      const kept = await client[kind](name("a"), () => {});
      for (let round = 0; round < 20; round++) {
        const controller = new AbortController();
        const options: SubscribeOptions = { signal: controller.signal };
        for (const node of cluster.nodes) cluster.pause(node);
        const all = Promise.allSettled([client[kind](name("b"), () => {}, options), client[kind](name("x"), () => {})]);
        // The request is written, and is answered when the servers go on.
        await sleep(10);
        controller.abort();
        await sleep(5);
        for (const node of cluster.nodes) cluster.resume(node);
        for (const { status } of await all) assert.equal(status, "rejected");
      }
      await eventually(async () => {
        const counts = await heard(name);
        const one = { [name("a")]: 1 };
        if (kind === "psubscribe") assert.equal(counts.patterns, 1);
        else assert.deepEqual(kind === "subscribe" ? counts.channels : counts.sharded, one);
      });
      await kept.close();
    });
  }

  it("a user without SUBSCRIBE and UNSUBSCRIBE hears patterns without a gap", async () => {
    await setUser("v", "+@all", "-subscribe", "-unsubscribe", "allchannels");
    const client = await connectAs("v");
    const gaps: unknown[] = [];
    const payloads: string[] = [];
    await client.psubscribe("p*", ({ payload }) => payloads.push(payload), { onGap: (gap) => gaps.push(gap) });
    for (let round = 0; round < 5; round++)
      await assert.rejects(
        client.subscribe("a", () => {}),
        noPermission,
      );
    await client.command("PUBLISH", "p", "x");
    await eventually(() => assert.deepEqual(payloads, ["x"]));
    assert.deepEqual(gaps, []);
  });

  it("wrong arguments are refused before a byte is sent", async () => {
    const client = await connect(cluster.connectOptions);
    clients.push(client);
    await client.command("PING");
    const before = client.metrics();
    const signal = new EventTarget();
    const f = () => {};
    const names = [
      undefined,
      null,
      {},
      [],
      [undefined],
      ["a", null],
      Number.NaN,
      [Number.NaN],
      true,
      Symbol("a"),
      f,
      [["a"]],
      new Set(["a"]),
    ];
    const listeners = [null, "a", 1, {}, { signal: undefined }];
    const options = [
      null,
      1,
      "a",
      f,
      { unknown: 1 },
      { signal },
      { signal: null },
      { onGap: null },
      { onGap: "a" },
      { maxQueued: 0 },
      { maxQueued: 1.5 },
      { maxQueued: -1 },
      { maxQueued: "1" },
      { maxQueued: Number.POSITIVE_INFINITY },
      { maxQueued: null },
      { maxQueuedBytes: 0 },
      { maxQueuedBytes: Number.NaN },
      { timeout: 10 },
    ];
    for (const kind of [...KINDS, "keyspaceEvents"] as const) {
      const refused = (...args: unknown[]) =>
        assert.rejects(
          (client[kind] as (...args: unknown[]) => Promise<unknown>)(...args),
          (error: Error & { code?: string; outcome?: string }) => {
            const what = `${kind}(${args.map((each) => typeof each)}): ${error.stack}`;
            assert.equal(error.code, "INVALID_ARGUMENT", what);
            assert.equal(error.outcome, "not-executed");
            return true;
          },
        );
      for (const each of names) await refused(each, f);
      for (const each of listeners) await refused("a", each);
      for (const each of options) await refused("a", f, each);
    }
    const { counters, subscriptions } = client.metrics();
    assert.equal(counters.bytesWritten, before.counters.bytesWritten);
    assert.deepEqual(subscriptions, { subscriptions: 0, topics: 0, connections: 0 });
    const listening = await client.subscribe("a", f);
    assert.throws(() => listening.events(), { code: "INVALID_ARGUMENT" });
    assert.throws(() => listening[Symbol.asyncIterator](), { code: "INVALID_ARGUMENT" });
  });
});
