import { barChart, type Curve, lineChart } from "./charts.ts";
import type { Comparison, Measured } from "./comparison.ts";
import { type BenchReport, priceTable, sizeOf, tableOf } from "./report.ts";

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #667; --paper: #fff; --rule: #d8dce2; --a: #0b6bcb; --b: #c2570c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #9aa3ad; --paper: #14171b; --rule: #343a42; --a: #5aa9f8; --b: #f0954a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p, li { max-width: 44rem; } small, .soft { color: var(--soft); }
.charts { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
figure { margin: 0; } figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .25rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 11px system-ui, sans-serif; } svg .soft { fill: var(--soft); }
.a { fill: var(--a); } .b { fill: var(--b); } path.a { fill: none; stroke: var(--a); } path.b { fill: none; stroke: var(--b); }
path.a, path.b { stroke-width: 2; } .grid { stroke: var(--rule); stroke-width: 1; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .8rem; white-space: nowrap; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; white-space: normal; vertical-align: bottom; }
details pre { overflow-x: auto; font-size: .75rem; }
`;

/** The report as one page that needs nothing else: no script, no network. */
export function htmlOf(report: BenchReport): string {
  const { environment, method, comparisons, prices } = report;
  const real = comparisons.filter(({ filling }) => filling === "code");
  const loads = [...new Set(real.map(({ inFlight }) => inFlight))];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>EVALSHA against EVAL</title>
<style>${STYLE}</style>
<h1>EVALSHA against EVAL</h1>
<p>A script called by its SHA-1 against the same script sent with every call, through slotwire ${escaped(environment.slotwire)} on
${escaped(serverOf(environment.server))}.</p>
<p><span class="key" style="background: var(--a)"></span>EVALSHA &ensp; <span class="key" style="background: var(--b)"></span>EVAL</p>
<h2>Calls a second</h2>
<div class="charts">${loads.map((inFlight) => rates(real, inFlight)).join("\n")}</div>
<h2>Latency</h2>
<p class="soft">The share of calls that were answered within a time: the further left, the faster.</p>
<div class="charts">${loads.flatMap((inFlight) => [1024, 65_536].map((bytes) => curves(real, inFlight, bytes))).join("\n")}</div>
<h2>All figures</h2>
${table(tableOf(comparisons))}
<p class="soft">Two figures in a cell: EVALSHA / EVAL. "comment": the script is mostly a comment, which the server has to read but
not to compile.</p>
<h2>What a detour costs one call</h2>
${table(priceTable(prices))}
<h2>Method</h2>
<p>${escaped(method)}</p>
${table(["| measured on | |", "|-|", ...Object.entries(environment).map(([name, value]) => `| ${name} | ${value} |`)])}
<details><summary>Raw data</summary><pre>${escaped(JSON.stringify(withoutCurves(report)))}</pre></details>
</html>
`;
}

function rates(comparisons: readonly Comparison[], inFlight: number): string {
  const own = comparisons.filter((each) => each.inFlight === inFlight);
  const bars = own.map((each) => ({
    label: sizeOf(each.bytes),
    values: [each.evalsha.callsPerSecond, each.eval.callsPerSecond] as const,
  }));
  const told = bars.map(
    ({ label, values }) => `${label}: ${values.map((value) => Math.round(value)).join(" against ")}`,
  );
  return figure(`${inFlight} in flight`, barChart(bars, `Calls a second, EVALSHA against EVAL. ${told.join("; ")}.`));
}

function curves(comparisons: readonly Comparison[], inFlight: number, bytes: number): string {
  const one = comparisons.find((each) => each.inFlight === inFlight && each.bytes === bytes);
  if (one === undefined) return "";
  const curve = ({ curve }: Measured, name: "a" | "b"): Curve => ({ name, points: curve });
  const told = `Latency in milliseconds, p50 ${one.evalsha.p50.toFixed(2)} against ${one.eval.p50.toFixed(2)}, p99 ${one.evalsha.p99.toFixed(2)} against ${one.eval.p99.toFixed(2)}.`;
  return figure(
    `${sizeOf(bytes)}, ${inFlight} in flight`,
    lineChart([curve(one.evalsha, "a"), curve(one.eval, "b")], told),
  );
}

function figure(caption: string, chart: string): string {
  return `<figure><figcaption>${escaped(caption)}</figcaption>${chart}</figure>`;
}

/** Markdown table lines as HTML. */
function table(lines: readonly string[]): string {
  const rows = lines.filter((_, index) => index !== 1).map((line) => line.split("|").slice(1, -1));
  const [head = [], ...body] = rows.map((row) => row.map((cell) => escaped(cell.trim())));
  const row = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
  return `<div class="wide"><table><thead>${row(head, "th")}</thead><tbody>${body.map((cells) => row(cells, "td")).join("")}</tbody></table></div>`;
}

/** Without build numbers. */
function serverOf(version: string): string {
  return version.replace(/ sha=.*/, "").replace(" server v=", " ");
}

function withoutCurves(report: BenchReport): unknown {
  return JSON.parse(JSON.stringify(report, (key, value) => (key === "curve" ? undefined : value)));
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
