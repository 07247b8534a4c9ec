import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { canaryOf } from "../../src/cache/canary.ts";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Environment } from "../../src/environment.ts";
import { type CacheMessage, type Cluster, defineScript } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { type Answer, array, bulk, error, type FakeNode, noScript } from "../support/fake-node.ts";
import { type TrackingRules, takeTracking } from "../support/fake-tracking.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { SteppedClock } from "../support/stepped-clock.ts";

/** In slots of the first node. */
const [KEY, OTHER] = [keyForSlot(7), keyForSlot(8)];
const derived = defineScript({
  name: "derived",
  source: "return redis.call('GET', KEYS[1] .. 'x')",
  numberOfKeys: 1,
  readOnly: true,
});

/** The timers of a client that have been set, and have neither fired nor been cancelled. */
function watchedTimers(): { environment: Environment; timers: ReadonlySet<object> } {
  const { clock } = nodeEnvironment;
  const timers = new Set<object>();
  const setTimer: typeof clock.setTimer = (callback, delayMs, background) => {
    const called = () => {
      timers.delete(timer);
      callback();
    };
    const timer = clock.setTimer(called, delayMs, background);
    timers.add(timer);
    return {
      cancel: () => {
        timers.delete(timer);
        timer.cancel();
      },
    };
  };
  return { environment: { ...nodeEnvironment, clock: { ...clock, setTimer } }, timers };
}

