import { isUtf8 } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
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

/** The reason why a file is not read, although the system would let it be read. */
class Refusal extends Error {}

/** @throws {Refusal} It is no regular file, or not in `root`. Nothing is read from it. */
function bytesOf(file: string, root: string | undefined): Buffer {
  // Without O_NONBLOCK, opening a pipe would wait for somebody who writes to it.
  const descriptor = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) throw Object.assign(new Error("it is a folder"), { code: "EISDIR" });
    if (!stats.isFile()) throw new Refusal("it is no regular file");
    if (root !== undefined && !isWithin(realpathSync(root), realpathSync(file))) {
      throw new Refusal(`it is outside of ${root}`);
    }
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function isWithin(folder: string, file: string): boolean {
  const path = relative(folder, file);
  return path !== ".." && !path.startsWith(`..${sep}`) && !isAbsolute(path);
}

/** Why the file or folder at `path` could not be read. For a relative path, the reason names the working directory. */
export function reasonOf(error: unknown, what: "file" | "folder", path: string): string {
  if (error instanceof Refusal) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOENT") return `it cannot be read (${code})`;
  return `there is no such ${what}${isAbsolute(path) ? "" : ` in ${process.cwd()}`}`;
}

/**
 * The text of a Lua file, without a byte order mark.
 * @param root  The folder that the file has to be in, wherever links and includes lead. Undefined: it may be anywhere.
 * @param by    The line that includes the file, and the name used there.
 */
export function readLua(file: string, root?: string, by?: { readonly place: Place; readonly target: string }): string {
  let bytes: Buffer;
  try {
    bytes = bytesOf(file, root);
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
