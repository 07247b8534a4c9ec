import { spawn } from "node:child_process";
import { once } from "node:events";

/** Without what npm tells the scripts that it runs: it is about this package, not about the one in the folder. */
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")));

/** A process that has ended. */
export interface Ended {
  /** Undefined when it was killed, or could not be started. */
  readonly code: number | undefined;
  readonly output: string;
  /** Its standard error. */
  readonly errors: string;
}

/** Runs a program in a folder, and kills it after `timeoutMs`. */
export async function ended(folder: string, timeoutMs: number, program: string, ...args: string[]): Promise<Ended> {
  const child = spawn(program, args, {
    cwd: folder,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  try {
    const [code] = (await once(child, "close")) as [number | null];
    return { code: code ?? undefined, output, errors };
  } catch (error) {
    return { code: undefined, output, errors: `${errors}${error}` };
  }
}

/** @throws {Error} with all that the program printed, when it fails. */
export async function succeeded(
  folder: string,
  timeoutMs: number,
  program: string,
  ...args: string[]
): Promise<string> {
  const { code, output, errors } = await ended(folder, timeoutMs, program, ...args);
  if (code === 0) return output;
  throw new Error([`${program} ${args.join(" ")}: ${code ?? "killed"}`, output, errors].join("\n"));
}
