import type { Lane } from "../connection/lane.ts";
import { ReplyError } from "../errors.ts";
import type { Loadable } from "./loadable.ts";
import { type Failed, heldSince, isDenied, isPassing, passesSoon, type ScriptState } from "./script-state.ts";

/** The remedy for a call that was answered NOSCRIPT, or "Function not found". */
export type Remedy =
  /** The script is there by now: send the call again as it is. */
  | { readonly kind: "replay" }
  /** Another lane loads the script: send the call again after that. */
  | { readonly kind: "wait"; readonly done: Promise<void> }
  /** The script was loaded a moment ago: decide again after a rest. Not told by `remedyOf`, which knows no time. */
  | { readonly kind: "rest"; readonly done: Promise<void> }
  /** Put a load in front of the call. */
  | { readonly kind: "load" }
  /** The node refuses SCRIPT LOAD: send the source with the call. */
  | { readonly kind: "eval" }
  /** The node cannot load the script. */
  | { readonly kind: "give-up"; readonly cause: ReplyError };

/** A call that found its script or function missing. */
export interface Miss {
  /** The belief about the script on the node. */
  readonly state: ScriptState | undefined;
  readonly kind: Loadable["kind"];
  /** The call's lane and stamp. */
  readonly lane: Lane;
  readonly stamp: number;
  /** Whether the call was mended before, so that this very attempt came behind a load. */
  readonly wasMended: boolean;
}

const REPLAY: Remedy = { kind: "replay" };
const LOAD: Remedy = { kind: "load" };
const EVAL: Remedy = { kind: "eval" };
const NO_FUNCTION = "ERR Function not found";

/**
 * What to do about a miss. Pure; `test/unit/remedy.test.ts` is this table.
 *
 *   belief                  the call                                          remedy
 *   absent                  any                                               load
 *   loading, on its lane    queued before the load                            replay
 *                           queued behind the load: it was flushed since      load
 *   loading, elsewhere      any                                               wait
 *   held                    queued before the node held it                    replay
 *                           of a library that was loaded for this attempt     give up: the library lacks the function
 *                           any other: the node forgot it                     load
 *   failed, final           any                                               give up
 *   failed, a library       any, unless the refusal may pass                  give up
 *   failed, loads denied    any                                               eval
 *   failed, BUSY and such   any: a call that is refused so is repeated too    load
 *   failed otherwise        not mended before                                 load
 *                           mended before                                     give up
 */
export function remedyOf(miss: Miss): Remedy {
  const { state, kind, lane, stamp, wasMended } = miss;
  switch (state?.kind) {
    case undefined:
      return LOAD;
    case "loading":
      if (state.lane !== lane) return { kind: "wait", done: state.done };
      return stamp < state.queued ? REPLAY : LOAD;
    case "held":
      if (stamp < heldSince(state, lane)) return REPLAY;
      if (wasMended && kind === "library") return { kind: "give-up", cause: new ReplyError(NO_FUNCTION) };
      return LOAD;
    case "failed":
      return remedyAfter(state, miss);
  }
}

function remedyAfter({ cause, final }: Failed, { kind, wasMended }: Miss): Remedy {
  if (final || (kind === "library" && !isPassing(cause))) return { kind: "give-up", cause };
  if (isDenied(cause)) return EVAL;
  return wasMended && !passesSoon(cause) ? { kind: "give-up", cause } : LOAD;
}
