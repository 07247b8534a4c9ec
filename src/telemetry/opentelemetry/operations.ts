import {
  type Attributes,
  context as contexts,
  type Meter,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { realTime } from "../../environment.ts";
import {
  type BatchContext,
  batchChannel,
  type CommandContext,
  commandChannel,
  type OperationContext,
  operationChannel,
  type RedirectionMessage,
  redirectionChannel,
} from "../channels.ts";
import {
  batchAttributes,
  commandAttributes,
  deadlineAttributes,
  errorAttributes,
  operationAttributes,
  peerAttributes,
  spanName,
} from "./attributes.ts";
import { listen } from "./listen.ts";

type Context = CommandContext | BatchContext | OperationContext;

/** A call, a batch, a scan or a WAIT that is under way. */
interface Underway {
  readonly span: Span;
  readonly startedAt: number;
  readonly attributes: Attributes;
  /** The node of the step that ended last. */
  address: string | undefined;
  /** The number of failed calls of a batch. */
  failed: number;
}

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/**
 * Makes a span of what a user asked for, and records its duration. The calls of a batch and the questions of a WAIT are
 * parts of their span. The steps of a scan have spans below that of the scan, and durations of their own: the scan itself
 * has none, because it lasts as long as its user takes.
 *
 * Returns the functions that end it.
 */
export function traceOperations(tracer: Tracer, meter: Meter): (() => void)[] {
  const duration = meter.createHistogram("db.client.operation.duration", {
    description: "Duration of database client operations.",
    unit: "s",
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const deadlines = meter.createCounter("slotwire.deadlines", {
    description: "Number of calls whose deadline passed.",
    unit: "{call}",
  });
  const hedges = meter.createCounter("slotwire.hedges", {
    description: "Number of calls that were sent once more, to another node, because they had no answer.",
    unit: "{call}",
  });
  const underway = new WeakMap<Context, Underway>();

  const begin = (context: Context, attributes: Attributes, parent?: Span) => {
    const within = parent === undefined ? undefined : trace.setSpan(contexts.active(), parent);
    const span = tracer.startSpan(spanName(attributes), { kind: SpanKind.CLIENT, attributes }, within);
    underway.set(context, { span, startedAt: realTime.now(), attributes, address: undefined, failed: 0 });
  };
  const end = (context: Context, address: string | undefined, more: Attributes, isMeasured = true) => {
    const operation = underway.get(context);
    if (operation === undefined) return;
    underway.delete(context);
    const { span, startedAt, attributes } = operation;
    const { error } = context;
    const atEnd = { ...peerAttributes(address), ...(error === undefined ? {} : errorAttributes(error)) };
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    span.setAttributes({ ...atEnd, ...more });
    span.end();
    if (isMeasured) duration.record((realTime.now() - startedAt) / 1000, { ...attributes, ...atEnd });
  };

  /** What a call is a part of, so that it has no span of its own. */
  const wholeOf = ({ batch, operation }: CommandContext) =>
    batch ?? (operation?.operation === "wait" ? operation : undefined);

  const onCommandStart = (context: CommandContext) => {
    if (wholeOf(context) !== undefined) return;
    const scan = context.operation === undefined ? undefined : underway.get(context.operation);
    begin(context, commandAttributes(context), scan?.span);
  };
  const onCommandEnd = (context: CommandContext) => {
    const { client, slot, attempts, address, error, hedge } = context;
    const whole = wholeOf(context) ?? context.operation;
    const operation = whole === undefined ? undefined : underway.get(whole);
    if (operation !== undefined) {
      if (address !== undefined) operation.address = address;
      if (error !== undefined) operation.failed++;
    }
    const deadline = error === undefined ? undefined : deadlineAttributes(client, error);
    // The whole WAIT counts once, by its own error.
    if (deadline !== undefined && context.operation?.operation !== "wait") deadlines.add(1, deadline);
    const hedged = hedge === undefined ? {} : { "slotwire.hedge": hedge };
    if (hedge !== undefined) hedges.add(1, { ...commandAttributes(context), ...hedged });
    end(context, address, { "slotwire.slot": slot, "slotwire.attempts": attempts, ...hedged });
  };
  const onBatchStart = (context: BatchContext) => begin(context, batchAttributes(context));
  const onBatchEnd = (context: BatchContext) => {
    const failed = underway.get(context)?.failed ?? 0;
    const more = context.slot === undefined ? {} : { "slotwire.slot": context.slot };
    const parts = failed === 0 ? {} : { "slotwire.batch.failed": failed };
    end(context, context.address, { ...more, ...parts });
  };
  const onOperationStart = (context: OperationContext) => begin(context, operationAttributes(context));
  const onOperationEnd = (context: OperationContext) => {
    const { client, operation, error } = context;
    const isWait = operation === "wait";
    const deadline = isWait && error !== undefined ? deadlineAttributes(client, error) : undefined;
    if (deadline !== undefined) deadlines.add(1, deadline);
    end(context, underway.get(context)?.address, {}, isWait);
  };
  const onRedirection = ({ call, attempt, address, kind, to, slot }: RedirectionMessage) => {
    underway.get(wholeOf(call) ?? call)?.span.addEvent("slotwire.redirection", {
      "slotwire.redirection.kind": kind,
      "slotwire.attempt": attempt,
      "slotwire.slot": slot,
      ...peerAttributes(address),
      ...(to === undefined ? {} : { "slotwire.redirection.to": to }),
    });
  };

  return [
    listen(commandChannel.start, onCommandStart),
    listen(commandChannel.asyncEnd, onCommandEnd),
    listen(batchChannel.start, onBatchStart),
    listen(batchChannel.asyncEnd, onBatchEnd),
    listen(operationChannel.start, onOperationStart),
    listen(operationChannel.asyncEnd, onOperationEnd),
    listen(redirectionChannel, onRedirection),
  ];
}
