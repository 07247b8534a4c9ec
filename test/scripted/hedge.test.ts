import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { type AttemptMessage, type Cluster, defineScript, type HedgeOptions, SlotwireError } from "../../src/index.ts";
import { CHANNELS } from "../../src/telemetry/channels.ts";
import { instrument } from "../../src/telemetry/opentelemetry/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk, error, type FakeNode, noScript } from "../support/fake-node.ts";
import { takeTracking } from "../support/fake-tracking.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const KEY = keyForSlot(0);
const OTHER = keyForSlot(0, "other");
const AFTER_MS = 20;
/** So long is nothing sent that is not due: a busy machine may delay a hedge, and cannot hasten it. */
const WHILE_MS = 150;

const read = defineScript({ name: "read", source: "return 1", numberOfKeys: 1, readOnly: true });
const write = defineScript({ name: "write", source: "return 2", numberOfKeys: 1 });

const codeOf = (call: Promise<unknown>) =>
  call.then(
    (reply) => String(reply),
    (cause: unknown) => (cause instanceof SlotwireError ? `${cause.code} ${(cause as { reply?: string }).reply}` : ""),
  );

describe("a hedged read", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  let view: Cluster;
  /** The node that reads of the slot go to, the one that is asked next, and the last one. */
  let first: FakeNode;
  let second: FakeNode;
  let third: FakeNode;
  beforeEach(async () => {
    cluster = await FakeCluster.start(3);
    cluster.ranges = [[0, 16_383, 0]];
    cluster.primaryOf.set(1, 0);
    cluster.primaryOf.set(2, 0);
    for (const node of cluster.nodes) node.always("GET", ([, key]) => bulk(`${key} of ${node.id?.at(-1)}`));
    client = await cluster.connect({ readFrom: "any", scripts: [read, write], commandTimeout: 30_000 });
    view = hedged({});
    const replicas = client.topology.replicasOf(0).map(({ address }) => address);
    const at = (address: string | undefined) => cluster.nodes.find((node) => node.address === address) as FakeNode;
    [first, second, third] = [cluster.node(0), at(replicas[0]), at(replicas[1])];
    for (const { address } of client.topology.nodes) await client.node(address).command("PING");
    // The connections of replicas for reads are open.
    while ((await codeOf(client.with({ readFrom: "replica" }).command("GET", KEY))).includes("of 0")) await sleep(1);
    for (const node of cluster.nodes) node.received.length = 0;
  });
  afterEach(() => cluster.stop());

  const hedged = (more: Partial<HedgeOptions>) => client.with({ hedge: { after: AFTER_MS, budget: 1, ...more } });
  const hedges = () => client.metrics().counters.hedges;
  const asked = (command = "GET") => [first, second, third].map((node) => node.count(command));
  const of = (node: FakeNode, key = KEY) => `${key} of ${node.id?.at(-1)}`;
  /** The answers of a node to GET come when the returned function is called. */
  const hold = (node: FakeNode, answer = (key: string) => bulk(of(node, key))) => {
    let release!: () => void;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    node.always("GET", ([, key]) => released.then(() => answer(key ?? "") as string));
    return () => {
      node.always("GET", ([, key]) => bulk(of(node, key)));
      release();
    };
  };
  const until = async (isSo: () => boolean) => {
    for (const start = performance.now(); !isSo(); await sleep(1)) {
      assert.equal(performance.now() - start < 20_000, true, "within 20 s");
    }
  };

  it("is answered by the second node, and the late answer of the first one reaches nobody", async () => {
    const release = hold(first);
    assert.equal(await view.command("GET", KEY), of(second));
    assert.deepEqual(asked(), [1, 1, 0]);
    const next = client.command("GET", OTHER);
    release();
    assert.equal(await next, of(first, OTHER), "the replies of a connection stay in their places");
    assert.deepEqual(hedges(), { sent: 1, won: 1, overBudget: 0, withoutNode: 0 });
    assert.equal(client.metrics().pending, 0);
    const { calls, replies, errors } = client.metrics().counters;
    assert.deepEqual([calls - replies, errors], [0, {}], "one call, and one reply to it");
  });

  it("is answered by the first node where that is faster, and the late answer of the second one reaches nobody", async () => {
    const [releaseFirst, releaseSecond] = [hold(first), hold(second)];
    const call = view.command("GET", KEY);
    await until(() => second.count("GET") === 1);
    releaseFirst();
    assert.equal(await call, of(first));
    const next = client.node(second.address).command("ECHO", "x");
    second.always("ECHO", () => bulk("x"));
    releaseSecond();
    assert.equal(await next, "x");
    assert.deepEqual(hedges(), { sent: 1, won: 0, overBudget: 0, withoutNode: 0 });
  });

  it("that is answered in time is sent once", async () => {
    assert.equal(await view.command("GET", KEY), of(first));
    await sleep(WHILE_MS);
    assert.deepEqual(asked(), [1, 0, 0]);
    assert.deepEqual(hedges(), { sent: 0, won: 0, overBudget: 0, withoutNode: 0 });
  });

  it("waits with an error of the first node for the second one's reply", async () => {
    const release = [hold(first, () => error("WRONGTYPE x") as string), hold(second)];
    const call = codeOf(view.command("GET", KEY));
    await until(() => second.count("GET") === 1);
    release[0]?.();
    await sleep(WHILE_MS);
    release[1]?.();
    assert.equal(await call, of(second));
  });

  it("has the first node's error when both have one, and none of the second one alone", async () => {
    const release = [
      hold(first, () => error("WRONGTYPE first") as string),
      hold(second, () => error("WRONGTYPE second") as string),
    ];
    const call = codeOf(view.command("GET", KEY));
    await until(() => second.count("GET") === 1);
    release[0]?.();
    await sleep(WHILE_MS);
    release[1]?.();
    assert.equal(await call, "REPLY WRONGTYPE first");
    const again = hold(first);
    second.always("GET", () => error("WRONGTYPE second"));
    const later = codeOf(view.command("GET", KEY));
    await until(() => second.count("GET") === 2);
    await sleep(WHILE_MS);
    again();
    assert.equal(await later, of(first));
    assert.equal(client.metrics().pending, 0);
  });

  it("follows no redirection of the second node, and is sent twice at most", async () => {
    const release = hold(first);
    second.always("GET", () => error(`MOVED 0 ${third.address}`));
    const call = view.command("GET", KEY);
    await until(() => second.count("GET") === 1);
    await sleep(WHILE_MS);
    release();
    assert.equal(await call, of(first));
    assert.deepEqual(asked(), [1, 1, 0]);
    const { redirections, retries } = client.metrics().counters;
    assert.deepEqual([redirections.MOVED, retries], [0, {}]);
    assert.equal(client.topology.primaryOf(0)?.address, first.address);
  });

  it("ends by its deadline, its signal and the end of the client, also while an error waits", async () => {
    const release = [hold(first, () => error("WRONGTYPE first") as string), hold(second)];
    const abort = new AbortController();
    const calls = [
      codeOf(view.with({ timeout: 400 }).command("GET", KEY)),
      codeOf(view.with({ signal: abort.signal }).command("GET", KEY)),
      codeOf(view.command("GET", KEY)),
    ];
    await until(() => hedges().sent === 3);
    assert.equal((await calls[0])?.split(" ")[0], "DEADLINE");
    abort.abort();
    assert.equal((await calls[1])?.split(" ")[0], "ABORTED");
    release[0]?.();
    const held = codeOf(view.with({ timeout: 600 }).command("GET", KEY));
    first.always("GET", () => error("WRONGTYPE first"));
    client.destroy();
    assert.match((await calls[2]) ?? "", /^(CLOSED|REPLY WRONGTYPE first)/);
    assert.match(await held, /^(CLOSED|REPLY)/);
    release[1]?.();
  });

  it("is lost with the second node's connection, and served by the first", async () => {
    const release = hold(first);
    second.always("GET", () => "disconnect");
    const call = view.command("GET", KEY);
    await until(() => second.count("GET") >= 1);
    await sleep(WHILE_MS);
    release();
    assert.equal(await call, of(first));
    assert.equal(second.count("GET"), 1, "a hedge is not sent again");
  });

  it("runs a script only where the node holds it, and loads one that a node turns out to lack", async () => {
    for (const node of cluster.nodes) node.always("EVALSHA_RO", () => bulk(node.id?.at(-1) ?? ""));
    const fresh = defineScript({ name: "fresh", source: "return 3", numberOfKeys: 1, readOnly: true });
    let release!: () => void;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    first.always("EVALSHA_RO", () => released.then(() => bulk("0") as string));
    for (const node of [second, third]) {
      node.expect("SCRIPT LOAD", error("OOM command not allowed when used memory > 'maxmemory'."));
    }
    const absent = view.run(fresh, [KEY]);
    await until(() => hedges().withoutNode === 1);
    second.always("EVALSHA_RO", () => noScript);
    const missing = view.run(read, [KEY]);
    const isLoaded = () => second.received.some(({ args }) => args.join(" ") === `SCRIPT LOAD ${read.source}`);
    await until(() => second.count("EVALSHA_RO") === 1 && isLoaded());
    second.always("EVALSHA_RO", () => bulk("second"));
    assert.equal(await view.run(read, [KEY]), "second");
    release();
    assert.deepEqual([await absent, await missing], ["0", "0"]);
  });

  it("is never what may write, blocks, goes to one node, or is part of a batch or transaction", async () => {
    for (const node of cluster.nodes) {
      for (const command of ["GET", "SET", "EVALSHA", "BLPOP", "EXEC"]) node.always(command, () => "hang");
      node.always("MULTI", () => "+OK\r\n");
    }
    const calls = [
      view.command("SET", KEY, 1),
      view.run(write, [KEY]),
      view.command("BLPOP", KEY, 1),
      view.node(first.address).command("GET", KEY),
      view.batch().command("GET", KEY).exec(),
      view.transaction(KEY).command("GET", KEY).exec(),
      view.with({ readFrom: "primary", hedge: false }).command("GET", KEY),
      view.with({ hedge: false }).command("GET", KEY),
    ];
    await sleep(WHILE_MS);
    assert.deepEqual(hedges(), { sent: 0, won: 0, overBudget: 0, withoutNode: 0 });
    assert.deepEqual([second.received, third.received], [[], []]);
    client.destroy();
    await Promise.allSettled(calls);
  });

  it("counts among those of all views: no more than `budget` of them are sent twice", async () => {
    const release = hold(first);
    const few = hedged({ budget: 0.1 });
    await Promise.all(Array.from({ length: 50 }, () => codeOf(few.with({ timeout: WHILE_MS }).command("GET", KEY))));
    const { sent, overBudget } = hedges();
    assert.deepEqual([sent, overBudget], [5, 45]);
    release();
    await until(() => asked()[0] === 50 && asked()[1] === 5);
    assert.deepEqual(asked(), [50, 5, 0]);
    const none = hedged({ budget: 0 });
    first.always("GET", () => "hang");
    assert.match(await codeOf(none.with({ timeout: WHILE_MS }).command("GET", KEY)), /^DEADLINE/);
    assert.equal(hedges().sent, 5);
  });

  it("asks the primary where no other replica is left, and passes over a node that rests", async () => {
    const replicas = client.with({ readFrom: "replica", hedge: { after: AFTER_MS, budget: 1 } });
    const [one, other] = [second, third];
    one.always("GET", () => "hang");
    other.always("GET", () => error("LOADING Redis is loading the dataset in memory"));
    const call = replicas.with({ timeout: WHILE_MS }).command("GET", KEY);
    assert.match(await codeOf(call), /^DEADLINE/, "the other replica refused it");
    assert.equal(await replicas.command("GET", KEY), of(first), "the other replica rests, so the primary is asked");
  });

  it("is told as an attempt of its call, with the node whose answer counted", async () => {
    const attempts: AttemptMessage[] = [];
    const onAttempt = (message: unknown) => void attempts.push(message as AttemptMessage);
    subscribe(CHANNELS.attempt, onAttempt);
    try {
      const release = hold(first);
      await view.command("GET", KEY);
      release();
    } finally {
      unsubscribe(CHANNELS.attempt, onAttempt);
    }
    const told = attempts.map(({ attempt, address, hedge }) => [attempt, address, hedge]);
    assert.deepEqual(told, [
      [1, first.address, undefined],
      [2, second.address, true],
    ]);
    const [{ call }] = attempts as [AttemptMessage];
    assert.deepEqual([call.attempts, call.address, call.hedge], [2, second.address, "won"]);
  });

  it("is told to OpenTelemetry, with the node whose answer counted", async () => {
    const spans = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
    const measurements = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter: measurements, exportIntervalMillis: 3_600_000 });
    const meterProvider = new MeterProvider({ readers: [reader] });
    const uninstall = instrument({ tracerProvider, meterProvider });
    try {
      const releaseFirst = hold(first);
      await view.command("GET", KEY);
      const releaseSecond = hold(second);
      const call = view.command("GET", KEY);
      await until(() => hedges().sent === 2);
      releaseFirst();
      await call;
      releaseSecond();
      await client.command("GET", KEY);
      await meterProvider.forceFlush();
    } finally {
      uninstall();
    }
    const told = spans
      .getFinishedSpans()
      .map(({ attributes }) => [
        attributes["slotwire.hedge"],
        attributes["slotwire.attempts"],
        attributes["network.peer.port"],
      ]);
    const portOf = ({ address }: FakeNode) => Number(address.split(":")[1]);
    assert.deepEqual(told, [
      ["won", 2, portOf(second)],
      ["sent", 2, portOf(first)],
      [undefined, 1, portOf(first)],
    ]);
    const [metric] = measurements
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      .filter(({ descriptor: { name } }) => name === "slotwire.hedges");
    assert.equal(metric?.descriptor.unit, "{call}");
    const counted = metric?.dataPoints.map(({ attributes, value }) => [
      attributes["slotwire.hedge"],
      attributes["db.operation.name"],
      value,
    ]);
    assert.deepEqual(counted, [
      ["won", "GET", 1],
      ["sent", "GET", 1],
    ]);
    await meterProvider.shutdown();
  });

  it("of a view that is cached is one that passes the cache by: a read that is to be kept is asked of its primary alone", async () => {
    for (const node of cluster.nodes) takeTracking(node);
    const own = await cluster.connect({ readFrom: "any", cache: { maxStaleness: 20_000 } });
    const both = own.with({ cached: true, hedge: { after: AFTER_MS, budget: 1 } });
    const figures = () => {
      const { counters, cache } = own.metrics();
      return [counters.hedges.sent, cache?.entries, cache?.hits];
    };
    for (const { address } of own.topology.nodes) await own.node(address).command("PING");
    while ((await codeOf(own.with({ readFrom: "replica" }).command("GET", OTHER))).includes("of 0")) await sleep(1);
    for (const node of cluster.nodes) node.received.length = 0;
    const release = hold(first);
    const kept = both.command("GET", KEY);
    await until(() => first.count("GET") === 1);
    await sleep(WHILE_MS);
    assert.deepEqual(asked(), [1, 0, 0]);
    release();
    assert.deepEqual([await kept, await both.command("GET", KEY)], [of(first), of(first)]);
    assert.deepEqual(figures(), [0, 1, 1]);
    // Behind a write, no replica may answer.
    first.always("SET", () => "hang");
    const written = codeOf(own.with({ timeout: WHILE_MS * 2 }).command("SET", KEY, 1));
    const releaseAgain = hold(first);
    const behind = both.command("GET", KEY);
    await until(() => first.count("GET") === 2);
    await sleep(WHILE_MS);
    assert.deepEqual(asked(), [2, 0, 0]);
    releaseAgain();
    await written;
    first.always("SRANDMEMBER", () => "hang");
    for (const node of [second, third]) node.always("SRANDMEMBER", () => bulk("m"));
    assert.equal(await both.command("SRANDMEMBER", KEY), "m");
    assert.deepEqual(figures(), [1, 0, 1]);
    first.always("GET", () => "hang");
    first.expect("GET", error("TRYAGAIN Multiple keys request during rehashing of slot"));
    assert.equal(await both.command("GET", OTHER), of(second, OTHER), "refused where it was to be kept");
    assert.deepEqual(figures(), [2, 0, 1]);
    own.destroy();
    await codeOf(behind);
  });

  it("is refused with what is accepted where it is wrong", () => {
    const wrong: [unknown, RegExp][] = [
      [{}, /hedge lacks after/],
      [{ after: 0 }, /hedge\.after is 0; accepted is a whole number from 1 to 2147483647/],
      [{ after: "5" }, /hedge\.after is/],
      [{ after: 5, budget: 1.5 }, /hedge\.budget is 1\.5; accepted is a number from 0 to 1/],
      [{ after: 5, budget: Number.NaN }, /hedge\.budget is NaN/],
      [{ after: 5, budgets: 1 }, /hedge has no option "budgets"; accepted are after, budget/],
      [5, /hedge is .*; accepted are \{ after, budget \} and false/],
      [null, /hedge is null/],
    ];
    for (const [hedge, message] of wrong) {
      assert.throws(() => client.with({ hedge: hedge as HedgeOptions }), { code: "INVALID_ARGUMENT", message });
    }
    assert.throws(() => client.with({ readFrom: "primary", hedge: { after: 5 } }), {
      code: "INVALID_ARGUMENT",
      message: /hedge needs another node to ask, and readFrom is "primary"/,
    });
    assert.throws(() => view.with({ timeout: 5 }).with({ readFrom: "primary" }), {
      code: "INVALID_ARGUMENT",
      message: /readFrom is "primary", but the view .* has hedge.*accepted are hedge: false/,
    });
    view.with({ readFrom: "primary", hedge: false });
  });
});
