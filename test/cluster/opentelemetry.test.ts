import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  type Histogram,
  type HistogramMetricData,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { type Cluster, connect, defineScript, type Gap, type Message, slotOf } from "../../src/index.ts";
import { instrument } from "../../src/telemetry/opentelemetry/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { incrScript, setScript } from "../support/scripts.ts";
import { startSingle } from "../support/single-server.ts";

describe("OpenTelemetry", () => {
  const spans = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  const measurements = new InMemoryMetricExporter(AggregationTemporality.DELTA);
  const reader = new PeriodicExportingMetricReader({ exporter: measurements, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const tracer = tracerProvider.getTracer("test");
  let cluster: LocalCluster;
  let client: Cluster;
  let uninstall: () => void;
  before(async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript, setScript] });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
    await meterProvider.shutdown();
    context.disable();
  });
  beforeEach(() => {
    uninstall = instrument({ tracerProvider, meterProvider });
  });
  afterEach(async () => {
    uninstall();
    await meterProvider.forceFlush();
    spans.reset();
    measurements.reset();
  });

  /** The spans that ended since the last test, and nothing else. */
  function finished<const N extends number>(count: N): ReadableSpan[] {
    const all = spans.getFinishedSpans();
    assert.deepEqual(all.length, count, all.map(({ name }) => name).join(", "));
    return all;
  }

  async function allMeasured(): Promise<MetricData[]> {
    await meterProvider.forceFlush();
    return measurements.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
  }

  async function measured(): Promise<HistogramMetricData> {
    const found = (await allMeasured()).filter(({ descriptor }) => descriptor.name === "db.client.operation.duration");
    assert.equal(found.length, 1);
    return found[0] as HistogramMetricData;
  }

  const peerOf = (key: string) => {
    const owner = client.topology.primaryOf(slotOf(key));
    return { "network.peer.address": owner?.host, "network.peer.port": owner?.port };
  };
  /** The first of the seeds, whatever node is asked. */
  const server = () => ({
    "db.system.name": "redis",
    "db.namespace": "0",
    "server.address": "127.0.0.1",
    "server.port": Number(cluster.nodes[0]?.split(":").at(-1)),
  });
  /** A key whose slot belongs to another node than that of `key`. */
  const keyElsewhere = (key: string) => {
    const ownerOf = (each: string) => client.topology.primaryOf(slotOf(each));
    for (let index = 0; ; index++) if (ownerOf(`e:${index}`) !== ownerOf(key)) return `e:${index}`;
  };

  it("gets a span of a script's call, by the semantic conventions, in the trace of the caller", async () => {
    await tracer.startActiveSpan("request", async (request) => {
      await client.run(incrScript, ["o:1"]);
      // What comes behind is in the caller's span again.
      assert.equal(trace.getActiveSpan(), request);
      request.end();
    });
    const [span, request] = finished(2);
    assert.equal(span?.name, "EVALSHA incr");
    assert.equal(span?.kind, SpanKind.CLIENT);
    assert.equal(span?.parentSpanContext?.spanId, request?.spanContext().spanId);
    assert.equal(span?.status.code, SpanStatusCode.UNSET);
    assert.deepEqual(span?.attributes, {
      ...server(),
      ...peerOf("o:1"),
      "db.operation.name": "EVALSHA",
      "db.stored_procedure.name": "incr",
      "slotwire.slot": slotOf("o:1"),
      "slotwire.attempts": 1,
    });
    assert.deepEqual(span?.events, []);
  });

  it("gets the duration in seconds, with the buckets that the conventions advise", async () => {
    const before = performance.now();
    await client.run(incrScript, ["o:1"]);
    const atMost = (performance.now() - before) / 1000;
    const { descriptor, dataPoints } = await measured();
    assert.equal(descriptor.unit, "s");
    const [point] = dataPoints;
    assert.deepEqual(point?.attributes, {
      ...server(),
      ...peerOf("o:1"),
      "db.operation.name": "EVALSHA",
      "db.stored_procedure.name": "incr",
    });
    assert.deepEqual(point?.value.buckets.boundaries, [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]);
    assert.equal(point?.value.count, 1);
    assert.ok((point?.value.sum as number) > 0 && (point?.value.sum as number) <= atMost, `${point?.value.sum} s`);
  });

  it("gets each hop as an event: a missing script, a slot that moved", async () => {
    await cluster.flushScripts();
    await client.run(setScript, ["o:2"], ["v"]);
    await client.preload(setScript);
    const from = client.topology.primaryOf(slotOf("o:2"));
    const to = cluster.nodes.find((address) => address !== from?.address) as string;
    await cluster.moveSlots({ slots: [slotOf("o:2")], to });
    await client.run(setScript, ["o:2"], ["v"]);
    const [missing, moved] = finished(2);
    const hops = [missing, moved].map((span) =>
      span?.events.map(({ name, attributes }) => [
        name,
        attributes?.["slotwire.redirection.kind"],
        attributes?.["slotwire.redirection.to"],
      ]),
    );
    assert.deepEqual(hops, [
      [["slotwire.redirection", "NOSCRIPT", undefined]],
      [["slotwire.redirection", "MOVED", to]],
    ]);
    assert.equal(moved?.events[0]?.attributes?.["network.peer.port"], from?.port);
    assert.equal(moved?.attributes["slotwire.attempts"], 2);
    assert.equal(moved?.attributes["network.peer.port"], Number(to.split(":").at(-1)));
  });

  it("gets the first word of an error, and nothing that the server quotes", async () => {
    const failing = defineScript({
      name: "failing",
      source: "return redis.error_reply('STOCK s3cret is gone')",
      numberOfKeys: 1,
    });
    await client.run(failing, ["o:3"]).catch(() => {});
    await client.command("INCR", "o:3", "s3cret").catch(() => {});
    await client
      .with({ timeout: 1 })
      .run(defineScript({ name: "slow", source: "local i = 0 while i < 3e6 do i = i + 1 end", numberOfKeys: 1 }), [
        "o:3",
      ])
      .catch(() => {});
    const told = finished(3).map(({ status, attributes }) => [
      status.code,
      attributes["db.response.status_code"],
      attributes["error.type"],
    ]);
    assert.deepEqual(told, [
      [SpanStatusCode.ERROR, "STOCK", "STOCK"],
      [SpanStatusCode.ERROR, "ERR", "ERR"],
      [SpanStatusCode.ERROR, undefined, "DEADLINE"],
    ]);
    const { dataPoints } = await measured();
    assert.deepEqual(
      dataPoints.map(({ attributes }) => attributes["error.type"]),
      ["STOCK", "ERR", "DEADLINE"],
    );
    const all = JSON.stringify([
      spans.getFinishedSpans().map(({ name, status, attributes, events }) => [name, status, attributes, events]),
      dataPoints,
    ]);
    assert.doesNotMatch(all, /s3cret/);
  });

  it("gets one span and one measurement of a batch, and of a transaction", async () => {
    await client.batch([incrScript.call(["o:4"]), incrScript.call(["o:5"])]);
    await client.batch().run(incrScript, ["o:4"]).command("GET", "o:5").command("INCR", "o:4", "no").exec();
    await client.batch().command("GET", "o:5").exec();
    await client.transaction("o:4").command("INCR", "o:4").command("INCR", "o:4").exec();
    const told = finished(4).map(({ name, attributes }) => [
      name,
      attributes["db.operation.name"],
      attributes["db.stored_procedure.name"],
      attributes["db.operation.batch.size"],
      attributes["slotwire.batch.failed"],
    ]);
    assert.deepEqual(told, [
      ["PIPELINE EVALSHA incr", "PIPELINE EVALSHA", "incr", 2, undefined],
      ["PIPELINE", "PIPELINE", undefined, 3, 1],
      ["GET", "GET", undefined, undefined, undefined],
      ["MULTI INCR", "MULTI INCR", undefined, 2, undefined],
    ]);
    const { dataPoints } = await measured();
    assert.deepEqual(
      dataPoints.map(({ value }) => value.count),
      [1, 1, 1, 1],
    );
  });

  it("gets the scope with the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    await client.command("GET", "o:1");
    await meterProvider.forceFlush();
    const [span] = finished(1);
    const scopes = measurements.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.map(({ scope }) => scope));
    for (const { name, version: told } of [span?.instrumentationScope ?? { name: "" }, ...scopes]) {
      assert.deepEqual([name, told], ["slotwire", version]);
    }
    assert.equal(scopes.length, 1);
  });

  it("gets the slot of a batch that has one, and the node that was asked last", async () => {
    const far = keyElsewhere("{o}:1");
    await client.batch().command("GET", "{o}:1").command("GET", "{o}:2").exec();
    await client.batch().command("GET", "{o}:1").command("GET", far).exec();
    await client.transaction("{o}:1").command("GET", "{o}:1").command("GET", "{o}:2").exec();
    const [one, two, transaction] = finished(3).map(({ attributes }) => ({
      slot: attributes["slotwire.slot"],
      "network.peer.address": attributes["network.peer.address"],
      "network.peer.port": attributes["network.peer.port"],
    }));
    const told = { slot: slotOf("{o}:1"), ...peerOf("{o}:1") };
    assert.deepEqual(one, told);
    assert.deepEqual(transaction, told);
    assert.equal(two?.slot, undefined);
    const peers = ["{o}:1", far].map((key) => peerOf(key)["network.peer.port"]);
    assert.ok(peers.includes(two?.["network.peer.port"] as number), `${two?.["network.peer.port"]}`);
    const { dataPoints } = await measured();
    assert.ok(dataPoints.every(({ attributes }) => typeof attributes["network.peer.port"] === "number"));
  });

  it("gets a span of each command on the connection of a watching transaction", async () => {
    await tracer.startActiveSpan("request", async (request) => {
      await client.transaction("{o}:1", { watch: ["{o}:1"] }, async (tx) => {
        await tx.command("GET", "{o}:1");
        await tx.run(incrScript, ["{o}:2"]);
        await tx.command("INCR", "{o}:2", "no").catch(() => {});
        return tx.multi().command("GET", "{o}:1").command("GET", "{o}:2");
      });
      request.end();
    });
    const all = finished(6);
    const request = all.at(-1)?.spanContext().spanId;
    assert.deepEqual(
      all.slice(0, -1).map(({ name, status, parentSpanContext }) => [name, status.code, parentSpanContext?.spanId]),
      [
        ["WATCH", SpanStatusCode.UNSET, request],
        ["GET", SpanStatusCode.UNSET, request],
        ["EVALSHA incr", SpanStatusCode.UNSET, request],
        ["INCR", SpanStatusCode.ERROR, request],
        ["MULTI GET", SpanStatusCode.UNSET, request],
      ],
    );
    for (const { name, attributes } of all.slice(0, -1)) {
      const { "network.peer.port": port, "slotwire.slot": slot } = attributes;
      assert.deepEqual([port, slot], [peerOf("{o}:1")["network.peer.port"], slotOf("{o}:1")], name);
    }
  });

  it("gets a scan as one span, its steps below it, and the durations of the steps", async () => {
    await Promise.all(Array.from({ length: 60 }, (_, index) => client.command("SET", `s:${index}`, "v")));
    await meterProvider.forceFlush();
    measurements.reset();
    spans.reset();
    await tracer.startActiveSpan("request", async (request) => {
      let keys = 0;
      for await (const _ of client.scan({ match: "s:*", count: 10 })) keys++;
      assert.ok(keys >= 60, `${keys} keys`);
      request.end();
    });
    const all = spans.getFinishedSpans();
    const [scan, request] = all.slice(-2);
    assert.deepEqual([scan?.name, request?.name], ["SCAN", "request"]);
    assert.equal(scan?.parentSpanContext?.spanId, request?.spanContext().spanId);
    const steps = all.slice(0, -2);
    assert.ok(steps.filter(({ name }) => name === "SCAN").length >= 3, "at least one step for each node");
    assert.deepEqual([...new Set(steps.map(({ name }) => name))].sort(), ["CLUSTER", "INFO", "SCAN"]);
    for (const step of steps) {
      assert.equal(step.parentSpanContext?.spanId, scan?.spanContext().spanId, step.name);
      assert.equal(step.spanContext().traceId, scan?.spanContext().traceId);
    }
    assert.equal(typeof scan?.attributes["network.peer.port"], "number");
    const counts = (await measured()).dataPoints.map(({ value }) => value.count);
    assert.equal(
      counts.reduce((a, b) => a + b, 0),
      steps.length,
    );
  });

  it("gets the end of a scan that is left early, and the error of one that fails", async () => {
    for await (const _ of client.scan({ count: 1 })) break;
    const left = spans.getFinishedSpans().at(-1);
    assert.deepEqual([left?.name, left?.status.code], ["SCAN", SpanStatusCode.UNSET]);
    spans.reset();
    const signal = AbortSignal.abort();
    await assert.rejects(client.with({ signal }).scan().next());
    const [failed] = finished(1);
    assert.deepEqual([failed?.name, failed?.attributes["error.type"]], ["SCAN", "ABORTED"]);
  });

  it("gets a WAIT as a WAIT", async () => {
    await tracer.startActiveSpan("request", async (request) => {
      assert.equal(await client.command("WAIT", 1, 60), 0);
      request.end();
    });
    await client.command("WAIT", "no").catch(() => {});
    const [wait, request] = spans.getFinishedSpans();
    assert.equal(wait?.name, "WAIT");
    assert.equal(wait?.parentSpanContext?.spanId, request?.spanContext().spanId);
    assert.equal(typeof wait?.attributes["network.peer.port"], "number");
    const { dataPoints } = await measured();
    const told = dataPoints.map(({ attributes, value }) => [
      attributes["db.operation.name"],
      attributes["error.type"],
      value.count,
    ]);
    assert.deepEqual(told, [
      ["WAIT", undefined, 1],
      ["WAIT", "INVALID_ARGUMENT", 1],
    ]);
    assert.ok((dataPoints[0]?.value.sum as number) >= 0.055, `${dataPoints[0]?.value.sum} s`);
    finished(3);
  });

  it("gets the database and the socket file of a single server", async () => {
    const folder = mkdtempSync(join(tmpdir(), "slotwire-telemetry-"));
    const path = join(folder, "server.sock");
    const server = await startSingle("--unixsocket", path);
    try {
      const single = await connect({ nodes: [{ path }], database: 3 });
      await single.command("GET", "k");
      single.destroy();
      const [span] = finished(1);
      assert.deepEqual(span?.attributes, {
        "db.system.name": "redis",
        "db.namespace": "3",
        "server.address": path,
        "db.operation.name": "GET",
        "network.transport": "unix",
        "network.peer.address": path,
        "slotwire.slot": slotOf("k"),
        "slotwire.attempts": 1,
      });
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true });
    }
  });

  it("gets messages by the semantic conventions for messaging, and gaps by their reasons, without names", async () => {
    const [node = ""] = cluster.nodes;
    const gaps: Gap[] = [];
    const heard: string[] = [];
    const hear = ({ payload }: Message) => heard.push(payload);
    const onGap = (gap: Gap) => gaps.push(gap);
    const subscriptions = [
      await client.subscribe(["s3cret:1", "s3cret:2"], hear, { onGap }),
      await client.subscribe("s3cret:1", hear),
      await client.psubscribe("s3cret:*", hear, { onGap }),
    ];
    for (const channel of ["s3cret:1", "s3cret:2", "s3cret:3"])
      await cluster.command(node, "PUBLISH", channel, "s3cret");
    await eventually(() => assert.equal(heard.length, 6));
    const channels = await Promise.all(cluster.nodes.map((each) => cluster.command(each, "PUBSUB", "CHANNELS")));
    const home = cluster.nodes[channels.findIndex((names) => (names as string[]).length > 0)] as string;
    await cluster.command(home, "CLIENT", "KILL", "TYPE", "pubsub");
    await eventually(() => assert.deepEqual([gaps.length, gaps.at(-1)?.to === null], [4, false]));
    for (const each of subscriptions) await each.close();
    finished(0);
    const found = (await allMeasured()).filter(({ descriptor: { name } }) => !name.startsWith("db."));
    const { "db.system.name": _, "db.namespace": __, ...address } = server();
    const told = found.map(({ descriptor: { name, unit }, dataPoints }) => ({
      ...{ name, unit },
      points: dataPoints.map(({ attributes, value }) => ({ attributes, count: countIn(value) })),
    }));
    const messaging = { "messaging.system": "redis", ...address };
    const gap = { attributes: { ...messaging, "slotwire.gap.reason": "connection-lost" }, count: 3 };
    assert.deepEqual(told, [
      {
        ...{ name: "messaging.client.consumed.messages", unit: "{message}" },
        points: [
          { attributes: { ...messaging, "messaging.operation.name": "message" }, count: 2 },
          { attributes: { ...messaging, "messaging.operation.name": "pmessage" }, count: 3 },
        ],
      },
      { name: "slotwire.subscription.gaps", unit: "{gap}", points: [gap] },
      { name: "slotwire.subscription.gap.duration", unit: "s", points: [gap] },
    ]);
    const [duration] = (found.at(-1) as HistogramMetricData).dataPoints;
    const lengths = gaps.flatMap(({ from, to }) => (to === null ? [] : [(to - from) / 1000]));
    assert.deepEqual([duration?.value.min, duration?.value.max], [Math.min(...lengths), Math.max(...lengths)]);
    assert.doesNotMatch(JSON.stringify(found), /s3cret/);
  });

  it("gets nothing any more once it was undone", async () => {
    uninstall();
    await client.run(incrScript, ["o:1"]);
    const { messages } = client.metrics().counters;
    await client.subscribe("o:1", () => {});
    await cluster.command(cluster.nodes[0] as string, "PUBLISH", "o:1", "");
    await eventually(() => assert.equal(client.metrics().counters.messages, messages + 1));
    finished(0);
    const figures = (await allMeasured()).filter(({ dataPoints }) => dataPoints.length > 0);
    assert.deepEqual(figures, []);
  });
});

/** What a counter has counted, or how often a histogram has recorded. */
function countIn(value: MetricData["dataPoints"][number]["value"]): number {
  return typeof value === "number" ? value : (value as Histogram).count;
}
