/** The most characters that are shown of a text from outside. */
const MOST_SHOWN = 60;

/** A text that a server sent, for people: in quotes, short, in one line, without characters that cannot be seen. */
export function shownText(text: string): string {
  const begin = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}...` : text;
  return JSON.stringify(begin).replace(/\p{C}/gu, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
}
