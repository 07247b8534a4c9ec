import { readFileSync } from "node:fs";
import { ROWS } from "../../routing/next-step-rows.ts";
import type { TableRow } from "./call-story.ts";

const FILE = "src/routing/next-step-rows.ts";

/** The rows of the decision table, in their order. */
export function tableRows(): TableRow[] {
  return Object.entries(ROWS).map(([row, { met, kind, learned, ...more }]) => ({
    row,
    met,
    kind,
    to: "to" in more ? more.to : null,
    when: "when" in more ? more.when : null,
    spends: "spends" in more ? more.spends : null,
    learned,
    outcome: "outcome" in more ? more.outcome : null,
  }));
}

/** Where a row stands in the sources: the file, and its line if the sources are here. */
export function placeOfRow(row: string): string {
  lines ??= linesOfTable();
  const line =
    lines.findIndex((text) => text.trimStart().startsWith(`"${row}": `) || text.startsWith(`  ${row}: `)) + 1;
  return line === 0 ? `${FILE}, row ${row}` : `${FILE}:${line}`;
}

let lines: readonly string[] | undefined;

function linesOfTable(): string[] {
  try {
    return readFileSync(new URL("../../routing/next-step-rows.ts", import.meta.url), "utf8").split("\n");
  } catch {
    return [];
  }
}
