import type { Cluster, SlotwireError, Watching } from "../../src/index.ts";
import { addTo, type Calls, type Draft, type Group, SCRIPTS } from "./calls.ts";
import type { Chance } from "./random.ts";
import type { SimLoop } from "./sim-loop.ts";

/** What the function of a watching transaction does in front of its transaction. */
type Habit = "reads" | "dawdles" | "runs a script" | "writes" | "throws";

const HABITS: Readonly<Record<Habit, number>> = { reads: 4, dawdles: 2, "runs a script": 1, writes: 1, throws: 0.5 };

/** What a function throws that throws. */
export const THROWN = { code: "REPLY", outcome: "not-executed", message: "thrown by the function" } as const;

/** Functions of watching transactions. */
export class Bodies {
  readonly #calls: Calls;
  readonly #chance: Chance;
  readonly #loop: SimLoop;

  constructor(calls: Calls, chance: Chance, loop: SimLoop) {
    this.#calls = calls;
    this.#chance = chance;
    this.#loop = loop;
  }

  /** Watches a key, reads it, perhaps does something else, and executes `drafts`. */
  async run(view: Cluster, tag: string, group: Group, drafts: readonly Draft[]): Promise<readonly unknown[] | null> {
    const key = `value:${tag}`;
    const habit = this.#chance.weighted(HABITS);
    const pauseMs = this.#chance.pick([1, 20, 300]);
    // It is one call, however often the function is called: it must not run twice.
    const aside = habit === "writes" ? this.#calls.draft("set", tag, 0, { ...group, kind: "aside" }) : undefined;
    group.aside = aside?.made.number;
    let asked: Promise<unknown> | undefined;
    const body = async (tx: Watching) => {
      group.saw = await tx.command<string | null>("GET", key);
      if (habit === "dawdles") await new Promise<void>((resolve) => this.#loop.setTimer(resolve, pauseMs));
      if (habit === "runs a script") await tx.run(SCRIPTS.read, [key], ["x"]);
      if (habit === "throws") throw THROWN;
      if (aside !== undefined) {
        group.saw = undefined;
        asked = tx.command("SET", ...aside.keys, ...aside.args);
        await asked;
      }
      const transaction = tx.multi();
      for (const draft of drafts) addTo(transaction, draft);
      return transaction;
    };
    try {
      return await view.transaction(tag, { watch: [key] }, body);
    } finally {
      if (aside !== undefined) void this.#settleAside(aside, asked);
    }
  }

  async #settleAside({ made }: Draft, asked: Promise<unknown> | undefined): Promise<void> {
    if (asked === undefined) {
      this.#calls.settled(made, undefined, { ...THROWN, message: "never sent" });
      return;
    }
    await asked.then(
      (reply) => this.#calls.settled(made, reply, undefined),
      (error: SlotwireError) => this.#calls.settled(made, undefined, error),
    );
  }
}
