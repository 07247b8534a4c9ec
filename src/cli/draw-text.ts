import { stripVTControlCharacters } from "node:util";

const ESCAPE = "\x1b";
const PIECE = new RegExp(`${ESCAPE}\\[\\d+m|.`, "gsu");

/** The number of columns of a line. Colour escapes take no columns. */
export function columnsOf(line: string): number {
  return [...stripVTControlCharacters(line)].length;
}

/** Cuts a line to at most `width` columns. A cut line ends with an ellipsis; the escapes that end colours are kept. */
export function cut(line: string, width: number): string {
  if (columnsOf(line) <= width) return line;
  let out = "";
  let columns = 0;
  let inEscape = false;
  for (const character of line) {
    const isText: boolean = !inEscape && character !== ESCAPE;
    if (isText && ++columns === width) out += "…";
    else if (!isText || columns < width) out += character;
    inEscape = !isText && character !== "m";
  }
  return out;
}

/** What stands in front of a text: of its first line, and of all others. Both take the same number of columns. */
export interface Hanging {
  readonly first: string;
  readonly rest: string;
}

/** A text that hangs behind a label. */
export function hanging(first: string): Hanging {
  return { first, rest: " ".repeat(columnsOf(first)) };
}

/**
 * Breaks a text into lines of at most `width` columns, behind a label. Lines break behind spaces. A word that is
 * longer than a line is broken anywhere: nothing is left out.
 */
export function wrapped(text: string, width: number, behind: Hanging | string = ""): string[] {
  return wrappedParts(text.split(/(?<= )(?! )/), width, typeof behind === "string" ? hanging(behind) : behind);
}

/** As `wrapped`, for a text whose lines may break only behind its parts. */
export function wrappedParts(parts: readonly string[], width: number, { first, rest }: Hanging): string[] {
  const room = Math.max(1, width - columnsOf(first));
  const lines: string[] = [];
  let line = "";
  let columns = 0;
  const end = () => {
    lines.push((lines.length === 0 ? first : rest) + line.trimEnd());
    line = "";
    columns = 0;
  };
  for (const part of parts) {
    if (columns > 0 && columns + columnsOf(part.trimEnd()) > room) end();
    for (const piece of piecesOf(part)) {
      const isBlank = piece === " " && columns >= room;
      if (isBlank) continue;
      if (!piece.startsWith(ESCAPE) && columns >= room) end();
      line += piece;
      if (!piece.startsWith(ESCAPE)) columns++;
    }
  }
  if (line !== "" || (lines.length === 0 && first !== "")) end();
  return lines;
}

/** Characters, and escapes as a whole. */
function piecesOf(text: string): string[] {
  return text.match(PIECE) ?? [];
}
