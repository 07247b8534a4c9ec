import { type MeterProvider, metrics, type TracerProvider, trace } from "@opentelemetry/api";
import { VERSION } from "../library-version.ts";
import { measureCaches } from "./caches.ts";
import { measureConnections } from "./connections.ts";
import { traceOperations } from "./operations.ts";
import { sharedInstrumentation } from "./shared.ts";
import { measureSubscriptions } from "./subscriptions.ts";

/** The options of `instrument`: the providers that receive spans and measurements. */
export interface InstrumentOptions {
  /**
   * The provider whose tracer makes the spans.
   * @default the global tracer provider
   */
  readonly tracerProvider?: TracerProvider;
  /**
   * The provider whose meter makes the histograms and counters.
   * @default the global meter provider at the time of the call of `instrument`
   */
  readonly meterProvider?: MeterProvider;
}

/**
 * Makes a span of kind CLIENT for every call of every client in this process, one for every batch or transaction, and
 * one for every WAIT. Records their durations, in seconds, in the histogram `db.client.operation.duration`.
 *
 * A span ends when its call has its final answer. Each redirection or replay on the way is an event
 * `slotwire.redirection` of the span. Calls of a batch have no spans of their own. A scan is one span, from its first key
 * to its end, with the spans of its steps below it. The commands of a watching transaction have spans like other calls.
 *
 * `server.address` and `server.port` are those of the first address in `nodes` of `connect`. `network.peer.address` and
 * `network.peer.port` are those of the node that was asked last. `slotwire.slot` is there if there is one slot.
 *
 * The connections of all clients are in `db.client.connection.count` (`idle`: no reply is awaited),
 * `db.client.connection.create_time`, `db.client.connection.wait_time` (until a call was written) and
 * `db.client.connection.pending_requests` (calls that are not written yet). A pool is all connections to one node, without
 * those of subscriptions.
 *
 * Each call whose deadline passed counts in `slotwire.deadlines`, whose attribute `slotwire.deadline.waited` says where
 * it was, as `waited` of `DeadlineError` does. Its span and its duration have this attribute too.
 *
 * Each call that was sent once more by `hedge` counts in `slotwire.hedges`. Its attribute `slotwire.hedge`, which its span
 * has too, is `won` where the second node's answer counted, and else `sent`.
 *
 * The caches of all clients are in `redis.client.csc.requests` (`redis.client.csc.result` is `hit` or `miss`),
 * `redis.client.csc.evictions` (replies that ended; `redis.client.csc.reason` is `full`, `invalidation`, `ttl`, or one of
 * `dropped` in `metrics().cache`) and `redis.client.csc.items`, the names that clients of Redis use; and in
 * `slotwire.cache.size`, `slotwire.cache.shared`, `slotwire.cache.passed` (by `slotwire.cache.reason`) and
 * `slotwire.cache.unavailable`, which are as in `metrics().cache`. They are read when measurements are collected, so a hit
 * costs nothing more. A hit has no span and no duration.
 *
 * Messages of subscriptions are counted in `messaging.client.consumed.messages`, once for each topic. A gap counts in
 * `slotwire.subscription.gaps` when it begins, and its duration, in seconds, is recorded in
 * `slotwire.subscription.gap.duration` when it ends; both once for each channel or pattern.
 *
 * Spans and measurements contain no key, channel, argument, reply or payload. Their scope is `slotwire`, with its version.
 *
 * Call this function after the SDK was started. Called again with the same providers, also by the other build or another
 * installed copy of slotwire, it makes nothing twice.
 *
 * @returns  A function that ends the instrumentation, when all who called `instrument` with these providers have ended it.
 *   Spans that are open at that moment are never ended.
 * @see https://opentelemetry.io/docs/specs/semconv/db/redis/
 * @see https://opentelemetry.io/docs/specs/semconv/db/database-metrics/
 * @see https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  const tracers = options.tracerProvider ?? trace.getTracerProvider();
  const meters = options.meterProvider ?? metrics.getMeterProvider();
  return sharedInstrumentation(tracers, meters, () => instrumentation(tracers, meters));
}

function instrumentation(tracers: TracerProvider, meters: MeterProvider): () => void {
  const tracer = tracers.getTracer("slotwire", VERSION);
  const meter = meters.getMeter("slotwire", VERSION);
  const ends = [
    ...traceOperations(tracer, meter),
    ...measureConnections(meter),
    ...measureCaches(meter),
    ...measureSubscriptions(meter),
  ];
  return () => {
    for (const end of ends) end();
  };
}
