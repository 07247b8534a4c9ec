import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { canaryOf } from "../../src/cache/canary.ts";
import { type CacheMessage, type CacheMetrics, type Cluster, defineScript } from "../../src/index.ts";
import { instrument } from "../../src/telemetry/opentelemetry/index.ts";
import { Ear } from "../support/channels.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk, error, type FakeNode } from "../support/fake-node.ts";
import { type TrackingRules, takeTracking } from "../support/fake-tracking.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

/** In slots of the first node. */
const [KEY, OTHER] = [keyForSlot(7), keyForSlot(8)];
const derived = defineScript({
  name: "derived",
  source: "return redis.call('GET', KEYS[1] .. 'x')",
  numberOfKeys: 1,
  readOnly: true,
});

describe("a cache", () => {
  const measurements = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: measurements, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  let cluster: FakeCluster;
  let node: FakeNode;
  let rules: TrackingRules;
  let client: Cluster;
  let cached: Cluster;
  let ear: Ear;
  let uninstall: () => void;
  before(() => {
    uninstall = instrument({ meterProvider });
  });
  after(() => {
    uninstall();
    return meterProvider.shutdown();
  });
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    [rules] = cluster.nodes.map(takeTracking) as [TrackingRules];
    node = cluster.node(0);
    node.always("GET", () => bulk("v"));
    ear = new Ear();
  });
  afterEach(async () => {
    ear.stop();
    await cluster.stop();
  });
  const open = async (cache = {}) => {
    client = await cluster.connect({ cache: { maxStaleness: 10_000, ...cache }, scripts: [derived] });
    cached = client.with({ cached: true });
  };
  const figures = () => client.metrics().cache as CacheMetrics;
  const get = (...keys: string[]) => Promise.all(keys.map((key) => cached.command("GET", key)));
  /** What was told of the cache since the last look. */
  const told = () =>
    ear
      .take()
      .filter(({ on }) => on === "cache")
      .map(({ message }) => message as unknown as CacheMessage)
      .map(({ event, address, reason, count }) => {
        const where = address === node.address ? "" : ` at ${address}`;
        return `${event}${reason === undefined ? "" : ` ${reason}`}${count === 0 ? "" : ` ${count}`}${where}`;
      });

  it("tells nothing of a hit, and of a miss what it tells of every call", async () => {
    await open();
    assert.deepEqual(told().sort(), ["ready", `ready at ${cluster.node(1).address}`]);
    await get(KEY);
    const names = ["command:start", "command:end", "attempt", "written", "wait", "answer"];
    assert.deepEqual(ear.names, [...names, "command:asyncStart", "command:asyncEnd"]);
    ear.take();
    await get(KEY);
    assert.deepEqual([ear.names, figures().hits], [[], 1]);
  });

  it("tells what ends, why and how much, as its figures count it", async () => {
    // Room for two entries, and not for three.
    await open({ maxBytes: 1300 });
    node.scripts.add(derived.sha);
    node.always("EVALSHA_RO", () => bulk("d"));
    const rows: [cause: () => unknown, told: string[]][] = [
      [() => rules.invalidate([KEY]), ["dropped invalidated 1"]],
      [() => client.command("SET", KEY, 1), ["dropped own-write 1"]],
      [() => rules.invalidate(null), ["dropped flushed 2"]],
      [() => rules.subscriptions.sunsubscribe(canaryOf(7)), ["dropped slot-left 1"]],
      [() => get(keyForSlot(9)), ["dropped evicted 1"]],
      [() => node.hangUp(rules.hearing()), ["unavailable connection-lost", "dropped connection-lost 2", "ready"]],
      [
        async () => {
          await cached.run(derived, [OTHER]);
          rules.invalidate([`${OTHER}x`]);
        },
        ["dropped evicted 1", "dropped derived-key 1"],
      ],
    ];
    const all: string[] = [];
    for (const [cause, expected] of rows) {
      await get(KEY, OTHER);
      all.push(...told());
      const heard: string[] = [];
      await cause();
      await eventually(() => {
        heard.push(...told());
        assert.deepEqual(heard, expected);
      });
      all.push(...heard);
      await Promise.all([KEY, OTHER, keyForSlot(9)].map((key) => client.command("DEL", key)));
      all.push(...told());
      const sums: Record<string, number> = {};
      for (const text of all) {
        const [event, reason = "", count = 0] = text.split(" ");
        if (event === "dropped") sums[reason] = (sums[reason] ?? 0) + Number(count);
      }
      const { invalidated, evicted, dropped } = figures();
      assert.deepEqual(sums, { invalidated, ...(evicted > 0 && { evicted }), ...dropped });
    }
    assert.deepEqual([figures().entries, figures().evicted], [0, 2]);
    await get(KEY);
    ear.take();
    const before = figures();
    client.destroy();
    const last = ear.all("cache").at(-1) as unknown as CacheMessage;
    assert.deepEqual(told(), ["dropped closed 1", "closed at undefined"]);
    assert.deepEqual([last.figures?.misses, last.figures?.dropped.closed], [before.misses, 1]);
  });

  it("tells why nothing is kept, in its own words, and once", async () => {
    node.always("CLIENT TRACKING", () => error("NOPERM User secret has no permissions to run 'client|tracking'"));
    await open();
    assert.deepEqual(
      told().filter((text) => !text.includes(" at ")),
      ["unavailable not-allowed"],
    );
    await get(KEY);
    assert.deepEqual(figures().passed, { "not-ready": 1 });
    assert.match(figures().unavailable[0]?.reason ?? "", /NOPERM User secret/);
  });

  it("is measured by OpenTelemetry: hits, misses, ends and passes by reason, of all clients, closed ones too", async () => {
    const points = async () => {
      await meterProvider.forceFlush();
      const all = measurements.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((each) => each.metrics));
      measurements.reset();
      const { port } = new URL(`redis://${node.address}`);
      const rows = all.flatMap(({ descriptor: { name, unit }, dataPoints }) =>
        dataPoints
          .filter(({ attributes }) => /cache|csc/.test(name) && attributes["server.port"] === Number(port))
          .map(({ attributes, value }) => {
            const known = ["db.system.name", "db.namespace", "server.address", "server.port"];
            const more = Object.entries(attributes).flatMap(([key, word]) => (known.includes(key) ? [] : [word]));
            return [[name.replace(/^(redis\.client|slotwire)\./, ""), unit, ...more].join(" "), value] as const;
          }),
      );
      return Object.fromEntries(rows.filter(([, value]) => value !== 0));
    };
    await open();
    await get(KEY, KEY);
    await get(KEY, KEY, KEY, OTHER);
    await cached.command("SET", OTHER, 1);
    rules.invalidate([KEY]);
    await eventually(() => assert.equal(figures().invalidated, 1));
    await get(OTHER);
    const expected = {
      "csc.requests {request} hit": 3,
      "csc.requests {request} miss": 4,
      "csc.evictions {eviction} invalidation": 1,
      "csc.evictions {eviction} own-write": 1,
      "csc.items {item}": 1,
      "cache.size By": figures().bytes,
      "cache.shared {request}": 1,
      "cache.passed {call} not-read-only": 1,
    };
    assert.deepEqual(await points(), expected);
    const first = client;
    node.always("CLIENT TRACKING", () => error("NOPERM"));
    await open();
    await get(OTHER);
    const both = { "cache.unavailable {node}": 1, "cache.passed {call} not-ready": 1 };
    assert.deepEqual(await points(), { ...expected, ...both });
    first.destroy();
    client.destroy();
    const { "csc.items {item}": _, "cache.size By": __, ...sums } = expected;
    const closed = { "cache.passed {call} not-ready": 1, "csc.evictions {eviction} closed": 1 };
    assert.deepEqual(await points(), { ...sums, ...closed });
  });
});
