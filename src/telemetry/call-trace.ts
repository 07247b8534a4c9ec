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

/**
 * Publishes one call on the diagnostics channels: its beginning; each attempt, its write, its answer and the decision on it;
 * and its end.
 */
export class CallTrace {
  readonly context: CommandContext;
  /** Holds the values of the bound stores as they were when the call began. */
  readonly #beginning: AsyncResource | undefined;
  #loadBytes = 0;
  /** When the attempt under way was handed to a connection; undefined once it is written. */
  #handedAt: number | undefined;

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

  /** Notes that a load of `bytes` bytes is written in front of the next attempt. */
  onLoad(bytes: number): void {
    this.#loadBytes = bytes;
  }

  onAttempt(call: TracedCall, address: string): void {
    const { context } = this;
    context.attempts++;
    context.address = address;
    const loadBytes = this.#loadBytes;
    this.#loadBytes = 0;
    this.#handedAt = realTime.now();
    if (!attemptChannel.hasSubscribers) return;
    attemptChannel.publish({
      seq: nextSeq(),
      call: context,
      attempt: context.attempts,
      address,
      slot: call.slot,
      command: commandNameOf(call.frame),
      script: context.script,
      asking: call.asking,
      loads: loadBytes > 0,
      bytes: call.frame.length + (call.asking ? ASKING_BYTES : 0),
      loadBytes,
    });
  }

  /**
   * Notes that the attempt is written on `connection`.
   * @param isInSession  The connection is held for a watching transaction, which has waited for it.
   */
  onWritten(connection: TracedConnection, isInSession = false): void {
    const { client, address = "", attempts: attempt } = this.context;
    if (this.#handedAt === undefined) return;
    const waitedMs = realTime.now() - this.#handedAt;
    this.#handedAt = undefined;
    const call = this.context;
    if (writtenChannel.hasSubscribers) {
      writtenChannel.publish({ seq: nextSeq(), call, attempt, address, connection: connection.id, waitedMs });
    }
    if (waitChannel.hasSubscribers && !isInSession)
      waitChannel.publish({ seq: nextSeq(), client, call, address, waitedMs });
  }

  /**
   * Notes that the attempt was answered on `connection`.
   * @param error  The server's text, if it is an error; null for a reply that cannot be read.
   */
  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    if (!answerChannel.hasSubscribers) return;
    const { address = "", attempts: attempt, slot } = this.context;
    const kind = error === undefined || error === null ? "reply" : wordOf(error, slot);
    const text = error === undefined || error === null ? undefined : knownWordsOf(error, slot);
    const where = { call: this.context, attempt, address, connection: connection.id };
    answerChannel.publish({ seq: nextSeq(), ...where, bytes, kind, text });
  }

  /** Notes what the decision table said. `decision` is made only if somebody listens. */
  onDecision(decision: () => TracedDecision): void {
    if (!decisionChannel.hasSubscribers) return;
    decisionChannel.publish({
      seq: nextSeq(),
      call: this.context,
      attempt: this.context.attempts,
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
      attempt: context.attempts,
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
