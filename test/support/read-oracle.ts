/** One value that a key got, or lost, as those who made it so know it. Milliseconds of one clock. */
export interface Change {
  /** Null: the key is not there. */
  readonly value: string | null;
  /** It took place between these. `by` is infinite while nobody knows whether it did. */
  readonly from: number;
  by: number;
  /** It may have been undone, by a failover or a move that loses writes: then it says nothing of the values before it. */
  isCertain: boolean;
}

/** Knows what keys held, and by when each value was over: what a reply from memory is compared with. */
export class ReadOracle {
  readonly #changes = new Map<string, Change[]>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A change begins. The caller says when it is done (`by`), or that it is not certain. */
  begin(key: string, value: string | null, from = this.#now()): Change {
    const change: Change = { value, from, by: Number.POSITIVE_INFINITY, isCertain: true };
    let changes = this.#changes.get(key);
    if (changes === undefined) {
      changes = [{ value: null, from: Number.NEGATIVE_INFINITY, by: Number.NEGATIVE_INFINITY, isCertain: true }];
      this.#changes.set(key, changes);
    }
    changes.push(change);
    // Long histories cost time at each read: what was over minutes ago is of no use, and a stale reply of it is found by its absence.
    if (changes.length > MOST_CHANGES) changes.splice(0, changes.length - MOST_CHANGES);
    return change;
  }

  /** What was done to a key in this time may be undone. */
  doubt(key: string, from: number, to: number): void {
    for (const change of this.#changes.get(key) ?? []) {
      if (change.from <= to && change.by >= from) change.isCertain = false;
    }
  }

  /** The keys that it knows. */
  get keys(): string[] {
    return [...this.#changes.keys()];
  }

  /**
   * For how long the value was over when its read was made, for certain: 0 while it may have been current.
   * @param settledAt  Values that came later cannot have been read. Default: now.
   * @returns Milliseconds; infinite for a value that the key never had.
   */
  staleFor(key: string, value: string | null, madeAt: number, settledAt = this.#now()): number {
    const changes = this.#changes.get(key);
    if (changes === undefined) return value === null ? 0 : Number.POSITIVE_INFINITY;
    let least = Number.POSITIVE_INFINITY;
    for (const change of changes) {
      if (change.value !== value || change.from > settledAt) continue;
      least = Math.min(least, Math.max(0, madeAt - overBy(change, changes)));
    }
    return least;
  }
}

const MOST_CHANGES = 4000;

/** When another value had replaced it, for certain. */
function overBy(change: Change, changes: readonly Change[]): number {
  let by = Number.POSITIVE_INFINITY;
  for (const { from, by: until, isCertain } of changes) {
    if (isCertain && from > change.by) by = Math.min(by, until);
  }
  return by;
}
