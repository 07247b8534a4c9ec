import { existsSync, readdirSync } from "node:fs";
import { run } from "node:test";
import { spec, tap } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { builtPackage } from "./support/built-package.ts";

/*
 * npm test: the tests of the folders that are named, three files at a time, each in a process of its own. Much of the time
 * they wait for servers. A folder with a file of its name beside it is run by that file. The package is built once, for those
 * that start it.
 */
const CONCURRENCY = 3;
const TIMEOUT_MS = 120_000;

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

builtPackage();
const results = run({ files, concurrency: CONCURRENCY, timeout: TIMEOUT_MS });
results.on("test:fail", () => {
  process.exitCode = 1;
});
if (process.stdout.isTTY) results.compose(new spec()).pipe(process.stdout);
else results.compose(tap).pipe(process.stdout);
