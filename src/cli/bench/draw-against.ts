import type { Paint } from "../terminal.ts";
import type { Change, Judgement } from "./against.ts";
import { LEAST_VALUES } from "./estimate.ts";
import { factorOf, figureOf, intervalText, metricName } from "./page-words.ts";

/** More rows would hide those that matter. */
const MOST_ROWS = 40;
/** Whoever relies on the exit status must not take this for a good one. */
const NOTHING_JUDGED = `No figure could be judged: a ratio, or a count of bytes, needs at least ${LEAST_VALUES} rounds in both runs.`;
const UNITS: Readonly<Record<string, string>> = {
  clientCpu: "us",
  serverCpu: "us",
  inCommand: "us",
  bytesSent: "B",
  bytesReceived: "B",
  p50: "ms",
  p99: "ms",
};

/** The changes as lines: first those that are judged. */
export function drawAgainst({ earlier, limit, changes }: Judgement, paint: Paint): string[] {
  const { date, slotwire, commit } = earlier;
  const version = commit === "unknown" ? slotwire : `${slotwire}, commit ${commit}`;
  const head = `Since ${date.slice(0, 16).replace("T", " ")} (slotwire ${version}):`;
  const judged = changes.filter((change) => change.judged);
  const told = changes.filter((change) => !change.judged);
  return [
    paint.strong(head),
    "",
    ...(judged.length === 0
      ? [NOTHING_JUDGED]
      : [...tableOf(judged, changes, paint), "", ...countLines(judged, limit)]),
    ...(told.length === 0
      ? []
      : [
          "",
          "Not judged, because the speed of the machine on its day is in them:",
          "",
          ...tableOf(told, changes, paint),
        ]),
  ];
}

/** Says which figure got worse beyond the limit, or that there is none to judge; undefined if all is well. */
export function failureOf({ changes, limit }: Judgement): string | undefined {
  if (!changes.some(({ judged }) => judged)) return NOTHING_JUDGED;
  const [first, ...others] = changes.filter(({ beyond }) => beyond);
  if (first === undefined) return undefined;
  const more = others.length === 0 ? "" : `, and ${others.length} more ${others.length === 1 ? "figure" : "figures"}`;
  return `Worse than the earlier run by more than ${percent(limit)}: ${nameOf(first)} (${first.comparison}) is ${intervalText(first.change, factorOf)} times what it was${more}.`;
}

function countLines(judged: readonly Change[], limit: number): string[] {
  const number = (is: (change: Change) => boolean) => judged.filter((change) => !change.beyond && is(change)).length;
  const counts = [
    `${judged.filter(({ beyond }) => beyond).length} worse by more than ${percent(limit)}`,
    `${number(({ verdict }) => verdict === "worse")} worse by less`,
    `${number(({ verdict }) => verdict === "better")} better`,
    `${number(({ verdict }) => verdict === "no difference seen")} without a difference`,
  ];
  const undecided = number((change) => change.undecided);
  return [
    `${judged.length} figures were judged: ${counts.join(", ")}.`,
    ...(undecided === 0
      ? []
      : [
          `The intervals of ${undecided} reach beyond ${percent(limit)}: a change of that size may be there. A longer run tells.`,
        ]),
  ];
}

function tableOf(changes: readonly Change[], all: readonly Change[], paint: Paint): string[] {
  const different = changes.filter(({ verdict }) => verdict !== "no difference seen");
  const worstFirst = [...different].sort((a, b) => Number(b.beyond) - Number(a.beyond));
  const shown = all.length <= MOST_ROWS ? changes : worstFirst.slice(0, MOST_ROWS);
  if (shown.length === 0) return ["  No difference was seen in any of them."];
  const several = new Set(all.map(({ comparison }) => comparison)).size > 1;
  const rows = shown.map((change) => [
    several ? `${change.comparison}, ${nameOf(change)}` : nameOf(change),
    figure(change, change.before),
    figure(change, change.after),
    intervalText(change.change, factorOf),
    verdictOf(change),
  ]);
  const table = [["", "then", "now", "change", ""], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => (row[column] as string).length))) ?? [];
  return table.map((row, at) => {
    const line = row.map((cell, column) => {
      const width = widths[column] as number;
      return column === 1 || column === 2 ? cell.padStart(width) : cell.padEnd(width);
    });
    const text = `  ${line.join("  ")}`.trimEnd();
    if (at === 0) return paint.faint(text);
    return shown[at - 1]?.beyond ? paint.alarm(text) : text;
  });
}

function nameOf({ way, base, figure: name }: Change): string {
  return `${base === undefined ? way : `${way} to ${base}`}: ${metricName(name)}`;
}

function verdictOf({ verdict, beyond }: Change): string {
  return beyond ? "worse, beyond the limit" : verdict;
}

/** A ratio has no unit. */
function figure({ base, figure: name }: Change, value: number): string {
  const unit = base === undefined ? UNITS[name] : undefined;
  const text = base === undefined ? figureOf(value) : factorOf(value);
  return unit === undefined ? text : `${text} ${unit}`;
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(2))}%`;
}
