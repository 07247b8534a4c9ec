import { ROWS } from "../../routing/next-step-rows.ts";
import { ROWS_FILE, rowLines } from "../web/row-lines.ts";
import type { TableRow } from "./call-story.ts";

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

let lines: Readonly<Record<string, number>> | undefined;

/** Where a row stands in the sources: the file, and its line if that is known. */
export function placeOfRow(row: string): string {
  lines ??= rowLines();
  const line = lines[row];
  return line === undefined ? `${ROWS_FILE}, row ${row}` : `${ROWS_FILE}:${line}`;
}
