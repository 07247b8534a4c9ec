import type { BlockingFrame } from "../commands/blocking.ts";
import type { Lane } from "../connection/lane.ts";
import type { NodePool } from "../connection/node-pool.ts";
import type { Backlog, Place, Request } from "../connection/request.ts";
import { AbortedError, type Outcome, type Particulars, ProtocolError, ReplyError, withParticulars } from "../errors.ts";
import { commandNameOf } from "../protocol/command-name.ts";
import type { Refusal } from "../protocol/error-reply.ts";
import type { Reply } from "../protocol/reply.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import type { Script } from "../scripts/script.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";
import type { TracedConnection } from "../telemetry/call-trace.ts";
import type { Extras, History, Writing } from "./call-extras.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Expiring, Moment } from "./deadlines.ts";
import { outcomeOfCall } from "./next-step.ts";

/** Which nodes may serve read-only scripts and commands. `{ zone }`: those of an availability zone before all others. */
export type ReadFrom =
  | "primary"
  | "replica"
  | "any"
  | {
      /** The name of the zone, as the servers' `availability-zone` has it. */
      readonly zone: string;
    };

/** When a read is sent once more, to another node. */
export interface HedgeTerms {
  /** Milliseconds without an answer. */
  readonly afterMs: number;
  /** The most that may be sent twice, as a share of all calls with such terms: 0 to 1. */
  readonly budget: number;
}

/**
 * The properties that calls of one kind share: one object for all runs of a script through a view, or for one command.
 */
export interface CallKind {
  readonly owner: CallOwner;
  readonly wantsBuffers: boolean;
  /** The call may be written again when nobody knows whether it ran. */
  readonly mayRepeat: boolean;
  /** The call runs Lua or a function. */
  readonly runsCode: boolean;
  /** The call changes nothing. */
  readonly reads: boolean;
  /** Other than `"primary"` only for calls that read. */
  readonly readFrom: ReadFrom;
  /** Present when a read that has no answer for long is sent once more. Batches and transactions take no notice of it. */
  readonly hedge: HedgeTerms | undefined;
  /** The only node that the call may go to, for a call that is about a node and not about a slot. */
  readonly target: ClusterNode | undefined;
  /** The user has named the target: its refusals are the answer, and no other node may take its place. */
  readonly isPinned?: true;
  /** The handle of the script or function that the call runs. */
  readonly script: Script | undefined;
  /** The script or library that has to be on the node. */
  readonly registered: RegisteredScript | RegisteredLibrary | undefined;
  /** Turns the reply into the result. */
  readonly parse: ((reply: Reply) => unknown) | undefined;
  /** Present when the call may block its connection: it gets a connection of its own. */
  readonly blocking: BlockingFrame | undefined;
  /** Present when the frame is a whole transaction. */
  readonly transaction: FramedTransaction | undefined;
}

/** MULTI, commands and EXEC in one frame. The call's reply is the reply to EXEC. */
export interface FramedTransaction {
  /** The requests that take the replies in front of EXEC's. */
  readonly ahead: readonly Request[];
  /** The meaning of an error in place of EXEC's reply. */
  verdictOn(execError: string): Verdict;
  /** By the last verdict, nothing ran because SCRIPT LOAD is forbidden. */
  readonly loadsDenied: boolean;
  /** Encodes the same transaction with its scripts by EVAL. Returns the new frame. */
  encodeWithoutLoads(): string;
}

/** The meaning of an error in place of EXEC's reply. */
export interface Verdict {
  /** The error reply that counts. An error in front of EXEC's can be the reason why EXEC failed. */
  readonly text: string;
  /** What that error proves about the whole transaction. */
  readonly refusal: Refusal;
  /** It is proven that no call of the transaction ran. */
  readonly proven: boolean;
}

/** Feeds calls to the dispatcher, and continues when they settle. */
export interface CallFeed {
  /** @param replied  The call ran, and its reply has come. */
  onCallSettled(call: Call, replied: boolean): void;
  /** A call without a deadline was given up. The calls that wait for it would wait as long again, one by one. */
  onGivenUp(call: Call): void;
}

