import type { Comparison, Measured } from "./comparison.ts";
import type { BenchEnvironment } from "./environment.ts";
import type { Price } from "./prices.ts";

/** Everything that one run of the benchmark found. */
export interface BenchReport {
  readonly environment: BenchEnvironment;
  readonly method: string;
  readonly comparisons: readonly Comparison[];
  readonly prices: readonly Price[];
}

const COLUMNS: [heading: string, cell: (comparison: Comparison) => string][] = [
  ["script", ({ bytes, filling }) => `${sizeOf(bytes)}${filling === "comment" ? ", comment" : ""}`],
  ["in flight", ({ inFlight }) => String(inFlight)],
  ["EVALSHA calls/s", ({ evalsha }) => whole(evalsha.callsPerSecond)],
  ["EVAL calls/s", (each) => whole(each.eval.callsPerSecond)],
  ["ratio", (each) => (each.evalsha.callsPerSecond / each.eval.callsPerSecond).toFixed(2)],
  ["EVALSHA p50 / p99 / p99.9 ms", ({ evalsha }) => latencies(evalsha)],
  ["EVAL p50 / p99 / p99.9 ms", (each) => latencies(each.eval)],
  ["bytes/call to the server", (each) => `${whole(each.evalsha.bytesInPerCall)} / ${whole(each.eval.bytesInPerCall)}`],
  [
    "server CPU us/call",
    (each) => `${each.evalsha.serverCpuMicroseconds.toFixed(1)} / ${each.eval.serverCpuMicroseconds.toFixed(1)}`,
  ],
];

/** As Markdown: a table for each part, with what it was measured on beside it. */
export function markdownOf({ environment, method, comparisons, prices }: BenchReport): string {
  const about = Object.entries(environment).map(([name, value]) => `- ${name}: ${value}`);
  return [
    "# EVALSHA against EVAL",
    "",
    ...about,
    "",
    method,
    "",
    ...tableOf(comparisons),
    "",
    "## What a detour costs one call",
    "",
    ...priceTable(prices),
    "",
  ].join("\n");
}

/** The comparisons as lines of a table, padded so that it reads well as plain text, too. */
export function tableOf(comparisons: readonly Comparison[]): string[] {
  return padded([
    COLUMNS.map(([heading]) => heading),
    ...comparisons.map((comparison) => COLUMNS.map(([, cell]) => cell(comparison))),
  ]);
}

export function priceTable(prices: readonly Price[]): string[] {
  return padded([
    ["detour", "straight, ms", "with it, ms", "added, ms"],
    ...prices.map(({ detour, straight, withDetour }) => [
      detour,
      straight.toFixed(3),
      withDetour.toFixed(3),
      (withDetour - straight).toFixed(3),
    ]),
  ]);
}

export function sizeOf(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KB`;
}

function padded(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const [head = [], ...body] = rows;
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(head), rule, ...body.map(line)];
}

function latencies({ p50, p99, p999 }: Measured): string {
  return [p50, p99, p999].map((value) => value.toFixed(2)).join(" / ");
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}
