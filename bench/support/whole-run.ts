import { CallNumbers } from "../../src/cli/bench/bench-call.ts";
import { percentOf } from "../../src/cli/bench/page-words.ts";
import { QuietCheck } from "../../src/cli/bench/quiet.ts";
import { type Comparison, FORMAT, type RateCurve } from "../../src/cli/bench/report.ts";
import { atMostFor } from "../../src/cli/bench/rounds.ts";
import { shortfallOf } from "../../src/cli/bench/until.ts";
import { lineOf } from "../../src/cli/printable.ts";
import type { Cluster, Script } from "../../src/index.ts";
import { type BenchCluster, openBenchCluster, startBenchCluster } from "./bench-cluster.ts";
import type { BenchSettings } from "./bench-options.ts";
import { ownReadingScript } from "./called-script.ts";
import { type ColdCache, coldCache } from "./cold-cache.ts";
import type { Finally } from "./conducted.ts";
import { describeEnvironment } from "./environment.ts";
import { type Asked, compared, comparedAs, titleOf } from "./measured.ts";
import { loadedFunction, otherWays, readingWays } from "./other-ways.ts";
import type { Situation } from "./plan.ts";
import { type Price, prices } from "./prices.ts";
import { Progress } from "./progress.ts";
import type { FullReport } from "./report.ts";
import { scriptCurves } from "./script-curves.ts";
import { ServerMeter } from "./server-costs.ts";
import { shuffled } from "./turns.ts";
import { type Bed, evalAndEvalsha, type WayOfCalling } from "./ways.ts";

/** One run of `npm run bench`, from its start to its report. */
export async function wholeRun(settings: BenchSettings, undo: Finally): Promise<FullReport> {
  const { plan, existing, build } = settings;
  const steps = plan.situations.length + 2 * plan.otherWays.length;
  const progress = new Progress(steps + (existing === undefined ? plan.cold.length + 1 : 0));
  undo(() => progress.end());
  const bench = existing === undefined ? await startBenchCluster(build) : await openBenchCluster(existing, build);
  undo(() => bench.close());
  const environment = describeEnvironment(bench.version, bench.setting);
  settings.earlier?.refuseOther(
    environment,
    plan.situations.map((situation) => comparedAs(situation)),
  );
  const quiet = await QuietCheck.begin();
  const idle = await bench.cpuHere();
  const run = new Run(settings, progress);
  const { comparisons, others } = await run.compare(bench);
  const curves = await run.curves(bench);
  let coldCaches: readonly ColdCache[] = [];
  let paid: readonly Price[] = [];
  let readers: readonly Comparison[] = [];
  let used = cpuBetween(idle, await bench.cpuHere());
  if (bench.own) {
    // The next steps flush scripts. This client would then load all of its scripts again, during the measured calls.
    await bench.client.close();
    coldCaches = await run.coldCaches(bench);
    paid = await run.prices(bench);
    used = cpuBetween(idle, await bench.cpuHere());
    await bench.close();
    const withReplicas = await startBenchCluster(build, 1);
    undo(() => withReplicas.close());
    readers = await run.readers(withReplicas);
    used = cpuBetween(undefined, used, await withReplicas.cpuHere());
    await withReplicas.close();
  }
  progress.end();
  const otherComparisons = [...others, ...readers];
  return {
    format: FORMAT,
    environment,
    quiet: quiet.end({ otherOwnCpu: used, comparisons: [...comparisons, ...otherComparisons] }),
    method: [methodOf(settings, bench), ...shortfallOf([...comparisons, ...otherComparisons])].join(" "),
    comparisons,
    curves,
    otherWays: otherComparisons,
    coldCaches,
    prices: paid,
    leftOut: run.leftOut,
  };
}

/** The parts of a run, and what of them could not be measured. */
class Run {
  readonly leftOut: string[] = [];
  readonly #numbers = new CallNumbers();
  readonly #settings: BenchSettings;
  readonly #progress: Progress;
  #done = 0;

  constructor(settings: BenchSettings, progress: Progress) {
    this.#settings = settings;
    this.#progress = progress;
  }

