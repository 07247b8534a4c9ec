import { COLOURS, type Paint, type Terminal } from "./terminal.ts";

/*
 * Everything that the command line prints passes here. Keys, addresses, names of files, replies and errors come from
 * outside: a control character in them would move the cursor or forge a line, and a bidirectional one would change the
 * order in which a line is read.
 */

const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const ESCAPE = "\x1b";
/** What can be an escape of `COLOURS`, or a character that is hidden. */
const ESCAPES_OR_HIDDEN = /\p{Cc}(\[(?:1|2|22|31|39|38;5;\d{1,3})m)|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** The text on one line, with every character escaped that a terminal would not show as a character. */
export function printable(text: string): string {
  return text.replace(HIDDEN, visible);
}

function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** The lines of a drawing as text. A line break within a line is shown and not made. */
export function textOf(lines: readonly string[], paint: Paint): string {
  return lines.map((line) => `${shown(line, paint, "")}\n`).join("");
}

/** A value as JSON in one line, with hidden characters as `\uXXXX`. */
export function jsonOf(value: unknown): string {
  const json = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each));
  return escapedAsInJson(json);
}

/** A text in quotes, as JSON and JavaScript read it, with hidden characters as `\uXXXX`. */
export function quoted(text: string): string {
  return escapedAsInJson(JSON.stringify(text));
}

/** JSON in which hidden characters are escaped as `\uXXXX`. It reads back as the same value. */
export function escapedAsInJson(json: string): string {
  return json.replace(HIDDEN, (character) =>
    Array.from({ length: character.length }, (_, index) => {
      return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
    }).join(""),
  );
}

/** What an error says, on one line. */
export function lineOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const lines = message.split(/[\r\n]+/).map((line) => line.trim());
  return printable(lines.filter((line) => line !== "").join(" "));
}

/** The terminal with a guard in front of it: whatever a command forgot to make printable is made so here. */
export function guarded(terminal: Terminal): Terminal {
  const { paint } = terminal;
  return {
    get width() {
      return terminal.width;
    },
    paint,
    write: (text) => terminal.write(guardedText(text, paint)),
    progress: (text) => terminal.progress(shown(text, paint, "")),
    warn: (text) => terminal.warn(printable(text)),
  };
}

/** A text of several lines as it may be written. */
export function guardedText(text: string, paint: Paint): string {
  return shown(text, paint, "\n\t");
}

/** @param kept  Hidden characters that stay. The escapes of colours stay where colours are used. */
function shown(text: string, paint: Paint, kept: string): string {
  return text.replace(ESCAPES_OR_HIDDEN, (found, ofColour: string | undefined) => {
    const character = found.slice(0, found.length - (ofColour?.length ?? 0));
    const isOwn = ofColour !== undefined && character === ESCAPE && paint === COLOURS;
    return isOwn || kept.includes(character) ? found : visible(character) + (ofColour ?? "");
  });
}
