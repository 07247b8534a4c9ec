import { type Estimate, LEAST_VALUES, ratioOf, widthOf } from "./estimate.ts";
import { Latencies } from "./latency.ts";

/** What one slice of a round measured. */
export interface Slice {
  readonly calls: number;
  readonly seconds: number;
  readonly latencies: Latencies;
  /** Sums over all calls, by name: bytes, microseconds of CPU, and the like. */
  readonly costs: Readonly<Record<string, number>>;
}

/** One of the ways that are compared. */
export interface Way {
  readonly name: string;
  /** Makes calls for about that long, and waits for the last of them. Rejects when a reply is wrong. */
  slice(milliseconds: number): Promise<Slice>;
}

/** All ways in one round, in the order in which they were given. */
export type Round = ReadonlyMap<string, Slice>;

export interface RoundsOptions {
  /** The least time that each way is measured, in seconds. */
  readonly seconds: number;
  /** Goes on until the ratio of calls a second of each way to the first one is known to this share, for example 0.05. */
  readonly until?: number | undefined;
  /** The most time for each way, in seconds, for `until`. */
  readonly atMost?: number | undefined;
  /** The length of a slice; there are four in a round of two ways. */
  readonly sliceMilliseconds?: number | undefined;
  /** Random numbers from 0 to 1, for the order of the ways. */
  readonly random?: (() => number) | undefined;
  /** Runs the slices of one round, one after the other. A harness can wrap them. */
  readonly drive?: ((slices: readonly NamedSlice[]) => Promise<void>) | undefined;
  /** Hears of each round. */
  readonly progress?: ((round: number, soFar: Estimate | undefined) => void) | undefined;
}

export interface NamedSlice {
  readonly name: string;
  readonly run: () => Promise<void>;
}

const SLICE_MS = 25;
/** Times of warm-up, in slices: until a way gets no faster any more, within these bounds. */
const WARM_UP = { least: 4, most: 40 };

/**
 * The rounds of one comparison, made one at a time, so that several comparisons can take turns. The order of the ways is shuffled
 * in each round, and then mirrored (A B B A), so that a machine that gets slower or faster during a round does it to all ways alike.
 */
export class RoundSeries {
  readonly rounds: Round[] = [];
  readonly #ways: readonly Way[];
  readonly #milliseconds: number;
  readonly #random: () => number;
  readonly #drive: (slices: readonly NamedSlice[]) => Promise<void>;
  #spent = 0;

  constructor(ways: readonly Way[], options: Pick<RoundsOptions, "sliceMilliseconds" | "random" | "drive"> = {}) {
    this.#ways = ways;
    this.#milliseconds = options.sliceMilliseconds ?? SLICE_MS;
    this.#random = options.random ?? Math.random;
    this.#drive = options.drive ?? inOrder;
  }

  /** Calls each way until it gets no faster any more. */
  async warmUp(): Promise<void> {
    for (const way of this.#ways) await warmUp(way, this.#milliseconds);
  }

  /** Makes one slice of each way that does not count, after something else was measured. */
  async settle(): Promise<void> {
    for (const way of this.#ways) await way.slice(this.#milliseconds);
  }

  async round(): Promise<void> {
    const started = performance.now();
    const found = new Map<string, Slice>(this.#ways.map(({ name }) => [name, NOTHING]));
    const order = shuffled(this.#ways, this.#random);
    const slices = [...order, ...[...order].reverse()].map((way) => ({
      name: way.name,
      run: async () => {
        found.set(way.name, together(found.get(way.name) ?? NOTHING, await way.slice(this.#milliseconds)));
      },
    }));
    await this.#drive(slices);
    this.rounds.push(found);
    this.#spent += performance.now() - started;
  }

  /** How long the rounds took, in seconds for each way. */
  get spent(): number {
    return this.#spent / 1000 / this.#ways.length;
  }

  /** Of the ratios of calls a second to the first way, the one that is known least well. Undefined with a single way. */
  get widest(): Estimate | undefined {
    if (this.#ways.length < 2) return undefined;
    return [...ratiosOf(this.rounds, callsPerSecond).values()].sort((a, b) => widthOf(b) - widthOf(a))[0];
  }

  /** Whether there are as many rounds as were asked for, and intervals as narrow, or no time is left for that. */
  isEnough({ seconds, until, atMost = mostOf(seconds) }: Pick<RoundsOptions, "seconds" | "until" | "atMost">): boolean {
    if (this.rounds.length < LEAST_VALUES || this.spent < seconds) return false;
    if (until === undefined || this.spent >= atMost) return true;
    const { widest } = this;
    return widest !== undefined && widthOf(widest) <= until;
  }
}

/** Measures ways in rounds, until there are enough. */
export async function measureRounds(ways: readonly Way[], options: RoundsOptions): Promise<readonly Round[]> {
  const series = new RoundSeries(ways, options);
  await series.warmUp();
  while (!series.isEnough(options)) {
    await series.round();
    options.progress?.(series.rounds.length, series.widest);
  }
  return series.rounds;
}

function mostOf(seconds: number): number {
  return Math.max(60, seconds * 10);
}

/** The ratio of each way's figure to that of the first way, from the rounds. */
export function ratiosOf(rounds: readonly Round[], figure: (slice: Slice) => number): ReadonlyMap<string, Estimate> {
  const [base = "", ...others] = rounds[0]?.keys() ?? [];
  const of = (name: string) => rounds.map((round) => figure(round.get(name) ?? NOTHING));
  return new Map(others.map((name) => [name, ratioOf(of(name), of(base))]));
}

export function callsPerSecond({ calls, seconds }: Slice): number {
  return calls / seconds;
}

/** Several slices as one. */
export function together(a: Slice, b: Slice): Slice {
  const latencies = new Latencies();
  latencies.join(a.latencies);
  latencies.join(b.latencies);
  const costs: Record<string, number> = { ...a.costs };
  for (const [name, value] of Object.entries(b.costs)) costs[name] = (costs[name] ?? 0) + value;
  return { calls: a.calls + b.calls, seconds: a.seconds + b.seconds, latencies, costs };
}

const NOTHING: Slice = { calls: 0, seconds: 0, latencies: new Latencies(), costs: {} };

/** Ends when the newer half of the slices was no faster than the older half. */
async function warmUp(way: Way, milliseconds: number): Promise<void> {
  const rates: number[] = [];
  while (rates.length < WARM_UP.most) {
    rates.push(callsPerSecond(await way.slice(milliseconds)));
    const half = rates.length >> 1;
    const mean = (part: readonly number[]) => part.reduce((sum, rate) => sum + rate, 0) / part.length;
    if (rates.length >= WARM_UP.least && mean(rates.slice(half)) <= 1.02 * mean(rates.slice(half >> 1, half))) return;
  }
}

async function inOrder(slices: readonly NamedSlice[]): Promise<void> {
  for (const { run } of slices) await run();
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(random() * left.length), 1)[0] as T);
}
