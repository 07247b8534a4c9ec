import assert from "node:assert/strict";
import { channel } from "node:diagnostics_channel";
import { after, before, beforeEach, describe, it } from "node:test";
import {
  AggregationTemporality,
  type Histogram,
  InMemoryMetricExporter,
  InstrumentType,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  type Cluster,
  type CollectMessage,
  connect,
  DeadlineError,
  slotOf,
  UnavailableError,
} from "../../src/index.ts";
import { instrument } from "../../src/telemetry/opentelemetry/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";

/** Takes what grows since the last look, and what goes up and down as it is: exporters that are set to deltas do so. */
class Measurements extends InMemoryMetricExporter {
  override selectAggregationTemporality(kind: InstrumentType): AggregationTemporality {
    return kind === InstrumentType.OBSERVABLE_UP_DOWN_COUNTER
      ? AggregationTemporality.CUMULATIVE
      : AggregationTemporality.DELTA;
  }
}

const POOL = "db.client.connection.pool.name";

describe("OpenTelemetry on connections", () => {
  const measurements = new Measurements(AggregationTemporality.DELTA);
  const reader = new PeriodicExportingMetricReader({ exporter: measurements, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  let cluster: LocalCluster;
  let client: Cluster;
  let uninstall: () => void;
  before(async () => {
    uninstall = instrument({ meterProvider });
    cluster = await startCluster({ primaries: 3 });
    client = await connect({ ...cluster.connectOptions });
  });
  after(async () => {
    uninstall();
    client?.destroy();
    await cluster?.stop();
    await meterProvider.shutdown();
  });

  /** What was measured since the last look. */
  async function look(): Promise<(name: string) => MetricData | undefined> {
    await meterProvider.forceFlush();
    const all = measurements.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
    measurements.reset();
    return (name) => all.find(({ descriptor }) => descriptor.name === name);
  }
  const byPool = (data: MetricData | undefined, state?: string): Record<string, number> =>
    Object.fromEntries(
      (data?.dataPoints ?? [])
        .filter(({ attributes }) => attributes["db.client.connection.state"] === state)
        .map(({ attributes, value }) => [
          attributes[POOL],
          typeof value === "number" ? value : (value as Histogram).count,
        ]),
    );
  /** The names of the clients that answer a listener. */
  const clients = () => {
    const names: (string | undefined)[] = [];
    const add: CollectMessage["add"] = ({ name }) => names.push(name);
    channel("slotwire:collect").publish({ add });
    return names;
  };
  const ownerOf = (key: string) => client.topology.primaryOf(slotOf(key))?.address as string;

  it("get the time that each connection took to open, by the node", async () => {
    const createTime = (await look())("db.client.connection.create_time");
    assert.equal(createTime?.descriptor.unit, "s");
    const opened = byPool(createTime);
    for (const address of cluster.nodes) assert.ok((opened[`${address}/0`] ?? 0) >= 1, JSON.stringify(opened));
    const all = Object.values(opened).reduce<number>((sum, count) => sum + count, 0);
    assert.equal(all, client.metrics().counters.connectionsOpened);
    for (const { value } of createTime?.dataPoints ?? []) assert.ok(((value as Histogram).sum as number) > 0);
    await look();
    const { connectionsOpened } = client.metrics().counters;
    await client.command("BLPOP", "c:1", 0.01);
    assert.deepEqual(byPool((await look())("db.client.connection.create_time")), { [`${ownerOf("c:1")}/0`]: 1 });
    assert.equal(client.metrics().counters.connectionsOpened, connectionsOpened + 1);
  });

  it("get the number of connections that are idle and in use, of all clients together", async () => {
    const owner = `${ownerOf("c:2")}/0`;
    const other = await connect({ ...cluster.connectOptions, connectionName: "other" });
    const blocked = other.command("BLPOP", "c:2", 0);
    // The clients' own questions use a connection for a moment now and then.
    await eventually(async () => {
      const count = (await look())("db.client.connection.count");
      assert.equal(count?.descriptor.unit, "{connection}");
      for (const address of cluster.nodes) {
        const pool = `${address}/0`;
        assert.equal(byPool(count, "used")[pool], pool === owner ? 1 : 0, pool);
        assert.ok((byPool(count, "idle")[pool] ?? 0) >= 2, `${pool}: a lane of each client`);
      }
    });
    await client.command("LPUSH", "c:2", "v");
    await blocked;
    const open = async () => {
      const count = (await look())("db.client.connection.count");
      return (byPool(count, "idle")[owner] ?? 0) + (byPool(count, "used")[owner] ?? 0);
    };
    const before = await open();
    assert.deepEqual(clients(), [undefined, "other"]);
    await other.close();
    assert.deepEqual(clients(), [undefined], "a client that is closed does not answer");
    // The lane of the client that was closed, and its connection for BLPOP.
    assert.equal(before - (await open()), 2);
  });

  it("get the time that each call waited for its write, and a watching transaction for its connection", async () => {
    await look();
    await Promise.all([client.command("GET", "c:3"), client.command("GET", "c:3")]);
    await client.batch().command("GET", "c:3").command("GET", "c:3").exec();
    const waits = (await look())("db.client.connection.wait_time");
    assert.equal(waits?.descriptor.unit, "s");
    assert.deepEqual(byPool(waits), { [`${ownerOf("c:3")}/0`]: 4 });
    await client.transaction("c:3", { watch: ["c:3"] }, async (tx) => tx.multi().command("GET", "c:3"));
    const loans = (await look())("db.client.connection.wait_time");
    assert.deepEqual(byPool(loans), { [`${ownerOf("c:3")}/0`]: 1 });
  });

  it("get what waits to be written while a node is down", async () => {
    const down = await startCluster({ primaries: 3 });
    const lonely = await connect({ ...down.connectOptions, commandTimeout: 60_000 });
    const [address = ""] = down.nodes;
    const owned = lonely.topology.ranges.find(({ primary }) => primary.address === address)?.start as number;
    let key = "";
    for (let index = 0; slotOf(key) !== owned; index++) key = `k:${index}`;
    const before = byPool((await look())("db.client.connection.pending_requests"));
    assert.equal(before[`${address}/0`], 0);
    await down.kill(address);
    await eventually(() =>
      assert.equal(lonely.metrics().nodes.find((node) => node.address === address)?.connections.ready, 0),
    );
    const calls = [lonely.command("GET", key), lonely.command("GET", key)];
    const ended = Promise.allSettled(calls);
    const pending = (await look())("db.client.connection.pending_requests");
    assert.equal(pending?.descriptor.unit, "{request}");
    assert.equal(byPool(pending)[`${address}/0`], 2);
    lonely.destroy();
    await ended;
    assert.equal(byPool((await look())("db.client.connection.pending_requests"))[`${address}/0`], 0);
    await down.stop();
  });

  describe("why a deadline passed", () => {
    const [key, elsewhere] = ["c:4", "{c:4}:list"];
    beforeEach(() => look());
    const expired = async (call: Promise<unknown>) => {
      const error = await call.then(
        () => assert.fail("the call was answered"),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof DeadlineError, String(error));
      return error;
    };
    const counted = async () =>
      ((await look())("slotwire.deadlines")?.dataPoints ?? []).map(({ attributes, value }) => [
        attributes["slotwire.deadline.waited"],
        value,
      ]);

    it("is that the call was queued, for a connection that does not open", async () => {
      const own = await connect({ ...cluster.connectOptions });
      await cluster.pause(ownerOf(key));
      try {
        const error = await expired(own.with({ timeout: 50 }).command("BLPOP", elsewhere, 0));
        assert.deepEqual([error.waited, error.outcome], ["queued", "not-executed"]);
        assert.deepEqual(await counted(), [["queued", 1]]);
        assert.deepEqual(own.metrics().counters.deadlines, { queued: 1 });
      } finally {
        await cluster.resume(ownerOf(key));
        own.destroy();
      }
    });

    it("is that the call was sent, and not answered", async () => {
      const own = await connect({ ...cluster.connectOptions });
      try {
        // Each gets a connection of its own, which a busy machine takes its time to open.
        const error = await expired(own.with({ timeout: 800 }).command("BLPOP", elsewhere, 0));
        const batch = await own.with({ timeout: 800 }).batch().command("BLPOP", elsewhere, 0).exec();
        assert.deepEqual([error.waited, error.outcome], ["sent", "unknown"]);
        assert.equal((batch[0] as DeadlineError).waited, "sent");
        assert.deepEqual(await counted(), [["sent", 2]]);
      } finally {
        own.destroy();
      }
    });

    it("is that its node answers nobody", async () => {
      const own = await connect({ ...cluster.connectOptions });
      await cluster.pause(ownerOf(key));
      try {
        const long = expired(own.with({ timeout: 8000 }).command("GET", key));
        await eventually(() => {
          const node = own.metrics().nodes.find(({ address }) => address === ownerOf(key));
          assert.equal(node?.connections.silent, 1);
        }, 7000);
        // What is not written by now is refused by its own error.
        await assert.rejects(own.with({ timeout: 50 }).command("GET", key), UnavailableError);
        const error = await long;
        assert.deepEqual([error.waited, error.outcome], ["node-silent", "unknown"]);
        assert.match(error.message, /its node answers nobody/);
        assert.deepEqual(await counted(), [["node-silent", 1]]);
      } finally {
        await cluster.resume(ownerOf(key));
        own.destroy();
      }
    });
  });
});
