import { InvalidArgumentError } from "../errors.ts";
import type { ConnectOptions } from "../options.ts";
import { startCluster } from "../testing/start-cluster.ts";
import {
  JSON_OPTION,
  keysAndArguments,
  numberOf,
  type Options,
  readArguments,
  refuseWords,
  shareOf,
} from "./arguments.ts";
import { type BenchCall, givenCall, quotaCall } from "./bench/bench-call.ts";
import { type Compared, comparedLoad, compareIn, type Load, type Setting } from "./bench/compare.ts";
import { drawAgainst, failureOf } from "./bench/draw-against.ts";
import { drawBench } from "./bench/draw-bench.ts";
import { AGAINST, EarlierRun } from "./bench/earlier-run.ts";
import { machineOf } from "./bench/environment.ts";
import { pageOf } from "./bench/page.ts";
import { RATE_OPTION, ratesOf } from "./bench/rates.ts";
import { storedRun } from "./bench/stored-report.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf, namesCluster } from "./connection-options.ts";
import { jsonOf, textOf } from "./printable.ts";
import { inSession } from "./session.ts";
import type { Terminal } from "./terminal.ts";
import { refuseUnwritable, writeText } from "./written-file.ts";

const OPTIONS = {
  ...CONNECTION,
  seconds: { type: "string", value: "N", says: "seconds for EVALSHA, and as many for EVAL; default 2" },
  until: {
    type: "string",
    value: "N%",
    says: "goes on until the ratio of calls a second is known to so much either way",
  },
  "at-most": {
    type: "string",
    value: "N",
    says: "with --until: the most seconds for each; default 10 times --seconds, and at least 60",
  },
  "in-flight": { type: "string", value: "N", says: "the number of calls in flight at a time; default 64" },
  eval: { type: "string", value: "FILE", says: "the Lua file to run; KEY... , ARG... follow the options" },
  rate: RATE_OPTION,
  html: { type: "string", value: "FILE", says: "also writes the results as a page, in one HTML file" },
  read: { type: "string", value: "FILE", says: "a run's JSON, to be shown or judged in place of a new measurement" },
  ...AGAINST,
  ...JSON_OPTION,
} as const satisfies Options;

/** `slotwire bench`: runs the same script by EVALSHA and by EVAL. */
export const bench: Command = {
  usage:
    "[-h HOST] [-p PORT] ... [--seconds N] [--until N% [--at-most N]] [--in-flight N] [--eval FILE KEY... , ARG...] [--rate N,...|auto] [--html FILE] [--against FILE [--limit N%]] [--read FILE] [--json]",
  summary: "a short comparison of EVALSHA with EVAL: calls a second, latencies, bytes on the wire, CPU",
  options: OPTIONS,
  notes: [
    "Without -h, -p and -u the benchmark runs on a local cluster, which is started for it and removed afterwards.",
    "The benchmark's own script only reads, so it leaves nothing behind. A script of --eval runs many times; __rand_int__ in",
    "keys and arguments stands for another number in each call. All replies are counted. A reply to the benchmark's own script",
    "must have the right value; a reply to the script of --eval must not be an error. Bytes are counted before TLS.",
    "A ratio is the median of many short rounds, with the interval that holds the true one in 95 of 100 runs. The first line",
    "tells when the machine was not quiet.",
    "--rate measures for --seconds at each rate and for each way. It looks at the clock all the time, which keeps one processor",
    "core busy, and makes no more calls while 20,000 of them (or those of half a second) wait for their answers.",
    "--against takes what an earlier run printed by --json. Ratios and bytes are judged: a ratio was taken within rounds, so the",
    "speed of the machine is not in it. Calls a second, latencies and CPU of two days are told, and judged only by --absolute.",
    "Runs of other machines, servers, scripts or settings are refused.",
  ].join("\n"),
  async run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    const earlier = EarlierRun.from(values);
    const { html, read } = values;
    if (html !== undefined) refuseUnwritable("--html", html);
    if (read !== undefined) refuseMeasuring(values, words);
    const { report, replies } =
      read === undefined ? await measured(values, words, earlier, terminal) : storedRun("--read", read);
    terminal.progress("");
    const judgement = earlier?.judge(report);
    const { width, paint } = terminal;
    const text = values.json
      ? `${jsonOf({ ...report, replies, ...(judgement && { against: judgement }) })}\n`
      : textOf(
          [
            ...drawBench(report, { width, paint, ...(replies !== undefined && { replies }) }),
            ...(judgement === undefined ? [] : ["", ...drawAgainst(judgement, paint)]),
          ],
          paint,
        );
    // The figures are told before anything else can fail: a measurement takes minutes.
    terminal.write(text);
    if (html !== undefined) writeText("--html", html, pageOf(report));
    const failure = judgement && failureOf(judgement);
    if (failure !== undefined) throw new Error(failure);
    return "";
  },
};

type Values = ReturnType<typeof readArguments<typeof OPTIONS>>["values"];

/** @throws {InvalidArgumentError} when a measurement is described where none is made. */
function refuseMeasuring(values: Values, words: readonly string[]): void {
  const accepted = ["read", "html", "json", ...Object.keys(AGAINST)];
  const other = Object.keys(values).find((name) => !accepted.includes(name));
  if (other === undefined && words.length === 0) return;
  const what = other === undefined ? "a word is" : `--${other} is`;
  const beside = accepted.slice(1).map((name) => `--${name}`);
  throw new InvalidArgumentError(
    `--read measures nothing, and ${what} about a measurement; accepted beside it are ${beside.join(", ")}.`,
  );
}

function measured(
  values: Values,
  words: readonly string[],
  earlier: EarlierRun | undefined,
  terminal: Terminal,
): Promise<Compared> {
  const load: Load = {
    seconds: numberOf("--seconds", values.seconds, { fallback: 2, least: 0.1, most: 3600, fractions: true }),
    inFlight: numberOf("--in-flight", values["in-flight"], { fallback: 64, least: 1, most: 10_000 }),
    until: shareOf("--until", values.until, { least: 0.001, most: 1 }),
    atMost:
      values["at-most"] === undefined
        ? undefined
        : numberOf("--at-most", values["at-most"], { fallback: 60, least: 0.1, most: 86_400, fractions: true }),
    rates: values.rate === undefined ? undefined : ratesOf(values.rate),
    earlier,
  };
  if (load.atMost !== undefined && load.until === undefined)
    throw new InvalidArgumentError("--at-most needs --until N%.");
  if (values.eval === undefined) refuseWords("bench without --eval", words);
  const call = values.eval === undefined ? quotaCall() : givenCall(values.eval, keysAndArguments(words));
  earlier?.refuseOther(machineOf(), [comparedLoad(call, load)]);
  return namesCluster(values)
    ? compare(connectionOf(values, process.env, terminal), call, { ...load, isOwn: false }, terminal)
    : onLocalCluster(call, load, terminal);
}

async function onLocalCluster(call: BenchCall, load: Load, terminal: Terminal): Promise<Compared> {
  terminal.progress("starting a local cluster ...");
  const cluster = await startCluster({ primaries: 3, tls: false });
  try {
    return await compare(cluster.connectOptions, call, { ...load, isOwn: true }, terminal);
  } finally {
    await cluster.stop();
  }
}

function compare(
  options: ConnectOptions,
  call: BenchCall,
  load: Load & Pick<Setting, "isOwn">,
  terminal: Terminal,
): Promise<Compared> {
  return inSession({ ...options, scripts: [call.script] }, (session) => {
    const hasTls = options.tls !== undefined && options.tls !== false;
    return compareIn(session, call, { ...load, tls: hasTls }, terminal);
  });
}
