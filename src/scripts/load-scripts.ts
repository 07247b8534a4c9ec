import { readdirSync } from "node:fs";
import { join } from "node:path";
import { InvalidArgumentError } from "../errors.ts";
import { pathOf, reasonOf } from "../files/lua-file.ts";
import { readScriptFile, type ScriptFile } from "../files/script-file.ts";
import { kindOf } from "../protocol/encode.ts";
import { type Script, scriptOf } from "./script.ts";
import type { FileResult } from "./script-definition.ts";

/** The options of `loadScripts`. */
export interface LoadScriptsOptions<Name extends string = string> {
  /**
   * Whether the scripts in sub-folders are read as well.
   * @default false
   */
  readonly recursive?: boolean | undefined;
  /**
   * The names of the scripts to read. Others are not read, a missing one is an error, and the compiler knows the names of
   * the result.
   * @default all scripts of the folder
   */
  readonly names?: readonly Name[] | undefined;
}

/**
 * Reads every script of a folder, once and synchronously: `const { acquire, release } = loadScripts("lua")`. The result is
 * frozen, and `connect` takes `Object.values` of it as `scripts`. Files that are there to be included are no scripts: files
 * and sub-folders whose name begins with `_`, and sub-folders called `includes`. Names that begin with a dot are ignored.
 *
 * @param folder  A path or `file:` URL; a relative path is relative to the working directory.
 * @throws {InvalidArgumentError} for a folder without scripts, a missing script, two scripts of one name, and any fault of
 *   a file, with its name and line.
 */
export function loadScripts<const Name extends string = string>(
  folder: string | URL,
  options?: LoadScriptsOptions<Name>,
): Readonly<Record<Name, Script<number, FileResult>>> {
  const scripts: Record<string, Script> = Object.create(null);
  for (const file of loadScriptFiles(folder, options)) scripts[file.name] = scriptOf({}, file);
  return Object.freeze(scripts) as Record<Name, Script<number, FileResult>>;
}

/** Reads the files of a folder as `loadScripts` does. They come in the order of `names`, or sorted by path. */
export function loadScriptFiles(place: string | URL, options: LoadScriptsOptions = {}): ScriptFile[] {
  checkOptions(options);
  const folder = pathOf(place);
  if (folder === undefined || folder === "") {
    throw new InvalidArgumentError(`The folder is ${kindOf(place)}; accepted is a path or file: URL.`);
  }
  const paths = pathsIn(folder, options.recursive === true).sort();
  if (paths.length === 0) {
    throw new InvalidArgumentError(`${folder}: no script is in this folder; accepted is a folder of .lua files.`);
  }
  const byName = new Map<string, ScriptFile>();
  for (const path of paths) {
    const script = readScriptFile(join(folder, path), folder);
    const other = byName.get(script.name);
    if (other !== undefined) {
      throw new InvalidArgumentError(
        `${other.file} and ${script.file} are both called "${script.name}"; accepted is one script a name.`,
      );
    }
    byName.set(script.name, script);
  }
  const missing = options.names?.find((name) => !byName.has(name));
  if (missing !== undefined) {
    const there = [...byName.keys()].join(", ");
    throw new InvalidArgumentError(`${folder}: no script is called "${missing}"; its scripts are ${there}.`);
  }
  return options.names?.map((name) => byName.get(name) as ScriptFile) ?? [...byName.values()];
}

function checkOptions(options: LoadScriptsOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new InvalidArgumentError(`loadScripts: the options are ${kindOf(options)}; accepted is an object.`);
  }
  for (const option of Object.keys(options)) {
    if (option !== "recursive" && option !== "names") {
      throw new InvalidArgumentError(`loadScripts has no option "${option}"; accepted are recursive, names.`);
    }
  }
  const { recursive, names } = options;
  if (recursive !== undefined && typeof recursive !== "boolean") {
    throw new InvalidArgumentError(`loadScripts: recursive is ${kindOf(recursive)}; accepted is true or false.`);
  }
  if (names !== undefined && !Array.isArray(names)) {
    throw new InvalidArgumentError(`loadScripts: names is ${kindOf(names)}; accepted is an array of names.`);
  }
}

/** The paths of scripts, relative to `folder`. They have "/" on every system, so that their order is the same. */
function pathsIn(folder: string, recursive: boolean): string[] {
  return entriesOf(folder).flatMap((entry) => {
    if (/^[._]/.test(entry.name)) return [];
    if (!entry.isDirectory()) return entry.name.endsWith(".lua") ? [entry.name] : [];
    if (!recursive || entry.name === "includes") return [];
    return pathsIn(join(folder, entry.name), recursive).map((path) => `${entry.name}/${path}`);
  });
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    const reason = reasonOf(error, "folder", folder);
    throw new InvalidArgumentError(`${folder}: ${reason}; accepted is a folder of .lua files.`);
  }
}
