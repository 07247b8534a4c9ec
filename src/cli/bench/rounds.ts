import { type Estimate, LEAST_ROUNDS, median, ratioOf, widthOf } from "./estimate.ts";
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
  /** The most time for each way, in seconds, for `until`. Default: `atMostFor(seconds)`. */
  readonly atMost?: number | undefined;
  /** The length of a slice; there are four in a round of two ways. Default: 25, and less for a short measurement. */
  readonly sliceMilliseconds?: number | undefined;
  /** The least number of calls in a slice, which makes slices longer. With many in flight, a short one is all begin and end. */
  readonly sliceCalls?: number | undefined;
  /** Random numbers from 0 to 1, for the order of the ways. */
  readonly random?: (() => number) | undefined;
  /** Runs the slices of one round, one after the other. A harness can wrap them. */
  readonly drive?: ((slices: readonly NamedSlice[]) => Promise<void>) | undefined;
  /** Hears of each round, and of the widest interval when it was last looked at. */
  readonly progress?: ((round: number, soFar: Estimate | undefined) => void) | undefined;
}

export interface NamedSlice {
  readonly name: string;
  readonly run: () => Promise<void>;
}

const SLICE_MS = { least: 5, most: 25 };
const LONGEST_SLICE_MS = 250;
/** Beyond these, neighbouring rounds are joined: a long measurement needs no more memory than this. */
const MOST_ROUNDS = 512;
/** An interval that is looked at after each round is narrow by luck some time. It is looked at when there are so many more. */
const LOOK_AGAIN = 1.1;
/** Times of warm-up, in slices: until a way gets no faster any more, within these bounds. */
const WARM_UP = { least: 8, most: 40 };

/**
 * The rounds of one comparison, made one at a time, so that several comparisons can take turns. The order of the ways is shuffled
 * in each round, and then mirrored (A B B A), so that a machine that gets slower or faster during a round does it to all ways alike.
 */
export class RoundSeries {
  readonly #ways: readonly Way[];
  readonly #options: SeriesOptions;
  readonly #kept = new KeptRounds();
  #milliseconds: number;
  #spent = 0;
  #look = 0;
  #widest: Estimate | undefined;
  #lookedAt = 0;

  constructor(ways: readonly Way[], options: SeriesOptions = {}) {
    this.#ways = ways;
    this.#options = options;
    this.#milliseconds = options.sliceMilliseconds ?? usualSlice(options.seconds);
  }

