import { AsyncResource } from "node:async_hooks";
import { commandNameOf } from "../protocol/command-name.ts";
import { encodeCommand } from "../protocol/encode.ts";
import {
  areCallsHeard,
  attemptChannel,
  type BatchContext,
  batchChannel,
  type ClientInfo,
  type CommandContext,
  commandChannel,
  isHeard,
  presentable,
  redirectionChannel,
  type ScriptInfo,
  traced,
} from "./channels.ts";

/** Nobody has to wait for the garbage collector to say that a call is over. */
const MANUAL = { requireManualDestroy: true };

const ASKING_BYTES = encodeCommand(["ASKING"]).length;

/** What a trace reads of a call. */
export interface TracedCall {
  readonly kind: TracedKind;
  readonly frame: string;
  readonly slot: number;
  readonly asking: boolean;
}

/** What a trace reads of the kind of a call. */
export interface TracedKind {
  readonly script: { readonly name: string } | undefined;
  readonly registered: ScriptInfo | undefined;
}

/** Tells the diagnostics channels of one call: its beginning, each attempt, each refusal that is not its end, its end. */
export class CallTrace {
  readonly context: CommandContext;
  /** Where stores are as they were bound when the call began. */
  readonly #beginning: AsyncResource | undefined;
  #loadBytes = 0;

  constructor(call: TracedCall, client: ClientInfo, batch: BatchContext | undefined) {
    const context: CommandContext = {
      client,
      command: commandNameOf(call.frame),
      script: scriptOf(call.kind),
      slot: call.slot,
      batch,
      attempts: 0,
      address: undefined,
    };
    this.context = context;
    if (!isHeard(commandChannel)) return;
    this.#beginning = commandChannel.start.runStores(context, () => new AsyncResource("slotwire.call", MANUAL));
    commandChannel.end.publish(context);
  }

  /** A load of `bytes` goes in front of the next attempt. */
  onLoad(bytes: number): void {
    this.#loadBytes = bytes;
  }

  onAttempt(call: TracedCall, address: string): void {
    const { context } = this;
    context.attempts++;
    context.address = address;
    const loadBytes = this.#loadBytes;
    this.#loadBytes = 0;
    if (!attemptChannel.hasSubscribers) return;
    attemptChannel.publish({
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

  /** The node at `address` refused the call with `text`, and the call is sent again. `to` is where MOVED and ASK lead. */
  onRetry(call: TracedCall, address: string, kind: string, to: string | undefined, text: string, row: string): void {
    if (!redirectionChannel.hasSubscribers) return;
    const { context } = this;
    redirectionChannel.publish({
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
    if (this.#beginning === undefined) return;
    if (error !== undefined) this.context.error = presentable(error);
    this.#beginning.runInAsyncScope(publishEnd, undefined, this.context);
    this.#beginning.emitDestroy();
  }
}

function publishEnd(context: CommandContext): void {
  if (context.error !== undefined) commandChannel.error.publish(context);
  commandChannel.asyncStart.publish(context);
  commandChannel.asyncEnd.publish(context);
}

/** The script of a call, as messages name it. */
export function scriptOf({ script, registered }: TracedKind): ScriptInfo | undefined {
  if (registered === undefined) return undefined;
  return { name: script?.name ?? registered.name, sha: registered.sha };
}

/** Servers quote what follows the name of a command that they do not know. */
function withoutArguments(text: string): string {
  return text.replace(/, with args beginning with: .*/s, "");
}

/** Tells of a batch while it is carried out. `send` is given its context, while somebody listens. */
export function tracedBatch<T>(
  client: ClientInfo,
  operation: "batch" | "transaction",
  calls: readonly TracedCall[],
  slot: number | undefined,
  send: (context: BatchContext | undefined) => Promise<T>,
): Promise<T> {
  if (!isHeard(batchChannel) && !areCallsHeard()) return send(undefined);
  const [first] = calls;
  const isOneScript = first !== undefined && calls.every(({ kind }) => kind.registered === first.kind.registered);
  const context: BatchContext = {
    client,
    operation,
    size: calls.length,
    commands: [...new Set(calls.map(({ frame }) => commandNameOf(frame)))],
    script: isOneScript ? scriptOf(first.kind) : undefined,
    slot,
  };
  return traced(batchChannel, context, () => send(context));
}
