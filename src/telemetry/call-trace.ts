import { AsyncResource } from "node:async_hooks";
import { realTime } from "../environment.ts";
import { commandNameOf } from "../protocol/command-name.ts";
import { encodeCommand } from "../protocol/encode.ts";
import { knownWordsOf, withoutArguments, wordOf } from "./answer-words.ts";
import {
  answerChannel,
  areCallsHeard,
  attemptChannel,
  type BatchContext,
  batchChannel,
  type ClientInfo,
  type CommandContext,
  commandChannel,
  type DecisionMessage,
  decisionChannel,
  isHeard,
  type OperationContext,
  presentable,
  redirectionChannel,
  type ScriptInfo,
  traced,
  waitChannel,
  writtenChannel,
} from "./channels.ts";
import { nextId, nextSeq } from "./sequence.ts";

/** The resource is destroyed when its call ends, and not when the garbage collector finds it. */
const MANUAL = { requireManualDestroy: true };

const ASKING_BYTES = encodeCommand(["ASKING"]).length;

/** The properties of a call that a trace reads. */
export interface TracedCall {
  readonly kind: TracedKind;
  readonly frame: string;
  readonly slot: number;
  readonly asking: boolean;
  readonly extras?: { readonly operation: OperationContext | undefined } | undefined;
}

/** The properties of a connection that a trace reads. */
export interface TracedConnection {
  readonly id: number;
}

/** What `DecisionMessage` has of a decision, without that which the trace knows. */
export type TracedDecision = Omit<DecisionMessage, "seq" | "call" | "attempt">;

/** The properties that a trace reads of a call's kind. */
export interface TracedKind {
  readonly script: { readonly name: string } | undefined;
  readonly registered: ScriptInfo | undefined;
}

/** An attempt that was handed to a connection. Two can be under way at once, when one of them is a hedge. */
class AttemptTrace {
  readonly call: CommandContext;
  readonly attempt: number;
  readonly address: string;
  /** When it was handed to a connection; undefined once it is written. */
  #handedAt: number | undefined = realTime.now();

  constructor(call: CommandContext, attempt: number, address: string) {
    this.call = call;
    this.attempt = attempt;
    this.address = address;
  }

  /** @param isInSession  As for `CallTrace`. */
  onWritten(connection: TracedConnection, isInSession = false): void {
    if (this.#handedAt === undefined) return;
    const waitedMs = realTime.now() - this.#handedAt;
    this.#handedAt = undefined;
    const { call, attempt, address } = this;
    if (writtenChannel.hasSubscribers) {
      writtenChannel.publish({ seq: nextSeq(), call, attempt, address, connection: connection.id, waitedMs });
    }
    if (waitChannel.hasSubscribers && !isInSession)
      waitChannel.publish({ seq: nextSeq(), client: call.client, call, address, waitedMs });
  }

  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    if (!answerChannel.hasSubscribers) return;
    const { call, attempt, address } = this;
    const { slot } = call;
    const kind = error === undefined || error === null ? "reply" : wordOf(error, slot);
    const text = error === undefined || error === null ? undefined : knownWordsOf(error, slot);
    answerChannel.publish({ seq: nextSeq(), call, attempt, address, connection: connection.id, bytes, kind, text });
  }
}

/** Publishes what becomes of the hedge of a call. */
export class HedgeTrace extends AttemptTrace {
  /** The call has its result from here. */
  onWon(): void {
    this.call.address = this.address;
    this.call.hedge = "won";
  }
}

/**
 * Publishes one call on the diagnostics channels: its beginning; each attempt, its write, its answer and the decision on it;
 * and its end.
 */
export class CallTrace {
  readonly context: CommandContext;
  /** Holds the values of the bound stores as they were when the call began. */
  readonly #beginning: AsyncResource | undefined;
  #loadBytes = 0;
  /** The last attempt that is no hedge. */
  #last: AttemptTrace | undefined;

  constructor(call: TracedCall, client: ClientInfo, batch: BatchContext | undefined) {
    const context: CommandContext = {
      seq: nextSeq(),
      id: nextId(client, "call"),
      client,
      command: commandNameOf(call.frame),
      script: scriptOf(call.kind),
      slot: call.slot,
      batch,
      operation: call.extras?.operation,
      attempts: 0,
      address: undefined,
    };
    this.context = context;
    if (!isHeard(commandChannel)) return;
    this.#beginning = commandChannel.start.runStores(context, () => new AsyncResource("slotwire.call", MANUAL));
    context.seq = nextSeq();
    commandChannel.end.publish(context);
  }

  /** The number of the last attempt that is no hedge; 0 before the first. */
  get attempt(): number {
    return this.#last?.attempt ?? 0;
  }

  /** Notes that a load of `bytes` bytes is written in front of the next attempt. */
  onLoad(bytes: number): void {
    this.#loadBytes = bytes;
  }

