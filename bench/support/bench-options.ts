import { numberOf, type Options, shareOf } from "../../src/cli/arguments.ts";
import { AGAINST, type EarlierRun } from "../../src/cli/bench/earlier-run.ts";
import { RATE_OPTION, type Rates, ratesOf } from "../../src/cli/bench/rates.ts";
import { CONNECTION, connectionOf } from "../../src/cli/connection-options.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { type ConnectOptions, slotOf } from "../../src/index.ts";
import { type CalledScript, givenScript } from "./called-script.ts";
import { earlierOf } from "./commands.ts";
import type { BenchCommand, ValuesOf } from "./options.ts";
import { type Plan, planOf } from "./plan.ts";
import { refuseUnwritableFolder } from "./written-folder.ts";

const { user, pass, tls, cacert, cert, key, sni, insecure } = CONNECTION;
/** Options that say how to reach the nodes of `--nodes`. */
const LOGIN = { user, pass, tls, cacert, cert, key, sni, insecure };

const OPTIONS = {
  quick: { type: "boolean", says: "fewer situations and shorter rounds: half a minute in place of some minutes" },
  nodes: {
    type: "string",
    value: "HOST:PORT,...",
    says: "an existing cluster, in place of one that is started here; redis:// and rediss:// as well",
  },
  eval: { type: "string", value: "FILE", says: "a Lua file to run, in place of the benchmark's own scripts" },
  keys: { type: "string", value: "KEY,...", says: "the keys of that script, all in one slot" },
  args: { type: "string", value: "ARG,...", says: "the arguments of that script" },
  "in-flight": { type: "string", value: "N,...", says: "the numbers of calls in flight; default 1,64,1024" },
  seconds: { type: "string", value: "N", says: "seconds for each way in each situation; default 3, with --quick 0.25" },
  until: {
    type: "string",
    value: "P%",
    says: "goes on until each ratio of calls a second is known to P percent, for at most a minute for each way",
  },
  rate: RATE_OPTION,
  ...AGAINST,
  out: { type: "string", value: "FOLDER", says: "where the report goes; default bench/results" },
  ...LOGIN,
} as const satisfies Options;

export const COMMAND: BenchCommand<typeof OPTIONS> = {
  name: "bench",
  typed: "npm run bench --",
  usage:
    "[--quick] [--nodes HOST:PORT,...] [--eval FILE --keys KEY,... --args ARG,...] [--until P%] [--rate N,...|auto] [--against FILE] [--out FOLDER]",
  summary:
    "Compares EVALSHA with EVAL, and with other ways to run a script. Prints tables, and writes them as Markdown, JSON and HTML.",
  options: OPTIONS,
  notes: [
    "__rand_int__ in --keys and --args stands for another number in each call.",
    "A cluster of --nodes is put under load. It gets keys slotwire-bench:* and a library of functions slotwire_bench, which are",
    "deleted in the end, and scripts. With --eval it gets no keys but those that the script writes. No script is flushed and no",
    "slot is moved there: these parts are left out.",
  ].join("\n"),
};

/** What the command line asks for. */
export interface BenchSettings {
  readonly plan: Plan;
  readonly quick: boolean;
  readonly until: number | undefined;
  /** How to connect to an existing cluster; undefined to start one. */
  readonly existing: ConnectOptions | undefined;
  readonly given: CalledScript | undefined;
  /** The rates at which latency is measured; undefined for none. */
  readonly rates: Rates | undefined;
  /** The run with which this one is compared. */
  readonly earlier: EarlierRun | undefined;
  readonly out: string | undefined;
  /** The built client, as a URL: the benchmark measures it as users get it, and not the source. */
  readonly build: string;
}

/** @throws {InvalidArgumentError} names the option and what is accepted. */
export function benchSettings(values: ValuesOf<typeof OPTIONS>): BenchSettings {
  const { quick = false, out } = values;
  const given = scriptIn(values);
  const bounds = { least: 0.05, most: 3600, fractions: true };
  const seconds =
    values.seconds === undefined ? undefined : numberOf("--seconds", values.seconds, { ...bounds, fallback: 0 });
  const inFlight = values["in-flight"]
    ?.split(",")
    .map((each) => numberOf("--in-flight", each, { fallback: 0, least: 1, most: 10_000 }));
  if (out !== undefined) refuseUnwritableFolder("--out", out);
  return {
    plan: planOf({ quick, seconds, inFlight: inFlight && [...new Set(inFlight)], given }),
    quick,
    until: shareOf("--until", values.until, { least: 0.001, most: 1 }),
    existing: existingIn(values),
    given,
    rates: values.rate === undefined ? undefined : ratesOf(values.rate),
    earlier: earlierOf(values),
    out,
    build: new URL("../../dist/index.js", import.meta.url).href,
  };
}

function scriptIn({ eval: file, keys, args }: ValuesOf<typeof OPTIONS>): CalledScript | undefined {
  if (file === undefined) {
    if (keys === undefined && args === undefined) return undefined;
    throw new InvalidArgumentError("--keys and --args are those of a script; --eval FILE is missing.");
  }
  const given = givenScript(file, keys?.split(",") ?? [], args?.split(",") ?? []);
  for (const number of [0, 1]) {
    const slots = new Set(given.keysOf(number).map(slotOf));
    if (slots.size < 2) continue;
    throw new InvalidArgumentError(
      "--keys are in different slots; accepted are keys of one slot, for example with one {tag}.",
    );
  }
  return given;
}

function existingIn(values: ValuesOf<typeof OPTIONS>): ConnectOptions | undefined {
  const { nodes } = values;
  if (nodes === undefined) {
    const used = Object.keys(LOGIN).find((name) => Object.hasOwn(values, name));
    if (used === undefined) return undefined;
    throw new InvalidArgumentError(`--${used} is about an existing cluster; --nodes HOST:PORT,... is missing.`);
  }
  const uris = nodes.split(",").filter((node) => node.includes("://"));
  const addresses = nodes.split(",").filter((node) => !node.includes("://"));
  const pairs = addresses.map(hostAndPort);
  const seeds = { host: pairs.map(([host]) => host), port: pairs.map(([, port]) => port) };
  return connectionOf({ ...values, ...seeds, uri: uris }, process.env, {
    warn: (text) => process.stderr.write(`bench: ${text}\n`),
  });
}

function hostAndPort(node: string): readonly [host: string, port: string] {
  const parts = /^(?:\[([^\]]+)\]|([^:@]+)):(\d+)$/.exec(node);
  // What is no address can be a password, and is not shown.
  if (parts === null)
    throw new InvalidArgumentError("--nodes is no list of nodes; accepted is HOST:PORT,HOST:PORT,...");
  return [parts[1] ?? parts[2] ?? "", parts[3] ?? ""];
}
