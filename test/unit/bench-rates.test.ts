import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawCurves, heldText } from "../../src/cli/bench/draw-curve.ts";
import { measureCurves, type RateSlice, type RateWay, rateWay } from "../../src/cli/bench/rate-curve.ts";
import { judge, nextRate, ratesOf, reachOf, type SliceFigures } from "../../src/cli/bench/rates.ts";
import type { RatePoint } from "../../src/cli/bench/report.ts";
import { columnsOf } from "../../src/cli/draw-text.ts";
import { PLAIN } from "../../src/cli/terminal.ts";

describe("--rate", () => {
  it("is rates, or auto", () => {
    assert.deepEqual(ratesOf("5000"), [5000]);
    assert.deepEqual(ratesOf("5000,1000, 5000"), [1000, 5000]);
    assert.equal(ratesOf("auto"), "auto");
  });

  it("is refused in one line otherwise, with what is accepted", () => {
    for (const text of ["", "0", "-5", "1.5", "1e3", "fast", "1000,", "1000001", "10/s", "Auto"]) {
      assert.throws(
        () => ratesOf(text),
        (error: Error) => {
          assert.match(
            error.message,
            /^--rate is ".*"; accepted are up to 50 rates from 1 to 1000000 [^\n]* or auto\.$/,
          );
          return error.message.includes(JSON.stringify(text));
        },
        text,
      );
    }
  });
});

const GOOD: SliceFigures = {
  seconds: 1,
  due: 1000,
  made: 1000,
  dueLately: 500,
  answeredLately: 500,
  waiting: 3,
  p99: 1,
};

describe("a rate is beyond the knee", () => {
  const verdicts = (slices: readonly SliceFigures[]) =>
    judge([
      { rate: 1, slices: [GOOD] },
      { rate: 2, slices },
    ])[1];
  const rows: readonly (readonly [why: string, slice: Partial<SliceFigures>, beyond: RatePoint["beyond"]])[] = [
    ["when so many calls wait that no more are made", { made: 600, answeredLately: 9, stopped: "waiting" }, "stopped"],
    ["when the client refuses calls", { stopped: "refused" }, "stopped"],
    ["when fewer than 98% are made in time", { made: 978 }, "late"],
    ["when fewer than 98% are answered in time", { answeredLately: 488 }, "unanswered"],
    ["when the p99 is more than 10 times that of lower rates", { p99: 10.1 }, "slow"],
  ];
  for (const [why, slice, beyond] of rows) {
    it(why, () => {
      assert.equal(verdicts(Array(4).fill({ ...GOOD, ...slice })), beyond);
    });
  }

  it("and not short of that", () => {
    const least = { ...GOOD, made: 979, answeredLately: 489, p99: 10 };
    assert.equal(verdicts(Array(4).fill(least)), undefined);
  });

  it("and not because of one call at a low rate, or of a p99 below a millisecond", () => {
    const few = { ...GOOD, due: 10, made: 9, dueLately: 5, answeredLately: 4, p99: 0.9 };
    assert.equal(
      judge([
        { rate: 1, slices: [{ ...GOOD, p99: 0.05 }] },
        { rate: 2, slices: [few] },
      ])[1],
      undefined,
    );
  });

  it("and not because of half of the slices", () => {
    const stalled = { ...GOOD, made: 300, p99: 700, stopped: "late" };
    assert.equal(verdicts([stalled, GOOD, GOOD, stalled]), undefined);
    assert.equal(verdicts([stalled, GOOD, stalled, stalled]), "late");
  });
});

/** A way whose servers answer so many calls a second. */
function wayOf(name: string, capacity: number, seen: string[], isStalled: (slice: number) => boolean = () => false) {
  let slices = 0;
  const way: RateWay = {
    name,
    script: { name: "quota", bytes: 456 },
    warmUp: async () => {},
    async slice(rate, milliseconds): Promise<RateSlice> {
      seen.push(`${name} ${rate}`);
      const due = Math.round((rate * milliseconds) / 1000);
      const made = isStalled(slices++) ? due / 2 : due;
      const answeredLately = Math.min(due / 2, (capacity * milliseconds) / 2000);
      const figures = {
        seconds: milliseconds / 1000,
        due,
        made,
        dueLately: due / 2,
        answeredLately,
        waiting: 1,
        p99: 1,
      };
      const summary = { calls: due, max: 2, p50: 0.5, p99: 1, curve: [] };
      return { figures, latency: summary, lateness: summary };
    },
  };
  return way;
}

