import {
  type Attributes,
  type MeterProvider,
  metrics,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { realTime } from "../../environment.ts";
import {
  type BatchContext,
  batchChannel,
  type CommandContext,
  commandChannel,
  type RedirectionMessage,
  redirectionChannel,
} from "../channels.ts";
import { batchAttributes, commandAttributes, errorAttributes, peerAttributes, spanName } from "./attributes.ts";
import { listen } from "./listen.ts";
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

/** A call or a batch that is under way. */
interface Operation {
  readonly span: Span;
  readonly startedAt: number;
  readonly attributes: Attributes;
  /** The number of failed calls of a batch. */
  failed: number;
}

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/**
 * Makes a span of kind CLIENT for every call of every client in this process, and one for every batch or transaction.
 * Records their durations, in seconds, in the histogram `db.client.operation.duration`.
 *
 * A span ends when its call has its final answer. Each redirection or replay on the way is an event
 * `slotwire.redirection` of the span. Calls of a batch have no spans of their own.
 *
 * Messages of subscriptions are counted in `messaging.client.consumed.messages`, once for each topic. A gap counts in
 * `slotwire.subscription.gaps` when it begins, and its duration, in seconds, is recorded in
 * `slotwire.subscription.gap.duration` when it ends; both once for each channel or pattern.
 *
 * Spans and measurements contain no key, channel, argument, reply or payload.
 *
 * Call this function after the SDK was started. Called again with the same providers, also by the other build or another
 * installed copy of slotwire, it makes nothing twice.
 *
 * @returns  A function that ends the instrumentation, when all who called `instrument` with these providers have ended it.
 *   Spans that are open at that moment are never ended.
 * @see https://opentelemetry.io/docs/specs/semconv/db/redis/
 * @see https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  const tracers = options.tracerProvider ?? trace.getTracerProvider();
  const meters = options.meterProvider ?? metrics.getMeterProvider();
  return sharedInstrumentation(tracers, meters, () => instrumentation(tracers, meters));
}

function instrumentation(tracers: TracerProvider, meters: MeterProvider): () => void {
  const tracer = tracers.getTracer("slotwire");
  const meter = meters.getMeter("slotwire");
  const duration = meter.createHistogram("db.client.operation.duration", {
    description: "Duration of database client operations.",
    unit: "s",
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const operations = new WeakMap<CommandContext | BatchContext, Operation>();

  const begin = (context: CommandContext | BatchContext, attributes: Attributes) => {
    const span = tracer.startSpan(spanName(attributes), { kind: SpanKind.CLIENT, attributes });
    operations.set(context, { span, startedAt: realTime.now(), attributes, failed: 0 });
  };
  const end = (context: CommandContext | BatchContext, atEnd: Attributes, more: Attributes) => {
    const operation = operations.get(context);
    if (operation === undefined) return;
    operations.delete(context);
    const { span, startedAt, attributes } = operation;
    const { error } = context;
    const failure = error === undefined ? {} : errorAttributes(error);
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    span.setAttributes({ ...atEnd, ...failure, ...more });
    span.end();
    duration.record((realTime.now() - startedAt) / 1000, { ...attributes, ...atEnd, ...failure });
  };

  // A call of a batch has no span of its own, because it is part of the batch's span.
  const onCommandStart = (context: CommandContext) => {
    if (context.batch === undefined) begin(context, commandAttributes(context));
  };
  const onCommandEnd = (context: CommandContext) => {
    const { batch, slot, attempts, address, error } = context;
    const operation = batch === undefined ? undefined : operations.get(batch);
    if (operation !== undefined && error !== undefined) operation.failed++;
    end(context, peerAttributes(address), { "slotwire.slot": slot, "slotwire.attempts": attempts });
  };
  const onBatchStart = (context: BatchContext) => begin(context, batchAttributes(context));
  const onBatchEnd = (context: BatchContext) => {
    const failed = operations.get(context)?.failed ?? 0;
    end(context, {}, failed === 0 ? {} : { "slotwire.batch.failed": failed });
  };
  const onRedirection = ({ call, attempt, address, kind, to, slot }: RedirectionMessage) => {
    operations.get(call.batch ?? call)?.span.addEvent("slotwire.redirection", {
      "slotwire.redirection.kind": kind,
      "slotwire.attempt": attempt,
      "slotwire.slot": slot,
      ...peerAttributes(address),
      ...(to === undefined ? {} : { "slotwire.redirection.to": to }),
    });
  };

  const ends = [
    listen(commandChannel.start, onCommandStart),
    listen(commandChannel.asyncEnd, onCommandEnd),
    listen(batchChannel.start, onBatchStart),
    listen(batchChannel.asyncEnd, onBatchEnd),
    listen(redirectionChannel, onRedirection),
    ...measureSubscriptions(meter),
  ];
  return () => {
    for (const end of ends) end();
  };
}
