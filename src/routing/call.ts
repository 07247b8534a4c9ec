import type { BlockingFrame } from "../commands/blocking.ts";
import type { Lane } from "../connection/lane.ts";
import type { NodePool } from "../connection/node-pool.ts";
import type { Backlog, Place, Request } from "../connection/request.ts";
import { AbortedError, type Hop, type Outcome, ProtocolError, ReplyError } from "../errors.ts";
import type { Refusal } from "../protocol/error-reply.ts";
import type { Reply } from "../protocol/reply.ts";
import type { LoadOutcome } from "../scripts/loaded-scripts.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import type { Script } from "../scripts/script.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";
import type { CallTrace } from "../telemetry/call-trace.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { DeadlineList, Expiring } from "./deadlines.ts";
import { outcomeOfCall } from "./next-step.ts";

/** Which nodes may serve what only reads. */
export type ReadFrom = "primary" | "replica" | "any";

/** What calls of one kind have in common: one object for all runs of a script through a view, or for one command. */
export interface CallKind {
  readonly owner: CallOwner;
  readonly wantsBuffers: boolean;
  /** May be written again when nobody knows whether it ran. */
  readonly mayRepeat: boolean;
  /** Runs Lua or a function. */
  readonly runsCode: boolean;
  /** More than `"primary"` only for what reads. */
  readonly readFrom: ReadFrom;
  /** The only node that will do, for what is asked of a node and not of a slot. */
  readonly target: ClusterNode | undefined;
  /** The handle of a script or function that is run, and what has to be on the node for that. */
  readonly script: Script | undefined;
  readonly registered: RegisteredScript | RegisteredLibrary | undefined;
  /** Turns the reply into the result. */
  readonly parse: ((reply: Reply) => unknown) | undefined;
  /** Present when the server may keep its connection waiting: it gets one of its own. */
  readonly blocking: BlockingFrame | undefined;
  /** Present when the frame is a whole transaction. */
  readonly transaction: FramedTransaction | undefined;
}

/** MULTI, commands and EXEC in one frame, seen from the reply to EXEC. */
export interface FramedTransaction {
  /** Takes the replies in front of EXEC's. */
  readonly ahead: readonly Request[];
  /** What an error in place of EXEC's reply means. */
  verdictOn(execError: string): Verdict;
  /** Nothing ran, because SCRIPT LOAD is forbidden: the last verdict. */
  readonly loadsDenied: boolean;
  /** The same transaction with its scripts by EVAL, to be sent in place of the frame. */
  encodeWithoutLoads(): string;
}

/** What an error in place of EXEC's reply comes to. */
export interface Verdict {
  /** The error reply that counts: an error in front of EXEC's may be why EXEC failed. */
  readonly text: string;
  /** What that error proves of the whole transaction. */
  readonly refusal: Refusal;
  /** Nothing of the transaction ran. */
  readonly proven: boolean;
}

/** Who feeds calls to the dispatcher, and goes on when they settle. */
export interface CallFeed {
  /** `replied` when the call ran and its reply has come. */
  onCallSettled(call: Call, replied: boolean): void;
}

/** What has happened to a call that was not served at once. */
export interface History {
  redirections: number;
  retries: number;
  readonly hops: Hop[];
  /** The server's last refusal. */
  refusal: string;
  /** Refreshes made because nobody owned the slot. */
  lookups: number;
  /** An earlier attempt was written and lost: whatever comes now, the call may have run. */
  inDoubt: boolean;
  /** The last attempt was sent because a missing script was mended. */
  mended: boolean;
  /** Nodes that could not serve this read. */
  avoid: Set<ClusterNode> | undefined;
  /** The attempt brings the script's source by EVAL, and others count on it: to be told how that ended. */
  evalEnded: ((outcome: LoadOutcome) => void) | undefined;
}

/** What belongs to calls with a signal, of an operation or a batch, or that somebody listens to. */
export interface Extras {
  /** Takes the call off its signal. */
  stopListening: (() => void) | undefined;
  /** A step of an operation that has a deadline, which ends the call in time. */
  isStep: boolean;
  /** Another call of the slot has to run behind it: the script is loaded ahead in the same write. */
  loadsAhead: boolean;
  /** Where that was done last. */
  loadedOn: ClusterNode | undefined;
  feed: CallFeed | undefined;
  observer: CallTrace | undefined;
  /** Where durations are measured. */
  startedAt: number;
}

