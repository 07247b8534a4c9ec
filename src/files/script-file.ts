import { basename, dirname, join, relative, resolve } from "node:path";
import { InvalidArgumentError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import { type Place, pathOf, readLua, wrong } from "./lua-file.ts";
import { type FileLine, type LuaLine, linesOf } from "./lua-lines.ts";
import { parseReturns, RETURNS_ACCEPTED, type ScriptReturns } from "./script-returns.ts";
import { readShebang } from "./shebang.ts";

/** A script read from its file. A property is absent when the file does not state it. */
export interface ScriptFile {
  /** The script's path, as the caller gave it. */
  readonly file: string;
  /** The file's name without `.lua`, and without a number of keys such as `-2`. */
  readonly name: string;
  /** The source that is sent. A file without includes is sent unchanged. */
  readonly source: string;
  /** The comment at the top of the file, without its `@` lines. */
  readonly description?: string;
  readonly numberOfKeys?: number;
  readonly keys?: readonly string[];
  readonly args?: readonly string[];
  readonly returns?: ScriptReturns;
  /** The place that states the keys or arguments: `lock.lua:3`, or `lock-2.lua` for the number in the file's name. */
  placeOf(word: "keys" | "args"): string;
  /**
   * The origin of line `line` of `source`, counted from 1 as in Lua's `user_script:7:`. Undefined for a missing line.
   */
  origin(line: number): FileLine | undefined;
}

const COMMENT = /^\s*--+\s*@(keys|args|returns|include)\b(.*)$/;
const NAME = /^[\p{L}_][\p{L}\p{N}_-]*$/u;

/**
 * Reads a script from a file. The script is named after the file: `acquire.lua`, or `acquire-2.lua` for a script with
 * two keys. Comments can state more. Each must be on a line of its own; inside a string or a `--[[ ]]` comment it is
 * plain text:
 *
 * ```lua
 * -- @keys lock owner        names the keys; "..." at the end allows any number of keys, an empty list means none
 * -- @args ttl               names the arguments in the same way
 * -- @returns integer        the type of the result, see ReturnWord
 * -- @include "./shared.lua" is replaced by that file's text; the path is relative to this file, ".lua" is optional
 * ```
 *
 * Each file is included only once, at its first `@include`. Files that include each other in a circle are refused. A
 * line `#!lua flags=...` may only be the first line of the script's own file.
 *
 * @param place  A path or a `file:` URL. A relative path is relative to the working directory.
 * @param root   The folder that the file and all that it includes have to be in. Undefined: they may be anywhere.
 * @throws {InvalidArgumentError} when the file cannot be read or is not valid; the message names file and line.
 */
export function readScriptFile(place: string | URL, root?: string): ScriptFile {
  const path = pathOf(place);
  if (path === undefined || !/[^/\\]\.lua$/.test(path)) {
    const shown = typeof place === "string" || place instanceof URL ? JSON.stringify(place) : kindOf(place);
    throw new InvalidArgumentError(`A script file is ${shown}; accepted is the path or file: URL of a .lua file.`);
  }
  const text = readLua(path, root);
  const { lines, said } = assemble(path, text, root);
  const source = lines.map((line) => line.text + line.ending).join("");
  const [, name = "", count] = /^(.+?)(?:-(\d+))?\.lua$/.exec(basename(path)) ?? [];
  checkFlags(source, name, path);
  const keys = namesOf(said, "keys");
  const args = namesOf(said, "args");
  const returns = returnsOf(said);
  const numberOfKeys = count === undefined ? keys?.length : Number(count);
  const keysSaid = said.get("keys");
  if (keysSaid !== undefined && keys?.length !== numberOfKeys) {
    const named = keys === undefined ? "any number of keys" : `${keys.length} keys`;
    throw wrong(
      keysSaid.place,
      `@keys names ${named}, but the file's name says ${numberOfKeys}; accepted is one number`,
    );
  }
  const description = descriptionOf(text);
  return Object.freeze({
    file: path,
    name,
    source,
    ...(description !== "" && { description }),
    ...(numberOfKeys !== undefined && { numberOfKeys }),
    ...(keys && { keys }),
    ...(args && { args }),
    ...(returns && { returns }),
    placeOf(word: "keys" | "args") {
      const place = said.get(word)?.place;
      return place === undefined ? path : place.join(":");
    },
    origin(line: number) {
      const found = lines[line - 1];
      return found && { file: found.file, line: found.line, text: found.text };
    },
  });
}

/**
 * The script's lines, with each include replaced by the lines of its file, and the statements of the script's comments.
 */
function assemble(main: string, mainText: string, root: string | undefined) {
  const lines: (FileLine & { readonly ending: string })[] = [];
  const said: Said = new Map();
  const seen = new Set([resolve(main)]);
  add(mainText, [main]);
  return { lines, said };

  /** Adds the lines of `text`. `trail` lists the files from the script to the file that contains `text`. */
  function add(text: string, trail: readonly string[]): void {
    const file = trail.at(-1) as string;
    const isMain = trail.length === 1;
    for (const [index, line] of linesOf(text).entries()) {
      const place: Place = [file, index + 1];
      checkShebang(line, place, isMain);
      const [, word = "", rest = ""] = (line.startsInCode && COMMENT.exec(line.text)) || [];
      if (word === "include") {
        include(rest, place, trail);
        continue;
      }
      // An included file can itself be a script. Its @keys and @args are then about that script, not about this one.
      if (word !== "" && isMain) note(said, word, rest, place);
      lines.push({ file, line: index + 1, text: line.text, ending: line.ending });
    }
  }

  function include(rest: string, place: Place, trail: readonly string[]): void {
    const [, , target] = /^\s+(["'])(.+)\1[\s;]*$/.exec(rest) ?? [];
    if (target === undefined) {
      throw wrong(place, `@include is followed by "${rest.trim()}"; accepted is a path in quotes`);
    }
    const file = join(dirname(place[0]), target.endsWith(".lua") ? target : `${target}.lua`);
    const start = trail.findIndex((other) => resolve(other) === resolve(file));
    if (start !== -1) {
      const circle = [...trail.slice(start), file].map((each) => relative(dirname(main), each).replaceAll("\\", "/"));
      throw wrong(place, `@include "${target}" closes a circle: ${circle.join(" -> ")}`);
    }
    if (seen.has(resolve(file))) return;
    seen.add(resolve(file));
    add(readLua(file, root, { place, target }), [...trail, file]);
    // The line behind the include must not be joined to the included file's last line.
    const last = lines.at(-1);
    if (last?.ending === "") lines[lines.length - 1] = { ...last, ending: "\n" };
  }
}

/** The statements of a script's comments, by their `@` word. */
type Said = Map<string, { readonly text: string; readonly place: Place }>;

function note(said: Said, word: string, text: string, place: Place): void {
  const earlier = said.get(word);
  if (earlier !== undefined)
    throw wrong(place, `@${word} is repeated; accepted is one, and line ${earlier.place[1]} has it`);
  said.set(word, { text: text.trim(), place });
}

function namesOf(said: Said, word: "keys" | "args"): readonly string[] | undefined {
  const found = said.get(word);
  if (found === undefined) return undefined;
  const names = found.text === "" ? [] : found.text.split(/\s+/);
  const isOpen = names.at(-1) === "...";
  if (isOpen) names.pop();
  for (const [index, name] of names.entries()) {
    if (!NAME.test(name)) {
      const accepted = 'names of letters, digits, "_" and "-" with spaces between them, and "..." at the end';
      throw wrong(found.place, `@${word} has ${JSON.stringify(name)}; accepted are ${accepted}`);
    }
    if (names.indexOf(name) !== index)
      throw wrong(found.place, `@${word} has "${name}" twice; accepted is each name once`);
  }
  return isOpen ? undefined : Object.freeze(names);
}

function returnsOf(said: Said): ScriptReturns | undefined {
  const found = said.get("returns");
  if (found === undefined) return undefined;
  const returns = parseReturns(found.text);
  if (returns === undefined) {
    throw wrong(found.place, `@returns is ${JSON.stringify(found.text)}; accepted is ${RETURNS_ACCEPTED}`);
  }
  return Object.freeze(returns);
}

function checkShebang(line: LuaLine, place: Place, isMain: boolean): void {
  if (!line.startsInCode || !line.text.startsWith("#!")) return;
  if (!isMain || place[1] !== 1) {
    throw wrong(
      place,
      "#! is only accepted in the first line of the script's own file, not in a file that it includes",
    );
  }
  if (!/^#!lua(?:\s|$)/.test(line.text)) {
    throw wrong(place, `the first line is ${JSON.stringify(line.text)}; accepted is "#!lua", "#!lua flags=..."`);
  }
}

function checkFlags(source: string, name: string, file: string): void {
  try {
    readShebang(source, name);
  } catch (error) {
    throw new InvalidArgumentError(`${file}:1: ${(error as Error).message}`);
  }
}

/** The comment at the top of a file. Only a `#!` line may be in front of it. */
function descriptionOf(text: string): string {
  const comment = /(\s*)(?:--\[(=*)\[([\s\S]*?)\]\2\]|--(?!\[=*\[)([^\r\n]*))/y;
  comment.lastIndex = /^#!.*/.exec(text)?.[0].length ?? 0;
  const found: string[] = [];
  for (let part = comment.exec(text); part !== null; part = comment.exec(text)) {
    const [, gap = "", , block, line = ""] = part;
    // An empty line ends the description, unless there are only "@" lines above it.
    if (/\n\s*\n/.test(gap) && found.length > 0) break;
    if (block !== undefined) found.push(...unindented(block));
    else if (!COMMENT.test(`--${line}`)) found.push(line.replace(/^-* ?/, "").trimEnd());
  }
  return found.join("\n").trim();
}

function unindented(block: string): string[] {
  const lines = linesOf(block).map((line) => line.text.trimEnd());
  const widths = lines
    .slice(1)
    .filter((line) => line !== "")
    .map((line) => /^\s*/.exec(line)?.[0].length ?? 0);
  const width = Math.min(...widths);
  return lines.map((line, index) => (index === 0 ? line.trimStart() : line.slice(width)));
}
