import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { run } from "node:test";
import { spec, tap } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { builtPackage } from "./support/built-package.ts";
import { packedPackage } from "./support/packed-package.ts";

/*
 * npm test: the tests of the folders that are named, five files at a time, each in a process of its own. Much of the time
 * they wait for servers. A folder with a file of its name beside it is run by that file. The package is built once, for those
 * that start it.
 */
const CONCURRENCY = 5;
/** A file is given up after this time: the scripted tests are one file, and take a minute and more beside busy processes. */
const TIMEOUT_MS = 300_000;

const folders = process.argv.slice(2);
const files = folders.flatMap((folder) => {
  const path = fileURLToPath(new URL(`${folder}/`, import.meta.url));
  const whole = `${path.slice(0, -1)}.ts`;
  if (existsSync(whole)) return [whole];
  const found = readdirSync(path).filter((name) => name.endsWith(".test.ts"));
  if (found.length === 0) throw new Error(`There are no tests in ${folder}.`);
  return found.sort().map((name) => path + name);
});
if (files.length === 0) throw new Error("Which folders? For example: unit scripted cluster");

endFilesWithRun();
builtPackage();
if (folders.includes("package")) await packedPackage();
const results = run({ files, concurrency: CONCURRENCY, timeout: TIMEOUT_MS });
const failed: string[] = [];
results.on("test:fail", ({ name, file = "", details }) => {
  process.exitCode = 1;
  failed.push(`${relative(process.cwd(), file)}: ${name}: ${details.error.message.replace(/\s+/g, " ").slice(0, 300)}`);
});
// Whoever sees only the end of a long log is told what failed, too.
process.on("exit", () => {
  for (const each of failed) process.stdout.write(`# failed: ${each}\n`);
});
if (process.stdout.isTTY) results.compose(new spec()).pipe(process.stdout);
else results.compose(tap).pipe(process.stdout);

/**
 * A file's process that hangs hears no signal, and would outlive a run that is interrupted. Each notes itself in a folder
 * (`ends-with-run.mjs`); this shell outlives the run by a moment and ends those that are left. Their servers end with them.
 * What they have in the folder for temporary files goes with the run as well.
 */
function endFilesWithRun(): void {
  const folder = mkdtempSync(join(tmpdir(), "slotwire-run-"));
  const temporary = join(folder, "temporary");
  mkdirSync(temporary);
  const end = 'case "$(ps -o args= -p $pid)" in *"$2"*) kill -9 $pid;; esac';
  const script = `trap '' INT TERM HUP; cat; for note in "$1"/[0-9]*; do pid=\${note##*/}; ${end}; done; rm -rf "$1"`;
  const tests = fileURLToPath(new URL(".", import.meta.url));
  const shell = spawn("/bin/sh", ["-c", script, "slotwire-run", folder, tests], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  process.env.SLOTWIRE_TEST_RUN = folder;
  process.env.TMPDIR = temporary;
  // Options of this process are those of the files' processes.
  process.execArgv.push("--import", new URL("support/ends-with-run.mjs", import.meta.url).href);
}
