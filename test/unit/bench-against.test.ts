import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type Change, changeOf, judge } from "../../src/cli/bench/against.ts";
import { drawAgainst, failureOf } from "../../src/cli/bench/draw-against.ts";
import { EarlierRun } from "../../src/cli/bench/earlier-run.ts";
import { type Estimate, estimateOf } from "../../src/cli/bench/estimate.ts";
import type { BenchReport, Comparison, Environment } from "../../src/cli/bench/report.ts";
import { storedReport } from "../../src/cli/bench/stored-report.ts";
import { perform } from "../../src/cli/commands.ts";
import { PLAIN, type Terminal } from "../../src/cli/terminal.ts";
import { ENVIRONMENT, smallReport } from "../support/bench-report.ts";

/** Three runs of `slotwire bench` on one machine: in the last one the client hashed the script anew for each EVALSHA. */
const RUNS = fileURLToPath(new URL("bench-runs/", import.meta.url));
const recorded = (name: string) => storedReport("--read", `${RUNS}${name}.json`);

/** An estimate that reaches so far to either side, as a share. */
function around(median: number, share: number, values = 20): Estimate {
  return { median, low: median * (1 - share), high: median * (1 + share), values, confidence: 0.95 };
}

/** The report with other figures of EVALSHA. */
function changed(figures: {
  readonly ratios?: Readonly<Record<string, Estimate>>;
  readonly own?: Readonly<Record<string, Estimate>>;
  readonly callsPerSecond?: Estimate;
}): BenchReport {
  const report = smallReport();
  const comparisons = report.comparisons.map((comparison) => ({
    ...comparison,
    ways: comparison.ways.map((way) =>
      way.name === "EVALSHA"
        ? {
            ...way,
            ratios: figures.ratios ?? {},
            figures: figures.own ?? {},
            callsPerSecond: figures.callsPerSecond ?? around(1000, 0.02),
          }
        : way,
    ),
  }));
  return { ...report, comparisons };
}

function changesOf(before: BenchReport, now: BenchReport, options = { limit: 0.1, absolute: false }): Change[] {
  return judge(before, now, options).changes.filter(({ way }) => way === "EVALSHA");
}

describe("the change of two medians", () => {
  it("has an interval that holds the true change in 95 of 100 pairs of runs", () => {
    let state = 7;
    const random = () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state / 2_147_483_648;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const run = (median: number) => estimateOf(Array.from({ length: 25 }, () => median * Math.exp(0.2 * normal())));
    let held = 0;
    const pairs = 1000;
    for (let pair = 0; pair < pairs; pair++) {
      const { low, high } = changeOf(run(100), run(80));
      if (low <= 0.8 && 0.8 <= high) held++;
    }
    assert.ok(held > 0.94 * pairs, `${held} of ${pairs}`);
  });

  it("is exact where both are, and as unsure as both together", () => {
    const { median, low, high } = changeOf(around(100, 0), around(110, 0));
    assert.deepEqual([low, high], [median, median]);
    assert.ok(Math.abs(median - 1.1) < 1e-12, String(median));
    const change = changeOf(around(1, 0.1), around(1, 0.1));
    assert.ok(change.high > 1.1 && change.high < 1.2, String(change.high));
    assert.ok(change.low < 0.9 && change.low > 0.8, String(change.low));
  });
});

