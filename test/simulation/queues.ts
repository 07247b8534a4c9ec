import type { Made } from "./calls.ts";
import type { Ledger } from "./ledger.ts";

/** Until a server has noticed that a client has closed the connection on which a command waits. */
const NOTICED_MS = 100;

/**
 * Lists keep what is in them: an element comes to one call, and none is lost but to a call whose outcome is unknown.
 *
 * @param left  The elements that are still in the lists.
 */
export function brokenQueues(made: readonly Made[], ledger: Ledger, left: readonly string[]): string[] {
  const pops = made.filter(({ what }) => what === "pop");
  const got = pops.flatMap(({ reply }) => (Array.isArray(reply) ? [String(reply[1])] : []));
  const broken = got.filter((element, index) => got.indexOf(element) !== index).map((each) => `${each} came twice`);
  const isThere = new Set([...got, ...left]);
  const pushed = made.filter(({ what, number }) => what === "push" && ledger.of(number).executed > 0);
  const lost = pushed.filter(({ number }) => !isThere.has(`@${number};`));
  const inDoubt = pops.filter(
    ({ failure, number }) => failure?.outcome === "unknown" && ledger.of(number).executed > 0,
  );
  if (lost.length > inDoubt.length) {
    broken.push(`${lost.length} elements are gone, and ${inDoubt.length} calls that took one have an unknown outcome`);
  }
  return broken;
}

/** A call that was given up takes nothing any more: its connection has been closed. */
export function takenTooLate(made: readonly Made[], ledger: Ledger): string[] {
  return made.flatMap(({ what, number, settledAt, failure }) => {
    const { executed, executedAtMs } = ledger.of(number);
    if (what !== "pop" || failure === undefined || settledAt === undefined || executed === 0) return [];
    const lateMs = executedAtMs - settledAt;
    return lateMs <= NOTICED_MS ? [] : [`call ${number} took an element ${lateMs} ms after it was given up`];
  });
}
