import type { Attributes, BatchObservableResult, Meter } from "@opentelemetry/api";
import { realTime } from "../../environment.ts";
import {
  type CollectMessage,
  type ConnectContext,
  collectChannel,
  connectChannel,
  type WaitMessage,
  waitChannel,
} from "../channels.ts";
import { poolAttributes } from "./attributes.ts";
import { listen } from "./listen.ts";

const NOTHING = { idle: 0, used: 0, queued: 0 };
type Pool = typeof NOTHING & { readonly attributes: Attributes };

/** The time to open a connection is some round trips. The wait for one is mostly the rest of a tick. */
const SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/**
 * Measures connections: how many there are, how long they take to open, and what waits for them. A pool is all connections
 * to one node. Returns the functions that end it.
 */
export function measureConnections(meter: Meter): (() => void)[] {
  const advice = { explicitBucketBoundaries: SECONDS };
  const createTime = meter.createHistogram("db.client.connection.create_time", {
    description: "The time it took to create a new connection.",
    unit: "s",
    advice,
  });
  const waitTime = meter.createHistogram("db.client.connection.wait_time", {
    description: "The time it took to obtain an open connection from the pool.",
    unit: "s",
    advice,
  });
  const count = meter.createObservableUpDownCounter("db.client.connection.count", {
    description: "The number of connections that are currently in state described by the state attribute.",
    unit: "{connection}",
  });
  const pending = meter.createObservableUpDownCounter("db.client.connection.pending_requests", {
    description: "The number of current pending requests for an open connection.",
    unit: "{request}",
  });

  const begun = new WeakMap<ConnectContext, number>();
  const onConnect = (context: ConnectContext) => void begun.set(context, realTime.now());
  const onConnected = (context: ConnectContext) => {
    const startedAt = begun.get(context);
    if (startedAt === undefined || context.error !== undefined) return;
    createTime.record((realTime.now() - startedAt) / 1000, poolAttributes(context.client, context.address));
  };
  const onWait = ({ client, address, waitedMs }: WaitMessage) =>
    waitTime.record(waitedMs / 1000, poolAttributes(client, address));

  // A value that is not observed any more would stay as it was. So pools that are gone are observed too, with nothing.
  const pools = new Map<string, Pool>();
  const observe = (result: BatchObservableResult) => {
    for (const pool of pools.values()) Object.assign(pool, NOTHING);
    // Several clients can have pools of one name, so they are added up: an observation would replace another.
    const add: CollectMessage["add"] = (client, nodes) => {
      for (const { address, idle, used, queued } of nodes) {
        const attributes = poolAttributes(client, address);
        const name = attributes["db.client.connection.pool.name"];
        const pool = pools.get(name) ?? { attributes, ...NOTHING };
        pools.set(name, pool);
        pool.idle += idle;
        pool.used += used;
        pool.queued += queued;
      }
    };
    collectChannel.publish({ add });
    for (const { attributes, idle, used, queued } of pools.values()) {
      result.observe(count, idle, { ...attributes, "db.client.connection.state": "idle" });
      result.observe(count, used, { ...attributes, "db.client.connection.state": "used" });
      result.observe(pending, queued, attributes);
    }
  };
  meter.addBatchObservableCallback(observe, [count, pending]);

  return [
    listen(connectChannel.start, onConnect),
    listen(connectChannel.asyncEnd, onConnected),
    listen(waitChannel, onWait),
    () => meter.removeBatchObservableCallback(observe, [count, pending]),
  ];
}