describe("a judgement", () => {
  it("fails only when the whole interval lies beyond the limit, in the worse direction", () => {
    const table = [
      { figure: "callsPerSecond", to: 0.7, width: 0.02, beyond: true, verdict: "worse" },
      { figure: "callsPerSecond", to: 0.93, width: 0.01, beyond: false, verdict: "worse" },
      { figure: "callsPerSecond", to: 0.7, width: 0.3, beyond: false, verdict: "no difference seen" },
      { figure: "callsPerSecond", to: 1.5, width: 0.02, beyond: false, verdict: "better" },
      { figure: "p99", to: 1.5, width: 0.02, beyond: true, verdict: "worse" },
      { figure: "p99", to: 0.5, width: 0.02, beyond: false, verdict: "better" },
      { figure: "serverCpu", to: 1.05, width: 0.01, beyond: false, verdict: "worse" },
    ] as const;
    for (const { figure, to, width, beyond, verdict } of table) {
      const [change] = changesOf(
        changed({ ratios: { [figure]: around(2, width) } }),
        changed({ ratios: { [figure]: around(2 * to, width) } }),
      );
      assert.deepEqual([change?.beyond, change?.verdict], [beyond, verdict], `${figure} ${to} ${width}`);
    }
  });

  it("is of ratios and bytes; the speed of a day counts only for those who say so", () => {
    const before = changed({ own: { bytesSent: around(100, 0), clientCpu: around(4, 0.02) } });
    const now = changed({
      own: { bytesSent: around(120, 0), clientCpu: around(8, 0.02) },
      callsPerSecond: around(500, 0.02),
    });
    const beyond = (absolute: boolean) =>
      changesOf(before, now, { limit: 0.1, absolute }).flatMap((change) => (change.beyond ? [change.figure] : []));
    assert.deepEqual(beyond(false), ["bytesSent"]);
    assert.deepEqual(beyond(true).sort(), ["bytesSent", "callsPerSecond", "clientCpu"]);
    const text = drawAgainst(judge(before, now, { limit: 0.1, absolute: false }), PLAIN).join("\n");
    assert.match(
      text,
      /Not judged, because the speed of the machine on its day is in them:\n\n.*\n.*EVALSHA: calls a second/s,
    );
  });

  it("is not made from fewer rounds than an interval needs", () => {
    const [change] = changesOf(
      changed({ ratios: { callsPerSecond: around(2, 0.01, 3) } }),
      changed({ ratios: { callsPerSecond: around(1, 0.01) } }),
    );
    assert.deepEqual([change?.judged, change?.beyond], [false, false]);
  });

  it("widens its intervals with the number of figures, so that one of many is not worse by chance", () => {
    const of = (names: readonly string[]) => ({
      ratios: Object.fromEntries(names.map((name) => [name, around(1, 0.1)])),
    });
    const width = (names: readonly string[]) => changesOf(changed(of(names)), changed(of(names)))[0]?.change.high ?? 0;
    const names = Array.from({ length: 60 }, (_, number) => `figure ${number}`);
    const [one, many] = [width(names.slice(0, 1)), width(names)];
    // The normal distribution: 1.96 deviations for one figure in 95 of 100, 3.34 for sixty.
    assert.ok(Math.abs(Math.log(many) / Math.log(one) - 3.34 / 1.96) < 0.01, `${one} ${many}`);
  });

  it("tells of the recorded pair that nothing has changed, and of the slower run that it is slower", () => {
    const limits = { limit: 0.1, absolute: false };
    const same = judge(recorded("before"), recorded("again"), limits);
    assert.equal(failureOf(same), undefined);
    assert.deepEqual(
      same.changes.filter(({ judged, verdict }) => judged && verdict !== "no difference seen"),
      [],
    );
    const slower = judge(recorded("before"), recorded("slower"), limits);
    assert.match(
      failureOf(slower) ?? "",
      /^Worse than the earlier run by more than 10%: EVALSHA to EVAL: calls a second \(limit, 64 in flight\) is 0\.\d+ \(0\.\d+ to 0\.\d+\) times what it was, and \d more figures\.$/,
    );
    const beyond = slower.changes.flatMap((change) => (change.beyond ? [change.figure] : []));
    assert.ok(beyond.includes("clientCpu"), beyond.join());
    assert.ok(!beyond.some((figure) => figure.startsWith("bytes")), beyond.join());
  });
});

