import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Counter, Gauge, type Metric, Registry } from "prom-client";
import { type Cluster, connect } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { incrScript } from "../support/scripts.ts";

// README: begin
/** Everything that `metrics()` tells, read when Prometheus asks. */
export function exposeMetrics(cluster: Cluster, registry: Registry): void {
  const registers = [registry];
  const counter = (name: string, help: string, read: () => number | Readonly<Record<string, number>>, label?: string) =>
    new Counter({
      ...{ name: `slotwire_${name}_total`, help, registers, labelNames: label === undefined ? [] : [label] },
      collect() {
        this.reset();
        const value = read();
        if (typeof value === "number") this.inc(value);
        else for (const [key, count] of Object.entries(value)) this.inc({ [label as string]: key }, count);
      },
    });
  const counters = () => cluster.metrics().counters;
  counter("calls", "Calls made", () => counters().calls);
  counter("errors", "Calls rejected, by code", () => counters().errors as Record<string, number>, "code");
  counter("retries", "Attempts followed by another, by answer", () => counters().retries, "answer");
  counter("script_misses", "NOSCRIPT answers", () => counters().scriptMisses);
  counter("reconnections", "Connections that replaced one", () => counters().reconnections);
  counter("messages", "Messages of subscriptions that arrived", () => counters().messages);
  counter("gaps", "Gaps of subscriptions, by reason", () => counters().gaps as Record<string, number>, "reason");
  counter("written_bytes", "Bytes handed to sockets", () => counters().bytesWritten);
  counter("read_bytes", "Bytes read from sockets", () => counters().bytesRead);
  new Gauge({
    ...{ name: "slotwire_pending_calls", help: "Calls queued or in flight", registers, labelNames: ["node"] },
    collect() {
      this.reset();
      for (const { address, pending } of cluster.metrics().nodes) this.set({ node: address }, pending);
    },
  });
  new Gauge({
    ...{ name: "slotwire_topics", help: "Channels and patterns that are subscribed", registers },
    collect() {
      this.set(cluster.metrics().subscriptions.topics);
    },
  });
  // With `connect({ durations: true })`. A registry takes anything that has `get`.
  const name = "slotwire_call_duration_seconds";
  const help = "From the call to its answer";
  const get = async () => ({
    ...{ name, help, type: "histogram", aggregator: "sum" },
    values: cluster.metrics().durations.flatMap(({ command, script, bounds, counts, count, sum }) => {
      const labels = { command, script: script ?? "" };
      let below = 0;
      const buckets = [...bounds.map((ms) => ms / 1000), "+Inf"].map((le, at) => {
        below += counts[at] as number;
        return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum / 1000 },
        { metricName: `${name}_count`, labels, value: count },
      ];
    }),
  });
  registry.registerMetric({ name, get } as unknown as Metric);
}
// README: end

describe("prom-client", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript], durations: true });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("is given the figures as they are at each scrape", async () => {
    const registry = new Registry();
    exposeMetrics(client, registry);
    /** Samples by name and labels. */
    const scrape = async () => {
      const lines = (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      return new Map(
        lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
      );
    };
    const first = await scrape();
    assert.equal(first.get("slotwire_calls_total"), 0);
    for (let call = 0; call < 4; call++) await client.run(incrScript, ["p:1"]);
    await client.command("INCR", "p:1", "no").catch(() => {});
    await client.subscribe("p:channel", () => {});
    await client.command("PUBLISH", "p:channel", "hello");
    await client.subscribe("p:overflow", undefined, { maxQueued: 1 });
    for (let message = 0; message < 3; message++) await client.command("PUBLISH", "p:overflow", "hello");
    await eventually(() => assert.equal(client.metrics().counters.messages, 4));
    await scrape();
    const { counters, durations } = client.metrics();
    const samples = await scrape();
    assert.equal(samples.get("slotwire_calls_total"), 9);
    assert.equal(samples.get("slotwire_messages_total"), 4);
    assert.equal(samples.get('slotwire_gaps_total{reason="overflow"}'), 1);
    assert.equal(samples.get("slotwire_topics"), 2);
    assert.equal(samples.get('slotwire_errors_total{code="REPLY"}'), 1);
    assert.equal(samples.get("slotwire_written_bytes_total"), counters.bytesWritten);
    for (const address of cluster.nodes) assert.equal(samples.get(`slotwire_pending_calls{node="${address}"}`), 0);
    const evalsha = durations.find(({ command }) => command === "EVALSHA");
    const labels = 'command="EVALSHA",script="incr"';
    assert.equal(samples.get(`slotwire_call_duration_seconds_count{${labels}}`), 4);
    assert.equal(samples.get(`slotwire_call_duration_seconds_sum{${labels}}`), (evalsha?.sum as number) / 1000);
    assert.equal(samples.get(`slotwire_call_duration_seconds_bucket{${labels},le="+Inf"}`), 4);
    const upTo5ms = evalsha?.counts.slice(0, evalsha.bounds.indexOf(5) + 1).reduce((a, b) => a + b, 0);
    assert.equal(samples.get(`slotwire_call_duration_seconds_bucket{${labels},le="0.005"}`), upTo5ms);
    assert.match(await registry.metrics(), /# TYPE slotwire_call_duration_seconds histogram/);
  });
});
