import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { InvalidArgumentError } from "../../src/errors.ts";

/**
 * Looks whether files can be written into a folder, which is made if need be, and leaves everything as it is. It is asked
 * before a measurement, whose results would be lost otherwise.
 * @throws {InvalidArgumentError} names the option and the reason.
 */
export function refuseUnwritableFolder(option: string, folder: string): void {
  let made: string | undefined;
  try {
    if (folder === "") throw Object.assign(new Error(), { code: "it is empty" });
    made = mkdirSync(folder, { recursive: true });
    rmSync(mkdtempSync(join(folder, ".slotwire-")), { recursive: true });
  } catch (error) {
    throw new InvalidArgumentError(
      `${option} ${JSON.stringify(folder)} cannot be written (${(error as NodeJS.ErrnoException).code}); accepted is the path of a folder, which is made if it does not exist.`,
    );
  } finally {
    if (made !== undefined) rmSync(made, { recursive: true });
  }
}
