import { AuthError, type Outcome, QueueFullError } from "../errors.ts";
import type { NextStep } from "../routing/next-step-rows.ts";

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
  readonly failure: unknown;
}): "start-over" | "reject" {
  const { starts, sessionCanStartOver, failure } = attempt;
  if (starts >= MAX_STARTS) return "reject";
  const isFinal = failure instanceof AuthError || failure instanceof QueueFullError;
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

/** How often a library is loaded for one call, at most. */
const MAX_LIBRARY_LOADS = 2;

/**
 * Decides what follows after a function of a registered library failed in a session. Pure.
 *
 * | the call's error | next |
 * | --- | --- |
 * | the function is missing, for the first time | load the library and send the call again |
 * | the function is missing again: the library does not have it | tell the call's error |
 * | any other | tell the call's error |
 */
export function decideAfterFunction(isMissing: boolean, loads: number): "load-again" | "tell-call" {
  return isMissing && loads < MAX_LIBRARY_LOADS ? "load-again" : "tell-call";
}

/**
 * Whether a call of a session ran that was answered with an error, given what the decision says of that error. Pure.
 *
 * | the call | ran |
 * | --- | --- |
 * | is a transaction, which is discarded whole | no |
 * | runs a function of a registered library that the node does not have | no |
 * | got an error that would be retried outside of a session | no |
 * | any other | as the decision says |
 */
export function outcomeOfAnswer(
  step: NextStep,
  call: { readonly isTransaction: boolean; readonly isMissingFunction: boolean },
): Outcome {
  if (step.kind === "retry" || call.isTransaction || call.isMissingFunction) return "not-executed";
  return step.outcome;
}
