/** Two bars side by side. */
export interface BarPair {
  readonly label: string;
  readonly values: readonly [a: number, b: number];
}

/** Values at evenly spaced shares from 0 to 1. */
export interface Curve {
  readonly name: "a" | "b";
  readonly points: readonly number[];
}

const WIDTH = 320;
const HEIGHT = 190;
const LEFT = 44;
const BOTTOM = 164;
const TOP = 12;

/** Pairs of bars, the values written on them. `told` says the same in words. */
export function barChart(bars: readonly BarPair[], told: string): string {
  const most = Math.max(...bars.flatMap(({ values }) => values));
  const step = (WIDTH - LEFT - 6) / bars.length;
  const width = step * 0.36;
  const shapes = bars.map(({ label, values }, index) => {
    const left = LEFT + step * index + step * 0.12;
    const pair = values.map((value, side) => {
      const height = ((BOTTOM - TOP - 10) * value) / most;
      const x = left + side * (width + 2);
      return (
        `<rect class="${side === 0 ? "a" : "b"}" x="${round(x)}" y="${round(BOTTOM - height)}" width="${round(width)}" height="${round(height)}" rx="2"/>` +
        `<text x="${round(x + width / 2)}" y="${round(BOTTOM - height - 3)}" text-anchor="middle">${short(value)}</text>`
      );
    });
    return `${pair.join("")}<text x="${round(left + width + 1)}" y="${BOTTOM + 16}" text-anchor="middle">${label}</text>`;
  });
  return svg(told, `${grid(most, short)}${shapes.join("")}`);
}

/** Shares of calls by latency, on a logarithmic scale of milliseconds. */
export function lineChart(curves: readonly Curve[], told: string): string {
  const all = curves.flatMap(({ points }) => points).filter((point) => point > 0);
  const low = Math.floor(Math.log10(Math.min(...all)) * 2) / 2;
  const high = Math.max(Math.ceil(Math.log10(Math.max(...all)) * 2) / 2, low + 0.5);
  const x = (value: number) => LEFT + ((WIDTH - LEFT - 10) * (Math.log10(value) - low)) / (high - low);
  const y = (share: number) => BOTTOM - (BOTTOM - TOP) * share;
  const ticks: string[] = [];
  for (let power = Math.ceil(low); power <= high; power++) {
    for (const factor of [1, 3]) {
      const value = factor * 10 ** power;
      if (Math.log10(value) > high) continue;
      const at = round(x(value));
      ticks.push(
        `<line class="grid" x1="${at}" x2="${at}" y1="${TOP}" y2="${BOTTOM}"/><text x="${at}" y="${BOTTOM + 16}" text-anchor="middle">${milliseconds(value)}</text>`,
      );
    }
  }
  const lines = curves.map(({ name, points }) => {
    const path = points.map(
      (value, index) => `${round(x(Math.max(value, 10 ** low)))} ${round(y(index / (points.length - 1)))}`,
    );
    return `<path class="${name}" d="M${path.join("L")}"/>`;
  });
  const shares = [0, 0.5, 0.9, 1].map(
    (share) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - 6}" y1="${round(y(share))}" y2="${round(y(share))}"/><text class="soft" x="${LEFT - 5}" y="${round(y(share) + 4)}" text-anchor="end">${share * 100}%</text>`,
  );
  return svg(
    told,
    `${shares.join("")}${ticks.join("")}${lines.join("")}<text class="soft" x="${WIDTH - 6}" y="${HEIGHT - 1}" text-anchor="end">ms</text>`,
  );
}

function grid(most: number, label: (value: number) => string): string {
  return [0, 0.5, 1]
    .map((share) => {
      const y = round(BOTTOM - (BOTTOM - TOP - 10) * share);
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH - 6}" y1="${y}" y2="${y}"/><text class="soft" x="${LEFT - 5}" y="${y + 4}" text-anchor="end">${label(most * share)}</text>`;
    })
    .join("");
}

function svg(told: string, content: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${told}">${content}</svg>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function short(value: number): string {
  if (value >= 10_000) return `${Math.round(value / 1000)}k`;
  return value >= 1000 ? `${(value / 1000).toFixed(1)}k` : String(Math.round(value));
}

function milliseconds(value: number): string {
  return value >= 1 ? String(Math.round(value)) : String(Number(value.toPrecision(1)));
}
