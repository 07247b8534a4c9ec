import { closeSync, openSync, readSync } from "node:fs";
import { InvalidArgumentError } from "../../errors.ts";
import type { Compared } from "./compare.ts";
import { type BenchReport, FORMAT } from "./report.ts";

/** A report of all situations has some hundred kilobytes. */
const MOST_BYTES = 64 * 2 ** 20;
const ACCEPTED = "accepted is a JSON file that a benchmark of this version has written";

/**
 * Reads a report that a benchmark has written.
 * @param option  Names the file in an error: `--against`.
 * @throws {InvalidArgumentError} when it cannot be read, is no JSON, of another format, or no report.
 */
export function storedReport(option: string, file: string): BenchReport {
  const refuse = (what: string) => new InvalidArgumentError(`${option} ${JSON.stringify(file)} ${what}; ${ACCEPTED}.`);
  let text: string;
  try {
    text = contentOf(file);
  } catch (error) {
    throw refuse(`cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse("is no JSON");
  }
  const { format } = (typeof value === "object" && value !== null ? value : {}) as { readonly format?: unknown };
  if (format === undefined) throw refuse("is no report of a benchmark");
  if (format !== FORMAT) {
    const named = typeof format === "string" ? JSON.stringify(format.slice(0, 40)) : "another one";
    throw refuse(`has the format ${named}, and ${JSON.stringify(FORMAT)} is needed`);
  }
  const wrong = REPORT(value, "");
  if (wrong !== undefined) throw refuse(`is no whole report: ${wrong}`);
  return value as BenchReport;
}

/**
 * A report with the number of replies that were checked, where the file tells it.
 * @throws {InvalidArgumentError} as `storedReport`.
 */
export function storedRun(option: string, file: string): Compared {
  const report = storedReport(option, file) as BenchReport & { readonly replies?: unknown };
  const { replies } = report;
  return { report, ...(typeof replies === "number" && { replies }) };
}

/** At most so many bytes, because the file can be a device without an end. */
function contentOf(file: string): string {
  const descriptor = openSync(file, "r");
  try {
    const parts: Buffer[] = [];
    for (let length = 0; ; ) {
      const part = Buffer.allocUnsafe(2 ** 20);
      const read = readSync(descriptor, part);
      if (read === 0) return Buffer.concat(parts).toString("utf8");
      parts.push(part.subarray(0, read));
      length += read;
      if (length > MOST_BYTES) throw new Error(`more than ${MOST_BYTES / 2 ** 20} MiB`);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** What is wrong with a value, as a sentence without its full stop; undefined if nothing is. */
type Check = (value: unknown, path: string) => string | undefined;

function first<T>(items: readonly T[], look: (item: T, index: number) => string | undefined): string | undefined {
  for (const [index, item] of items.entries()) {
    const wrong = look(item, index);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function ofType(type: "string" | "number" | "boolean", says: string): Check {
  return (value, path) => (typeof value === type ? undefined : `${path} is not ${says}`);
}

const text = ofType("string", "a text");
const flag = ofType("boolean", "true or false");
const number = ofType("number", "a number");
const positive: Check = (value, path) => {
  return typeof value === "number" && value > 0 ? undefined : `${path} is not a number above 0`;
};
/** A number that is not known is null in JSON. */
const numberOrNull: Check = (value, path) => (value === null ? undefined : number(value, path));

function listOf(check: Check): Check {
  return (value, path) =>
    Array.isArray(value) ? first(value, (item, index) => check(item, `${path}[${index}]`)) : `${path} is not a list`;
}

function recordOf(check: Check): Check {
  return (value, path) =>
    isRecord(value)
      ? first(Object.entries(value), ([name, item]) => check(item, `${path}.${name.slice(0, 40)}`))
      : `${path} is not an object`;
}

/** @param checks  By name; a name with a question mark may be absent. */
function shapeOf(checks: Readonly<Record<string, Check>>): Check {
  return (value, path) => {
    if (!isRecord(value)) return `${path === "" ? "it" : path} is not an object`;
    return first(Object.entries(checks), ([key, check]) => {
      const name = key.replace(/\?$/, "");
      const item = Object.hasOwn(value, name) ? value[name] : undefined;
      if (item === undefined && name !== key) return undefined;
      return check(item, path === "" ? name : `${path}.${name}`);
    });
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const ESTIMATE: Check = (value, path) => {
  const wrong = shapeOf({ median: positive, low: positive, high: positive, values: number, confidence: number })(
    value,
    path,
  );
  if (wrong !== undefined) return wrong;
  const { median, low, high } = value as { median: number; low: number; high: number };
  return low <= median && median <= high ? undefined : `${path} has its median outside of its interval`;
};
const LATENCY = shapeOf({
  calls: number,
  "p50?": number,
  "p99?": number,
  "p999?": number,
  max: numberOrNull,
  curve: listOf(listOf(number)),
});
const SCRIPT = shapeOf({ name: text, bytes: number });
const WAY = shapeOf({
  name: text,
  calls: number,
  callsPerSecond: ESTIMATE,
  rounds: listOf(number),
  latency: LATENCY,
  costs: recordOf(number),
  "figures?": recordOf(ESTIMATE),
  "ratios?": recordOf(ESTIMATE),
});
const REPORT = shapeOf({
  environment: shapeOf({
    date: text,
    cpu: text,
    cores: number,
    memoryGiB: number,
    system: text,
    node: text,
    server: text,
    setting: text,
    slotwire: text,
    commit: text,
  }),
  quiet: shapeOf({
    quiet: flag,
    reasons: listOf(text),
    "seen?": shapeOf({
      cores: number,
      atRest: number,
      "meanwhile?": number,
      "stolen?": number,
      "spread?": number,
      load: number,
    }),
  }),
  method: text,
  comparisons: listOf(
    shapeOf({
      id: text,
      title: text,
      script: SCRIPT,
      inFlight: number,
      base: text,
      ways: listOf(WAY),
      "until?": shapeOf({ wanted: number, width: number, seconds: number }),
    }),
  ),
  curves: listOf(
    shapeOf({
      way: text,
      script: SCRIPT,
      points: listOf(
        shapeOf({
          rate: number,
          made: number,
          answered: number,
          waiting: number,
          "beyond?": text,
          latency: LATENCY,
          lateness: LATENCY,
        }),
      ),
      "held?": number,
      "knee?": number,
    }),
  ),
});
