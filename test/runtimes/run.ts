import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { cacheFolder, findServer } from "../../src/testing/server-binary.ts";
import { ended, succeeded } from "./child.ts";
import { type Result, stepsOf, tableOf } from "./results.ts";

// npm run test:runtimes [-- NAME...]   one suite with the packed package in every runtime, and one table

interface Runtime {
  readonly name: string;
  /** The npm package that brings the program. */
  readonly wanted: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Whether slotwire promises to work there. Otherwise the table only shows what works. */
  readonly promised: boolean;
}

const RUNTIMES: readonly Runtime[] = [
  // The oldest version that `engines` allows.
  { name: "node-20.9", wanted: "node@20.9.0", program: "node", args: [], promised: true },
  { name: "node-22", wanted: "node@22", program: "node", args: [], promised: true },
  { name: "node-24", wanted: "node@24", program: "node", args: [], promised: true },
  { name: "bun", wanted: "bun@1", program: "bun", args: [], promised: false },
  { name: "deno", wanted: "deno@2", program: "deno", args: ["run", "--allow-all"], promised: false },
];

/** A suite takes 20 seconds on two idle cores. */
const SUITE_TIMEOUT_MS = 5 * 60_000;
const NPM_TIMEOUT_MS = 5 * 60_000;
const SERVERS_END_MS = 20_000;

const names = process.argv.slice(2);
const unknown = names.filter((name) => !RUNTIMES.some((runtime) => runtime.name === name));
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(", ")}; accepted are ${RUNTIMES.map(({ name }) => name).join(", ")}.`);
  process.exit(1);
}

const folder = join(cacheFolder(), "runtimes");
const work = mkdtempSync(join(tmpdir(), "slotwire-runtimes-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
const results: Result[] = [];
const troubles: string[] = [];

// If there is no server, it is fetched now, and not in a suite's time.
await findServer();
const project = await projectWithPackage();
for (const runtime of RUNTIMES) {
  if (names.length > 0 && !names.includes(runtime.name)) continue;
  process.stderr.write(`${runtime.name} ... `);
  const result = await tryIn(runtime);
  results.push(result);
  process.stderr.write(`${result.failed.length === 0 ? "passed" : "FAILED"}, ${result.seconds.toFixed(0)} s\n`);
}

console.log(tableOf(results));
for (const trouble of troubles) console.error(`\n!!! ${trouble}`);
process.exitCode = results.some(({ promised, failed }) => promised && failed.length > 0) ? 1 : 0;

/** A project into which the packed package is installed, as users do it. */
async function projectWithPackage(): Promise<string> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  await succeeded(root, NPM_TIMEOUT_MS, "npm", "pack", "--silent", "--pack-destination", work);
  const [tarball = ""] = readdirSync(work);
  const path = join(work, "project");
  await install(path, join(work, tarball));
  copyFileSync(fileURLToPath(new URL("suite.mjs", import.meta.url)), join(path, "suite.mjs"));
  return path;
}

async function install(path: string, wanted: string): Promise<void> {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "package.json"), '{ "private": true }');
  // The packages of runtimes get their programs by install scripts.
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts=false"];
  await succeeded(path, NPM_TIMEOUT_MS, "npm", "install", ...options, wanted);
}

async function tryIn({ name, wanted, program, args, promised }: Runtime): Promise<Result> {
  const path = join(folder, name);
  const bin = join(path, "node_modules", ".bin", program);
  let version = "";
  try {
    await install(path, wanted);
    version = /\d+\.\d+\.\d+/.exec(await succeeded(path, NPM_TIMEOUT_MS, bin, "--version"))?.[0] ?? "";
  } catch (error) {
    troubles.push(`${wanted} cannot be had. ${(error as Error).message.trim()}`);
    return { runtime: name, version: "-", promised, passed: 0, failed: ["it cannot be had"], seconds: 0 };
  }
  const start = performance.now();
  const { code, output, errors } = await ended(project, SUITE_TIMEOUT_MS, bin, ...args, "suite.mjs");
  const seconds = (performance.now() - start) / 1000;
  const { passed, failed } = stepsOf({ output, code, leftServersEnded: await leftServersEnd(output) });
  if (failed.length > 0) {
    mkdirSync(join(folder, "logs"), { recursive: true });
    const log = join(folder, "logs", `${name}.tap`);
    writeFileSync(log, `${output}\n${errors}`);
    troubles.push(`${name}: failed, see ${log}${failed.map((step) => `\n      ${step}`).join("")}`);
  }
  return { runtime: name, version, promised, passed, failed, seconds };
}

/** Whether the servers that the suite names as left running are gone, soon after its end. */
async function leftServersEnd(output: string): Promise<boolean> {
  const pids = (/^# servers left: ([\d ]+)$/m.exec(output)?.[1] ?? "").split(" ").map(Number);
  if (pids.includes(0)) return false;
  for (const end = performance.now() + SERVERS_END_MS; performance.now() < end; await sleep(100)) {
    if (!pids.some(isAlive)) return true;
  }
  return false;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
