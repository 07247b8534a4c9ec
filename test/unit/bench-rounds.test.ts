import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { comparisonOf } from "../../src/cli/bench/comparison.ts";
import { LEAST_ROUNDS, ratioOf, widthOf } from "../../src/cli/bench/estimate.ts";
import { Latencies } from "../../src/cli/bench/latency.ts";
import {
  callsPerSecond,
  KeptRounds,
  measureRounds,
  type Round,
  RoundSeries,
  type Slice,
  type Way,
} from "../../src/cli/bench/rounds.ts";
import { shortfallOf } from "../../src/cli/bench/until.ts";

/** A slice of so many calls, each of which takes so many milliseconds. */
function sliceOf(calls: number, milliseconds: number, costs: Slice["costs"] = {}): Slice {
  const latencies = new Latencies();
  for (let call = 0; call < calls; call++) latencies.add(milliseconds);
  return { calls, seconds: (calls * milliseconds) / 1000, latencies, costs };
}

describe("measuring in rounds", () => {
  /** Ways that note the order of their slices, and take no time. */
  const waysOf = (slices: Record<string, (at: number) => Slice>) => {
    const order: string[] = [];
    const ways: Way[] = Object.entries(slices).map(([name, slice]) => ({
      name,
      slice: () => {
        order.push(name);
        return Promise.resolve(slice(order.length));
      },
    }));
    return { order, ways };
  };

  it("shuffles the ways in each round, and mirrors their order", async () => {
    const one = () => sliceOf(10, 1);
    const { order, ways } = waysOf({ A: one, B: one, C: one });
    const rounds = await measureRounds(ways, { seconds: 0 });
    assert.equal(rounds.length, LEAST_ROUNDS);
    const measured = order.slice(-6 * rounds.length).join("");
    const orders = measured.match(/.{6}/g) ?? [];
    for (const round of orders) {
      assert.equal([...round.slice(0, 3)].sort().join(""), "ABC");
      assert.equal(round.slice(3), [...round.slice(0, 3)].reverse().join(""));
    }
    assert.ok(new Set(orders).size > 1, orders.join(" "));
    assert.deepEqual([...(rounds[0] as Round).keys()], ["A", "B", "C"]);
    assert.equal(rounds[0]?.get("A")?.calls, 20);
  });

  it("waits until no way gets faster any more", async () => {
    let speed = 1;
    const { order, ways } = waysOf({
      slow: () => {
        speed = Math.min(8, speed * 1.2);
        return sliceOf(10, 10 / speed);
      },
      steady: () => sliceOf(10, 1),
    });
    await measureRounds(ways, { seconds: 0 });
    const warmUps = order.slice(0, -4 * LEAST_ROUNDS);
    assert.equal(warmUps.filter((name) => name === "steady").length, 8);
    assert.ok(warmUps.filter((name) => name === "slow").length > 12, warmUps.join(" "));
  });

  it("goes on until the ratio is known well enough, or the bound is met", async () => {
    const noise = [1, 1.3, 0.8, 1.1, 0.7, 1.2, 0.9];
    const { ways } = waysOf({
      A: () => sliceOf(10, 1),
      B: (at) => sliceOf(10, 2 * (noise[at % noise.length] as number)),
    });
    const widthAfter = async (until: number | undefined, atMost: number) => {
      let looked = 0;
      const progress = (round: number) => {
        looked = round;
      };
      const rounds = await measureRounds(ways, { seconds: 0, until, atMost, progress });
      const speeds = (name: string) => rounds.map((round) => callsPerSecond(round.get(name) as Slice));
      return { looked, rounds: rounds.length, width: widthOf(ratioOf(speeds("B"), speeds("A"))) };
    };
    const [without, wanted, bound] = [
      await widthAfter(undefined, 60),
      await widthAfter(0.06, 10),
      await widthAfter(0.0001, 0.3),
    ];
    assert.ok(without.width > 0.06 && without.rounds === LEAST_ROUNDS, JSON.stringify(without));
    assert.ok(wanted.width <= 0.06 && wanted.rounds > LEAST_ROUNDS, JSON.stringify(wanted));
    // It ends as soon as that.
    assert.ok(wanted.looked < 400, JSON.stringify(wanted));
    assert.ok(bound.width > 0.0001, JSON.stringify(bound));
  });

  it("is content with the intervals of all rounds, and not with those when it last looked", async () => {
    let round = 0;
    const { ways } = waysOf({
      A: () => sliceOf(10, 1),
      B: () => sliceOf(10, 2 * (1 + (round > 13 ? (round % 10) / 5 : 0))),
    });
    const series = new RoundSeries(ways, {
      seconds: 0,
      drive: async (slices) => {
        round++;
        for (const { run } of slices) await run();
      },
    });
    const isEnough = () => series.isEnough({ seconds: 0, until: 0.05, atMost: 60 });
    while (round < 13) await series.round();
    assert.equal(isEnough(), true);
    // A look that is due later has not seen this round.
    await series.round();
    assert.equal(isEnough(), false);
  });

  it("tells which intervals are wider than they were wanted", () => {
    const about = (title: string, width: number) => ({ title, until: { wanted: 0.05, width, seconds: 60 } });
    assert.deepEqual(shortfallOf([about("a", 0.05), { title: "b" }]), []);
    const bound = "as --until wants: after 60 s each, the bound was met first.";
    assert.deepEqual(shortfallOf([about("a", 0.0501)]), [`The interval is 5.1% wide to a side and not 5%, ${bound}`]);
    assert.deepEqual(shortfallOf([about("a", 0.04), about("b", 0.07), about("c", 0.2)]), [
      `The intervals of 2 of 3 comparisons are up to 20% wide to a side (c) and not 5%, ${bound}`,
    ]);
  });

  it("keeps no more rounds than that, and loses no call", () => {
    const kept = new KeptRounds();
    for (let round = 0; round < 1200; round++) {
      kept.add(new Map([["A", sliceOf(3, 1, { bytes: 6 })]]));
      assert.ok(kept.rounds.length < 512, String(kept.rounds.length));
    }
    // 4 rounds each. The order stays.
    assert.deepEqual([kept.count, kept.rounds.length], [1200, 300]);
    for (const round of kept.rounds) assert.deepEqual([round.get("A")?.calls, round.get("A")?.costs.bytes], [12, 24]);
  });

  it("makes slices longer for many calls in flight", async () => {
    const lengths: number[] = [];
    const way: Way = {
      name: "A",
      slice: (milliseconds) => {
        lengths.push(milliseconds);
        return Promise.resolve(sliceOf(10, 1));
      },
    };
    await measureRounds([way], { seconds: 0, sliceCalls: 100 });
    assert.deepEqual([lengths[0], lengths.at(-1)], [5, 100]);
  });
});

