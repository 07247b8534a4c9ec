import { isLoadDenied, parseErrorReply, type Refusal } from "../protocol/error-reply.ts";
import type { Verdict } from "./call.ts";

/** The first error reply to each part of a transaction; undefined where there was none. */
export interface TransactionErrors {
  readonly multi: string | undefined;
  /** The error of a SCRIPT LOAD inside the transaction. */
  readonly load: string | undefined;
  /** The error of a call, in place of QUEUED. */
  readonly queued: string | undefined;
  /** The error in place of EXEC's reply. */
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

/** Whether nothing ran because scripts cannot be loaded. */
export function areLoadsDenied({ multi, load }: Omit<TransactionErrors, "exec">): boolean {
  return multi === undefined && load !== undefined && isLoadDenied(load);
}

/**
 * Whether a call of a transaction ran that has an error in its place among EXEC's replies. Pure.
 * @param isOfLibrary  The call runs a function of a registered library.
 */
export function didPartRun(reply: string, runsCode: boolean, isOfLibrary: boolean): boolean {
  const { kind } = parseErrorReply(reply);
  if (kind === "noscript" || kind === "noperm") return false;
  if (kind === "no-function" && isOfLibrary) return false;
  return runsCode || kind !== "declined";
}
