/** What a watching session has sent so far, and what was refused. */
export interface SessionState {
  /** The number of commands that may have written. A command that was proven not to have run does not count. */
  readonly writes: number;
  /** The transaction was handed to the socket. */
  readonly execSent: boolean;
  /** A command in front of the transaction was refused in a way that passes: MOVED, ASK, TRYAGAIN, LOADING, ... */
  readonly commandRefused: boolean;
  /** The transaction itself was refused in such a way. */
  readonly execRefused: boolean;
}

/**
 * Whether a session that failed can start over on the node that serves the slot by now: only if no command of the
 * session can have written. Pure.
 *
 * | the session | starts over |
 * | --- | --- |
 * | sent a command that may have written | no |
 * | sent its transaction | if that was refused: an earlier refusal can have been caught by the function |
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
 * | got no connection, because the credentials were refused or too much is waiting | reject |
 * | got no connection for another reason | start over |
 * | had a session that cannot start over | reject |
 * | had a session that can start over | start over, 32 times at most |
 */
export function decideAfterAttempt(attempt: {
  readonly starts: number;
  /** Undefined without a session. */
  readonly sessionCanStartOver: boolean | undefined;
  /** The next attempt would get no connection either. */
  readonly isFinal: boolean;
}): "start-over" | "reject" {
  const { starts, sessionCanStartOver, isFinal } = attempt;
  if (starts >= MAX_STARTS) return "reject";
  return (sessionCanStartOver ?? !isFinal) ? "start-over" : "reject";
}

/** So many times a script is loaded for one call. That another client flushes in between is rare. */
const MAX_LOADS = 32;

/**
 * What follows when the call of a script failed in a session. The script was loaded in the same write. Pure.
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