  /** Everything that needs no flush and no replicas; on an existing cluster its replicas as well. */
  async compare(bench: BenchCluster): Promise<Record<"comparisons" | "others", readonly Comparison[]>> {
    const { client, own, made, meter, refused } = bench;
    const { plan, given } = this.#settings;
    if (refused !== undefined) {
      this.#leaveOut(`The servers' own counts: ${refused}. Bytes are the client's count.`);
    }
    if (own === undefined) {
      this.#leaveOut("Cold caches and detours: they need scripts to be flushed and slots to be moved.");
    }
    made.keys = given === undefined;
    const bed: Bed = { client, meter, alone: own !== undefined, numbers: this.#numbers };
    const scripts = [...new Set([...plan.situations, ...plan.otherWays].map(({ called }) => called.script))];
    await preloaded(client, "primary", scripts);
    const asked = plan.situations.map((situation): Asked => {
      return { bed, situation, ways: evalAndEvalsha(client, situation.called, situation.inFlight) };
    });
    const others = await this.#others(bench, bed);
    const readers = own === undefined ? await this.#readers(bench) : [];
    const all = await this.#compared([...asked, ...others, ...readers]);
    return { comparisons: all.slice(0, asked.length), others: all.slice(asked.length) };
  }

  /** Latency under given rates, if it was asked for. */
  async curves({ client }: BenchCluster): Promise<readonly RateCurve[]> {
    const { plan, rates } = this.#settings;
    if (rates === undefined) return [];
    return scriptCurves(client, plan.curves, {
      rates,
      numbers: this.#numbers,
      seconds: plan.curveSeconds,
      progress: ({ title }, way, rate) => {
        this.#progress.at(this.#done, `${title}, ${way}, ${rate.toLocaleString("en")} calls/s`);
      },
    });
  }

  /** Readers on replicas and on primaries, on a cluster of their own. */
  async readers(bench: BenchCluster): Promise<readonly Comparison[]> {
    return this.#compared(await this.#readers(bench));
  }

  async coldCaches({ own, connect }: BenchCluster): Promise<readonly ColdCache[]> {
    const { plan } = this.#settings;
    const found = new Map<Situation, ColdCache>();
    for (const situation of shuffled(plan.cold)) {
      this.#step(`cold cache, ${titleOf(situation)}`);
      if (own) found.set(situation, await coldCache(own, connect, situation, plan.wavesOf(situation)));
    }
    return plan.cold.flatMap((situation) => found.get(situation) ?? []);
  }

  async prices({ own, connect }: BenchCluster): Promise<readonly Price[]> {
    this.#step("NOSCRIPT, MOVED, ASK");
    if (own === undefined) return [];
    const payer = await connect();
    return prices(own, payer, this.#settings.plan.detours).finally(() => payer.close());
  }

  async #others({ client, own, made }: BenchCluster, bed: Bed): Promise<readonly Asked[]> {
    const [first] = this.#settings.plan.otherWays;
    if (first === undefined) return [];
    const { fcall, refused, isSomewhere } = await loadedFunction(client, first.called);
    made.library = own === undefined && isSomewhere;
    if (refused !== undefined) this.#leaveOut(`FCALL, which came with Redis 7: ${refused}`);
    const refusing = await this.#refusing(otherWays(client, first.called, fcall, first.inFlight));
    return this.#settings.plan.otherWays.map((situation) => {
      const ways = otherWays(client, situation.called, fcall, situation.inFlight);
      return { bed, situation, ways: ways.filter((_, at) => !refusing.has(at)), prefix: "other ways: " };
    });
  }

  /** Which ways but the base a call cannot go: a user may not use them, or a script is no function. By their index. */
  async #refusing(ways: readonly WayOfCalling[]): Promise<ReadonlySet<number>> {
    const found = new Set<number>();
    for (const [at, { name, call, callsEach }] of ways.entries()) {
      if (at === 0) continue;
      await call(this.#numbers.take(callsEach)).catch((error: Error) => {
        found.add(at);
        this.#leaveOut(`${name}: ${error.message}`);
      });
    }
    return found;
  }

  async #readers({ client, own, primaries, replicas, meter }: BenchCluster): Promise<readonly Asked[]> {
    const { plan, given } = this.#settings;
    const what = "EVALSHA_RO on replicas";
    if (given?.script.readOnly === false) {
      this.#leaveOut(`${what}: the script does not say that it only reads, by #!lua flags=no-writes.`);
      return [];
    }
    if (replicas.length === 0) {
      this.#leaveOut(`${what}: the cluster has no replicas.`);
      return [];
    }
    const called = given ?? ownReadingScript();
    for (const role of ["primary", "replica"] as const) await preloaded(client, role, [called.script]);
    const everywhere = meter && new ServerMeter(client, [...primaries, ...replicas]);
    const bed: Bed = { client, meter: everywhere, alone: own !== undefined, numbers: this.#numbers };
    return plan.otherWays.map(({ inFlight }) => {
      return { bed, situation: { called, inFlight }, ways: readingWays(client, called, inFlight), prefix: "readers: " };
    });
  }

  #compared(asked: readonly Asked[]): Promise<readonly Comparison[]> {
    const { plan, until } = this.#settings;
    const before = this.#done;
    this.#done += asked.length;
    return compared(asked, {
      seconds: plan.seconds,
      callsEach: plan.callsEach,
      until,
      progress: ({ title }, done) => this.#progress.at(before + done, title),
    });
  }

  #step(what: string): void {
    this.#progress.at(this.#done++, what);
  }

  #leaveOut(sentence: string): void {
    this.leftOut.push(lineOf(sentence).replace(/([^.])$/, "$1."));
  }
}

/** Loads scripts. @throws {Error} when a node of that role does not take one. */
async function preloaded(client: Cluster, role: "primary" | "replica", scripts: readonly Script[]): Promise<void> {
  const shas = new Set(scripts.map(({ sha }) => sha));
  for (const node of await client.preload(...scripts)) {
    if (node.role !== role) continue;
    for (const { sha, cause } of node.failed) if (shas.has(sha)) throw cause;
  }
}

function methodOf({ plan, until }: BenchSettings, { own, refused, setting }: BenchCluster): string {
  const length =
    until === undefined
      ? ""
      : ` and until the ratios of calls a second are known to ${percentOf(until)}, but at most ${atMostFor(plan.seconds)} s`;
  const counts = own ? ", and the servers' count of calls as well" : "";
  const others = own ? "" : ", in which the calls of other clients are, too";
  const bytes =
    refused === undefined ? `Bytes and CPU are the servers' own count${others}.` : "Bytes are the client's count.";
  return `On ${setting}. Closed loops, at least ${plan.seconds} s for each way in each situation${length}. Ways take turns within each round, in shuffled order, and situations take turns every few rounds. Ratios are medians of those within rounds. ${bytes} Every reply is checked${counts}.`;
}

/** What was used, in CPU seconds; undefined if one of them is not known. */
function cpuBetween(before: number | undefined, ...after: readonly (number | undefined)[]): number | undefined {
  const sum = after.reduce((all, each) => (all === undefined || each === undefined ? undefined : all + each), 0);
  return sum === undefined ? undefined : sum - (before ?? 0);
}
