import { columnsOf, cut, printable } from "./draw-text.ts";
import type { Paint } from "./terminal.ts";

/** Who knows which scripts. */
export interface Matrix {
  readonly scripts: readonly { readonly name: string; readonly sha: string }[];
  readonly nodes: readonly {
    readonly address: string;
    readonly role: "primary" | "replica";
    /** Lined up with `scripts`; a text says why the node did not answer. */
    readonly knows: readonly boolean[] | string;
  }[];
}

/** How many scripts each node has; a text says why it did not answer. */
export type Counts = readonly (Pick<Matrix["nodes"][number], "address" | "role"> & {
  readonly scripts: number | string;
})[];

const KNOWN = "●";
const MISSING = "·";
const NO_ANSWER = "?";
const GAP = 2;

/**
 * Nodes by scripts, as lines of at most `width` columns: scripts by their names where these fit, else by numbers, and in
 * several blocks where these do not fit either. A list of the scripts comes last.
 */
export function drawMatrix({ scripts, nodes }: Matrix, width: number, paint: Paint): string[] {
  const names = nodes.map(indented);
  const left = Math.max(0, ...names.map((name) => name.length));
  const labels = labelsOf(
    scripts.map(({ name }) => printable(name)),
    width - left,
  );
  const lines: string[] = [];
  for (const block of blocksOf(labels, width - left)) {
    if (lines.length > 0) lines.push("");
    const at = (index: number, text: string) => " ".repeat(GAP) + padded(text, columnsOf(labels[index] ?? ""));
    lines.push(" ".repeat(left) + block.map((index) => at(index, labels[index] ?? "")).join(""));
    for (const [row, { knows }] of nodes.entries()) {
      const cells = block.map((index) => {
        if (typeof knows === "string") return at(index, paint.alarm(NO_ANSWER));
        return at(index, knows[index] ? KNOWN : paint.alarm(MISSING));
      });
      lines.push((names[row] ?? "").padEnd(left) + cells.join(""));
    }
  }
  lines.push("", `${KNOWN} known  ${MISSING} missing  ${NO_ANSWER} no answer`, "");
  for (const line of legendOf(scripts, labels, nodes)) lines.push(cut(line, width));
  for (const { address, knows } of nodes) {
    if (typeof knows === "string") lines.push(cut(`${address} did not answer: ${printable(knows)}`, width));
  }
  return lines.map((line) => line.trimEnd());
}

/** Nodes with how many scripts they have, as lines of at most `width` columns. */
export function drawCounts(counts: Counts, width: number): string[] {
  const names = counts.map(indented);
  const left = Math.max(0, ...names.map((name) => name.length));
  const lines = counts.map(({ scripts }, row) => {
    const count = scripts === 1 ? "1 script" : `${scripts} scripts`;
    const said = typeof scripts === "number" ? count : `no answer: ${printable(scripts)}`;
    return cut(`${(names[row] ?? "").padEnd(left)}  ${said}`, width);
  });
  return [...lines, "", cut("Name files, folders or SHA-1s to see which node has which.", width)];
}

const indented = ({ address, role }: Matrix["nodes"][number] | Counts[number]) =>
  `${role === "replica" ? "  " : ""}${address}`;

/** What a label means, and how many nodes know it. */
function legendOf(scripts: Matrix["scripts"], labels: readonly string[], nodes: Matrix["nodes"]): string[] {
  const rows = scripts.map(({ name, sha }, index) => {
    const known = nodes.filter(({ knows }) => knows[index] === true).length;
    const count = `${known} of ${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}`;
    const label = labels[index] ?? "";
    const named = label === printable(name) || name === sha ? [label] : [label, printable(name)];
    return [named.join("  "), count, sha];
  });
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => columnsOf(row[column] ?? ""))));
  return rows.map((row) => row.map((text, column) => padded(text, widths[column] ?? 0)).join("  "));
}

function labelsOf(names: readonly string[], width: number): readonly string[] {
  const fits = names.reduce((sum, name) => sum + GAP + columnsOf(name), 0) <= width;
  return fits ? names : names.map((_, index) => String(index + 1));
}

/** The columns of each block. */
function blocksOf(labels: readonly string[], width: number): number[][] {
  const blocks: number[][] = [];
  let room = 0;
  for (const [index, label] of labels.entries()) {
    const needed = GAP + columnsOf(label);
    if (needed > room) {
      blocks.push([]);
      room = width;
    }
    blocks.at(-1)?.push(index);
    room -= needed;
  }
  return blocks;
}

function padded(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - columnsOf(text)));
}