describe("a comparison", () => {
  const load = { id: "x", title: "x", script: { name: "x", bytes: 1 }, inFlight: 1 };
  const roundsOf = (count: number, base: () => Slice, other: () => Slice): Round[] => {
    return Array.from(
      { length: count },
      () =>
        new Map([
          ["EVAL", base()],
          ["EVALSHA", other()],
        ]),
    );
  };

  it("tells each way's figures, and the ratios of what both have", () => {
    const rounds = roundsOf(
      20,
      () => sliceOf(1000, 2, { bytesSent: 5e5, serverCpu: 4000 }),
      () => sliceOf(1000, 1, { bytesSent: 1e5, serverCpu: 1000 }),
    );
    const { base, ways } = comparisonOf(rounds, load);
    const [evalWay, evalsha] = ways;
    assert.equal(base, "EVAL");
    assert.equal(evalWay?.ratios, undefined);
    assert.deepEqual(
      [evalsha?.calls, evalsha?.rounds.length, evalsha?.costs],
      [20_000, 20, { bytesSent: 100, serverCpu: 1 }],
    );
    const medians = Object.entries(evalsha?.ratios ?? {}).map(([name, ratio]) => [name, ratio.median.toFixed(2)]);
    assert.deepEqual(Object.fromEntries(medians), {
      callsPerSecond: "2.00",
      p50: "0.50",
      p99: "0.50",
      bytesSent: "0.20",
      serverCpu: "0.25",
    });
  });

  it("leaves out what rests on too few calls", () => {
    const few = comparisonOf(
      roundsOf(
        20,
        () => sliceOf(10, 2),
        () => sliceOf(10, 1),
      ),
      load,
    ).ways[1];
    assert.equal(few?.latency.p99, undefined);
    assert.equal(few?.ratios?.p99, undefined);
    assert.equal(few?.ratios?.p50, undefined);
    // Rounds are joined until 10 of 20 calls lie beyond the median.
    const joined = comparisonOf(
      roundsOf(
        40,
        () => sliceOf(10, 2),
        () => sliceOf(10, 1),
      ),
      load,
    ).ways[1];
    assert.equal(joined?.ratios?.p50?.median.toFixed(2), "0.50");
    assert.equal(joined?.ratios?.p99, undefined);
  });
});

describe("latencies", () => {
  it("have a quantile only where 10 calls lie beyond it", () => {
    const latencies = new Latencies();
    for (let call = 1; call <= 999; call++) latencies.add(call / 100);
    assert.equal(latencies.quantile(0.99), undefined);
    latencies.add(10);
    const { p50, p99, p999, max, calls, curve } = latencies.summary();
    assert.equal(calls, 1000);
    assert.equal(p999, undefined);
    for (const [found, right] of [
      [p50, 5],
      [p99, 9.9],
      [max, 10],
    ] as const) {
      assert.ok(Math.abs((found as number) / right - 1) < 0.008, `${found} for ${right}`);
    }
    assert.ok(curve.every(([share], index) => share <= 0.99 && share >= (curve[index - 1]?.[0] ?? 0)));
  });

  it("are joined, and take no more room for more calls", () => {
    const [one, other] = [new Latencies(), new Latencies()];
    for (let call = 0; call < 50; call++) one.add(1);
    for (let call = 0; call < 50; call++) other.add(3);
    one.join(other);
    assert.equal(one.calls, 100);
    assert.equal(one.summary().curve.at(-1)?.[1].toFixed(1), "3.0");
    // Beyond an hour, and below a nanosecond, a latency counts as that.
    one.add(1e12);
    one.add(0);
    assert.ok(one.summary().max >= 3.6e6, String(one.summary().max));
  });
});