describe("the search for the knee", () => {
  it("finds the knee of each way, in turns, with few rates", async () => {
    const seen: string[] = [];
    const [evalsha, source] = await measureCurves([wayOf("EVALSHA", 90_000, seen), wayOf("EVAL", 37_000, seen)], {
      rates: "auto",
      seconds: 1,
    });
    assert.deepEqual([evalsha?.way, source?.way], ["EVALSHA", "EVAL"]);
    for (const [curve, capacity] of [
      [evalsha, 90_000],
      [source, 37_000],
    ] as const) {
      const { held = 0, knee = 0 } = curve ?? {};
      assert.ok(held <= capacity / 0.98 && knee >= capacity / 0.98, `${held} and ${knee} for ${capacity}`);
      assert.ok(knee / held <= 1.16, `${held} to ${knee}`);
      assert.equal(curve?.points.find(({ rate }) => rate === knee)?.beyond, "unanswered");
    }
    assert.deepEqual(seen.slice(0, 8), [
      ...["EVALSHA 1000", "EVAL 1000", "EVAL 1000", "EVALSHA 1000"],
      ...["EVALSHA 1000", "EVAL 1000", "EVAL 1000", "EVALSHA 1000"],
    ]);
    assert.ok(!seen.includes("EVAL 100000"), "a way is not measured beyond its knee");
    const rates = evalsha?.points.map(({ rate }) => rate) ?? [];
    assert.deepEqual(rates.slice(0, 5), [1000, 2000, 5000, 10_000, 20_000]);
    assert.ok(rates.length <= 16, rates.join(" "));
  });

  it("looks at lower rates when the first one is too much", async () => {
    const [curve] = await measureCurves([wayOf("slow", 30, [])], { rates: "auto", seconds: 1 });
    const { held = 0, knee = 0 } = curve ?? {};
    assert.ok(held >= 20 && held <= 40 && knee > held && knee <= 50, `${held} to ${knee}`);
  });

  it("ends without a knee at a million, and at 1 when nothing is held", async () => {
    const [fast] = await measureCurves([wayOf("fast", 1e9, [])], { rates: "auto", seconds: 1 });
    assert.deepEqual([fast?.held, fast?.knee], [1_000_000, undefined]);
    const [dead] = await measureCurves([wayOf("dead", 1e9, [], () => true)], { rates: "auto", seconds: 100 });
    assert.deepEqual([dead?.held, dead?.knee, dead?.points.length], [undefined, 1, 10]);
  });

  it("looks twice when some slices say that a rate is held, and is not misled by one stall in three", async () => {
    const seen: string[] = [];
    const isStalled = (slice: number) => slice % 3 === 0;
    const [curve] = await measureCurves([wayOf("noisy", 37_000, seen, isStalled)], { rates: "auto", seconds: 1 });
    const { held = 0, knee = 0 } = curve ?? {};
    assert.ok(held >= 30_000 && held <= 37_800 && knee > 37_000, `${held} to ${knee}`);
    // Three of the first four slices at 1,000 are stalled, and none of the next four.
    const looks: string[] = [];
    const unlucky = wayOf("unlucky", 37_000, looks, (slice) => slice < 3);
    const [other] = await measureCurves([unlucky], { rates: [1000], seconds: 1 });
    assert.equal(looks.length, 8);
    assert.equal(other?.held, 1000);
  });

  it("climbs on from a rate at which most slices were unlucky, until it is held or the next one is not", async () => {
    // Seven of eight slices at 2,000 are stalled.
    const [lucky] = await measureCurves(
      [wayOf("unlucky", 37_000, [], (slice) => slice >= 4 && slice < 12 && slice !== 7)],
      {
        rates: "auto",
        seconds: 1,
      },
    );
    assert.equal(lucky?.points.find(({ rate }) => rate === 2000)?.beyond, "late");
    assert.ok((lucky?.held ?? 0) >= 30_000, `${lucky?.held}`);
  });

  it("measures all rates that are given, and tells the knee among them", async () => {
    const seen: string[] = [];
    const [curve] = await measureCurves([wayOf("EVAL", 3000, seen)], { rates: [500, 2000, 4000, 8000], seconds: 1 });
    assert.deepEqual(
      curve?.points.map(({ rate, made, answered, beyond }) => [rate, made, answered, beyond]),
      [
        [500, 500, 500, undefined],
        [2000, 2000, 2000, undefined],
        [4000, 4000, 3000, "unanswered"],
        [8000, 8000, 3000, "unanswered"],
      ],
    );
    assert.deepEqual([curve?.held, curve?.knee], [2000, 4000]);
  });

  it("has its end where no rate is left between", () => {
    const slices = (good: boolean) => [good ? GOOD : { ...GOOD, made: 0 }];
    const reach = reachOf([
      { rate: 1, slices: slices(true) },
      { rate: 2, slices: slices(false) },
    ]);
    assert.deepEqual(reach, { held: 1, knee: 2, sure: true });
    assert.equal(nextRate("auto", [1, 2], [reach]), undefined);
  });
});