/** Who decides what becomes of a call. */
export interface CallOwner {
  onRefused(call: Call, text: string): void;
  onLost(call: Call, cause: Error): void;
  onExpired(call: Call): void;
  /** `replied` when the call ran and its reply has come. */
  onSettled(call: Call, replied: boolean): void;
  /** The caller gets this error; `onSettled` has been called. */
  onRejected(error: Error): void;
}

/**
 * What a call resolves to.
 * @throws {ReplyError} `parse` threw. The call has run.
 */
export function resultOf({ parse, script }: CallKind, reply: Reply): unknown {
  try {
    return parse === undefined ? reply : parse(reply);
  } catch (error) {
    throw new ReplyError(`parse of script "${script?.name}" threw`, "executed", undefined, error);
  }
}

/**
 * One call of a user, from `run` or `command` to its answer. It settles once; after that, replies to it are dropped.
 * Kept small and flat: there is one for each call in flight.
 */
export class Call implements Request, Expiring {
  readonly kind: CallKind;
  /** The encoded command, by SHA-1 for a script. */
  frame: string;
  /** -1 without keys. */
  readonly slot: number;
  /** The call's whole life in milliseconds, 0 for no limit. */
  readonly timeoutMs: number;
  place: Place = "new";

  backlog: Backlog | undefined = undefined;
  /** The attempt under way goes behind an ASKING. */
  asking = false;
  node: ClusterNode | undefined = undefined;
  pool: NodePool | undefined = undefined;
  /** See `LoadedScripts`. */
  stamp = 0;
  /** Undefined until something goes other than straight. */
  history: History | undefined = undefined;

  expiresAt = 0;
  list: DeadlineList | undefined = undefined;
  earlier: Expiring | undefined = undefined;
  later: Expiring | undefined = undefined;

  /** What most calls have not. */
  extras: Extras | undefined = undefined;

  readonly #resolve: (value: never) => void;
  readonly #rejectWith: ((error: Error) => void) | undefined;

  constructor(
    kind: CallKind,
    frame: string,
    slot: number,
    timeoutMs: number,
    resolve: (value: never) => void,
    reject: ((error: Error) => void) | undefined,
  ) {
    this.kind = kind;
    this.frame = frame;
    this.slot = slot;
    this.timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#rejectWith = reject;
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
    return this.history?.inDoubt === true;
  }

  /** The extras, made when they are first needed. */
  get withExtras(): Extras {
    this.extras ??= {
      stopListening: undefined,
      isStep: false,
      loadsAhead: false,
      loadedOn: undefined,
      feed: undefined,
      observer: undefined,
      startedAt: 0,
    };
    return this.extras;
  }

  /** Whether the server may have run the call, had it no further answer. */
  get outcomeSoFar(): Outcome {
    return outcomeOfCall(this.place === "in-flight" ? "unknown" : "not-executed", this.inDoubt);
  }

  reject(error: Error): void {
    if (this.settled) return;
    this.#settle(false);
    this.#reject(error);
  }

  abort(reason: unknown): void {
    this.reject(new AbortedError(this.outcomeSoFar, reason));
  }

  expire(): void {
    this.kind.owner.onExpired(this);
  }

  onReply(reply: Reply): void {
    if (this.settled) return;
    this.#settle(true);
    const { parse } = this.kind;
    let result: unknown = reply;
    try {
      if (parse !== undefined) result = parse(reply);
    } catch (error) {
      const name = this.kind.script?.name;
      this.#reject(new ReplyError(`parse of script "${name}" threw`, "executed", undefined, error));
      return;
    }
    this.extras?.observer?.onEnd(undefined);
    this.#resolve(result as never);
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

  #reject(error: Error): void {
    this.kind.owner.onRejected(error);
    this.extras?.observer?.onEnd(error);
    if (this.#rejectWith === undefined) this.#resolve(Promise.reject(error) as never);
    else this.#rejectWith(error);
  }

  #settle(replied: boolean): void {
    this.place = "settled";
    this.backlog?.giveUp(this);
    this.list?.remove(this);
    this.extras?.stopListening?.();
    this.kind.owner.onSettled(this, replied);
  }
}

/** The history of a call, begun when something goes other than straight. */
export function historyOf(call: Call): History {
  call.history ??= {
    redirections: 0,
    retries: 0,
    lookups: 0,
    hops: [],
    refusal: "",
    inDoubt: false,
    mended: false,
    avoid: undefined,
    evalEnded: undefined,
  };
  return call.history;
}
