import { parseErrorReply, type Refusal } from "../protocol/error-reply.ts";
import type { Verdict } from "./call.ts";

/** The first error reply to each part of a transaction, if there was one. */
export interface TransactionErrors {
  readonly multi: string | undefined;
  /** To a SCRIPT LOAD within it. */
  readonly load: string | undefined;
  /** To a call, in place of QUEUED. */
  readonly queued: string | undefined;
  /** In place of EXEC's reply. */
  readonly exec: string;
}

/**
 * What the error of a whole transaction proves. Pure.
 *
 * | refused | the error that counts | nothing ran |
 * | --- | --- | --- |
 * | MULTI | MULTI's | not proven: the calls behind it ran by themselves |
 * | a load or a call, so that EXEC was aborted | that of the first load or call | proven |
 * | EXEC | EXEC's | proven |
 */
export function verdictOf({ multi, load, queued, exec }: TransactionErrors): Verdict {
  if (multi !== undefined) return { text: multi, refusal: refusalOfAll(multi), proven: false };
  const first = load ?? queued;
  const text = exec.startsWith("EXECABORT ") && first !== undefined ? first : exec;
  return { text, refusal: refusalOfAll(text), proven: true };
}

/** A transaction that ends in an error was discarded whole, whatever the error says. */
function refusalOfAll(text: string): Refusal {
  const refusal = parseErrorReply(text);
  return refusal.kind === "other" || refusal.kind === "readonly-within" ? { kind: "declined" } : refusal;
}

/** Nothing ran, because the user may not load scripts. */
export function areLoadsDenied({ multi, load }: Omit<TransactionErrors, "exec">): boolean {
  return multi === undefined && load !== undefined && parseErrorReply(load).kind === "noperm";
}

/**
 * What a transaction proves of one of its calls by an error in its place among EXEC's replies: whether the call ran.
 * @param isOfLibrary  The call runs a function of a registered library.
 */
export function didPartRun(reply: string, runsCode: boolean, isOfLibrary: boolean): boolean {
  const { kind } = parseErrorReply(reply);
  if (kind === "noscript" || kind === "noperm") return false;
  if (kind === "no-function" && isOfLibrary) return false;
  return runsCode || kind !== "declined";
}
