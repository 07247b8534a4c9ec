import { InvalidArgumentError } from "../errors.ts";

/** Splits a line into words as a shell does, with '...', "...", and \ in front of one character outside of '...'. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string;
    if (character === "\\" && quote !== "'" && at + 1 < line.length) word = (word ?? "") + line[++at];
    else if (character === quote) quote = "";
    else if (quote !== "") word += character;
    else if (character === '"' || character === "'") {
      quote = character;
      word ??= "";
    } else if (!/\s/.test(character)) word = (word ?? "") + character;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (quote !== "") throw new InvalidArgumentError(`the ${quote} is not closed.`);
  if (word !== undefined) words.push(word);
  return words;
}
