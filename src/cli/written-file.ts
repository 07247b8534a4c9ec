import { closeSync, existsSync, openSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { InvalidArgumentError } from "../errors.ts";

/**
 * Looks whether a file can be written, and leaves it as it is.
 * @throws {InvalidArgumentError} names the option and the reason.
 */
export function refuseUnwritable(option: string, file: string): void {
  trying(option, file, () => {
    const isNew = !existsSync(file);
    closeSync(openSync(file, "a"));
    // The file may be made through a link, which is not ours.
    if (isNew) rmSync(realpathSync(file));
  });
}

/** Writes a file, in place of one that exists. @throws as `refuseUnwritable`. */
export function writeText(option: string, file: string, text: string): void {
  trying(option, file, () => writeFileSync(file, text));
}

function trying(option: string, file: string, what: () => void): void {
  try {
    what();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InvalidArgumentError(
      `${option} ${JSON.stringify(file)} cannot be written (${code}); accepted is the path of a file in a folder that exists.`,
    );
  }
}
