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

/**
 * Breaks a text into lines of at most `width` columns, at spaces where there are any. The first line begins with `head`, the
 * others with as many spaces.
 */
export function wrapped(text: string, width: number, head = ""): string[] {
  const room = Math.max(1, width - columnsOf(head));
  const lines: string[] = [];
  let line = "";
  for (let word of text.split(" ")) {
    if (line !== "" && columnsOf(line) + 1 + columnsOf(word) <= room) {
      line += ` ${word}`;
      continue;
    }
    if (line !== "") lines.push(line);
    for (; columnsOf(word) > room; word = [...word].slice(room).join("")) lines.push([...word].slice(0, room).join(""));
    line = word;
  }
  if (line !== "") lines.push(line);
  return lines.map((each, index) => (index === 0 ? head : " ".repeat(columnsOf(head))) + each);
}
