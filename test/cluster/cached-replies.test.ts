import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { type Cluster, type ConnectOptions, connect, defineScript, type Reply, slotOf } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";

const SOURCE = "return {redis.call('GET', KEYS[1]), {ARGV[1], {}}}";
const reading = (name: string) => ({ name, source: `${SOURCE} -- ${name}`, numberOfKeys: 1, readOnly: true }) as const;
const echo = defineScript(reading("echo"));
const bytes = defineScript({ ...reading("bytes"), replies: "buffer" });
const parsedAs = (name: string, parse: (reply: Reply) => unknown) => defineScript({ ...reading(name), parse });
const mutating = parsedAs("mutating", (reply) => (reply as Reply[]).push("more"));
const throwing = parsedAs("throwing", () => {
  throw new Error("no such shape");
});
let parses = 0;
const counting = parsedAs("counting", (reply) => ({ parsed: ++parses, first: (reply as Reply[])[0] }));
const failing = defineScript({
  name: "failing",
  source: "redis.call('GET', KEYS[1]) return {1, {redis.error_reply('ERR inside')}}",
  numberOfKeys: 1,
  readOnly: true,
});

describe("the replies of a cached view", () => {
  let server: SingleServer;
  let client: Cluster;
  let cached: Cluster;
  let isOld = false;
  const clients: Cluster[] = [];
  const open = async (options: Partial<ConnectOptions>) => {
    const scripts = [echo, bytes, mutating, throwing, counting, failing];
    const client = await connect({ nodes: [server.address], scripts, ...options });
    clients.push(client);
    return client;
  };
  before(async () => {
    server = await startSingle();
    isOld = /redis_version:6\./.test(String(await server.command("INFO", "server")));
    client = await open({ cache: { maxStaleness: 5000 } });
    cached = client.with({ cached: true });
    await server.command("SET", "k", "v");
    await server.command("SET", "1", "one");
  });
  after(async () => {
    for (const each of clients) each.destroy();
    await server?.stop();
  });
  const kept = (name: string, body: (test: TestContext) => unknown) =>
    it(name, async (test) => {
      if (isOld) test.diagnostic("left out: this server has no sharded channels");
      else await body(test);
    });

  const figures = (of = client) => {
    const { cache } = of.metrics();
    assert.ok(cache, "the client has a cache");
    return cache;
  };
  /** How often something was asked, and answered from memory, meanwhile. */
  const counted = async (work: () => Promise<unknown>) => {
    const before = figures();
    await work();
    const { misses, hits, shared } = figures();
    return [misses - before.misses, hits - before.hits, shared - before.shared];
  };

  kept("are frozen to their depth, the first one and those that share its request too", async () => {
    const replies = await Promise.all(["x", "x"].map((word) => cached.run(echo, ["k"], [word])));
    for (const reply of [...replies, await cached.run(echo, ["k"], ["x"])] as Reply[][]) {
      assert.deepEqual(reply, ["v", ["x", []]]);
      const [, inner] = reply as [Reply, Reply[]];
      for (const list of [reply, inner, inner[1] as Reply[]]) assert.throws(() => list.push("more"), TypeError);
    }
    // Where they come from makes no difference.
    for (const reply of [await cached.command("CONFIG", "GET", "hz"), await cached.command("MGET", "k")]) {
      assert.throws(() => (reply as string[]).push("more"), TypeError);
    }
  });

  kept("are the caller's own where they are Buffers, the first one too", async () => {
    const asked = () => cached.run(bytes, ["k"], ["b"]) as Promise<[Buffer, [Buffer, Reply[]]]>;
    for (const count of [2, 1, 1]) {
      for (const [first, [second]] of await Promise.all(Array.from({ length: count }, asked))) {
        assert.deepEqual([String(first), String(second)], ["v", "b"]);
        first.fill("x");
        second.fill("x");
      }
    }
  });

  kept("are parsed anew for each call; a parse that changes them or throws fails alone", async () => {
    for (let time = 1; time <= 3; time++) {
      assert.deepEqual(await cached.run(counting, ["k"], ["c"]), { parsed: time, first: "v" });
      for (const [script, cause] of [
        [mutating, /object is not extensible/],
        [throwing, /no such shape/],
      ] as const) {
        const refused = cached.run(script, ["k"], ["p"]);
        await assert.rejects(refused, ({ code, outcome, command, slot, cause: why }) => {
          assert.deepEqual([code, outcome, command, slot], ["REPLY", "executed", script.name, slotOf("k")]);
          assert.match(String(why), cause);
          return true;
        });
      }
    }
    assert.deepEqual(await cached.run(echo, ["k"], ["p"]), ["v", ["p", []]]);
  });

  kept("are not kept where an error stands in them", async () => {
    assert.deepEqual(await counted(() => cached.run(failing, ["k"])), [1, 0, 0]);
    assert.deepEqual(await counted(() => cached.run(failing, ["k"])), [1, 0, 0]);
    const wrong = () => cached.command("LRANGE", "k", 0, -1);
    for (let time = 0; time < 2; time++) await assert.rejects(wrong(), { code: "REPLY", reply: /^WRONGTYPE / });
  });

  kept("are text in one view and Buffers in another one, of one key", async () => {
    const buffers = cached.with({ replies: "buffer" });
    for (let time = 0; time < 2; time++) {
      assert.equal(await cached.command("GET", "k"), "v");
      assert.deepEqual(await buffers.command("GET", "k"), Buffer.from("v"));
    }
    assert.deepEqual(await counted(() => buffers.with({ timeout: 500 }).command("GET", "k")), [0, 1, 0]);
  });

  kept("answer the same question, numbers or text; keys as Buffers are the same keys", async () => {
    await cached.run(echo, ["k"], [1]);
    await cached.command("GET", "1");
    const asked = () =>
      Promise.all([cached.run(echo, ["k"], ["1"]), cached.command("GET", 1), cached.command("get", ["1"])]);
    assert.deepEqual(await counted(asked), [0, 3, 0]);
    const keys = ["\u00e9", Buffer.from("\u00e9")];
    for (const [index, writtenAs] of keys.entries()) {
      for (const key of keys) await cached.command("GET", key);
      assert.deepEqual(await counted(() => Promise.all(keys.map((key) => cached.command("GET", key)))), [0, 2, 0]);
      await client.command("SET", writtenAs, index);
      for (const key of keys) assert.equal(await cached.command("GET", key), String(index));
    }
  });

  kept("of 10,000 questions stay within maxBytes: what was asked last, and no reply that is larger", async () => {
    const maxBytes = 500_000;
    const small = await open({ cache: { maxStaleness: 5000, maxBytes } });
    const view = small.with({ cached: true });
    const ask = (word: number) => view.run(echo, ["k"], [word]);
    for (let first = 1; first <= 10_000; first += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, index) => ask(first + index)));
      await ask(1);
    }
    const { entries, bytes: taken, evicted, misses, hits } = figures(small);
    assert.deepEqual([misses, hits, entries + evicted], [10_000, 20, 10_000]);
    assert.equal(taken <= maxBytes && taken > maxBytes * 0.9, true, `${taken} bytes`);
    await Promise.all([ask(10_000), ask(1), ask(2)]);
    assert.deepEqual([figures(small).hits - hits, figures(small).misses - misses], [2, 1]);
    await server.command("SET", "huge", "x".repeat(2 * maxBytes));
    for (let time = 0; time < 2; time++) assert.equal((await view.command("STRLEN", "huge")) as number, 2 * maxBytes);
    for (let time = 0; time < 2; time++) assert.equal((await view.command("GET", "huge"))?.length, 2 * maxBytes);
    assert.deepEqual(figures(small).dropped, { "too-large": 2 });
    assert.equal(figures(small).bytes <= maxBytes, true);
  });

  kept("of 1,000 equal questions are one request, which lasts as long as one of its callers waits", async () => {
    await server.command("SET", "shared", "s");
    await cached.command("GET", "k");
    server.pause();
    const aborting = new AbortController();
    const views = [cached.with({ timeout: 50 }), cached.with({ signal: aborting.signal }), cached];
    const counts = await counted(async () => {
      const asked = Array.from({ length: 1000 }, (_, index) => (views[index % 3] as Cluster).command("GET", "shared"));
      await Promise.allSettled([asked[0], asked.at(-1)]);
      aborting.abort();
      await Promise.allSettled(asked.filter((_, index) => index % 3 < 2));
      server.resume();
      const outcomes = new Map<string, number>();
      for (const each of await Promise.allSettled(asked)) {
        const outcome = each.status === "fulfilled" ? String(each.value) : String(each.reason.code);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      assert.deepEqual(Object.fromEntries(outcomes), { DEADLINE: 334, ABORTED: 333, s: 333 });
    });
    assert.deepEqual(counts, [1, 0, 999]);
    assert.deepEqual(await counted(() => cached.command("GET", "shared")), [0, 1, 0]);
  });

  kept("of 1,000 equal questions are a few requests, where the server lacks the script", async () => {
    const late = defineScript(reading("late"));
    const runs = async () => {
      const info = String(await server.command("INFO", "commandstats"));
      return Number(/^cmdstat_evalsha_ro:calls=(\d+)/m.exec(info)?.[1] ?? 0);
    };
    for (const flushed of [false, true]) {
      if (flushed) await server.command("SCRIPT", "FLUSH");
      const before = await runs();
      const word = `flushed: ${flushed}`;
      const asked = Array.from({ length: 1000 }, () => cached.run(late, ["k"], [word]));
      for (const reply of await Promise.all(asked)) assert.deepEqual(reply, ["v", [word, []]]);
      // Known to be missing, it is loaded first. Else one finds it missing, one is sent behind a load, and one for all others.
      assert.equal((await runs()) - before, flushed ? 3 : 1, word);
      assert.deepEqual(await counted(() => cached.run(late, ["k"], [word])), [0, 1, 0]);
    }
  });

  kept("under way when the client closes are awaited, and when it is destroyed are rejected", async () => {
    const tracking = async () => String(await server.command("CLIENT", "LIST")).match(/ flags=\w*t/g)?.length ?? 0;
    const before = await tracking();
    for (const end of ["close", "destroy"] as const) {
      const ending = await open({ cache: { maxStaleness: 5000 } });
      const view = ending.with({ cached: true });
      await view.command("GET", "k");
      await server.command("CLIENT", "PAUSE", "200", "ALL");
      // One waits for its reply, one shares it, and one is made in the turn in which the client ends.
      const asked = ["1", "1"].map((key) => view.command("GET", key));
      await new Promise((resolve) => setTimeout(resolve, 50));
      asked.push(view.command("GET", "shared"));
      const settled = Promise.allSettled(asked);
      await ending[end]();
      const outcomes = (await settled).map((each) => (each.status === "fulfilled" ? each.value : each.reason.code));
      assert.deepEqual(outcomes, end === "close" ? ["one", "one", "s"] : ["CLOSED", "CLOSED", "CLOSED"]);
      await assert.rejects(view.command("GET", "k"), { code: "CLOSED" });
      await eventually(async () => assert.equal(await tracking(), before));
    }
  });
});
