import type { Cluster } from "../../src/index.ts";
import { slotOf } from "../../src/protocol/hash-slot.ts";
import { Calls, type Made } from "./calls.ts";
import { Groups } from "./groups.ts";
import type { Plan } from "./plan.ts";
import type { Chance } from "./random.ts";
import { Scans } from "./scans.ts";
import type { SimLoop } from "./sim-loop.ts";
import type { Story } from "./story.ts";

/** Calls that take their time, beside the ordinary ones. */
const PATIENT = { pop: 4, push: 4, scan: 1 };

const WEIGHTS = { count: 8, put: 3, read: 3, pair: 2, fail: 1, echo: 1, slow: 0.1, get: 2, set: 2 };

/** Makes calls as the plan says. */
export class Workload {
  readonly calls: Calls;
  readonly tags: readonly string[];
  readonly slots: readonly number[];
  readonly #plan: Plan;
  readonly #chance: Chance;
  readonly #loop: SimLoop;
  readonly #groups: Groups;
  readonly scans: Scans;

  constructor(plan: Plan, chance: Chance, loop: SimLoop, story: Story) {
    this.#plan = plan;
    this.#chance = chance;
    this.#loop = loop;
    this.tags = Array.from({ length: plan.tags }, (_, index) => tagFrom(chance, index));
    this.slots = this.tags.map((tag) => slotOf(tag));
    this.calls = new Calls(chance, loop, story, plan.largestBytes);
    this.#groups = new Groups(this.calls, chance, loop, this.tags);
    this.scans = new Scans(chance, loop, story);
  }

  /** Schedules all calls, many of them in one tick. `look` is called behind each tick's. */
  schedule(connected: Cluster, look: () => void): void {
    const chance = this.#chance;
    const { hedge } = this.#plan;
    const cluster = hedge === undefined ? connected : connected.with({ hedge });
    for (let left = this.#plan.calls; left > 0; ) {
      const together = Math.min(left, chance.pick([1, 1, 2, 5, 20]));
      left -= together;
      this.#loop.setTimer(
        () => {
          for (let call = 0; call < together; call++) this.#makeOne(cluster);
          look();
        },
        chance.between(0, this.#plan.durationMs),
      );
    }
  }

  /** Calls and scans that have no answer yet. */
  get underWay(): number {
    return this.calls.unsettled + this.scans.underWay;
  }

  /** Keys that are there from the beginning to the end. */
  get keptKeys(): string[] {
    return this.tags.flatMap((tag) => [1, 2, 3].map((number) => `kept:${number}${tag}`));
  }

  /** Calls on the slot of a tag, as many as fit into the bounds beside slotwire's own questions. */
  probe(cluster: Cluster, tag: string): Made[] {
    const drafts = [1, 2, 3].map(() => this.calls.draft("count", tag, 5000));
    for (const draft of drafts) this.calls.make(cluster, draft);
    return drafts.map(({ made }) => made);
  }

  #makeOne(cluster: Cluster): void {
    const chance = this.#chance;
    const { hurried, aborted, grouped, patient, options } = this.#plan;
    const timeoutMs = chance.of(hurried) ? chance.pick([3, 15, 100]) : (options.commandTimeout ?? 0);
    const signal = chance.of(aborted) ? this.#signal(chance.pick([1, 3, 20, 200])) : undefined;
    if (patient > 0 && chance.of(patient)) this.#makePatient(cluster, timeoutMs, signal);
    else if (chance.of(grouped)) this.#groups.makeOne(cluster, { timeoutMs, signal });
    else
      this.calls.make(cluster, this.calls.draft(chance.weighted(WEIGHTS), chance.pick(this.tags), timeoutMs), signal);
  }

  #makePatient(cluster: Cluster, timeoutMs: number, signal: AbortSignal | undefined): void {
    const what = this.#chance.weighted(PATIENT);
    if (what === "scan") void this.scans.make(cluster, timeoutMs, signal);
    else this.calls.make(cluster, this.calls.draft(what, this.#chance.pick(this.tags), timeoutMs), signal);
  }

  #signal(afterMs: number): AbortSignal {
    const controller = new AbortController();
    this.#loop.setTimer(() => controller.abort(), afterMs);
    return controller.signal;
  }
}

/** Slots in all parts of the range but for the last one, which scripts use for errors of their own. */
function tagFrom(chance: Chance, index: number): string {
  const tag = `{${chance.whole(0, 9999)}-${index}}`;
  return slotOf(tag) === 16383 ? tagFrom(chance, index) : tag;
}
