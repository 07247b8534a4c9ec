/** What a watching session has done so far. */
export interface SessionState {
  /** Commands that may have written, less those that were proven not to have run. */
  readonly writes: number;
  /** The transaction was handed to the socket. */
  readonly execSent: boolean;
  /** A command in front of the transaction was refused in a way that passes: MOVED, ASK, TRYAGAIN, LOADING, ... */
  readonly commandRefused: boolean;
  /** The transaction itself was refused so. */
  readonly execRefused: boolean;
}

/**
 * Whether a session that failed can start over where the slot is by now: only if nothing that it sent can have written.
 * Pure.
 *
 * | the session | starts over |
 * | --- | --- |
 * | sent a command that may have written | no |
 * | sent its transaction | if that was refused: the function may have lived with an earlier refusal |
 * | sent no transaction | if a command was refused, or the connection was lost |
 */
export function canStartOver(state: SessionState, wasLost: boolean): boolean {
  if (state.writes > 0) return false;
  return state.execSent ? state.execRefused : state.commandRefused || wasLost;
}

/** How often a session that was refused starts over. */
const MAX_STARTS = 32;

/**
 * What follows when an attempt of a watching transaction failed. Pure.
 *
 * | the attempt | next |
 * | --- | --- |
 * | got no connection, for want of credentials or of room | reject |
 * | got no connection for another reason | start over |
 * | had a session that cannot start over | reject |
 * | had a session that can start over | start over, 32 times at most |
 */
export function decideAfterAttempt(attempt: {
  readonly starts: number;
  /** Undefined without a session. */
  readonly sessionCanStartOver: boolean | undefined;
  /** There will be no connection the next time either. */
  readonly isFinal: boolean;
}): "start-over" | "reject" {
  const { starts, sessionCanStartOver, isFinal } = attempt;
  if (starts >= MAX_STARTS) return "reject";
  return (sessionCanStartOver ?? !isFinal) ? "start-over" : "reject";
}

/** How often a script is loaded again for one call. Another client's flush in between is rare. */
const MAX_LOADS = 32;

/**
 * What follows when a script that was loaded in the same write failed in a session. Pure.
 *
 * | the call's error | its load | next |
 * | --- | --- | --- |
 * | NOSCRIPT | was denied | by EVAL |
 * | NOSCRIPT | failed, because the script does not compile | tell the load's error |
 * | NOSCRIPT | succeeded: another client's flush came between the two | load again, 32 times at most |
 * | any other | | tell the call's error |
 */
export function decideAfterScript(failure: {
  readonly isMissing: boolean;
  readonly loads: number;
  readonly load: "succeeded" | "denied" | "failed";
}): "eval" | "load-again" | "tell-load" | "tell-call" {
  if (!failure.isMissing || failure.loads >= MAX_LOADS) return "tell-call";
  if (failure.load === "denied") return "eval";
  return failure.load === "failed" ? "tell-load" : "load-again";
}
