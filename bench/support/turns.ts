import type { RoundSeries, RoundsOptions } from "../../src/cli/bench/rounds.ts";

/** Something that is measured in rounds, in turn with others. */
export interface Turn {
  readonly title: string;
  readonly series: RoundSeries;
}

export interface TurnsOptions extends Pick<RoundsOptions, "seconds" | "until" | "atMost" | "random"> {
  /** Hears of each turn. */
  readonly progress?: ((turn: Turn, done: number, of: number) => void) | undefined;
}

/** The number of rounds of a turn. */
const ROUNDS = 3;

/**
 * Measures all comparisons, a few rounds at a time, in an order that is shuffled again for each pass. Whatever the machine does
 * for a while then happens to some rounds of each, and not to all rounds of one.
 */
export async function measureInTurns(turns: readonly Turn[], options: TurnsOptions): Promise<void> {
  const { random = Math.random, progress } = options;
  let left = turns;
  let done = 0;
  while (left.length > 0) {
    for (const turn of shuffled(left, random)) {
      progress?.(turn, done, turns.length);
      const { series } = turn;
      if (series.rounds.length === 0) await series.warmUp();
      else await series.settle();
      for (let round = 0; round < ROUNDS && !series.isEnough(options); round++) await series.round();
      if (series.isEnough(options)) done++;
    }
    left = left.filter(({ series }) => !series.isEnough(options));
  }
}

export function shuffled<T>(items: readonly T[], random: () => number = Math.random): T[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(random() * left.length), 1)[0] as T);
}