describe("a cached read, when", () => {
  let cluster: FakeCluster;
  let node: FakeNode;
  let rules: TrackingRules;
  let client: Cluster;
  let cached: Cluster;
  /** What GET answers. */
  let value: string;
  const figures = () => {
    const { cache } = client.metrics();
    assert.ok(cache, "the client has a cache");
    return cache;
  };
  /** The answer, and where it came from. */
  const get = async (key = KEY) => {
    const { hits } = figures();
    const reply = await cached.command("GET", key);
    return `${reply} ${figures().hits > hits ? "from memory" : "from the node"}`;
  };

  const open = async (maxStaleness = 10_000) => {
    client = await cluster.connect({ cache: { maxStaleness } });
    cached = client.with({ cached: true });
    assert.deepEqual(figures().unavailable, []);
  };
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    const [first] = cluster.nodes.map(takeTracking);
    rules = first as TrackingRules;
    node = cluster.node(0);
    value = "1";
    node.always("GET", () => bulk(value));
    await open();
  });
  afterEach(() => cluster.stop());

  const keeps = async (key = KEY) => {
    assert.equal(await get(key), `${value} from the node`);
    assert.equal(await get(key), `${value} from memory`);
  };

  it("nothing happens: it is asked once, with the time to live, behind its slot's canary", async () => {
    await keeps();
    const asked = node.received
      .filter(({ connection }) => connection === rules.reading())
      .map(({ args }) => args.join(" "));
    assert.deepEqual(asked.slice(-2), [`PTTL ${KEY}`, `GET ${KEY}`]);
    assert.deepEqual(
      rules.subscriptions.subscribed().filter((topic) => topic === `SSUBSCRIBE ${canaryOf(7)}`),
      [`SSUBSCRIBE ${canaryOf(7)}`],
    );
  });

  it("its invalidation comes before its reply: the reply is answered and not kept", async () => {
    let answer!: (text: string) => void;
    await keeps(OTHER);
    node.expect("GET", new Promise<string>((resolve) => (answer = resolve)));
    const reply = get();
    await eventually(() =>
      assert.ok(
        node.received.some(({ args }) => args.join(" ") === `GET ${KEY}`),
        "asked",
      ),
    );
    rules.invalidate([KEY]);
    await sleep(50);
    answer(bulk("old") as string);
    assert.equal(await reply, "old from the node");
    value = "2";
    await keeps();
    // Another key's entry is as it was.
    assert.equal(await get(OTHER), "1 from memory");
  });

  it("an invalidation of everything, or one of a key that nobody named, comes", async () => {
    await keeps();
    rules.invalidate(null);
    await eventually(async () => assert.equal(figures().entries, 0));
    node.scripts.add(derived.sha);
    node.always("EVALSHA_RO", () => bulk("d"));
    const run = () => cached.run(derived, [KEY]);
    await run();
    await run();
    assert.equal(figures().hits, 2);
    await keeps(OTHER);
    rules.invalidate([`${KEY}x`]);
    await eventually(async () => assert.equal(figures().dropped["derived-key"], 1));
    // The entries of plain commands name all that they read.
    assert.equal(await get(OTHER), "1 from memory");
  });

  it("a message of somebody else comes on the channel of invalidations: nothing is believed any more", async () => {
    await keeps();
    rules.subscriptions.publish("__redis__:invalidate", "nonsense");
    await eventually(() => assert.equal(figures().entries, 0));
  });

  /** Refusals, and the rows of the decision that follow. */
  const REFUSALS = {
    "MOVED 7 127.0.0.1:1": ["moved-unlisted", "redirection-unlisted"],
    "ASK 7 127.0.0.1:1": ["ask-unlisted", "redirection-unlisted"],
    "TRYAGAIN Multiple keys request during rehashing of slot": ["tryagain"],
    "CLUSTERDOWN The cluster is down": ["clusterdown"],
  };
  for (const [refusal, rows] of Object.entries(REFUSALS)) {
    it(`it is refused by ${refusal.split(" ", 1)}: that is decided upon as for any call, and nothing is kept`, async () => {
      node.expect("GET", error(refusal));
      assert.equal(await get(), "1 from the node");
      assert.deepEqual([figures().entries, figures().passed], [0, { refused: 1 }]);
      assert.deepEqual(Object.keys(client.metrics().counters.decisions), rows);
      await keeps();
    });
  }

  it("it is refused for the want of a right: that is its answer, after one request", async () => {
    node.expect("GET", error("NOPERM No permissions to access a key"));
    const failed = await Promise.allSettled([get(), get()]);
    assert.deepEqual(
      failed.map((each) => each.status === "rejected" && [each.reason.code, each.reason.outcome]),
      [
        ["REPLY", "not-executed"],
        ["REPLY", "not-executed"],
      ],
    );
    assert.deepEqual([node.count("GET"), figures().passed], [1, {}]);
  });

  it("the node lacks its script, as is known: it is loaded first, and the first reply is kept", async () => {
    node.always("EVALSHA_RO", () => (node.scripts.has(derived.sha) ? bulk("d") : noScript));
    const asked = () => cached.run(derived, [KEY]);
    assert.deepEqual(await Promise.all([asked(), asked()]), ["d", "d"]);
    await asked();
    const { counters } = client.metrics();
    assert.deepEqual([node.count("EVALSHA_RO"), figures().hits, counters.scriptMisses], [1, 1, 0]);
  });

  it("the node has lost its script: one call is sent behind a load, and those that asked the same are one request", async () => {
    node.always("EVALSHA_RO", () => (node.scripts.has(derived.sha) ? bulk("d") : noScript));
    await cached.run(derived, [OTHER]);
    node.scripts.clear();
    const { scriptLoads } = client.metrics().counters;
    const replies = await Promise.all(Array.from({ length: 100 }, () => cached.run(derived, [KEY])));
    assert.deepEqual(new Set(replies), new Set(["d"]));
    const { counters } = client.metrics();
    assert.deepEqual([node.count("EVALSHA_RO"), counters.scriptMisses], [4, 1]);
    assert.deepEqual([counters.scriptLoads - scriptLoads, figures().passed], [1, { refused: 1 }]);
    assert.equal(counters.decisions["noscript-load"], 1);
    await cached.run(derived, [KEY]);
    assert.equal(figures().hits, 1);
  });

  it("it fails: that is its answer, for all that asked the same, and nothing is kept", async () => {
    node.expect("GET", error("WRONGTYPE Operation against a key holding the wrong kind of value"));
    const failed = await Promise.allSettled([get(), get()]);
    assert.deepEqual(
      failed.map((each) => each.status === "rejected" && each.reason.code),
      ["REPLY", "REPLY"],
    );
    assert.deepEqual([node.count("GET"), figures().entries, figures().passed], [1, 0, {}]);
    await keeps();
  });

  it("a heartbeat is answered with CLUSTERDOWN: all of the node is gone; with MOVED: its slot", async () => {
    await open(400);
    await keeps();
    await keeps(OTHER);
    node.always("EXISTS", () => error("CLUSTERDOWN The cluster is down"));
    await eventually(() => assert.deepEqual([figures().entries, figures().dropped["cluster-down"]], [0, 2]));
    node.always("EXISTS", ([, key]) => (key === KEY ? error("MOVED 7 127.0.0.1:1") : ":1\r\n"));
    await keeps(OTHER);
    await keeps();
    await eventually(() => assert.equal(figures().dropped.moved, 1));
    assert.equal(figures().entries, 1);
  });

  it("a canary ends: its slot is gone, and is asked for a canary again", async () => {
    await keeps();
    await keeps(OTHER);
    rules.subscriptions.sunsubscribe(canaryOf(7));
    await eventually(() => assert.equal(figures().dropped["slot-left"], 1));
    assert.equal(await get(OTHER), "1 from memory");
    rules.subscriptions.refuse = (command, [name]) =>
      command === "SSUBSCRIBE" && name === canaryOf(7) ? `MOVED 7 ${cluster.node(1).address}` : undefined;
    assert.equal(await get(), "1 from the node");
    assert.equal(await get(), "1 from the node");
    assert.equal(figures().passed["no-canary"], 2);
  });

  for (const which of ["reading", "hearing"] as const) {
    it(`the ${which} connection is lost: all is gone, reads in flight take the ordinary way, and a new pair comes`, async () => {
      await keeps();
      node.expect("GET", new Promise<string>(() => {}));
      const reply = get(OTHER);
      await eventually(() =>
        assert.ok(
          node.received.some(({ args }) => args.join(" ") === `GET ${OTHER}`),
          "asked",
        ),
      );
      const before = rules.reading();
      node.hangUp(rules[which]());
      assert.equal(await reply, "1 from the node");
      assert.equal(figures().entries, 0);
      assert.deepEqual(figures().passed, { lost: 1 });
      await eventually(() => assert.notEqual(rules.reading(), before));
      await eventually(() => assert.deepEqual(figures().unavailable, []));
      await keeps();
    });

    it(`the ${which} connection falls silent: nothing is served after maxStaleness, and all is gone`, async () => {
      await open(500);
      await keeps();
      const command = which === "reading" ? "EXISTS" : "PING";
      const [pair, begun] = [rules[which](), performance.now()];
      const usual = which === "reading" ? ":1\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
      node.always(command, (_, connection) =>
        connection === pair ? "hang" : connection === rules[which]() ? usual : "+PONG\r\n",
      );
      let lastHit = 0;
      await eventually(async () => {
        const { hits } = figures();
        await get();
        if (figures().hits > hits && rules[which]() === pair) lastHit = performance.now();
        assert.ok((figures().dropped.silent ?? 0) > 0, "the pair is given up");
      });
      assert.ok(lastHit - begun < 500 + 300, `a hit ${lastHit - begun} ms after the silence began`);
    });
  }

  it("a PTTL says when its key ends, and maxAge when the entry does", async () => {
    node.expect("PTTL", ":150\r\n");
    await keeps();
    await sleep(200);
    assert.equal(await get(), "1 from the node");
    assert.equal(figures().dropped.expired, 1);
  });

  it("a script may read keys that it was not given: its reply is kept for maxStaleness at most", async () => {
    await open(400);
    node.scripts.add(derived.sha);
    node.always("EVALSHA_RO", () => bulk("d"));
    const run = () => cached.run(derived, [KEY]);
    for (let time = 0; time < 10; time++) await run();
    assert.ok(figures().hits > 0, "from memory");
    const asked = node.count("EVALSHA_RO");
    await sleep(450);
    await run();
    assert.equal(node.count("EVALSHA_RO"), asked + 1);
  });

  for (const [version, answer, lives] of [
    ["8.0", array(":-2\r\n"), false],
    ["8.0 without a right", error("NOPERM User u has no permissions to run the 'hpttl' command"), false],
    ["7.2", error("ERR unknown command 'HPTTL', with args beginning with: 'k'"), true],
  ] as const) {
    it(`it reads fields, which can end unseen on Redis 8.0, on ${version}: kept for maxStaleness at most there`, async () => {
      await open(400);
      node.always("HPTTL", () => answer);
      node.always("HGET", () => bulk("f"));
      for (let time = 0; time < 5; time++) await cached.command("HGET", KEY, "f");
      assert.deepEqual([node.count("HGET"), node.count("HPTTL")], [1, 1]);
      await sleep(450);
      await cached.command("HGET", KEY, "f");
      assert.deepEqual([node.count("HGET"), node.count("HPTTL")], [lives ? 1 : 2, 1]);
    });
  }

  for (const which of ["reading", "hearing"] as const) {
    it(`the ${which} connection never answers: the call takes the ordinary way after 1.5 s`, async () => {
      const clock = new SteppedClock();
      client = await cluster.connect({ cache: { maxStaleness: 10_000 } }, clock.environment);
      cached = client.with({ cached: true });
      await keeps(OTHER);
      await clock.pass(100);
      const deaf = rules[which]();
      const hangsAt = (usual: Answer) => (_: unknown, connection: number) => (connection === deaf ? "hang" : usual);
      if (which === "reading") node.always("GET", hangsAt(bulk(value)));
      else rules.subscriptions.silent = deaf;
      let answer: string | undefined;
      void get().then((reply) => (answer = reply));
      const command = which === "reading" ? `GET ${KEY}` : `SSUBSCRIBE ${canaryOf(7)}`;
      await eventually(() =>
        assert.equal(
          node.received.some(({ args }) => args.join(" ") === command),
          true,
        ),
      );
      await clock.pass(1499);
      assert.equal(answer, undefined);
      await clock.pass(2);
      await eventually(() => assert.equal(answer, "1 from the node"));
      assert.deepEqual([figures().passed, figures().dropped.silent], [{ lost: 1 }, 1]);
    });
  }

  it("a write of the key is under way: it goes behind the write, and joins no read that went before", async () => {
    let answer!: (text: string) => void;
    node.expect("GET", new Promise<string>((resolve) => (answer = resolve)));
    const early = get();
    await eventually(() => assert.equal(node.count("GET"), 1));
    const written = client.command("SET", KEY, "2");
    value = "2";
    assert.equal(await get(), "2 from the node");
    await written;
    assert.equal(figures().passed["write-under-way"] ?? 0, 1);
    // The connection that reads still waits for the old answer, so this read waits behind it.
    const late = get();
    answer(bulk("1") as string);
    assert.equal(await early, "1 from the node");
    assert.equal(await late, "2 from the node");
    assert.equal(figures().shared, 0);
  });

  it("a write of the key is called behind it, before it is written: it goes in front of the write", async () => {
    // Its slot has no canary yet.
    const replicas = client.with({ cached: true, readFrom: "replica" });
    const key = keyForSlot(9);
    const reads = [cached.command("GET", key), replicas.command("GET", key)];
    const written = client.command("SET", key, "2");
    assert.deepEqual(await Promise.all(reads), ["1", "1"]);
    await written;
    const [first, second, third, ...more] = node.received.filter(({ args }) => /^(GET|SET)$/.test(args[0] ?? ""));
    assert.deepEqual([first?.args[0], second?.args[0], third?.args[0], more], ["GET", "GET", "SET", []]);
    assert.equal(first?.connection, third?.connection);
    assert.deepEqual([figures().entries, figures().passed], [0, { "write-under-way": 2 }]);
  });

  it("the node loses its script again and again: one call goes ahead once, then each for itself", async () => {
    node.scripts.add(derived.sha);
    node.always("EVALSHA_RO", (_, connection) => (connection === rules.reading() ? noScript : bulk("d")));
    const replies = await Promise.all(Array.from({ length: 5 }, () => cached.run(derived, [KEY])));
    assert.deepEqual(replies, ["d", "d", "d", "d", "d"]);
    // Two by the cache, and each once by itself.
    assert.deepEqual([node.count("EVALSHA_RO"), figures().passed], [7, { refused: 5 }]);
  });

  it("its caller has given up when it is refused: another that asked the same is decided upon", async () => {
    let answer!: (text: string) => void;
    node.expect("GET", new Promise<string>((resolve) => (answer = resolve)));
    const hasty = cached.with({ timeout: 50 }).command("GET", KEY);
    const patient = get();
    await assert.rejects(hasty, { code: "DEADLINE" });
    answer(error("TRYAGAIN Multiple keys request during rehashing of slot") as string);
    assert.equal(await patient, "1 from the node");
    assert.deepEqual(client.metrics().counters.decisions, { tryagain: 1 });
  });

  it("its node has as many calls as it may: it counts as one of them, and one more is refused", async () => {
    client = await cluster.connect({ cache: {}, maxPendingPerNode: 3 });
    cached = client.with({ cached: true });
    let answer!: (text: string) => void;
    const late = new Promise<string>((resolve) => (answer = resolve));
    node.always("GET", () => late);
    const asked = [cached.command("GET", KEY), cached.command("GET", KEY), client.command("GET", OTHER)];
    await assert.rejects(cached.command("GET", OTHER), { code: "QUEUE_FULL", outcome: "not-executed" });
    const pending = () => client.metrics().nodes.reduce((sum, each) => sum + each.pending, 0);
    assert.deepEqual([pending(), figures().passed], [3, { full: 1 }]);
    answer(bulk("1") as string);
    assert.deepEqual(await Promise.all(asked), ["1", "1", "1"]);
    assert.equal(pending(), 0);
    assert.equal(await get(OTHER), "1 from the node");
  });

  it("a caller gives up: others that asked the same are answered", async () => {
    let answer!: (text: string) => void;
    node.expect("GET", new Promise<string>((resolve) => (answer = resolve)));
    const hasty = cached.with({ timeout: 50 }).command("GET", KEY);
    const patient = get();
    await assert.rejects(hasty, { code: "DEADLINE" });
    const signal = AbortSignal.timeout(20);
    await assert.rejects(cached.with({ signal }).command("GET", KEY), { code: "ABORTED" });
    answer(bulk("1") as string);
    assert.equal(await patient, "1 from the node");
    assert.deepEqual([figures().misses, figures().shared], [1, 2]);
    assert.equal(await get(), "1 from memory");
  });

  it("its node owns no slots any more: it is asked nothing, also when it comes back", async () => {
    const left = cluster.node(1);
    cluster.ranges = [[0, 16383, 0]];
    await client.refreshTopology();
    for (const connection of [1, 2, 3, 4, 5]) left.hangUp(connection);
    await keeps();
    await sleep(500);
    assert.deepEqual([left.openConnections <= 1, figures().unavailable], [true, []]);
    assert.equal(left.count("CLIENT TRACKING"), 1);
  });

  it("the client ends: the calls end as all calls do, and no timer is left", async () => {
    const { environment, timers } = watchedTimers();
    // The other node's pair waits for its next try.
    cluster.node(1).always("CLIENT TRACKING", () => error("NOPERM no"));
    client = await cluster.connect({ cache: {} }, environment);
    cached = client.with({ cached: true });
    await get();
    node.always("GET", () => "hang");
    const asked = [cached.command("GET", OTHER), cached.command("GET", OTHER)];
    await eventually(() => assert.equal(node.count("GET"), 2));
    // These wait for a canary.
    asked.push(cached.command("GET", keyForSlot(9)), cached.command("GET", keyForSlot(9)));
    client.destroy();
    for (const call of asked) await assert.rejects(call, { code: "CLOSED" });
    assert.equal(timers.size, 0);
  });

  it("many end at once: none is answered any more, they are cleared away later, and a client that ends waits for none", async () => {
    const { environment, timers } = watchedTimers();
    client = await cluster.connect({ cache: { maxStaleness: 10_000 } }, environment);
    cached = client.with({ cached: true });
    const keys = Array.from({ length: 50 }, (_, index) => `{${KEY}}${index + 10}`);
    const fill = () => Promise.all(keys.map((key) => cached.command("GET", key)));
    /** Calls `then` when the cache tells that everything was flushed. */
    const onFlushed = <T>(then: (count: number) => T) =>
      new Promise<T>((resolve) => {
        const listener = (message: unknown) => {
          const { reason, count } = message as CacheMessage;
          if (reason !== "flushed") return;
          unsubscribe("slotwire:cache", listener);
          resolve(then(count));
        };
        subscribe("slotwire:cache", listener);
        rules.invalidate(null);
      });
    await fill();
    const { bytes } = figures();
    const then = await onFlushed((count) => ({ count, ...figures() }));
    assert.deepEqual([then.count, then.entries, then.bytes, then.dropped], [50, 0, bytes, { flushed: 50 }]);
    assert.equal(await get(keys[0]), "1 from the node");
    await eventually(() => assert.equal(figures().bytes, bytes / 50));
    await fill();
    await onFlushed(() => client.destroy());
    await new Promise(setImmediate);
    assert.deepEqual([timers.size, figures().bytes], [0, 0]);
  });

  it("the credentials are renewed: no hit is lost, a new pair reads, and the old one hears to its end", async () => {
    client = await cluster.connect({ cache: { maxStaleness: 400 }, password: "p" });
    cached = client.with({ cached: true });
    await keeps();
    await keeps(OTHER);
    const [oldReading, oldHearing] = [rules.reading(), rules.hearing()];
    const readers = () => new Set([oldReading, rules.reading()]);
    await client.reauthenticate();
    await eventually(() => assert.equal(readers().size, 2));
    assert.equal(await get(), "1 from memory");
    // The old pair goes on saying that what it has read is current, and hears of changes.
    await sleep(600);
    assert.deepEqual([await get(), await get(OTHER)], ["1 from memory", "1 from memory"]);
    const change = (key: string) =>
      node.say(oldHearing, array(bulk("message"), bulk("__redis__:invalidate"), array(bulk(key) as string)));
    change(KEY);
    await eventually(async () => assert.equal(figures().invalidated, 1));
    assert.equal(await get(), "1 from the node");
    const by = node.received.findLast(({ args }) => args[0] === "GET")?.connection;
    assert.equal(by, rules.reading());
    // Nothing is left of what it has read: it ends.
    const open = node.openConnections;
    change(OTHER);
    await eventually(() => assert.equal(node.openConnections, open - 2));
    assert.deepEqual([figures().unavailable, figures().passed], [[], {}]);
    // The next pair takes the place of this one, which is gone before: all goes on.
    await client.reauthenticate();
    node.hangUp(rules.reading());
    await eventually(async () => assert.deepEqual(figures().unavailable, []));
    await eventually(async () => assert.equal(await get(), "1 from memory"));
  });

  it("its view is asked for wrongly: that is refused, and what is accepted is said", () => {
    const refused: [object, string][] = [
      [{ cached: "yes" }, "with: cached is of type string; accepted are true and false."],
      [{ cached: null }, "with: cached is null; accepted are true and false."],
      [
        { cache: true },
        'with: there is no option "cache"; accepted are timeout, signal, replies, readFrom, hedge, cached.',
      ],
    ];
    for (const [options, message] of refused) {
      assert.throws(() => client.with(options), { code: "INVALID_ARGUMENT", message });
    }
  });

  it("nothing is kept: nothing is sent", async () => {
    await open(200);
    node.always("PTTL", () => ":100\r\n");
    await get();
    await eventually(() => assert.equal(figures().entries, 0));
    await sleep(100);
    const { length } = node.received;
    await sleep(300);
    assert.equal(node.received.length, length);
  });

  it("a primary is silent: connect waits for it once, and not once more for the cache", async () => {
    cluster.node(1).silentAt.add("CLUSTER MYID");
    client = await cluster.connect({ cache: {}, connectTimeout: 400 });
    const address = cluster.node(1).address;
    assert.deepEqual(figures().unavailable, [{ address, reason: "its connections are being opened" }]);
  });

  it("there are many primaries: connections begin sixteen at a time", async () => {
    const crowd = await FakeCluster.start(40);
    try {
      crowd.nodes.map(takeTracking);
      let begun = 0;
      let most = 0;
      const counting: Environment = {
        ...nodeEnvironment,
        open: (endpoint, handlers) => {
          if (begun === 0) setImmediate(() => (begun = 0));
          most = Math.max(most, ++begun);
          return nodeEnvironment.open(endpoint, handlers);
        },
      };
      await crowd.connect({ cache: {} }, counting);
      assert.equal(most <= 32, true, `${most} in one turn`);
    } finally {
      await crowd.stop();
    }
  });

  it("keys are long: what was asked for is not remembered word by word", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    client = await cluster.connect({ cache: { maxBytes: 1 } });
    cached = client.with({ cached: true });
    const ask = async (from: number) => {
      for (let index = from; index < from + 60; index++) {
        await cached.command("GET", `{${KEY}}${"k".repeat(100_000)}${index}`);
      }
      node.received.length = 0;
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = await ask(0);
    const after = await ask(60);
    assert.equal(after - before < 3_000_000, true, `${after - before} bytes for 60 keys of 100,000 bytes`);
  });

  const RIGHTS: Record<string, { refuse(): void; says: RegExp }> = {
    "SUBSCRIBE is refused": {
      refuse: () =>
        (rules.subscriptions.refuse = (command) =>
          command === "SUBSCRIBE" ? "NOPERM No permissions to access a channel" : undefined),
      says: /^SUBSCRIBE __redis__:invalidate: NOPERM/,
    },
    "SSUBSCRIBE is unknown, as before 7.0": {
      refuse: () =>
        (rules.subscriptions.refuse = (command) =>
          command === "SSUBSCRIBE" ? "ERR unknown command 'SSUBSCRIBE'" : undefined),
      says: /^SSUBSCRIBE: ERR unknown command/,
    },
    "CLIENT TRACKING is refused": {
      refuse: () =>
        node.always("CLIENT TRACKING", () =>
          error("NOPERM this user has no permissions to run the 'client|tracking' command"),
        ),
      says: /^CLIENT TRACKING: NOPERM/,
    },
  };
  for (const [name, { refuse, says }] of Object.entries(RIGHTS)) {
    it(`${name}: nothing is kept, calls work, and the metrics say why`, async () => {
      refuse();
      client = await cluster.connect({ cache: {} });
      cached = client.with({ cached: true });
      assert.equal(await get(), "1 from the node");
      assert.equal(await get(), "1 from the node");
      const { passed, unavailable } = figures();
      assert.deepEqual(passed, { "not-ready": 2 });
      assert.equal(unavailable.length, 1);
      assert.equal(unavailable[0]?.address, node.address);
      assert.match(unavailable[0]?.reason ?? "", says);
    });
  }
});
