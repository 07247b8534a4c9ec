import type { Estimate } from "../../src/cli/bench/estimate.ts";
import { ratesSection } from "../../src/cli/bench/page.ts";
import {
  factsTable,
  framed,
  methodSection,
  noiseNote,
  paragraph,
  section,
  tableOf,
} from "../../src/cli/bench/page-frame.ts";
import { rowChart } from "../../src/cli/bench/page-rows.ts";
import { intervalText, isKnown, ratioText } from "../../src/cli/bench/page-words.ts";
import type { Quiet, RateCurve } from "../../src/cli/bench/report.ts";
import { escapeMarkup } from "../../src/cli/web/page/escape.js";

/** What `npm run bench:clients` measured, as its page draws it. */
export interface ClientsReport {
  /** Machine and versions, by name. */
  readonly environment: object;
  readonly quiet: Quiet;
  /** How it was measured, in sentences. */
  readonly method: string;
  readonly clients: readonly { readonly name: string; readonly settings: string }[];
  /** The metrics, in the order in which they are drawn. */
  readonly metrics: readonly ClientsMetric[];
  readonly workloads: readonly WorkloadFigures[];
  /** Ratios of slotwire to others within rounds, for the picture that comes first. */
  readonly ratios: readonly ClientsRatio[];
  readonly claims: readonly ClaimShown[];
  /** Latency at given rates; `way` is the client's name. */
  readonly curves: readonly RateCurve[];
  /** For the details with the raw data. */
  readonly raw: unknown;
}

/** A goal, and what was seen. An interval that holds the limit decides nothing. */
export interface ClaimShown {
  readonly what: string;
  readonly seen: string;
  readonly holds: boolean;
  readonly verdict?: "holds" | "short" | "not decided";
}

export interface ClientsMetric {
  /** The key in `ClientFigures.figures`. */
  readonly key: string;
  /** `calls a second`, `CPU a call`, `p99, closed loop` */
  readonly name: string;
  /** `us`, `MiB`; empty for calls a second. */
  readonly unit: string;
}

export interface WorkloadFigures {
  /** `64 in flight, 16 B` */
  readonly name: string;
  /** Workloads of one group share their axes: `64 in flight`. Without it a workload has axes of its own. */
  readonly group?: string;
  readonly clients: readonly ClientFigures[];
}

export interface ClientFigures {
  readonly name: string;
  /** The number of calls behind the figures, over all rounds. */
  readonly calls: number;
  /** By the metrics' keys; a metric that rests on too few calls is absent. */
  readonly figures: Readonly<Record<string, Estimate>>;
}

export interface ClientsRatio {
  readonly workload: string;
  /** The metric's key. */
  readonly metric: string;
  /** `floor`, `best peer` */
  readonly to: string;
  /** The peer's name, where `to` leaves it open. */
  readonly peer?: string;
  readonly ratio: Estimate;
}

/** A picture has room for these beside each other: the others are in the tables alone. */
const DRAWN = 6;
/** The client whose bars stand out. */
const OWN = "slotwire";

/** The comparison of clients as one HTML page, without scripts and without anything to fetch. */
export function clientsPageOf(report: ClientsReport): string {
  const { environment, quiet, method, clients, workloads, curves, raw } = report;
  const title = "slotwire, other clients and bare sockets";
  const settings = factsTable(clients.map(({ name, settings }) => [name, settings]));
  return framed(title, [
    `<header><h1>${escapeMarkup(title)}</h1>${noiseNote(quiet)}${answer(report)}</header>`,
    ratioSection(report),
    ...groupsOf(workloads).map((group) => groupSection(group, report.metrics)),
    // slotwire has the colour that it has in the bars.
    ratesSection(curves, [OWN]),
    section(
      "Clients",
      paragraph("Each client ran in a process of its own, in turn, with its best settings."),
      settings,
    ),
    methodSection(method, environment, raw),
  ]);
}

/** A style and a word for each verdict. */
const VERDICTS = {
  holds: ["good", "holds"],
  short: ["bad", "does not hold"],
  "not decided": ["open", "not decided"],
} as const;

