import { beyondText, heldText, millisecondsText } from "../../src/cli/bench/draw-curve.ts";
import type { Estimate } from "../../src/cli/bench/estimate.ts";
import type { PageSection, Rows } from "../../src/cli/bench/page-parts.ts";
import { figureOf, intervalText, isKnown, ratioText } from "../../src/cli/bench/page-words.ts";
import { noiseLine } from "../../src/cli/bench/quiet.ts";
import type { BenchReport, Comparison, RateCurve, WayFigures } from "../../src/cli/bench/report.ts";
import { escapedAsInJson, printable } from "../../src/cli/printable.ts";
import type { ColdCache, Wave } from "./cold-cache.ts";
import type { Price } from "./prices.ts";

/** All results of one run of `npm run bench`: the common report, and what only this benchmark measures. */
export interface FullReport extends BenchReport {
  /** EVALSHA against other ways to run the same script, and readers on replicas against primaries. */
  readonly otherWays: readonly Comparison[];
  /** Empty on an existing cluster, whose scripts and slots the benchmark leaves alone. */
  readonly coldCaches: readonly ColdCache[];
  readonly prices: readonly Price[];
  /** What was not measured, and why: each a sentence. */
  readonly leftOut: readonly string[];
}

/** A part of the report. */
export interface Section extends PageSection {
  readonly id: "speed" | "costs" | "rates" | "others" | "cold" | "detours";
}

export function sectionsOf({ comparisons, curves, otherWays, coldCaches, prices }: FullReport): Section[] {
  const sections: Section[] = [
    {
      id: "speed",
      title: "Calls a second, and latency",
      note: "The script is in every node's cache. The ratio is EVALSHA / EVAL: the median of paired rounds, and in brackets where it lies in 95 of 100 runs. Latencies are p50 / p99 / p99.9 in milliseconds, closed loop: from a caller's call to its reply; - where fewer than 10 calls lie beyond.",
      rows: speedRows(comparisons),
    },
    {
      id: "costs",
      title: "What a call costs",
      note: "EVALSHA / EVAL. Bytes are to and from the servers. CPU is that of the client's process, and that of the server processes, all they do included; the ratio is that of the servers' CPU. In the command is what INFO commandstats counts (usec_per_call); new servers read and hash the body of an EVAL before that clock starts.",
      rows: costRows(comparisons),
    },
  ];
  if (curves.length > 0) {
    sections.push({
      id: "rates",
      title: "Latency under a given rate",
      note: `Milliseconds from when a call was due to its reply (open loop), so that a stall counts in every call that it delays; - where fewer than 10 calls lie beyond. Late is how much later than due the benchmark made the calls. ${curves.map((curve) => `${curve.script.name}: ${curve.way} ${heldText(curve)}`).join(" ")}`,
      rows: rateRows(curves),
    });
  }
  if (otherWays.length > 0) {
    sections.push({
      id: "others",
      title: "Other ways to run a script",
      note: "FCALL runs the script as a function whose name has one letter. A batch is sent and awaited as a whole, and so is a transaction; the latency of their calls is that of the whole. The calls of a transaction have the same keys, and the script's source goes with them once, so that it cannot be missing. Each ratio of calls a second is to the row that is marked as the base. Bytes and CPU are one call's part. Where replicas run calls, the servers' part is that of primaries and replicas.",
      rows: otherRows(otherWays),
    });
  }
  if (coldCaches.length > 0) {
    sections.push({
      id: "cold",
      title: "Warm and cold script cache",
      note: "Milliseconds for a wave: as many calls at once as are in flight, until the last one is answered. Cold is right after SCRIPT FLUSH on every node: the client meets NOSCRIPT, loads and replays; EVAL compiles again. The ratio is cold / warm, in pairs of waves.",
      rows: coldRows(coldCaches),
    });
  }
  if (prices.length > 0) {
    sections.push({
      id: "detours",
      title: "What a detour costs one call",
      note: "Microseconds, one call of a 1 KB script at a time. Added is the median of the differences within pairs: one call straight, one with the detour.",
      rows: priceRows(prices),
    });
  }
  return sections;
}

/** The report as Markdown, with the machine and the versions of the run. */
export function markdownOf(report: FullReport): string {
  const about = Object.entries(report.environment).map(([name, value]) => {
    return `- ${name}: ${asMarkdown(String(value))}`;
  });
  const sections = sectionsOf(report).flatMap(({ title, note, rows }) => {
    const escaped = rows.map((row) => row.map(asCell));
    return [`## ${title}`, "", note, "", ...linesOf(escaped), ""];
  });
  const noise = noiseLine(report.quiet);
  return [
    "# EVALSHA against EVAL",
    "",
    ...(noise === undefined ? [] : [noise, ""]),
    ...about,
    "",
    report.method,
    "",
    ...sections,
    ...leftOutLines(report).map(asMarkdown),
  ].join("\n");
}

/** What was left out, as lines; none if nothing was. */
export function leftOutLines({ leftOut }: FullReport): string[] {
  return leftOut.length === 0 ? [] : [`Left out: ${leftOut.join(" ")}`, ""];
}

