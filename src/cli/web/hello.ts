import { ROWS } from "../../routing/next-step-rows.ts";
import { VERSION } from "../../telemetry/library-version.ts";
import type { Hello, HelloRow } from "./protocol.ts";
import { ROWS_FILE, rowLines } from "./row-lines.ts";

/** What a page is told first. */
export function helloOf(
  particulars: Pick<Hello, "mode" | "server" | "controls" | "scripts" | "lessons" | "began">,
): Hello {
  const lines = rowLines();
  const rows = TABLE.map((each) => ({ ...each, line: lines[each.row] ?? null }));
  return { version: VERSION, rows, file: ROWS_FILE, showsArguments: false, ...particulars };
}

const TABLE: readonly Omit<HelloRow, "line">[] = Object.entries(ROWS).map(([row, entry]) => {
  const { met, kind, learned } = entry;
  if (entry.kind === "reject") {
    const { why, outcome } = entry;
    return { row, met, kind, to: null, when: null, spends: null, learned, why, outcome };
  }
  const { to, when, spends } = entry;
  return { row, met, kind, to, when, spends, learned, why: null, outcome: null };
});