  onAttempt(call: TracedCall, address: string): void {
    const { context } = this;
    context.address = address;
    const loadBytes = this.#loadBytes;
    this.#loadBytes = 0;
    this.#last = new AttemptTrace(context, ++context.attempts, address);
    this.#tellAttempt(call, this.#last, loadBytes, false);
  }

  /** Notes that the call is sent once more, to the node at `address`, and that its last attempt is still under way. */
  onHedge(call: TracedCall, address: string): HedgeTrace {
    const { context } = this;
    context.hedge = "sent";
    const trace = new HedgeTrace(context, ++context.attempts, address);
    this.#tellAttempt(call, trace, 0, true);
    return trace;
  }

  #tellAttempt(call: TracedCall, { attempt, address }: AttemptTrace, loadBytes: number, isHedge: boolean): void {
    if (!attemptChannel.hasSubscribers) return;
    const { context } = this;
    attemptChannel.publish({
      seq: nextSeq(),
      call: context,
      attempt,
      address,
      slot: call.slot,
      command: commandNameOf(call.frame),
      script: context.script,
      asking: call.asking && !isHedge,
      ...(isHedge && { hedge: true }),
      loads: loadBytes > 0,
      bytes: call.frame.length + (call.asking && !isHedge ? ASKING_BYTES : 0),
      loadBytes,
    });
  }

  /**
   * Notes that the attempt is written on `connection`.
   * @param isInSession  The connection is held for a watching transaction, which has waited for it.
   */
  onWritten(connection: TracedConnection, isInSession = false): void {
    this.#last?.onWritten(connection, isInSession);
  }

  /**
   * Notes that the attempt was answered on `connection`.
   * @param error  The server's text, if it is an error; null for a reply that cannot be read.
   */
  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    this.#last?.onAnswer(connection, bytes, error);
  }

  /** Notes what the decision table said. `decision` is made only if somebody listens. */
  onDecision(decision: () => TracedDecision): void {
    if (!decisionChannel.hasSubscribers) return;
    decisionChannel.publish({
      seq: nextSeq(),
      call: this.context,
      attempt: this.attempt,
      ...decision(),
    });
  }

  /**
   * Notes that the node at `address` refused the call with `text`, and that the call is sent again. MOVED and ASK set
   * `to`.
   */
  onRetry(call: TracedCall, address: string, kind: string, to: string | undefined, text: string, row: string): void {
    if (!redirectionChannel.hasSubscribers) return;
    const { context } = this;
    redirectionChannel.publish({
      seq: nextSeq(),
      call: context,
      attempt: this.attempt,
      address,
      slot: call.slot,
      kind,
      row,
      to,
      text: withoutArguments(text),
    });
  }

  onEnd(error: Error | undefined): void {
    const { batch, address } = this.context;
    if (batch !== undefined && address !== undefined) batch.address = address;
    if (this.#beginning === undefined) return;
    if (error !== undefined) this.context.error = presentable(error);
    this.#beginning.runInAsyncScope(publishEnd, undefined, this.context);
    this.#beginning.emitDestroy();
  }
}

function publishEnd(context: CommandContext): void {
  if (context.error !== undefined) {
    context.seq = nextSeq();
    commandChannel.error.publish(context);
  }
  context.seq = nextSeq();
  commandChannel.asyncStart.publish(context);
  context.seq = nextSeq();
  commandChannel.asyncEnd.publish(context);
}

/** The script of a call, in the form that messages use. */
export function scriptOf({ script, registered }: TracedKind): ScriptInfo | undefined {
  if (registered === undefined) return undefined;
  return { name: script?.name ?? registered.name, sha: registered.sha };
}

/** Runs `send` and publishes the batch on its channel. `send` gets the batch's context if anybody listens. */
export function tracedBatch<T>(
  client: ClientInfo,
  operation: "batch" | "transaction",
  calls: readonly TracedCall[],
  slot: number | undefined,
  send: (context: BatchContext | undefined) => Promise<T>,
): Promise<T> {
  if (!isHeard(batchChannel) && !areCallsHeard()) return send(undefined);
  const [first] = calls;
  const isOneSlot = slot === undefined && first !== undefined && calls.every((call) => call.slot === first.slot);
  const isOneScript = first !== undefined && calls.every(({ kind }) => kind.registered === first.kind.registered);
  const context: BatchContext = {
    seq: 0,
    id: nextId(client, "operation"),
    client,
    operation,
    size: calls.length,
    commands: [...new Set(calls.map(({ frame }) => commandNameOf(frame)))],
    script: isOneScript ? scriptOf(first.kind) : undefined,
    slot: isOneSlot && first.slot >= 0 ? first.slot : slot,
    address: undefined,
  };
  return traced(batchChannel, context, () => send(context));
}
