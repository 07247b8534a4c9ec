import { Script } from "node:vm";

/** A fenced block of a Markdown page. */
export interface Block {
  /** What stands behind the opening fence: `ts`, `lua`, or nothing for what programs print. */
  readonly language: string;
  /** The line of the opening fence, from 1. */
  readonly line: number;
  readonly code: string;
  /** The names of `given.ts` that it uses, from the comment in front of it: `<!-- given: cluster, nodes -->`. */
  readonly given: readonly string[];
}

/** All fenced blocks of a page, in its order. */
export function blocksOf(markdown: string): Block[] {
  const lines = markdown.split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const language = /^```(.*)$/.exec(lines[at] as string)?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf("```", at + 1);
    if (end === -1) throw new Error(`The block of line ${at + 1} has no end.`);
    const given = /^<!-- given: (.*) -->$/.exec(lines[at - 1] ?? "")?.[1];
    const code = lines.slice(at + 1, end).join("\n");
    blocks.push({ language, line: at + 1, code, given: given === undefined ? [] : given.split(", ") });
    at = end;
  }
  return blocks;
}

/** A block's code, each result that it states turned into a check. */
export interface Checked {
  readonly code: string;
  /** How many results it states. */
  readonly results: number;
}

/**
 * Makes `const a = await b(c); // 3, because` into `const a = await shows(3, b(c));`, so that the block, when it runs,
 * compares. The statement begins where the nearest line that is indented no deeper awaits. Lines keep their numbers.
 */
export function withChecks(code: string): Checked {
  const lines = code.split("\n");
  let results = 0;
  lines.forEach((line, end) => {
    const [, statement, comment] = /^(.*;) \/\/ (.*)$/.exec(line) ?? [];
    const value = comment === undefined ? undefined : valueIn(comment);
    if (statement === undefined || value === undefined) return;
    lines[end] = statement;
    let start = end;
    while (start >= 0 && !(awaits(lines[start] as string) && indentOf(lines[start]) <= indentOf(line))) start--;
    if (start < 0) throw new Error(`Nothing is awaited in front of the result ${value}.`);
    lines[start] = (lines[start] as string).replace(AWAIT, `await shows(${value}, `);
    lines[end] = (lines[end] as string).replace(/;$/, ");");
    results++;
  });
  return { code: lines.join("\n"), results };
}

const AWAIT = /\bawait (?!using\b)/;
const awaits = (line: string) => AWAIT.test(line);
const indentOf = (line = "") => line.search(/\S/);

/** The value that a comment is, or begins with in front of a comma; nothing when it is prose. */
function valueIn(comment: string): string | undefined {
  if (!/^(-?\d|["[{]|(true|false|null)\b)/.test(comment)) return undefined;
  const ends = [...comment.matchAll(/,|$/g)].map(({ index }) => index);
  return ends.map((end) => comment.slice(0, end)).find(isExpression);
}

function isExpression(text: string): boolean {
  try {
    new Script(`(${text})`);
    return true;
  } catch {
    return false;
  }
}
