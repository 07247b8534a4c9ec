/** The file and line from which a line of a script came. */
export interface LineOrigin {
  /**
   * The file that contains the line: the script's own file or an included one. Undefined for a script without a file.
   */
  readonly file: string | undefined;
  /** The line's number in that file, or in the source if there is no file; counted from 1. */
  readonly line: number;
  /** The line's text, without its line end. */
  readonly text: string;
}

/** The origin of a line that came from a file. */
export interface FileLine extends LineOrigin {
  readonly file: string;
}

/** One line of a Lua file. */
export interface LuaLine {
  readonly text: string;
  /** The line's end, such as `\n`; empty when the last line has none. */
  readonly ending: string;
  /** Whether the line begins outside of any string or comment that spans lines. */
  readonly startsInCode: boolean;
}

// Lua counts "\r\n" and "\n\r" as one line end. The same is done here, so that line numbers match Lua's error messages.
const LINE = /([^\r\n]*)(\r\n|\n\r|\n|\r|$)/y;
// Everything that can hide code: a long comment, a comment, a long string, a string, the start of a string that goes on
// in the next line.
const OPENING =
  /--\[(?<comment>=*)\[|--.*|\[(?<long>=*)\[|(?<quote>["'])(?:\\.|(?!\k<quote>)[^\\])*(?<end>\k<quote>)?/g;

/** Splits `source` into lines. The lines joined with their endings give `source` again. */
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

/** The text that closes the string or comment left open at the end of a line; empty when none is open. */
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
      // A short string goes on in the next line only behind a backslash. Otherwise it is a syntax error; the server has
      // the best message for it.
      return text.endsWith("\\") ? quote : "";
    }
  }
  return "";
}
