import type { ConnectOptions } from "../options.ts";
import { startCluster } from "../testing/start-cluster.ts";
import { JSON_OPTION, keysAndArguments, numberOf, type Options, readArguments, refuseWords } from "./arguments.ts";
import { type BenchCall, givenCall, quotaCall } from "./bench-call.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf, namesCluster } from "./connection-options.ts";
import { drawBench } from "./draw-bench.ts";
import { type BenchResult, figuresOf, measure, type Run } from "./measure.ts";
import { jsonOf, textOf } from "./printable.ts";
import { inSession, type Session } from "./session.ts";
import type { Terminal } from "./terminal.ts";

const OPTIONS = {
  ...CONNECTION,
  seconds: { type: "string", value: "N", says: "seconds for EVALSHA, and as many for EVAL; default 2" },
  "in-flight": { type: "string", value: "N", says: "the number of calls in flight at a time; default 64" },
  eval: { type: "string", value: "FILE", says: "the Lua file to run; KEY... , ARG... follow the options" },
  ...JSON_OPTION,
} as const satisfies Options;

const WARM_UP_SECONDS = 0.2;

/** `slotwire bench`: runs the same script by EVALSHA and by EVAL. */
export const bench: Command = {
  usage: "[-h HOST] [-p PORT] ... [--seconds N] [--in-flight N] [--eval FILE KEY... , ARG...] [--json]",
  summary: "a short comparison of EVALSHA with EVAL: calls a second, latencies, bytes on the wire",
  options: OPTIONS,
  notes: [
    "Without -h, -p and -u the benchmark runs on a local cluster, which is started for it and removed afterwards.",
    "The benchmark's own script only reads, so it leaves nothing behind. A script of --eval runs many times; __rand_int__ in",
    "keys and arguments stands for another number in each call. All replies are counted. A reply to the benchmark's own script",
    "must have the right value; a reply to the script of --eval must not be an error. Bytes are counted before TLS.",
  ].join("\n"),
  async run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    const seconds = numberOf("--seconds", values.seconds, { fallback: 2, least: 0.1, most: 3600, fractions: true });
    const inFlight = numberOf("--in-flight", values["in-flight"], { fallback: 64, least: 1, most: 10_000 });
    if (values.eval === undefined) refuseWords("bench without --eval", words);
    const call = values.eval === undefined ? quotaCall() : givenCall(values.eval, keysAndArguments(words));
    const compare = (options: ConnectOptions) => {
      return inSession({ ...options, scripts: [call.script] }, (session) => {
        return compareIn(session, call, { seconds, inFlight }, terminal);
      });
    };
    const result = namesCluster(values)
      ? await compare(connectionOf(values, process.env, terminal))
      : await onLocalCluster(compare, terminal);
    terminal.progress("");
    if (values.json) return `${jsonOf(result)}\n`;
    return textOf(drawBench(result, terminal.paint), terminal.paint);
  },
};

async function onLocalCluster<T>(what: (options: ConnectOptions) => Promise<T>, terminal: Terminal): Promise<T> {
  terminal.progress("starting a local cluster ...");
  const cluster = await startCluster({ primaries: 3, tls: false });
  try {
    return await what(cluster.connectOptions);
  } finally {
    await cluster.stop();
  }
}

/** Measures EVALSHA and EVAL in turns, so that other load on the machine slows both. */
async function compareIn(
  { cluster }: Session,
  call: BenchCall,
  { seconds, inFlight }: { readonly seconds: number; readonly inFlight: number },
  terminal: Terminal,
): Promise<BenchResult> {
  const bytes = () => cluster.metrics().counters;
  const run = async (how: "EVALSHA" | "EVAL", length: number): Promise<Run> => {
    terminal.progress(`${how}, ${length} s ...`);
    const one = how === "EVALSHA" ? call.evalsha(cluster) : call.eval(cluster);
    return measure(one, bytes, { seconds: length, inFlight });
  };
  const warmUp = [await run("EVALSHA", WARM_UP_SECONDS), await run("EVAL", WARM_UP_SECONDS)];
  const half = seconds / 2;
  const bySha = [await run("EVALSHA", half)];
  const bySource = [await run("EVAL", half), await run("EVAL", half)];
  bySha.push(await run("EVALSHA", half));
  const { script } = call;
  return {
    primaries: cluster.topology.nodes.filter(({ role }) => role === "primary").length,
    inFlight,
    seconds,
    script: { name: script.name, bytes: Buffer.byteLength(script.source) },
    replies: [...warmUp, ...bySha, ...bySource].reduce((sum, { latencies }) => sum + latencies.length, 0),
    evalsha: figuresOf(bySha),
    eval: figuresOf(bySource),
  };
}
