/** A scale from values to a share of the width or height of a drawing. */
export interface Axis {
  readonly ticks: readonly number[];
  /** From 0 to 1 for every value that the axis was made for. */
  at(value: number): number;
}

/** A logarithmic axis spans at least this factor, so that a difference of some percent looks as small as it is. */
const LEAST_FACTOR = 4;
const MOST_TICKS = 6;
/** What an axis leaves free at the ends, as a share of its length. */
const MARGIN = 0.03;

/** An axis that holds all values: nothing is drawn beyond its ends. Values that it cannot show are left aside. */
export function axisOf(values: readonly number[], scale: "linear" | "logarithmic"): Axis {
  return scale === "linear" ? linear(values.filter(Number.isFinite)) : logarithmic(values.filter(isDrawable));
}

/** Whether a value has a place on a logarithmic axis. JSON turns NaN and Infinity into null. */
export function isDrawable(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

function linear(values: readonly number[]): Axis {
  const most = Math.max(0, ...values) || 1;
  const step = niceStep(most / (MOST_TICKS - 1));
  const ticks = Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, index) => index * step);
  const end = most * (1 + MARGIN);
  return { ticks, at: (value) => Math.max(0, value) / end };
}

function logarithmic(values: readonly number[]): Axis {
  const logs = values.length === 0 ? [0] : values.map(Math.log10);
  let [from, to] = [Math.min(...logs), Math.max(...logs)];
  const missing = Math.max(0, Math.log10(LEAST_FACTOR) - (to - from)) / 2;
  [from, to] = [from - missing, to + missing];
  const margin = (to - from) * MARGIN;
  [from, to] = [from - margin, to + margin];
  const at = (value: number) => (Math.log10(value) - from) / (to - from);
  const ticksOf = (factors: readonly number[], every: number) => {
    const ticks: number[] = [];
    for (let power = Math.floor(from / every) * every; power <= to; power += every) {
      ticks.push(...factors.map((factor) => Number((factor * 10 ** power).toPrecision(2))));
    }
    return ticks.filter((tick) => at(tick) >= 0 && at(tick) <= 1);
  };
  for (const factors of [[1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
    const ticks = ticksOf(factors, 1);
    if (ticks.length <= MOST_TICKS) return { ticks, at };
  }
  return { ticks: ticksOf([1], Math.ceil((to - from) / (MOST_TICKS - 1))), at };
}

/** The least number of at least `value` that is 1, 2 or 5 times a power of ten. */
export function niceStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5].find((each) => each * power >= value * (1 - 1e-9)) ?? 10;
  return Number((factor * power).toPrecision(1));
}
