/** Where a line of a script came from. */
export interface LineOrigin {
  /** The file it stands in, an included one perhaps; undefined for a script that came from none. */
  readonly file: string | undefined;
  /** Its number in that file, or in the source; from 1. */
  readonly line: number;
  /** Without its end. */
  readonly text: string;
}

/** Where a line came from that came from a file. */
export interface FileLine extends LineOrigin {
  readonly file: string;
}

/** One line of Lua as it stands in its file. */
export interface LuaLine {
  readonly text: string;
  /** What ends it; empty for a last line without. */
  readonly ending: string;
  /** It begins outside strings and comments that span lines. */
  readonly startsInCode: boolean;
}

// Lua counts a pair of either order as one line end, so that the numbers here are those of its error messages.
const LINE = /([^\r\n]*)(\r\n|\n\r|\n|\r|$)/y;
// What can hide code, leftmost first: a long comment, a comment, a long string, a string, the start of one that goes on.
const OPENING =
  /--\[(?<comment>=*)\[|--.*|\[(?<long>=*)\[|(?<quote>["'])(?:\\.|(?!\k<quote>)[^\\])*(?<end>\k<quote>)?/g;

/** The lines of `source`. Joined with their endings they are `source` again. */
export function linesOf(source: string): LuaLine[] {
  const lines: LuaLine[] = [];
  let closing = "";
  LINE.lastIndex = 0;
  while (LINE.lastIndex < source.length) {
    const [, text = "", ending = ""] = LINE.exec(source) ?? [];
    lines.push({ text, ending, startsInCode: closing === "" });
    closing = closingAfter(text, closing);
  }
  return lines;
}

/** What would close the string or comment that is open at the end of a line; empty when none is. */
function closingAfter(text: string, closing: string): string {
  let start = 0;
  if (closing.length > 1) {
    const close = text.indexOf(closing);
    if (close === -1) return closing;
    start = close + closing.length;
  } else if (closing !== "") {
    const close = new RegExp(`^(?:\\\\.|[^\\\\${closing}])*${closing}`).exec(text);
    if (close === null) return text.endsWith("\\") ? closing : "";
    start = close[0].length;
  }
  OPENING.lastIndex = start;
  for (let opening = OPENING.exec(text); opening !== null; opening = OPENING.exec(text)) {
    const { comment, long, quote, end } = opening.groups ?? {};
    const level = comment ?? long;
    if (level !== undefined) {
      const bracket = `]${level}]`;
      const close = text.indexOf(bracket, OPENING.lastIndex);
      if (close === -1) return bracket;
      OPENING.lastIndex = close + bracket.length;
    } else if (quote !== undefined && end === undefined) {
      // Only a backslash takes a short string to the next line. Anything else is an error, which the server words best.
      return text.endsWith("\\") ? quote : "";
    }
  }
  return "";
}
