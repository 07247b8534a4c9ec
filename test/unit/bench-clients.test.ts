import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PeerName } from "../../bench/clients/peers.ts";
import {
  atLeast,
  atMost,
  type Claim,
  claims,
  figuresOf,
  lines,
  type Measurements,
  ratiosOf,
} from "../../bench/clients/summary.ts";
import { type Result, WORKLOADS, type Workload } from "../../bench/clients/workload.ts";
import type { Estimate } from "../../src/cli/bench/estimate.ts";

const ROUNDS = 12;
const RESULT: Result = {
  calls: 1000,
  callsPerSecond: 100_000,
  bytesPerSecond: 1_800_000,
  cpu: 4,
  p50: 100,
  p99: 400,
  most: 2000,
  residentMiB: 80,
  grownMiB: -0.1,
};

let made = 0;

/** Rounds of a client; each is as slow as the machine in that round, and a little more or less. */
function rounds(factors: Partial<Record<keyof Result, number>>, spread: number): Result[] {
  const step = [5, 7, 11][made++ % 3] as number;
  return Array.from({ length: ROUNDS }, (_, round) => {
    const machine = 1 + (round % 3) / 2;
    const own = 1 + spread * (((round * step + made) % ROUNDS) / (ROUNDS - 1) - 0.5);
    const cpu = 4 * machine * own * (factors.cpu ?? 1);
    return {
      ...RESULT,
      cpu,
      p50: 100 * machine * own * (factors.p50 ?? 1),
      callsPerSecond: (100_000 / machine) * own * (factors.callsPerSecond ?? 1),
    };
  });
}

function workload(name: string): Workload {
  const found = WORKLOADS.find((each) => each.name === name);
  assert.ok(found, name);
  return found;
}

function measurements(name: string, clients: Partial<Record<PeerName, readonly Result[]>>): Measurements {
  return { workload: workload(name), results: new Map(Object.entries(clients) as [PeerName, readonly Result[]][]) };
}

const ratio = (low: number, median: number, high: number): Estimate => ({
  low,
  median,
  high,
  values: 12,
  confidence: 0.95,
});

describe("a goal of bench:clients", () => {
  it("is met or missed where the interval lies beside the limit, and is not decided where it holds it", () => {
    const verdicts = (claim: Claim) => [claim.verdict, claim.holds];
    assert.deepEqual(verdicts(atMost("x", ratio(1, 1.1, 1.2), 1.2)), ["holds", true]);
    assert.deepEqual(verdicts(atMost("x", ratio(1.1, 1.15, 1.3), 1.2)), ["not decided", false]);
    assert.deepEqual(verdicts(atMost("x", ratio(1.21, 1.25, 1.3), 1.2)), ["short", false]);
    assert.deepEqual(verdicts(atLeast("x", ratio(3.5, 3.6, 4), 3.5)), ["holds", true]);
    assert.deepEqual(verdicts(atLeast("x", ratio(3.4, 3.6, 4), 3.5)), ["not decided", false]);
    assert.deepEqual(verdicts(atLeast("x", ratio(3, 3.2, 3.4), 3.5)), ["short", false]);
    assert.deepEqual(verdicts(atMost("x", 1.2, 1.2)), ["holds", true]);
    assert.deepEqual(verdicts(atMost("x", undefined, 1.2)), ["not decided", false]);
    assert.equal(atMost("x", ratio(0.9, 1, 1.2), 1.2).seen, "1.00 (0.90 to 1.20), no difference seen");
  });

  it("is judged by ratios within rounds, to the floor and to the peer that comes nearest", () => {
    const found = claims([
      measurements("1,024 in flight, 16 B", {
        floor: rounds({}, 0.02),
        slotwire: rounds({ cpu: 1.1 }, 0.03),
        ioredis: rounds({ cpu: 8, callsPerSecond: 0.2 }, 0.02),
        "node-redis": rounds({ cpu: 5, callsPerSecond: 0.28 }, 0.02),
      }),
      measurements("1 in flight, 16 B", {
        floor: rounds({ p50: 1 }, 0),
        slotwire: rounds({ p50: 1 }, 0.4),
        ioredis: rounds({ p50: 1.05 }, 0.5),
      }),
    ]);
    const said = found.map(({ what, verdict }) => [what, verdict]);
    assert.deepEqual(said, [
      ["1,024 in flight: CPU at most 1.2 x floor", "holds"],
      ["1,024 in flight: CPU at most 1/4 of the best peer", "holds"],
      ["1,024 in flight: calls/s at least 3.5 x the best peer", "not decided"],
      ["1 in flight: p50 at most 1.05 x floor, or no difference seen", "holds"],
      ["1 in flight: p50 below every peer", "not decided"],
    ]);
    assert.match(found[0]?.seen ?? "", /^1\.1\d? \(1\.\d+ to 1\.1\d?\)$/);
    assert.match(found[1]?.seen ?? "", /, node-redis$/);
  });
});

