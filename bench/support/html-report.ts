import { barChart, type Curve, curveChart, escaped } from "./charts.ts";
import type { Comparison, Measured } from "./comparison.ts";
import { STYLE } from "./page-style.ts";
import { type BenchReport, figureOf, jsonOf, type Rows, type Section, sectionsOf, sizeOf } from "./report.ts";

const CURVES = [100, 10_240];
const WAYS = ["a", "b"];
const KEY = `<p>${key("a", "EVALSHA")}${key("b", "EVAL")}</p>`;

/** The report as a single page that needs no script and no network. */
export function htmlOf(report: BenchReport): string {
  const { environment, method, comparisons } = report;
  const ratios = comparisons.map((each) => each.evalsha.callsPerSecond / each.eval.callsPerSecond);
  const facts = Object.entries(environment).map(([name, value]) => [name, String(value)]);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>EVALSHA against EVAL</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>EVALSHA against EVAL</h1>
<p>A script called by its SHA-1, against the same script sent with every call: both through slotwire ${escaped(environment.slotwire)},
on ${escaped(serverOf(environment.server))}, ${escaped(environment.date.slice(0, 10))}.</p>
<p class="lead">In this run EVALSHA made between ${twoDigits(Math.min(...ratios))} and ${twoDigits(Math.max(...ratios))} times as many
calls a second, depending on the size of the script and the number of calls in flight.</p>
${sectionsOf(report)
  .map((section) => sectionOf(section, report))
  .join("\n")}
<section><h2>Method</h2>
<p>${escaped(method)}</p>
<p>Charts show scripts of real code, in a branch that is not taken. "Comment" is the same length as mostly a comment, which the
server has to read and hash but not to compile.</p>
<div class="wide"><table class="facts"><tbody>${facts.map((cells) => rowOf(cells)).join("")}</tbody></table></div>
<details><summary>Raw data (JSON)</summary><pre>${escaped(jsonOf(report))}</pre></details>
</section>
</main>
</body>
</html>
`;
}

function sectionOf({ id, title, note, rows }: Section, report: BenchReport): string {
  return `<section><h2>${escaped(title)}</h2>
<p class="soft">${escaped(note)}</p>
${chartsOf(id, report)}
${tableOf(rows, title)}
</section>`;
}

function chartsOf(id: Section["id"], { comparisons, coldCaches, prices }: BenchReport): string {
  const code = comparisons.filter(({ filling }) => filling === "code");
  switch (id) {
    case "speed": {
      const rates = byLoad(code, (own, load) =>
        bars(`Calls a second, ${load}`, own, ({ callsPerSecond }) => callsPerSecond),
      );
      const curves = CURVES.flatMap((bytes) => code.filter((each) => each.bytes === bytes).map(latencyOf));
      return `${KEY}${grid(rates)}<h3>Latency by the share of calls that were answered within it</h3>${grid(curves)}`;
    }
    case "costs":
      return (
        KEY +
        grid(
          byLoad(code, (own, load) =>
            bars(`Server CPU a call, µs, ${load}`, own, ({ serverCpuMicroseconds }) => serverCpuMicroseconds),
          ),
        )
      );
    case "cold": {
      const waves = coldCaches.filter(({ filling }) => filling === "code");
      const charts = byLoad(waves, (own, load) => {
        const groups = own.map((each) => ({
          label: sizeOf(each.bytes),
          values: [each.evalsha.warm, each.evalsha.cold, each.eval.warm, each.eval.cold],
        }));
        const caption = `A wave, ms, ${load}`;
        const told = `${caption}: EVALSHA warm, cold, EVAL warm, cold. ${toldOf(groups)}`;
        return figure(caption, barChart(groups, ["a pale", "a", "b pale", "b"], told));
      });
      const keys = [key("a pale", "EVALSHA, warm"), key("a", "cold"), key("b pale", "EVAL, warm"), key("b", "cold")];
      return `<p>${keys.join("")}</p>${grid(charts)}`;
    }
    case "detours": {
      const groups = prices.map(({ detour, straight, withDetour }) => ({
        label: detour.split(",")[0] ?? detour,
        values: [straight, withDetour],
      }));
      const chart = barChart(groups, ["c", "d"], `Microseconds, straight and with the detour. ${toldOf(groups)}`);
      return `<p>${key("c", "straight")}${key("d", "with the detour")}</p>${grid([figure("One call, µs", chart)])}`;
    }
  }
}

function byLoad<T extends { readonly inFlight: number }>(all: readonly T[], chart: (own: T[], load: string) => string) {
  const loads = [...new Set(all.map(({ inFlight }) => inFlight))];
  return loads.map((load) =>
    chart(
      all.filter(({ inFlight }) => inFlight === load),
      `${load.toLocaleString("en")} in flight`,
    ),
  );
}

function bars(caption: string, own: readonly Comparison[], value: (measured: Measured) => number): string {
  const groups = own.map((each) => ({
    label: sizeOf(each.bytes),
    values: [value(each.evalsha), value(each.eval)],
  }));
  return figure(caption, barChart(groups, WAYS, `${caption}, EVALSHA and EVAL. ${toldOf(groups)}`));
}

function latencyOf({ bytes, inFlight, evalsha, eval: byBody }: Comparison): string {
  const caption = `${sizeOf(bytes)}, ${inFlight.toLocaleString("en")} in flight`;
  const curves: Curve[] = [
    { style: "a", points: evalsha.curve },
    { style: "b", points: byBody.curve },
  ];
  const shares = [
    { label: "p50", values: [evalsha.p50, byBody.p50] },
    { label: "p99", values: [evalsha.p99, byBody.p99] },
    { label: "p99.9", values: [evalsha.p999, byBody.p999] },
  ];
  const told = `Latency in ms, ${caption}, EVALSHA and EVAL. ${toldOf(shares)}`;
  return figure(caption, curveChart(curves, told));
}

function toldOf(groups: readonly { readonly label: string; readonly values: readonly number[] }[]): string {
  return `${groups.map(({ label, values }) => `${label}: ${values.map(figureOf).join(" and ")}`).join("; ")}.`;
}

function grid(figures: readonly string[]): string {
  return `<div class="charts">${figures.join("\n")}</div>`;
}

function figure(caption: string, chart: string): string {
  return `<figure><figcaption>${escaped(caption)}</figcaption>${chart}</figure>`;
}

function key(style: string, name: string): string {
  const sample = `<svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${style}" width="10" height="10"/></svg>`;
  return `<span class="key">${sample}${escaped(name)}</span>`;
}

/** A table. It can be reached by keyboard, because it may be wider than the page and then has to be scrolled. */
function tableOf([head = [], ...body]: Rows, title: string): string {
  const headings = head.map((cell) => `<th scope="col">${escaped(cell)}</th>`).join("");
  return `<div class="wide" tabindex="0" role="region" aria-label="Table: ${escaped(title)}"><table>
<thead><tr>${headings}</tr></thead>
<tbody>${body.map((cells) => rowOf(cells)).join("\n")}</tbody></table></div>`;
}

function rowOf([name = "", ...cells]: readonly string[]): string {
  const others = cells.map((cell) => `<td>${escaped(cell)}</td>`);
  return `<tr><th scope="row">${escaped(name)}</th>${others.join("")}</tr>`;
}

function twoDigits(value: number): string {
  return String(Number(value.toPrecision(2)));
}

/** The version without its build numbers. */
function serverOf(version: string): string {
  return version.replace(/ sha=.*/, "").replace(/ server v=/, " ");
}
