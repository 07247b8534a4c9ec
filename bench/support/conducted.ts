import { lineOf } from "../../src/cli/printable.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { FAILED, MISUSED } from "./options.ts";

/** Notes what must be undone in the end, the last first. */
export type Finally = (undo: () => unknown) => void;

/**
 * Runs a benchmark to its end, and ends the process. Whatever happens meanwhile, an error or Ctrl-C, what was started is
 * stopped, and an error is one line.
 * @param name  Stands in front of an error.
 * @param body  Resolves to the exit status.
 */
export async function conducted(name: string, body: (undo: Finally) => Promise<number>): Promise<never> {
  const undoing: (() => unknown)[] = [];
  let leaving: Promise<never> | undefined;
  const leave = (status: number): Promise<never> => {
    leaving ??= (async () => {
      for (const undo of undoing.reverse()) {
        try {
          await undo();
        } catch (error) {
          process.stderr.write(`${name}: could not clean up: ${lineOf(error)}\n`);
        }
      }
      process.exit(status);
    })();
    return leaving;
  };
  // The signal can come more than once, because both the terminal and npm send it.
  process.on("SIGINT", () => void leave(130));
  process.on("SIGTERM", () => void leave(143));
  try {
    return await leave(await body((undo) => undoing.push(undo)));
  } catch (error) {
    // After Ctrl-C the calls under way fail. These failures are not reported.
    if (leaving === undefined) process.stderr.write(`${name}: ${lineOf(error)}\n`);
    return leave(error instanceof InvalidArgumentError ? MISUSED : FAILED);
  }
}
