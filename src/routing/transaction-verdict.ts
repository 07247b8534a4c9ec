import { isLoadDenied, parseErrorReply, type Refusal } from "../protocol/error-reply.ts";
import type { CallKind, Verdict } from "./call.ts";

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

/** Whether a call of a transaction ran that has an error in its place among EXEC's replies. Pure. */
export function didPartRun(
  reply: string,
  { runsCode, registered }: Pick<CallKind, "runsCode" | "registered">,
): boolean {
  const { kind } = parseErrorReply(reply);
  if (kind === "noscript" || kind === "noperm") return false;
  if (kind === "no-function" && registered?.kind === "library") return false;
  if (kind === "out-of-memory") return runsCode && registered?.isCheckedFirst !== true;
  return runsCode || kind !== "declined";
}

/** The facts about one call of a group that was lost. */
export interface LostPart {
  /** The group was handed to a socket. */
  readonly wasWritten: boolean;
  readonly mayRepeat: boolean;
  /** A later call of its keys that may write was written in the same group. */
  readonly isOverwritten: boolean;
  /** The call waits for no other one. */
  readonly isNext: boolean;
  readonly isClosed: boolean;
}

/**
 * What becomes of one call of a group that was lost. Pure.
 *
 * | the call | then |
 * | --- | --- |
 * | was written, and may not run twice or behind a later write | it is lost, and never repeated |
 * | waits for no other one, or the client is closed | it is lost, and `decideNextStep` says what follows |
 * | waits for others | it takes its turn behind them |
 */
export function decideLostPart(part: LostPart): "lost-for-good" | "lost" | "takes-its-turn" {
  if (part.wasWritten && (!part.mayRepeat || part.isOverwritten)) return "lost-for-good";
  return part.isClosed || part.isNext ? "lost" : "takes-its-turn";
}

/** What the error in place of EXEC's reply means for a group of calls. */
export type GroupDecision =
  /** MULTI was refused: each call ran by itself, and was answered by itself. */
  | { readonly kind: "ran-one-by-one" }
  /** Nothing ran, and the same would be said to a call that is sent alone. */
  | { readonly kind: "refused"; readonly text: string }
  /** Nothing ran. The reason may be one call of several, or the load. */
  | { readonly kind: "discarded"; readonly loadsDenied: boolean }
  /** The words are not known. */
  | { readonly kind: "unclear" };

/** Refusals of a slot or of a whole node. */
const OF_ALL: ReadonlySet<Refusal["kind"]> = new Set<Refusal["kind"]>([
  "moved",
  "ask",
  "tryagain",
  "clusterdown",
  "loading",
  "masterdown",
  "busy",
]);

/** What becomes of a group of calls whose EXEC was answered by an error. Pure. */
export function decideGroup(errors: TransactionErrors): GroupDecision {
  if (errors.multi !== undefined) return { kind: "ran-one-by-one" };
  const { text, refusal } = verdictOf(errors);
  if (OF_ALL.has(refusal.kind)) return { kind: "refused", text };
  if (errors.exec.startsWith("EXECABORT Transaction discarded because of")) {
    return { kind: "discarded", loadsDenied: areLoadsDenied(errors) };
  }
  return { kind: "unclear" };
}