/** Hears what becomes of a call. */
export interface CallOwner {
  onRefused(call: Call, text: string): void;
  onLost(call: Call, cause: Error): void;
  onExpired(call: Call): void;
  /** @param replied  The call ran, and its reply has come. */
  onSettled(call: Call, replied: boolean): void;
  /** The caller gets this error. `onSettled` was called before. */
  onRejected(error: Error): void;
}

/**
 * The result of a call, from its reply.
 * @throws {ReplyError} `parse` threw. The call has run.
 */
export function resultOf({ parse, script }: Pick<CallKind, "parse" | "script">, reply: Reply): unknown {
  try {
    return parse === undefined ? reply : parse(reply);
  } catch (error) {
    throw new ReplyError(`parse of script "${script?.name}" threw`, "executed", undefined, error);
  }
}

/**
 * One call of a user, from `run` or `command` to its answer. A call settles once; after that, replies to it are
 * dropped. The class is small and flat, because there is one object for each call in flight.
 */
export class Call implements Request, Expiring, Writing {
  /** Replaced only before the call is sent. */
  kind: CallKind;
  /** The encoded command, by SHA-1 for a script. */
  frame: string;
  /** 0 to 16383; -1 for a call without keys. */
  readonly slot: number;
  /** The time limit of the whole call in milliseconds; 0 for no limit. */
  readonly timeoutMs: number;
  place: Place = "new";

  backlog: Backlog | undefined = undefined;
  node: ClusterNode | undefined = undefined;
  pool: NodePool | undefined = undefined;
  /** The stamp of the attempt under way: see `ScriptState`. */
  stamp = 0;

  moment: Moment | undefined = undefined;
  earlier: Expiring | undefined = undefined;
  later: Expiring | undefined = undefined;

  /** Undefined for most calls. */
  extras: Extras | undefined = undefined;
  /** What the call may write. Set only if there is a cache: most calls have this and no extras then. */
  written: Writing["written"] = undefined;

  readonly #resolve: (value: never) => void;

  /** @param resolve  Gets the result; in place of an error, a promise that is rejected with it. */
  constructor(kind: CallKind, frame: string, slot: number, timeoutMs: number, resolve: (value: never) => void) {
    this.kind = kind;
    this.frame = frame;
    this.slot = slot;
    this.timeoutMs = timeoutMs;
    this.#resolve = resolve;
  }

  get settled(): boolean {
    return this.place === "settled";
  }

  get wantsBuffers(): boolean {
    return this.kind.wantsBuffers;
  }

  get ahead(): readonly Request[] | undefined {
    return this.kind.transaction?.ahead;
  }

  /** The lane of the attempt under way, if there is one. */
  get lane(): Lane | undefined {
    return this.pool?.laneOf(this.slot);
  }

  get inDoubt(): boolean {
    return this.history?.inDoubt === true || this.extras?.hedge?.mayHaveRun === true;
  }

  get history(): History | undefined {
    return this.extras?.history;
  }

  get asking(): boolean {
    return this.extras?.history?.asking === true;
  }

  set asking(asking: boolean) {
    if (asking || this.history !== undefined) historyOf(this).asking = asking;
  }

  /** The extras. They are made at the first access. */
  get withExtras(): Extras {
    this.extras ??= {
      history: undefined,
      stopListening: undefined,
      isStep: false,
      turn: undefined,
      feed: undefined,
      mayNotRepeat: false,
      observer: undefined,
      operation: undefined,
      startedAt: 0,
      hedge: undefined,
    };
    return this.extras;
  }

  /** The outcome of the call if no further answer comes. */
  get outcomeSoFar(): Outcome {
    return outcomeOfCall(this.place === "in-flight" ? "unknown" : "not-executed", this.inDoubt);
  }

  reject(error: Error): void {
    if (this.settled) return;
    const due = this.extras?.hedge === undefined ? error : this.extras.hedge.errorDue(error);
    if (due === undefined) return;
    settle(this, false);
    fail(this, due);
  }

  abort(reason: unknown): void {
    this.reject(new AbortedError(this.outcomeSoFar, reason));
  }

