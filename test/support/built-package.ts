import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Guard } from "../../src/testing/guard.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Names the folder of the built package to the processes of one run. */
const VARIABLE = "SLOTWIRE_BUILT_PACKAGE";

/**
 * Builds the package into a temporary folder, which goes with this process, however that ends. Types are for `npm run check` to check: a test
 * runs while they are wrong, as it does with tsx.
 *
 * @returns  The folder, which looks as npm would install it: `package.json`, `dist`, and `node_modules` in reach.
 */
function build(): string {
  const folder = mkdtempSync(join(tmpdir(), "slotwire-built-"));
  new Guard(folder);
  copyFileSync(join(ROOT, "package.json"), join(folder, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const program = (...path: string[]) => join(ROOT, "node_modules", ...path);
  const inFolder = (...args: string[]) =>
    execFileSync(process.execPath, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  // The steps of `npm run build`.
  const compiler = program("typescript", "bin", "tsc");
  inFolder(compiler, "-p", join(ROOT, "src"), "--noCheck", "--outDir", join(folder, "build"));
  inFolder(program("rolldown", "bin", "cli.mjs"), "--config", join(ROOT, "rolldown.config.js"));
  return folder;
}

/**
 * The folder of the package, built once for all files of a run. A process that starts the built package is ready in a fifth of
 * the time that one takes to translate the sources.
 */
export function builtPackage(): string {
  process.env[VARIABLE] ??= build();
  return process.env[VARIABLE];
}
