import type { Cluster, SlotwireError } from "../../src/index.ts";
import { Bodies, type THROWN } from "./bodies.ts";
import { addTo, type Calls, type Draft, type Group } from "./calls.ts";
import type { Chance } from "./random.ts";
import type { SimLoop } from "./sim-loop.ts";

export interface GroupSettings {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Makes calls together: batches, transactions, and transactions that watch a key. */
export class Groups {
  readonly #bodies: Bodies;
  readonly #calls: Calls;
  readonly #chance: Chance;
  readonly #tags: readonly string[];
  #made = 0;

  constructor(calls: Calls, chance: Chance, loop: SimLoop, tags: readonly string[]) {
    this.#bodies = new Bodies(calls, chance, loop);
    this.#calls = calls;
    this.#chance = chance;
    this.#tags = tags;
  }

  makeOne(cluster: Cluster, settings: GroupSettings): void {
    const { timeoutMs: timeout, signal } = settings;
    const kind = this.#chance.weighted({ batch: 3, transaction: 2, watch: 1 });
    // Without a deadline a watching transaction starts over for minutes.
    const timeoutMs = kind === "watch" && timeout === 0 ? 5000 : timeout;
    const view = cluster.with({ timeout: timeoutMs, ...(signal && { signal }) });
    const group: Group = { kind, number: ++this.#made };
    if (kind === "batch") this.#batch(view, group, timeoutMs);
    else this.#transaction(view, group, timeoutMs);
  }

  #batch(view: Cluster, group: Group, timeoutMs: number): void {
    const few = this.#chance.of(0.5) ? [this.#chance.pick(this.#tags)] : this.#tags;
    const drafts = this.#drafts(group, timeoutMs, () => this.#chance.pick(few));
    const batch = view.batch();
    for (const draft of drafts) addTo(batch, draft);
    this.#settle(drafts, batch.exec());
  }

  #transaction(view: Cluster, group: Group, timeoutMs: number): void {
    const tag = this.#chance.pick(this.#tags);
    const drafts = this.#drafts(group, timeoutMs, () => tag);
    if (group.kind === "transaction") {
      const transaction = view.transaction(tag);
      for (const draft of drafts) addTo(transaction, draft);
      this.#settle(drafts, transaction.exec());
      return;
    }
    this.#settle(drafts, this.#bodies.run(view, tag, group, drafts));
  }

  #drafts(group: Group, timeoutMs: number, tag: () => string): Draft[] {
    const size = this.#chance.pick(group.kind === "batch" ? [1, 2, 4, 8, 30, 60] : [1, 2, 4, 8]);
    const weights = { count: 6, put: 2, read: 2, pair: 1, fail: 0.5, set: 2, get: 1 };
    return Array.from({ length: size }, () =>
      this.#calls.draft(this.#chance.weighted(weights), tag(), timeoutMs, group),
    );
  }

  #settle(drafts: readonly Draft[], executed: Promise<readonly unknown[] | null>): void {
    executed.then(
      (results) => {
        drafts.forEach(({ made }, index) => {
          const result = results === null ? undefined : results[index];
          if (result instanceof Error) this.#calls.settled(made, undefined, result as SlotwireError);
          else this.#calls.settled(made, result, results === null ? UNTOUCHED : undefined);
        });
      },
      (error: SlotwireError | typeof THROWN) => {
        for (const { made } of drafts) this.#calls.settled(made, undefined, error);
      },
    );
  }
}

/** A watched key had changed: nothing ran. */
const UNTOUCHED = { code: "REPLY", outcome: "not-executed", message: "a watched key had changed" } as const;
