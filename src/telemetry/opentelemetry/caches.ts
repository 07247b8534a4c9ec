import type { Attributes, BatchObservableResult, Meter, Observable } from "@opentelemetry/api";
import {
  type CacheMessage,
  type CacheMetrics,
  type CollectMessage,
  cacheChannel,
  collectChannel,
} from "../channels.ts";
import { serverAttributes } from "./attributes.ts";
import { listen } from "./listen.ts";

/** One value of an instrument. */
interface Point {
  readonly of: Observable;
  readonly attributes: Attributes;
  value: number;
}

/**
 * Measures caches, by the names that clients of Redis have agreed on, and by names of its own. All is read from the figures
 * of the clients when somebody collects. Returns the functions that end it.
 *
 * @see https://redis.io/docs/latest/develop/clients/observability/
 */
export function measureCaches(meter: Meter): (() => void)[] {
  const requests = meter.createObservableCounter("redis.client.csc.requests", {
    description: "Number of client-side cache requests (hits and misses).",
    unit: "{request}",
  });
  const evictions = meter.createObservableCounter("redis.client.csc.evictions", {
    description: "Number of replies that ended in the client-side cache.",
    unit: "{eviction}",
  });
  const items = meter.createObservableGauge("redis.client.csc.items", {
    description: "Current number of replies in the client-side cache.",
    unit: "{item}",
  });
  const size = meter.createObservableGauge("slotwire.cache.size", {
    description: "About as many bytes as the replies in the cache take.",
    unit: "By",
  });
  const shared = meter.createObservableCounter("slotwire.cache.shared", {
    description: "Number of cache misses that waited for an equal request in flight.",
    unit: "{request}",
  });
  const passed = meter.createObservableCounter("slotwire.cache.passed", {
    description: "Number of calls of cached views that were sent the ordinary way.",
    unit: "{call}",
  });
  const unavailable = meter.createObservableGauge("slotwire.cache.unavailable", {
    description: "Number of primaries of which nothing is kept now.",
    unit: "{node}",
  });
  const instruments = [requests, evictions, items, size, shared, passed, unavailable];

  /** Adds the figures of one client to the sums of all with the same attributes: an observation would replace another. */
  const add = (points: Map<string, Point>, base: Attributes, figures: CacheMetrics) => {
    const put = (of: Observable, value: number, more: Attributes = {}) => {
      const attributes = { ...base, ...more };
      const key = JSON.stringify([instruments.indexOf(of), attributes]);
      const point = points.get(key);
      if (point === undefined) points.set(key, { of, attributes, value });
      else point.value += value;
    };
    const ended = (reason: string, count: number) => put(evictions, count, { "redis.client.csc.reason": reason });
    put(requests, figures.hits, { "redis.client.csc.result": "hit" });
    put(requests, figures.misses + figures.shared, { "redis.client.csc.result": "miss" });
    ended("full", figures.evicted);
    ended("invalidation", figures.invalidated);
    for (const [reason, count] of Object.entries(figures.dropped)) ended(reason === "expired" ? "ttl" : reason, count);
    put(items, figures.entries);
    put(size, figures.bytes);
    put(shared, figures.shared);
    for (const [reason, count] of Object.entries(figures.passed))
      put(passed, count, { "slotwire.cache.reason": reason });
    put(unavailable, figures.unavailable.length);
  };

  // What clients have counted that are closed: sums never decrease.
  const closed = new Map<string, Point>();
  const onMessage = ({ event, client, figures }: CacheMessage) => {
    if (event === "closed" && figures !== undefined) add(closed, serverAttributes(client), figures);
  };
  const observe = (result: BatchObservableResult) => {
    const points = new Map([...closed].map(([key, point]) => [key, { ...point }]));
    const answer: CollectMessage["add"] = (client, _, figures) => {
      if (figures !== undefined) add(points, serverAttributes(client), figures);
    };
    collectChannel.publish({ add: answer });
    for (const { of, attributes, value } of points.values()) result.observe(of, value, attributes);
  };
  meter.addBatchObservableCallback(observe, instruments);

  return [listen(cacheChannel, onMessage), () => meter.removeBatchObservableCallback(observe, instruments)];
}