/** A text of the machine or of a server, which is to be read and not to be Markdown or HTML. */
function asMarkdown(text: string): string {
  return printable(text).replace(/[\\`*_[\]<>#|&!~]/g, "\\$&");
}

/** A cell can hold the name of one's own script. Names and figures that are harmless stay as they are. */
function asCell(cell: string): string {
  return /^[\w ,./()%-]*$/.test(cell) ? cell : asMarkdown(cell);
}

/** The report for programs: all results, to five digits. */
export function jsonOf(report: object): string {
  const short = JSON.stringify(report, (_, value) =>
    typeof value === "number" ? Number(value.toPrecision(5)) : value,
  );
  return escapedAsInJson(short);
}

/** The rows as lines of a Markdown table, padded so that the table is readable as plain text, too. */
export function linesOf(rows: Rows): string[] {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    return `| ${cells.join(" | ")} |`;
  };
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), `| ${rule.join(" | ")} |`, ...body.map(line)];
}

function speedRows(comparisons: readonly Comparison[]): Rows {
  return [
    [...SITUATION, "EVALSHA calls/s", "EVAL calls/s", "ratio", "calls", "EVALSHA latency", "EVAL latency"],
    ...comparisons.map((each) => {
      const { evalsha, base } = pairOf(each);
      return [
        ...situationCells(each),
        figureOf(evalsha.callsPerSecond.median),
        figureOf(base.callsPerSecond.median),
        ratioCell(evalsha.ratios?.callsPerSecond),
        both(each, ({ calls }) => calls.toLocaleString("en")),
        latencies(evalsha),
        latencies(base),
      ];
    }),
  ];
}

function rateRows(curves: readonly RateCurve[]): Rows {
  return [
    ["script", "way", "calls/s", "p50", "p99", "p99.9", "late p50", "late p99", "calls", "held"],
    ...curves.flatMap(({ script, way, points }) =>
      points.map((point) => {
        const { rate, latency, lateness } = point;
        const times = [latency.p50, latency.p99, latency.p999, lateness.p50, lateness.p99].map(millisecondsText);
        return [
          script.name,
          way,
          rate.toLocaleString("en"),
          ...times,
          latency.calls.toLocaleString("en"),
          point.beyond === undefined ? "yes" : `no: ${beyondText(point)}`,
        ];
      }),
    ),
  ];
}

function costRows(comparisons: readonly Comparison[]): Rows {
  return [
    [...SITUATION, "bytes to", "bytes from", "client CPU µs", "server CPU µs", "ratio", "in the command µs"],
    ...comparisons.map((each) => [
      ...situationCells(each),
      both(each, (way) => costIn(way, "bytesSent")),
      both(each, (way) => costIn(way, "bytesReceived")),
      both(each, (way) => costIn(way, "clientCpu")),
      both(each, (way) => costIn(way, "serverCpu")),
      ratioCell(pairOf(each).evalsha.ratios?.serverCpu),
      both(each, (way) => costIn(way, "inCommand")),
    ]),
  ];
}

function otherRows(otherWays: readonly Comparison[]): Rows {
  const heads = ["calls/s", "ratio", "calls", "p50 ms", "bytes to", "bytes from", "client CPU µs", "server CPU µs"];
  return [
    ["way", "in flight", ...heads],
    ...otherWays.flatMap(({ inFlight, base, ways }) =>
      ways.map((way) => [
        way.name,
        inFlight.toLocaleString("en"),
        figureOf(way.callsPerSecond.median),
        way.name === base ? "base" : ratioCell(way.ratios?.callsPerSecond),
        way.calls.toLocaleString("en"),
        latencyIn(way.latency.p50),
        ...["bytesSent", "bytesReceived", "clientCpu", "serverCpu"].map((cost) => costIn(way, cost)),
      ]),
    ),
  ];
}

function coldRows(coldCaches: readonly ColdCache[]): Rows {
  const cells = ({ warm, cold, ratio }: Wave) => [figureOf(warm.median), figureOf(cold.median), ratioCell(ratio)];
  return [
    [...SITUATION, "waves", "EVALSHA warm", "cold", "ratio", "EVAL warm", "cold", "ratio"],
    ...coldCaches.map((each) => [
      ...situationCells(each),
      String(each.waves),
      ...cells(each.evalsha),
      ...cells(each.eval),
    ]),
  ];
}

function priceRows(prices: readonly Price[]): Rows {
  const whole = (value: number) => value.toFixed(0);
  return [
    ["detour", "pairs", "straight", "with it", "added"],
    ...prices.map(({ detour, pairs, straight, withDetour, added }) => [
      detour,
      String(pairs),
      ...[straight, withDetour, added].map((each) => intervalText(each, whole)),
    ]),
  ];
}

const SITUATION = ["script", "in flight"];

function situationCells({ script, inFlight }: Pick<Comparison, "script" | "inFlight">): string[] {
  return [script.name, inFlight.toLocaleString("en")];
}

/** EVALSHA, and EVAL, which is the base. */
function pairOf({ ways, base }: Comparison): { readonly evalsha: WayFigures; readonly base: WayFigures } {
  const named = (isBase: boolean) => ways.find(({ name }) => (name === base) === isBase) as WayFigures;
  return { evalsha: named(false), base: named(true) };
}

function both(comparison: Comparison, cell: (way: WayFigures) => string): string {
  const { evalsha, base } = pairOf(comparison);
  return `${cell(evalsha)} / ${cell(base)}`;
}

function ratioCell(ratio: Estimate | undefined): string {
  return isKnown(ratio) ? ratioText(ratio) : "-";
}

function costIn({ costs }: WayFigures, name: string): string {
  const cost = costs[name];
  if (cost === undefined) return "-";
  return name.startsWith("bytes") ? Math.round(cost).toLocaleString("en") : figureOf(cost);
}

function latencyIn(milliseconds: number | undefined): string {
  return milliseconds === undefined ? "-" : figureOf(milliseconds);
}

function latencies({ latency: { p50, p99, p999 } }: WayFigures): string {
  return [p50, p99, p999].map(latencyIn).join(" / ");
}
