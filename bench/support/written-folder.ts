import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { InvalidArgumentError } from "../../src/errors.ts";

/**
 * Looks whether files can be written into a folder, which is made if need be, and leaves everything as it is. It is asked
 * before a measurement, whose results would be lost otherwise.
 * @throws {InvalidArgumentError} names the option and the reason.
 */
export function refuseUnwritableFolder(option: string, folder: string): void {
  const made: string[] = [];
  try {
    if (folder === "") throw Object.assign(new Error(), { code: "it is empty" });
    // One by one: Node's own recursion never ends in /proc, where no folder can be made.
    for (const each of missingIn(resolve(folder))) {
      mkdirSync(each);
      made.unshift(each);
    }
    rmSync(mkdtempSync(join(folder, ".slotwire-")), { recursive: true });
  } catch (error) {
    throw new InvalidArgumentError(
      `${option} ${JSON.stringify(folder)} cannot be written (${(error as NodeJS.ErrnoException).code}); accepted is the path of a folder, which is made if it does not exist.`,
    );
  } finally {
    for (const each of made) rmdirSync(each);
  }
}

/** The folders of a path that do not exist, the outermost first. */
function missingIn(path: string): string[] {
  return existsSync(path) ? [] : [...missingIn(dirname(path)), path];
}