/** The goals, and whether each is met. */
function answer({ claims }: ClientsReport): string {
  if (claims.length === 0) return "";
  const items = claims.map(({ what, seen, holds, verdict = holds ? "holds" : "short" }) => {
    const [style, word] = VERDICTS[verdict];
    return `<li><b class="${style}">${word}</b> ${escapeMarkup(what)}: ${escapeMarkup(seen)}</li>`;
  });
  const held = claims.filter(({ holds }) => holds).length;
  const open = claims.filter(({ verdict }) => verdict === "not decided").length;
  const undecided =
    open === 0 ? "" : ` ${open} ${open === 1 ? "was" : "were"} not decided: the interval holds the limit.`;
  return `<div class="answer"><p>${held} of ${claims.length} goals were met in this run.${undecided}</p></div><ul class="claims">${items.join("")}</ul>`;
}

function ratioSection({ ratios, metrics }: ClientsReport): string {
  const known = ratios.filter(({ ratio }) => isKnown(ratio));
  if (known.length === 0) return "";
  const others = [...new Set(known.map(({ to }) => to))];
  const groups = metrics.flatMap(({ key, name }) =>
    others.map((to, series) => ({
      title: `${name}, to ${to}`,
      rows: known
        .filter(({ metric, to: other }) => metric === key && other === to)
        .map(({ workload, peer, ratio }) => ({
          name: workload + (peer === undefined ? "" : ` (${peer})`),
          said: ratioText(ratio),
          marks: [{ series, value: ratio }],
        })),
    })),
  );
  const shown = groups.filter(({ rows }) => rows.length > 0);
  const title = "slotwire's ratios to the others";
  const note =
    "slotwire divided by the other, within rounds: the median, and the interval that holds the true median in 95 of 100 runs. Right of the line at 1 is more, left of it is less. Where an interval crosses that line, no difference was seen.";
  return section(
    title,
    paragraph(note),
    rowChart({ title: "Ratio", kind: "points", scale: "logarithmic", series: others, line: 1, groups: shown }),
  );
}

type Group = readonly [name: string, workloads: readonly WorkloadFigures[]];

function groupsOf(workloads: readonly WorkloadFigures[]): Group[] {
  const names = [...new Set(workloads.map(groupOf))];
  return names.map((name) => [name, workloads.filter((workload) => groupOf(workload) === name)]);
}

function groupOf({ name, group }: WorkloadFigures): string {
  return group ?? name;
}

/** Workloads that can be compared: a chart for each metric, all workloads on its one axis. */
function groupSection([name, workloads]: Group, metrics: readonly ClientsMetric[]): string {
  const charts = metrics.slice(0, DRAWN).flatMap((metric) => {
    const groups = workloads.map(({ name: title, clients }) => ({
      ...(workloads.length > 1 ? { title } : {}),
      rows: clients.flatMap(({ name: client, figures }) => {
        const value = figures[metric.key];
        return isKnown(value)
          ? [{ name: client, said: intervalText(value), marks: [{ series: client === OWN ? 0 : 4, value }] }]
          : [];
      }),
    }));
    if (groups.every(({ rows }) => rows.length === 0)) return [];
    return [rowChart({ title: metric.name, unit: metric.unit, kind: "bars", scale: "linear", series: [], groups })];
  });
  const known = metrics.filter(({ key }) =>
    workloads.some(({ clients }) => clients.some(({ figures }) => isKnown(figures[key]))),
  );
  const head = ["", "calls", ...known.map(({ name: metric, unit }) => (unit === "" ? metric : `${metric}, ${unit}`))];
  const rows = workloads.flatMap(({ name: workload, clients }) =>
    clients.map(({ name: client, calls, figures }) => [
      workloads.length > 1 ? `${client}, ${workload}` : client,
      calls.toLocaleString("en"),
      ...known.map(({ key }) => (isKnown(figures[key]) ? intervalText(figures[key]) : "-")),
    ]),
  );
  const table = tableOf([head, ...rows], name);
  return section(
    name,
    `<div class="pairs">${charts.join("\n")}</div>`,
    `<details><summary>All figures</summary>${table}</details>`,
  );
}
