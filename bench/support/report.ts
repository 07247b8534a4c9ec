import { escapedAsInJson, printable } from "../../src/cli/printable.ts";
import type { ColdCache } from "./cold-cache.ts";
import type { Comparison, Measured } from "./comparison.ts";
import type { BenchEnvironment } from "./environment.ts";
import type { Situation } from "./plan.ts";
import type { Price } from "./prices.ts";

/** All results of one run of the benchmark. */
export interface BenchReport {
  readonly environment: BenchEnvironment;
  readonly method: string;
  readonly comparisons: readonly Comparison[];
  /** Empty on an existing cluster, whose scripts and slots the benchmark leaves alone. */
  readonly coldCaches: readonly ColdCache[];
  readonly prices: readonly Price[];
}

/** A table as rows of cells; the first row has the headings. */
export type Rows = readonly (readonly string[])[];

/** A part of the report. */
export interface Section {
  readonly id: "speed" | "costs" | "cold" | "detours";
  readonly title: string;
  readonly note: string;
  readonly rows: Rows;
}

export function sectionsOf({ comparisons, coldCaches, prices }: BenchReport): Section[] {
  const sections: Section[] = [
    {
      id: "speed",
      title: "Calls a second, and latency",
      note: "The script is in every node's cache. Latencies are p50 / p99 / p99.9, in milliseconds.",
      rows: speedRows(comparisons),
    },
    {
      id: "costs",
      title: "What a call costs",
      note: "EVALSHA / EVAL. Bytes are to and from the servers. CPU is that of the server processes, all they do included. In the command is what INFO commandstats counts (usec_per_call); new servers read and hash the body of an EVAL before that clock starts.",
      rows: costRows(comparisons),
    },
  ];
  if (coldCaches.length > 0) {
    sections.push({
      id: "cold",
      title: "Warm and cold script cache",
      note: "Milliseconds for a wave: as many calls at once as are in flight, until the last one is answered. Cold is right after SCRIPT FLUSH on every node: the client meets NOSCRIPT, loads and replays; EVAL compiles again.",
      rows: coldRows(coldCaches),
    });
  }
  if (prices.length > 0) {
    sections.push({
      id: "detours",
      title: "What a detour costs one call",
      note: "Microseconds, one call of a 1 KB script at a time. Added is the median of pairs, and the middle half of them.",
      rows: priceRows(prices),
    });
  }
  return sections;
}

/** The report as Markdown, with the machine and the versions of the run. */
export function markdownOf(report: BenchReport): string {
  const about = Object.entries(report.environment).map(([name, value]) => {
    return `- ${name}: ${asMarkdown(String(value))}`;
  });
  const sections = sectionsOf(report).flatMap(({ title, note, rows }) => [
    `## ${title}`,
    "",
    note,
    "",
    ...linesOf(rows),
    "",
  ]);
  return ["# EVALSHA against EVAL", "", ...about, "", report.method, "", ...sections].join("\n");
}

/** A text of the machine or of a server, which is to be read and not to be Markdown or HTML. */
function asMarkdown(text: string): string {
  return printable(text).replace(/[\\`*_[\]<>#|&!~]/g, "\\$&");
}

/** The report for programs: all results, to five digits. */
export function jsonOf(report: BenchReport): string {
  const short = JSON.stringify(report, (_, value) =>
    typeof value === "number" ? Number(value.toPrecision(5)) : value,
  );
  return escapedAsInJson(short);
}

/** The rows as lines of a Markdown table, padded so that the table is readable as plain text, too. */
export function linesOf(rows: Rows): string[] {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    return `| ${cells.join(" | ")} |`;
  };
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), `| ${rule.join(" | ")} |`, ...body.map(line)];
}

export function sizeOf(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KB`;
}

/** The number with about three significant digits. */
export function figureOf(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

function speedRows(comparisons: readonly Comparison[]): Rows {
  return [
    [...SITUATION, "EVALSHA calls/s", "EVAL calls/s", "ratio", "EVALSHA latency", "EVAL latency"],
    ...comparisons.map((each) => [
      ...situationCells(each),
      figureOf(each.evalsha.callsPerSecond),
      figureOf(each.eval.callsPerSecond),
      (each.evalsha.callsPerSecond / each.eval.callsPerSecond).toFixed(2),
      latencies(each.evalsha),
      latencies(each.eval),
    ]),
  ];
}

function costRows(comparisons: readonly Comparison[]): Rows {
  return [
    [...SITUATION, "bytes in", "bytes out", "server CPU µs", "in the command µs"],
    ...comparisons.map((each) => [
      ...situationCells(each),
      both(each, ({ bytesInPerCall }) => Math.round(bytesInPerCall).toLocaleString("en")),
      both(each, ({ bytesOutPerCall }) => Math.round(bytesOutPerCall).toLocaleString("en")),
      both(each, ({ serverCpuMicroseconds }) => figureOf(serverCpuMicroseconds)),
      both(each, ({ commandMicroseconds }) => figureOf(commandMicroseconds)),
    ]),
  ];
}

function coldRows(coldCaches: readonly ColdCache[]): Rows {
  return [
    [...SITUATION, "EVALSHA warm", "EVALSHA cold", "EVAL warm", "EVAL cold"],
    ...coldCaches.map((each) => [
      ...situationCells(each),
      ...[each.evalsha.warm, each.evalsha.cold, each.eval.warm, each.eval.cold].map(figureOf),
    ]),
  ];
}

function priceRows(prices: readonly Price[]): Rows {
  return [
    ["detour", "straight", "with it", "added", "middle half"],
    ...prices.map(({ detour, straight, withDetour, added, addedFrom, addedTo }) => [
      detour,
      ...[straight, withDetour, added].map((value) => value.toFixed(0)),
      `${addedFrom.toFixed(0)} to ${addedTo.toFixed(0)}`,
    ]),
  ];
}

const SITUATION = ["script", "in flight"];

function situationCells({ bytes, filling, inFlight }: Situation): string[] {
  return [`${sizeOf(bytes)}${filling === "comment" ? ", comment" : ""}`, inFlight.toLocaleString("en")];
}

function both(comparison: Comparison, cell: (measured: Measured) => string): string {
  return `${cell(comparison.evalsha)} / ${cell(comparison.eval)}`;
}

function latencies({ p50, p99, p999 }: Measured): string {
  return [p50, p99, p999].map(figureOf).join(" / ");
}