  /** Calls each way until it gets no faster any more, and sees how long slices must be. */
  async warmUp(): Promise<void> {
    const paces: number[] = [];
    for (const way of this.#ways) paces.push(await warmUp(way, this.#milliseconds));
    const needed = (1000 * (this.#options.sliceCalls ?? 0)) / Math.min(...paces);
    this.#milliseconds = Math.max(this.#milliseconds, Math.min(LONGEST_SLICE_MS, needed));
  }

  /** Makes one slice of each way that does not count, after something else was measured. */
  async settle(): Promise<void> {
    for (const way of this.#ways) await way.slice(this.#milliseconds);
  }

  async round(): Promise<void> {
    const { random = Math.random, drive = inOrder } = this.#options;
    const started = performance.now();
    const found = new Map<string, Slice>(this.#ways.map(({ name }) => [name, NOTHING]));
    const order = shuffled(this.#ways, random);
    const slices = [...order, ...[...order].reverse()].map((way) => ({
      name: way.name,
      run: async () => {
        found.set(way.name, together(found.get(way.name) ?? NOTHING, await way.slice(this.#milliseconds)));
      },
    }));
    await drive(slices);
    this.#spent += performance.now() - started;
    this.#kept.add(found);
    const { rounds, count } = this.#kept;
    if (count < this.#look) return;
    this.#look = Math.ceil(count * LOOK_AGAIN);
    this.#lookedAt = count;
    this.#widest = widestOf(this.#ways, rounds);
  }

  /** The rounds so far; neighbours are joined when there are many. */
  get rounds(): readonly Round[] {
    return this.#kept.rounds;
  }

  /** The number of rounds that were made. */
  get count(): number {
    return this.#kept.count;
  }

  /** Of the ratios of calls a second, the one that was known least well when they were last looked at. */
  get widest(): Estimate | undefined {
    return this.#widest;
  }

  /** Whether there are as many rounds as were asked for, and intervals as narrow, or no time is left for that. */
  isEnough({
    seconds,
    until,
    atMost = atMostFor(seconds),
  }: Pick<RoundsOptions, "seconds" | "until" | "atMost">): boolean {
    const spent = this.#spent / 1000 / this.#ways.length;
    if (this.rounds.length < LEAST_ROUNDS || spent < seconds) return false;
    if (until === undefined || spent >= atMost) return true;
    // What was narrow some rounds ago need not be so any more, and what will be told are the intervals of all rounds.
    return this.#lookedAt === this.count && this.#widest !== undefined && widthOf(this.#widest) <= until;
  }
}

type SeriesOptions = Partial<Pick<RoundsOptions, "seconds">> &
  Pick<RoundsOptions, "sliceMilliseconds" | "sliceCalls" | "random" | "drive">;

/** Measures ways in rounds, until there are enough. */
export async function measureRounds(ways: readonly Way[], options: RoundsOptions): Promise<readonly Round[]> {
  const series = new RoundSeries(ways, options);
  await series.warmUp();
  while (!series.isEnough(options)) {
    await series.round();
    options.progress?.(series.count, series.widest);
  }
  return series.rounds;
}

/** Short enough for `LEAST_ROUNDS` in that time. */
function usualSlice(seconds = Number.POSITIVE_INFINITY): number {
  return Math.max(SLICE_MS.least, Math.min(SLICE_MS.most, (1000 * seconds) / 2 / LEAST_ROUNDS));
}

/** The bound on `--until`, in seconds for each way. */
export function atMostFor(seconds: number): number {
  return Math.max(60, seconds * 10);
}

/** The rounds so far. Neighbours are joined when there are many. */
export class KeptRounds {
  readonly rounds: Round[] = [];
  count = 0;
  #joins = 1;
  #open: Round[] = [];

  add(round: Round): void {
    this.count++;
    this.#open.push(round);
    if (this.#open.length < this.#joins) return;
    this.rounds.push(joinedRounds(this.#open));
    this.#open = [];
    if (this.rounds.length < MOST_ROUNDS) return;
    const pairs = this.rounds.splice(0);
    for (let pair = 0; pair < pairs.length; pair += 2) this.rounds.push(joinedRounds(pairs.slice(pair, pair + 2)));
    this.#joins *= 2;
  }
}

function joinedRounds([first, ...others]: readonly Round[]): Round {
  const joined = new Map(first);
  for (const round of others) {
    for (const [name, slice] of round) joined.set(name, together(joined.get(name) ?? NOTHING, slice));
  }
  return joined;
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

function widestOf(ways: readonly Way[], rounds: readonly Round[]): Estimate | undefined {
  if (ways.length < 2) return undefined;
  return [...ratiosOf(rounds, callsPerSecond).values()].sort((a, b) => widthOf(b) - widthOf(a))[0];
}

/** Ends when the newer half of the slices was no faster than the older half. @returns the calls a second of the fastest slice */
async function warmUp(way: Way, milliseconds: number): Promise<number> {
  const rates: number[] = [];
  for (;;) {
    rates.push(callsPerSecond(await way.slice(milliseconds)));
    const half = rates.length >> 1;
    const isSteady = median(rates.slice(half)) <= 1.02 * median(rates.slice(half >> 1, half));
    if ((isSteady && rates.length >= WARM_UP.least) || rates.length >= WARM_UP.most) return Math.max(...rates);
  }
}

async function inOrder(slices: readonly NamedSlice[]): Promise<void> {
  for (const { run } of slices) await run();
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(random() * left.length), 1)[0] as T);
}