describe("the summary of bench:clients", () => {
  const each = measurements("64 in flight, 16 B", {
    floor: rounds({}, 0.02),
    slotwire: rounds({ cpu: 1.3 }, 0.02),
    ioredis: rounds({ cpu: 4, callsPerSecond: 0.5 }, 0.02).map(({ p99: _, ...result }) => result),
  });

  it("has a row for each client, the calls beside it, and ratios with intervals", () => {
    const text = lines(each);
    assert.match(text[3] ?? "", /^\| slotwire \| +[\d,]+ \| +[\d.]+ .* \| +[\d,]+ to [\d,]+ \| 12,000 \|$/);
    // A quantile that rests on too few calls in some of the rounds is left out.
    assert.match(text[4] ?? "", /^\| ioredis +\|( +[\d.,]+ \|){3} +- \| +- \|/);
    assert.match(
      text.join("\n"),
      /^\| floor +\| +1\.00 \(.*\), no difference seen \| +1\.3\d? \(1\.\d+ to 1\.\d+\) \|/m,
    );
    assert.ok(
      text.includes(
        "Latencies: closed loop, from a caller's call to its reply; - where fewer than 10 calls lie beyond",
      ),
      text.join("\n"),
    );
  });

  it("tells how late an open loop was, and not the CPU of a process that never sleeps", () => {
    const open = rounds({}, 0.02).map(({ cpu: _, ...result }) => ({ ...result, late: 7000 }));
    const { workload } = measurements("open loop, 5,000/s", {});
    const text = lines({
      workload: { ...workload, kind: "open" },
      results: new Map([
        ["floor", open],
        ["slotwire", open],
      ]),
    }).join("\n");
    assert.match(text, /late p99 us.*\n.*\n\| floor .* 7,000 \|/);
    assert.doesNotMatch(text, /CPU/);
    assert.doesNotMatch(lines(each).join("\n"), /late/);
  });

  it("gives the page figures with intervals, and ratios to the floor and to the best peer", () => {
    const { name, group, clients } = figuresOf(each);
    assert.deepEqual([name, group], ["64 in flight, 16 B", "64 in flight"]);
    const ioredis = clients.find((client) => client.name === "ioredis");
    assert.equal(ioredis?.calls, 12_000);
    assert.ok(ioredis.figures.callsPerSecond && !("p99" in ioredis.figures), Object.keys(ioredis.figures).join());
    assert.equal(ioredis.figures.grownMiB?.median, -0.1);
    const found = ratiosOf(each).map(({ metric, to, peer }) => [metric, to, peer]);
    assert.deepEqual(found.slice(0, 4), [
      ["callsPerSecond", "floor", undefined],
      ["callsPerSecond", "best peer", "ioredis"],
      ["cpu", "floor", undefined],
      ["cpu", "best peer", "ioredis"],
    ]);
  });
});
