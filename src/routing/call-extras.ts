import type { Hop } from "../errors.ts";
import type { LoadOutcome } from "../scripts/loaded-scripts.ts";
import type { CallTrace } from "../telemetry/call-trace.ts";
import type { OperationContext } from "../telemetry/channels.ts";
import type { Turn } from "./batch-turns.ts";
import type { Call, CallFeed } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Hedge } from "./hedge.ts";

/** A call may write any key, as far as anybody knows. */
export const ALL_KEYS = Symbol("all keys");
/** The keys that a call may write, as binary strings. Most calls have one, for which an array would cost more than the rest. */
export type WrittenKeys = string | readonly string[] | typeof ALL_KEYS;

/** Something that may write keys, all of one slot. */
export interface Writing {
  /** Its keys. While it is under way, what the cache knows them by. */
  written: WrittenKeys | number | readonly number[] | undefined;
  /** -1 if it is not known. */
  readonly slot: number;
}

/** The past of a call that was not served at once. */
export interface History {
  /** The attempt under way has an ASKING in front of it. */
  asking: boolean;
  redirections: number;
  retries: number;
  readonly hops: Hop[];
  /** The text of the last refusal; empty if there was none. */
  refusal: string;
  /** Since when no node could serve it. */
  ownerlessSince: number | undefined;
  /** An earlier attempt was written and lost. So the call may have run, whatever a later answer proves. */
  inDoubt: boolean;
  /** Why it was lost, the last time. */
  lostBecause: Error | undefined;
  /** The last attempt was sent because a missing script was mended. */
  mended: boolean;
  /** The last answer was that its script is missing, and the call goes on with or behind a load. */
  awaitsScript: boolean;
  /** The next attempt goes on the node's connection for repeats, or the present one is there. */
  isApart: boolean;
  /** How often the call was lost while it had a connection to itself. */
  lossesAlone: number;
  /** The replicas that could not serve this read. */
  avoid: Set<ClusterNode> | undefined;
  /** A replica that could not serve reads: this read finds out whether it can by now. */
  tries: ClusterNode | undefined;
  /**
   * Set when the attempt brings the script's source by EVAL. It is told how the load ended, because other calls wait
   * for it.
   */
  evalEnded: ((outcome: LoadOutcome) => void) | undefined;
}

/**
 * The fields of a call with a signal, of an operation or of a batch, of a call that somebody listens to, and of a call that
 * was not served at once. One field of a call leads to all of them, so that other calls are spared the room and the looks.
 */
export interface Extras {
  /** Undefined until an attempt is refused or lost, or finds no node. */
  history: History | undefined;
  /** Takes the call off its signal. */
  stopListening: (() => void) | undefined;
  /** The call is a step of an operation with a deadline, which ends the call in time. */
  isStep: boolean;
  /** The turn of a call that waits for other calls of its batch, or for which others wait. */
  turn: Turn<Call> | undefined;
  feed: CallFeed | undefined;
  /** A later call that may write one of the keys was written behind the call: a repetition might run behind that one. */
  mayNotRepeat: boolean;
  observer: CallTrace | undefined;
  /** The scan or the WAIT that the call is a step of, while somebody listens. */
  operation: OperationContext | undefined;
  /** When the call was made, on the environment's clock. Set only if durations are measured. */
  startedAt: number;
  /** Sends the call once more when it has no answer for long. */
  hedge: Hedge | undefined;
}
