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
 * Measures ways in rounds. The order is shuffled in each round, and then mirrored (A B B A), so that a machine that gets slower
 * or faster during a round does it to all ways alike.
 */
export async function measureRounds(ways: readonly Way[], options: RoundsOptions): Promise<readonly Round[]> {
  const { seconds, until, atMost = Math.max(60, seconds * 10), random = Math.random, progress } = options;
  const milliseconds = options.sliceMilliseconds ?? SLICE_MS;
  const drive = options.drive ?? inOrder;
  for (const way of ways) await warmUp(way, milliseconds);
  const rounds: Round[] = [];
  const started = performance.now();
  const spent = () => (performance.now() - started) / 1000 / ways.length;
  for (;;) {
    const found = new Map<string, Slice>(ways.map(({ name }) => [name, NOTHING]));
    const order = shuffled(ways, random);
    const slices = [...order, ...[...order].reverse()].map((way) => ({
      name: way.name,
      run: async () => {
        found.set(way.name, together(found.get(way.name) ?? NOTHING, await way.slice(milliseconds)));
      },
    }));
    await drive(slices);
    rounds.push(found);
    const widest = widestOf(ways, rounds);
    progress?.(rounds.length, widest);
    if (rounds.length < LEAST_VALUES || spent() < seconds) continue;
    if (until === undefined || (widest !== undefined && widthOf(widest) <= until) || spent() >= atMost) return rounds;
  }
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
