import { stripVTControlCharacters } from "node:util";

const ESCAPE = "\x1b";

/** Columns that a line takes; escapes of colours take none. */
export function columnsOf(line: string): number {
  return [...stripVTControlCharacters(line)].length;
}

/** The line in at most `width` columns; what is cut ends with an ellipsis, and colours that were on go off. */
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

/** What stands in a key or reply, without what could move the cursor of a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}
