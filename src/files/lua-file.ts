import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { InvalidArgumentError } from "../errors.ts";

/** A file and a line number in it, counted from 1. */
export type Place = readonly [file: string, line: number];

/** An error that begins with `file:line:`. */
export function wrong([file, line]: Place, message: string): InvalidArgumentError {
  return new InvalidArgumentError(`${file}:${line}: ${message}.`);
}

/** The path for a path or a `file:` URL. Undefined for any other value. */
export function pathOf(place: unknown): string | undefined {
  if (typeof place === "string" && !place.startsWith("file:")) return place;
  if (typeof place !== "string" && !(place instanceof URL)) return undefined;
  try {
    return fileURLToPath(place);
  } catch {
    return undefined;
  }
}

/** Why the file or folder at `path` could not be read. For a relative path, the reason names the working directory. */
export function reasonOf(error: unknown, what: "file" | "folder", path: string): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOENT") return `it cannot be read (${code})`;
  return `there is no such ${what}${isAbsolute(path) ? "" : ` in ${process.cwd()}`}`;
}

/**
 * The text of a Lua file, without a byte order mark. `by` gives the line that includes the file, and the name used
 * there.
 */
export function readLua(file: string, by?: { readonly place: Place; readonly target: string }): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if (by === undefined) throw new InvalidArgumentError(`${file}: ${reasonOf(error, "file", file)}.`);
    throw wrong(by.place, `@include "${by.target}": ${reasonOf(error, "file", resolve(file))}: ${file}`);
  }
  if (!isUtf8(bytes)) {
    const line = bytes
      .toString("latin1")
      .split("\n")
      .findIndex((text) => !isUtf8(Buffer.from(text, "latin1")));
    throw wrong(
      [file, line + 1],
      "these bytes are not UTF-8; accepted is UTF-8 text, with \\ddd for other bytes in a string",
    );
  }
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
  if (text.trim() === "") throw wrong([file, 1], "the file is empty; accepted is Lua");
  return text;
}