  expire(): void {
    this.kind.owner.onExpired(this);
  }

  onWritten(connection: TracedConnection): void {
    this.extras?.observer?.onWritten(connection);
  }

  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    if (!this.settled) this.extras?.observer?.onAnswer(connection, bytes, error);
  }

  onReply(reply: Reply): void {
    if (this.settled) return;
    settle(this, true);
    const { parse } = this.kind;
    let result: unknown = reply;
    try {
      if (parse !== undefined) result = parse(reply);
    } catch (error) {
      const name = this.kind.script?.name;
      fail(this, new ReplyError(`parse of script "${name}" threw`, "executed", undefined, error));
      return;
    }
    this.extras?.observer?.onEnd(undefined);
    this.#resolve(result as never);
  }

  /** The hedge of the call is answered first, by `node`. An attempt that is under way ends unheard. */
  onReplyOfHedge(reply: Reply, node: ClusterNode): void {
    if (this.settled) return;
    const { history } = this;
    // Calls that wait for the source that this attempt brings cannot know of it by this answer.
    history?.evalEnded?.("lost");
    if (history !== undefined) history.evalEnded = undefined;
    this.node = node;
    this.onReply(reply);
  }

  onErrorReply(text: string): void {
    if (!this.settled) this.kind.owner.onRefused(this, text);
  }

  onUndecodable(why: string): void {
    this.reject(new ProtocolError(why, "executed"));
  }

  onLost(cause: Error): void {
    if (!this.settled) this.kind.owner.onLost(this, cause);
  }

  /** Gives the caller an error. Only `fail` calls this. */
  hand(error: Error): void {
    this.#resolve(Promise.reject(error) as never);
  }
}

/** A call whose caller takes errors by a function. Most calls have none, and are spared the room for it. */
class CallWithReject extends Call {
  readonly #reject: (error: Error) => void;

  constructor(
    kind: CallKind,
    frame: string,
    slot: number,
    timeoutMs: number,
    resolve: (value: never) => void,
    reject: (error: Error) => void,
  ) {
    super(kind, frame, slot, timeoutMs, resolve);
    this.#reject = reject;
  }

  override hand(error: Error): void {
    this.#reject(error);
  }
}

/** @param reject  Takes the error. Undefined: `resolve` gets a promise that is rejected with the error. */
export function makeCall(
  kind: CallKind,
  frame: string,
  slot: number,
  timeoutMs: number,
  resolve: (value: never) => void,
  reject: ((error: Error) => void) | undefined,
): Call {
  return reject === undefined
    ? new Call(kind, frame, slot, timeoutMs, resolve)
    : new CallWithReject(kind, frame, slot, timeoutMs, resolve, reject);
}

// Functions, because a class with private methods marks each of its objects with one more field.

/** Every error of a call passes here, so every one names the call and the node that was asked last. */
function fail(call: Call, bare: Error): void {
  const error = withParticulars(bare, particularsOf(call));
  call.kind.owner.onRejected(error);
  call.extras?.observer?.onEnd(error);
  call.hand(error);
}

function settle(call: Call, replied: boolean): void {
  call.place = "settled";
  call.backlog?.giveUp(call);
  call.moment?.list.remove(call);
  call.extras?.stopListening?.();
  call.kind.owner.onSettled(call, replied);
}

/** What the error of a call tells about the call. */
export function particularsOf({ kind: { script }, frame, node, slot }: Call): Particulars {
  const command = script?.name ?? commandNameOf(frame);
  return { command, isScript: script !== undefined, address: node?.address, slot };
}

/** The history of a call. It begins at the first access. */
export function historyOf(call: Call): History {
  const extras = call.withExtras;
  extras.history ??= {
    asking: false,
    redirections: 0,
    retries: 0,
    ownerlessSince: undefined,
    hops: [],
    refusal: "",
    inDoubt: false,
    lostBecause: undefined,
    mended: false,
    awaitsScript: false,
    isApart: false,
    lossesAlone: 0,
    avoid: undefined,
    tries: undefined,
    evalEnded: undefined,
  };
  return extras.history;
}
