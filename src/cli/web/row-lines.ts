import { readFileSync } from "node:fs";
import { folder } from "./page-files.ts";

/** A row of the table begins so. The build finds rows by the same words. */
const ROW = /^ {2}"?([a-z-]+)"?: (?:retry|atOwner|redirected|reject)\(/;

/** The file in which the rows of the decision stand, within slotwire's sources. */
export const ROWS_FILE = "src/routing/next-step-rows.ts";

/**
 * The line of each row in `ROWS_FILE`. The package does not contain that file, so the build has written the lines down beside
 * the page. Empty if neither is there.
 */
export function rowLines(): Readonly<Record<string, number>> {
  try {
    return linesIn(readFileSync(new URL("../../routing/next-step-rows.ts", import.meta.url), "utf8"));
  } catch {
    // This is the package.
  }
  try {
    return JSON.parse(readFileSync(new URL("row-lines.json", folder()), "utf8"));
  } catch {
    return {};
  }
}

function linesIn(source: string): Record<string, number> {
  const rows = source.split("\n").map((line, index) => [ROW.exec(line)?.[1], index + 1] as const);
  return Object.fromEntries(rows.filter(([row]) => row !== undefined));
}
