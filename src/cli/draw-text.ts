import { stripVTControlCharacters } from "node:util";

const ESCAPE = "\x1b";

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
