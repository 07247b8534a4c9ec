import { ROWS } from "../../routing/next-step-rows.ts";
import { VERSION } from "../../telemetry/library-version.ts";
import type { Hello, HelloRow } from "./protocol.ts";

const DECISION_FILE = "src/routing/next-step.ts";

/** What a page is told first. */
export function helloOf(
  particulars: Pick<Hello, "mode" | "server" | "controls" | "scripts" | "lessons" | "began">,
): Hello {
  return { version: VERSION, rows: TABLE, file: DECISION_FILE, ...particulars };
}

const TABLE: readonly HelloRow[] = Object.entries(ROWS).map(([row, entry]) => {
  const { met, kind, learned } = entry;
  if (entry.kind === "reject") {
    const { why, outcome } = entry;
    return { row, met, kind, to: null, when: null, spends: null, learned, why, outcome };
  }
  const { to, when, spends } = entry;
  return { row, met, kind, to, when, spends, learned, why: null, outcome: null };
});
