import { parseErrorReply, type Refusal } from "../protocol/error-reply.ts";

/*
 * What may be published of the text of an error. Servers quote arguments, and scripts return any text, so only texts that
 * slotwire knows as a whole are published.
 */

/** Refusals whose whole text is known, or has nothing but a slot and an address in it. */
const WITHOUT_QUOTES: ReadonlySet<Refusal["kind"]> = new Set([
  "moved",
  "ask",
  "noscript",
  "tryagain",
  "clusterdown",
  "loading",
  "masterdown",
  "busy",
  "readonly",
  "unblocked",
  "no-function",
  "out-of-memory",
]);

/** The first word of an error that slotwire knows, as an answer to a call of `slot`; `error` for any other one. */
export function wordOf(text: string, slot: number): string {
  const refusal = parseErrorReply(text);
  if (refusal.kind === "other" || isForeign(refusal, slot)) return "error";
  return text.split(" ", 1)[0] ?? "error";
}

/** The text, if it quotes nothing. */
export function knownWordsOf(text: string, slot: number): string | undefined {
  return quotesNothing(text) && !isForeign(parseErrorReply(text), slot) ? text : undefined;
}

/** Whether slotwire knows the text as a whole, or there is nothing but a slot and an address in it. */
export function quotesNothing(text: string): boolean {
  return WITHOUT_QUOTES.has(parseErrorReply(text).kind);
}

/** Whether it is a redirection of another slot, which a script made up. */
function isForeign(refusal: Refusal, slot: number): boolean {
  return "slot" in refusal && refusal.slot !== slot;
}

/** Removes arguments from an error text. A server quotes them when it does not know a command. */
export function withoutArguments(text: string): string {
  return text.replace(/, with args beginning with: .*/s, "");
}
