import type { Made } from "./calls.ts";
import type { Ledger } from "./ledger.ts";

/** A window, and how often one node may be asked for the topology in it: 10 rounds in a second, and a few that crossed. */
const WINDOW_MS = 1000;
const MOST_QUESTIONS = 14;

/** The topology is not asked for without a pause, whatever happens. */
export function askedTooOften({ questions }: Ledger): string[] {
  return [...questions].flatMap(([server, times]) => {
    const at = times.findIndex((time, index) => time - (times[index - MOST_QUESTIONS] ?? Number.NaN) < WINDOW_MS);
    return at === -1 ? [] : [`${server} was asked for the topology more than ${MOST_QUESTIONS} times in a second`];
  });
}

/**
 * Calls for slots that nobody owns are bounded together as those of a node are. Until the client knows that nobody does,
 * they count for the node that had the slot.
 */
export function unownedExceeded(made: readonly Made[], most: number, unowned: ReadonlySet<number>): string[] {
  const changes = made.flatMap(({ slot, what, group, madeAt, settledAt = Number.POSITIVE_INFINITY }) => {
    const counts = unowned.has(slot) && group === undefined && what !== "pop" && settledAt > madeAt;
    return counts
      ? [
          { at: madeAt, by: 1 },
          { at: settledAt, by: -1 },
        ]
      : [];
  });
  let [pending, peak] = [0, 0];
  for (const { by } of changes.sort((a, b) => a.at - b.at || a.by - b.by)) {
    pending += by;
    peak = Math.max(peak, pending);
  }
  return peak <= 2 * most ? [] : [`${peak} calls were pending for slots without owner, where ${most} may be`];
}
