import type { Session } from "../session.ts";
import type { Terminal } from "../terminal.ts";
import { type BenchCall, CallNumbers } from "./bench-call.ts";
import { callCurves } from "./call-curves.ts";
import { type ComparedLoad, comparisonOf } from "./comparison.ts";
import type { EarlierRun } from "./earlier-run.ts";
import { environmentOf, settingOf } from "./environment.ts";
import { ratioText } from "./page-words.ts";
import { QuietCheck } from "./quiet.ts";
import type { Rates } from "./rates.ts";
import { type BenchReport, FORMAT } from "./report.ts";
import { atMostFor, measureRounds } from "./rounds.ts";
import { scriptWays } from "./script-ways.ts";
import { ServerMeter } from "./servers.ts";
import { reached, shortfallOf } from "./until.ts";

/** Under which load the ways are compared, and for how long. */
export interface Load {
  /** For each way. */
  readonly seconds: number;
  readonly inFlight: number;
  /** How well the ratio of calls a second has to be known, as a share. */
  readonly until: number | undefined;
  /** The rates at which latency is measured as well; undefined for none. */
  readonly rates: Rates | undefined;
  /** The run with which this one will be compared. What cannot be is refused before it is measured. */
  readonly earlier?: EarlierRun | undefined;
  /** The most seconds for each way, for `until`. Default: `atMostFor(seconds)`. */
  readonly atMost: number | undefined;
}

/** What is known of the servers. */
export interface Setting {
  readonly tls: boolean;
  /** Whether they were started for the benchmark. */
  readonly isOwn: boolean;
}

export interface Compared {
  readonly report: BenchReport;
  /** The number of replies that arrived and were checked, with those of the warm-up. A stored report need not tell it. */
  readonly replies?: number;
}

/** Callers make at least so many calls each in a slice. */
const CALLS_EACH = 4;

export function comparedLoad({ script }: BenchCall, { inFlight }: Pick<Load, "inFlight">): ComparedLoad {
  return {
    id: "script",
    title: `${script.name}, ${inFlight} in flight`,
    script: { name: script.name, bytes: Buffer.byteLength(script.source) },
    inFlight,
  };
}

/** Measures EVALSHA and EVAL in rounds, so that other load on the machine slows both. */
export async function compareIn(
  session: Session,
  call: BenchCall,
  { seconds, inFlight, until, atMost = atMostFor(seconds), rates, earlier, ...setting }: Load & Setting,
  terminal: Pick<Terminal, "progress">,
): Promise<Compared> {
  const { cluster } = session;
  const servers = await ServerMeter.of(session);
  const environment = environmentOf({
    server: servers.version ?? "unknown, because INFO is refused",
    setting: settingOf(cluster.topology.nodes, setting),
  });
  const compared = comparedLoad(call, { inFlight });
  earlier?.refuseOther(environment, [compared]);
  const numbers = new CallNumbers();
  const ways = scriptWays(cluster, call, inFlight, servers, numbers);
  terminal.progress("looking whether the machine is quiet ...");
  const check = await QuietCheck.begin();
  const cpuBefore = await servers.cpuHere();
  const rounds = await measureRounds(ways, {
    seconds,
    until,
    atMost,
    sliceCalls: CALLS_EACH * inFlight,
    progress: (round, ratio) => {
      const soFar = ratio === undefined ? "" : `; EVALSHA makes ${ratioText(ratio)} times the calls of EVAL`;
      terminal.progress(`round ${round}${soFar} ...`);
    },
  });
  const { curves, replies } =
    rates === undefined
      ? { curves: [], replies: 0 }
      : await callCurves(cluster, call, numbers, {
          rates,
          seconds,
          progress: (way, rate) => terminal.progress(`${way}, ${rate.toLocaleString("en-US")} calls a second ...`),
        });
  const cpuAfter = await servers.cpuHere();
  const measured = comparisonOf(rounds, compared);
  const comparison = until === undefined ? measured : { ...measured, until: reached(measured, until, atMost) };
  const otherOwnCpu = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore;
  return {
    report: {
      format: FORMAT,
      environment,
      quiet: check.end({ otherOwnCpu, comparisons: [comparison] }),
      method: [
        `${rounds.length} rounds of both ways in turns. A ratio is the median of the rounds, with the interval that holds the true one in 95 of 100 runs. Latencies are those of a closed loop: from a caller's call to its reply.`,
        ...shortfallOf([comparison]),
      ].join(" "),
      comparisons: [comparison],
      curves,
    },
    replies: ways.reduce((sum, { calls }) => sum + calls, replies),
  };
}
