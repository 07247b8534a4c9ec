import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../../src/testing/server-binary.ts";
import { type Obtained, obtain, type ServerVersion, VERSIONS } from "./versions.ts";

// npm run test:servers [-- NAME...]   the cluster tests on every server of versions.ts, with TLS and without

const RUN_TIMEOUT_MS = 15 * 60_000;

interface Row {
  readonly server: string;
  readonly tests: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !VERSIONS.some((version) => version.name === name));
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(", ")}; accepted are ${VERSIONS.map(({ name }) => name).join(", ")}.`);
  process.exit(1);
}

/** As npm test runs them: several files at a time. */
const runner = fileURLToPath(new URL("../run.ts", import.meta.url));
const logs = join(cacheFolder(), "servers", "logs");
const rows: Row[] = [];
const notes = new Set<string>();
const troubles: string[] = [];

for (const version of VERSIONS) {
  if (wanted.length > 0 && !wanted.includes(version.name)) continue;
  const obtained = await tryToObtain(version);
  if (obtained === undefined) continue;
  for (const tls of [false, true]) rows.push(await testOn(version, obtained, tls));
}

console.log(tableOf(rows));
for (const note of notes) console.log(`  ${note}`);
for (const trouble of troubles) console.error(`\n!!! ${trouble}`);
process.exitCode = troubles.length > 0 ? 1 : 0;

async function tryToObtain(version: ServerVersion): Promise<Obtained | undefined> {
  try {
    return await obtain(version);
  } catch (error) {
    const trouble = `${version.name} CANNOT BE HAD: ${(error as Error).message.trim()}. Nothing was tested on it.`;
    console.error(`!!! ${trouble}`);
    troubles.push(trouble);
    const none = {
      tests: Number.NaN,
      passed: Number.NaN,
      failed: Number.NaN,
      skipped: Number.NaN,
      seconds: Number.NaN,
    };
    rows.push({ server: `${version.name} CANNOT BE HAD`, ...none });
    return undefined;
  }
}

async function testOn({ name, product }: ServerVersion, { path, version }: Obtained, tls: boolean): Promise<Row> {
  const server = `${product} ${version}${tls ? " TLS" : ""}`;
  process.stderr.write(`${server} ... `);
  const start = performance.now();
  const tap = await tapOf({ SLOTWIRE_SERVER: path, SLOTWIRE_TLS: tls ? "1" : "0" });
  const total = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(tap)?.[1] ?? Number.NaN);
  const failed = total("fail") + total("cancelled");
  const row = { server, tests: total("tests"), passed: total("pass"), failed, skipped: total("skipped") };
  for (const [, note] of tap.matchAll(/^\s*# (left out: .*)$/gm)) notes.add(`${product} ${version}: ${note}`);
  // A run that ended early has no totals, and has not passed.
  if (failed !== 0 || row.tests !== row.passed + row.skipped) {
    mkdirSync(logs, { recursive: true });
    const log = join(logs, `${name}${tls ? "-tls" : ""}.tap`);
    writeFileSync(log, tap);
    const names = [...tap.matchAll(/^\s+not ok \d+ - (.*)$/gm)].map(([, test]) => `\n      ${test}`);
    troubles.push(`${server}: failed, see ${log}${names.join("")}`);
  }
  const seconds = (performance.now() - start) / 1000;
  process.stderr.write(`${row.passed} of ${row.tests} passed, ${seconds.toFixed(0)} s\n`);
  return { ...row, seconds };
}

/** Runs the tests in a process of their own, which gets a limited time. */
async function tapOf(environment: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(process.execPath, ["--import", "tsx", runner, "cluster"], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: RUN_TIMEOUT_MS,
  });
  let tap = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    tap += text;
  });
  await once(child, "close");
  return tap;
}

function tableOf(results: readonly Row[]): string {
  const head = ["server", "tests", "passed", "failed", "skipped", "time"];
  const lines = results.map(({ server, tests, passed, failed, skipped, seconds }) => [
    server,
    ...[tests, passed, failed, skipped].map(shown),
    `${shown(Math.round(seconds))} s`,
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const show = (line: readonly string[]) =>
    `| ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [show(head), show(rule), ...lines.map(show)].join("\n");
}

/** What is not known, as a dash. */
function shown(count: number): string {
  return Number.isNaN(count) ? "-" : String(count);
}
