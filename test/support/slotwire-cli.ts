import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LocalCluster } from "../../src/testing/index.ts";
import { builtPackage, ROOT } from "./built-package.ts";

export { ROOT };
/** The argument of `process.execPath` that runs `slotwire`, as the package brings it. */
export const CLI = join(builtPackage(), "dist", "cli", "main.js");

/** How a process ended. */
export interface Outcome {
  readonly status: number | string | null | undefined;
  readonly out: string;
  readonly err: string;
}

/** Runs `slotwire` with no terminal. */
export function slotwire(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const env = { ...process.env, ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], { cwd: ROOT, env }, (error, out, err) => {
      resolve({ status: error === null ? 0 : error.code, out, err });
    });
  });
}

/** The options by which `slotwire` finds a cluster, with TLS or without. `folder` is for its certificate. */
export function optionsFor({ connectOptions: { nodes, tls } }: LocalCluster, folder: string): string[] {
  const [host, port] = (nodes[0] as string).split(":") as [string, string];
  if (tls === false) return ["-h", host, "-p", port];
  const file = join(folder, "ca.pem");
  writeFileSync(file, tls.ca);
  return ["-h", host, "-p", port, "--tls", "--cacert", file];
}