describe("slotwire bench --read", () => {
  const run = async (...args: readonly string[]) => {
    let out = "";
    const write = (text: string) => {
      out += text;
    };
    const terminal: Terminal = { width: 200, paint: PLAIN, write, progress() {}, warn: write };
    try {
      write(await perform(["bench", ...args], terminal));
      return { out, error: undefined };
    } catch (error) {
      return { out, error: (error as Error).message };
    }
  };
  const before = ["--against", `${RUNS}before.json`];

  it("judges a stored run in place of measuring", async () => {
    const same = await run("--read", `${RUNS}again.json`, ...before);
    assert.equal(same.error, undefined);
    assert.match(same.out, /EVALSHA to EVAL: calls a second +2\.\d+ +3\.\d+ +1\.14 \(.* no difference seen/);
    const slower = await run("--read", `${RUNS}slower.json`, ...before);
    assert.match(slower.error ?? "", /^Worse than the earlier run by more than 10%: /);
    assert.match(slower.out, /EVALSHA to EVAL: calls a second .* worse, beyond the limit\n/);
    assert.match(slower.out, /9 figures were judged: 3 worse by more than 10%, /);
    const wider = await run("--read", `${RUNS}slower.json`, ...before, "--limit", "250%");
    assert.equal(wider.error, undefined);
  });

  it("fails where no figure could be judged, because the status would say that all is well", async () => {
    const short = JSON.parse(readFileSync(`${RUNS}before.json`, "utf8")) as BenchReport;
    for (const { ways } of short.comparisons)
      for (const { figures = {}, ratios = {} } of ways)
        for (const each of [...Object.values(figures), ...Object.values(ratios)]) Object.assign(each, { values: 5 });
    const file = join(mkdtempSync(join(tmpdir(), "slotwire-bench-")), "short.json");
    writeFileSync(file, JSON.stringify(short));
    const { out, error } = await run("--read", file, ...before);
    rmSync(dirname(file), { recursive: true });
    assert.match(error ?? "", /^No figure could be judged: .* needs at least 6 rounds in both runs\.$/);
    assert.doesNotMatch(out, /0 worse/);
  });

  it("gives the changes as JSON, behind which a run can be read again", async () => {
    const { out, error } = await run("--read", `${RUNS}slower.json`, ...before, "--json");
    assert.match(error ?? "", /^Worse/);
    const { against, ...report } = JSON.parse(out);
    assert.equal(against.limit, 0.1);
    const change = against.changes.find((each: Change) => each.base === "EVAL" && each.figure === "callsPerSecond");
    assert.ok(change.beyond && change.change.high < 0.9, JSON.stringify(change));
    assert.deepEqual(report, JSON.parse(readFileSync(`${RUNS}slower.json`, "utf8")));
  });

  it("shows a stored run alone, and refuses what is about a measurement", async () => {
    const alone = await run("--read", `${RUNS}before.json`);
    assert.equal(alone.error, undefined);
    assert.match(alone.out, /EVALSHA to EVAL/);
    for (const [words, wrong] of [
      [["--seconds", "1"], "--seconds is"],
      [["-p", "7000"], "--port is"],
      [["key"], "a word is"],
    ] as const) {
      const { error } = await run("--read", `${RUNS}before.json`, ...words);
      assert.equal(
        error,
        `--read measures nothing, and ${wrong} about a measurement; accepted beside it are --html, --json, --against, --limit, --absolute.`,
      );
    }
  });

  it("refuses limits without a run, and limits that are none", async () => {
    const { error } = await run("--limit", "5%");
    assert.equal(error, "--limit and --absolute need --against FILE.");
    for (const limit of ["", "10", "-5%", "NaN%", "1e3%", "2000%", "\x1b[2J%"]) {
      const wrong = await run(`--limit=${limit}`, ...before);
      assert.match(
        wrong.error ?? "",
        /^--limit is ".*"; accepted is a percentage from 0% to 1000%, such as 5%\.$/,
        limit,
      );
    }
  });
});

describe("an earlier run is refused", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "slotwire-against-"));
  });
  after(() => rmSync(folder, { recursive: true }));
  const stored = (text: string) => {
    const file = join(folder, "run.json");
    writeFileSync(file, text);
    return file;
  };
  const refused = (text: string, why: RegExp) => {
    assert.throws(
      () => EarlierRun.from({ against: stored(text) }),
      ({ code, message }: { code: string; message: string }) => {
        assert.equal(code, "INVALID_ARGUMENT");
        assert.match(message, why);
        assert.match(
          message,
          /^--against ".*run\.json" .*; accepted is a JSON file that a benchmark of this version has written\.$/,
        );
        return true;
      },
      text.slice(0, 80),
    );
  };

  it("when its file cannot be read, is no JSON, of another format, or no whole report", () => {
    const from = (against: string) => () => EarlierRun.from({ against });
    assert.throws(from(join(folder, "none")), { message: /none" cannot be read \(ENOENT\); accepted is / });
    assert.throws(from(folder), { message: / cannot be read \(EISDIR\); / });
    assert.throws(from("/dev/zero"), { message: / cannot be read \(more than 64 MiB\); / });
    refused("", /is no JSON;/);
    refused("{", /is no JSON;/);
    for (const text of ["null", "3", "[]", "{}", '"x"']) refused(text, /is no report of a benchmark;/);
    refused('{"format":"slotwire-bench/1"}', /has the format "slotwire-bench\/1", and "slotwire-bench\/2" is needed;/);
    refused('{"format":{"a":1}}', /has the format another one, and/);
    refused('{"format":"slotwire-bench/2"}', /is no whole report: environment is not an object;/);
  });

  it("when any part of it is missing or of another kind, named by its place", () => {
    const whole = JSON.parse(readFileSync(`${RUNS}before.json`, "utf8"));
    const places = [...placesIn(whole)].filter(([, key]) => key !== "replies");
    assert.ok(places.length > 60, String(places.length));
    for (const [path, key] of places) {
      const copy = structuredClone(whole);
      let at = copy;
      for (const part of path) at = at[part];
      if (!Object.hasOwn(at, key)) continue;
      at[key] = { is: "another kind" };
      const text = JSON.stringify(copy);
      let message = "";
      try {
        EarlierRun.from({ against: stored(text) });
      } catch (error) {
        message = (error as Error).message;
      }
      assert.match(message, /is no (whole )?report|has the format/, [...path, key].join("."));
      assert.ok(!message.includes("\n") && message.length < 400, message);
    }
    const inverted = structuredClone(whole);
    inverted.comparisons[0].ways[1].ratios.p50.low = 1e9;
    refused(
      JSON.stringify(inverted),
      /comparisons\[0\]\.ways\[1\]\.ratios\.p50 has its median outside of its interval;/,
    );
  });

  it("when it is of another machine, server, setting or version of Node", () => {
    const earlier = EarlierRun.from({ against: stored(JSON.stringify(smallReport())) });
    const table: readonly [keyof Environment, string | number, RegExp | undefined][] = [
      ["cpu", "Another CPU", /: CPU "A CPU of some kind" then, "Another CPU" now\. /],
      ["cores", 8, /: cores "2" then, "8" now\. /],
      ["memoryGiB", 64, /: GiB of memory "4" then, "64" now\. /],
      ["system", "Linux 7.0", /: system "Linux 6\.1" then, "Linux 7\.0" now\. /],
      ["node", "v24.1.0", /: Node's major version "v20" then, "v24" now\. /],
      ["server", "Valkey 8.1.0", /: server "Redis 7\.0\.15" then, "Valkey 8\.1\.0" now\. /],
      ["setting", "3 primaries over a network", /: setting ".*loopback" then, ".* network" now\. /],
      ["node", "v20.19.0", undefined],
      ["date", "2027-01-01T00:00:00.000Z", undefined],
      ["slotwire", "9.9.9", undefined],
      ["commit", "fffffff", undefined],
    ];
    for (const [name, value, why] of table) {
      const ask = () => earlier?.refuseOther({ ...ENVIRONMENT, [name]: value });
      if (why === undefined) ask();
      else assert.throws(ask, { code: "INVALID_ARGUMENT", message: why }, name);
    }
    assert.throws(
      () => earlier?.refuseOther({ cpu: "x", cores: 1, memoryGiB: 1, system: "x", node: "v1", server: "x" }),
      {
        message:
          /then, "1" now; system .*; and 2 more\. Accepted is a run on the same machine and server, of the same scripts and settings\.$/,
      },
    );
  });

  it("when it is of other scripts, loads or ways", () => {
    const report = smallReport();
    const earlier = EarlierRun.from({ against: stored(JSON.stringify(report)) });
    const [comparison] = report.comparisons as [Comparison];
    const judged = (...comparisons: Comparison[]) => earlier?.judge({ ...report, comparisons });
    const table: readonly [() => unknown, RegExp][] = [
      [() => judged({ ...comparison, inFlight: 9 }), /had 64 in flight then, 9 now/],
      [
        () => judged({ ...comparison, script: { name: "take.lua", bytes: 9 } }),
        /ran the script "take\.lua" of 1024 bytes then, "take\.lua" of 9 bytes now/,
      ],
      [() => judged(comparison, { ...comparison, id: "b", title: "other" }), /"other" is measured only now/],
      [() => judged(), /"1 KB script, 64 in flight" was measured only then/],
      [() => judged({ ...comparison, base: "FCALL" }), /it compares other ways \(1 KB script, 64 in flight\)/],
    ];
    for (const [ask, why] of table) assert.throws(ask, { code: "INVALID_ARGUMENT", message: why });
    assert.ok(judged(comparison)?.changes.length);
  });
});

/** All places of a value: the path to an object or list, and a key in it. */
function* placesIn(value: unknown, path: readonly string[] = []): Generator<[readonly string[], string]> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (Number(key) > 1) continue;
    yield [path, key];
    yield* placesIn(item, [...path, key]);
  }
}
