import type { Fault, Finding } from "./fault.ts";

const WIDTHS = [24, 52, 52, 6] as const;

/** One row of a table, its cells wrapped to their widths. */
export function row(...cells: readonly [string, string, string, string]): string {
  const columns = cells.map((cell, index) => wrapped(cell, WIDTHS[index] as number));
  const height = Math.max(...columns.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    columns
      .map((lines, index) => (lines[line] ?? "").padEnd(WIDTHS[index] as number))
      .join(" | ")
      .trimEnd(),
  ).join("\n");
}

export const RULE = WIDTHS.map((width) => "-".repeat(width)).join("-|-");

export function rowOf({ name, must }: Fault, { seen, ok }: Finding): string {
  return `${row(name, must, seen, ok ? "ok" : "FAILED")}\n${RULE}`;
}

function wrapped(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) as string;
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