describe("a way that this process measures", () => {
  it("sums up all slices at a rate, and numbers its calls on", async () => {
    const numbers = new Set<number>();
    let calls = 0;
    const way = rateWay("EVALSHA", { name: "quota", bytes: 456 }, async (number) => {
      numbers.add(number);
      calls++;
    });
    const first = await way.slice(1000, 50);
    const second = await way.slice(1000, 50);
    const other = await way.slice(2000, 50);
    assert.deepEqual(
      [first, second, other].map(({ latency }) => latency.calls),
      [50, 100, 100],
    );
    assert.deepEqual(
      [first, second, other].map(({ lateness }) => lateness.calls),
      [50, 100, 100],
    );
    assert.equal(second.figures.due, 50);
    assert.deepEqual([calls, numbers.size], [200, 200]);
    assert.deepEqual(JSON.parse(JSON.stringify(second)), second);
  });
});

describe("the drawing of curves", () => {
  const summary = (p50: number, p99?: number) => ({
    calls: 2000,
    p50,
    ...(p99 === undefined ? {} : { p99 }),
    max: 1234.5,
    curve: [],
  });
  const point = (rate: number, p50: number, p99?: number, beyond?: RatePoint["beyond"]): RatePoint => ({
    rate,
    made: rate,
    answered: rate * 0.8,
    waiting: 20_000,
    ...(beyond === undefined ? {} : { beyond }),
    latency: summary(p50, p99),
    lateness: summary(0.002, 0.0312),
  });
  const curve = {
    way: "EVALSHA",
    script: { name: "quota", bytes: 456 },
    points: [point(1000, 0.1234, 1.236), point(50_000, 12.34), point(100_000, 123.4, 1234, "unanswered")],
    held: 50_000,
    knee: 100_000,
  };

  it("has a row for each rate, dashes where calls are few, and the reason where a rate was not held", () => {
    const text = drawCurves([curve], 72, PLAIN).join("\n");
    assert.equal(
      text,
      [
        "Latency under a given rate, in ms from when each call was due (open",
        "loop); late: how late the benchmark made the calls.",
        "",
        "EVALSHA: quota, 456 bytes",
        "   calls/s     p50     p99   p99.9  late p50  late p99     calls",
        "     1,000   0.123    1.24       -     0.002     0.031     2,000",
        "    50,000    12.3       -       -     0.002     0.031     2,000",
        "   100,000     123   1,234       -     0.002     0.031     2,000",
        "            not held: 80% of the calls were answered in time",
        "",
        "EVALSHA holds 50,000 calls a second, and not 100,000: 80% of the calls",
        "were answered in time.",
      ].join("\n"),
    );
  });

  it("has a picture beside the figures where there is room, within the width", () => {
    const lines = drawCurves([curve], 100, PLAIN);
    assert.ok(Math.max(...lines.map(columnsOf)) <= 100, lines.join("\n"));
    const [head = "", low = "", one = "", high = ""] = lines.slice(
      lines.findIndex((line) => line.includes("late p50")),
    );
    assert.match(head, /calls {2}0\.1 ms +10000$/);
    assert.match(low, /2,000 {2} *●─+◆$/);
    assert.match(one, /2,000 {2} +●$/);
    assert.ok(high.indexOf("●") > low.indexOf("◆") && high.indexOf("●") > one.indexOf("●"), lines.join("\n"));
  });

  it("says what was held in one sentence", () => {
    const { knee: _, ...all } = curve;
    const { held: __, ...none } = curve;
    assert.equal(heldText(all), "holds 50,000 calls a second, the highest rate that was measured.");
    assert.match(heldText(none), /^does not hold 100,000 calls a second, the lowest rate that was measured\.$/);
  });
});
