import { columnsOf, cut } from "./draw-text.ts";
import { printable } from "./printable.ts";
import type { Paint } from "./terminal.ts";

/** Which node knows which script. */
export interface Matrix {
  readonly scripts: readonly { readonly name: string; readonly sha: string }[];
  readonly nodes: readonly {
    readonly address: string;
    /** Only where the nodes have names. */
    readonly name?: string;
    readonly role: "primary" | "replica";
    /** One entry per element of `scripts`. A text instead says why the node did not answer. */
    readonly knows: readonly boolean[] | string;
  }[];
}

/** The number of scripts that each node has. A text instead says why the node did not answer. */
export type Counts = readonly (Pick<Matrix["nodes"][number], "address" | "name" | "role"> & {
  readonly scripts: number | string;
})[];

const KNOWN = "●";
const MISSING = "·";
const NO_ANSWER = "?";
const GAP = 2;

/**
 * A table of nodes and scripts, as lines of at most `width` columns. The scripts are headed by their names if these
 * fit, otherwise by numbers. If the numbers do not fit either, there are several blocks. A list of the scripts comes
 * last.
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

/** The nodes with their numbers of scripts, as lines of at most `width` columns. */
export function drawCounts(counts: Counts, width: number): string[] {
  const names = counts.map(indented);
  const left = Math.max(0, ...names.map((name) => name.length));
  const lines = counts.map(({ scripts }, row) => {
    const count = scripts === 1 ? "1 script" : `${scripts} scripts`;
    const said = typeof scripts === "number" ? count : `no answer: ${printable(scripts)}`;
    return cut(`${(names[row] ?? "").padEnd(left)}  ${said}`, width);
  });
  return [...lines, "", cut("Name files, folders or SHA-1s to see which node has which script.", width)];
}

const indented = ({ address, name, role }: Matrix["nodes"][number] | Counts[number]) =>
  `${role === "replica" ? "  " : ""}${name === undefined ? "" : `${name} `}${address}`;

/** For each label: the script that it stands for, and the number of nodes that know the script. */
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

/** Distributes the labels to blocks: for each block, the indexes of its labels. */
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
