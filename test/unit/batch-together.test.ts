import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chooseTogether, type Share } from "../../src/routing/batch-together.ts";
import { turnsOf } from "../../src/routing/batch-turns.ts";

const scriptOf = (bytes: number) => ({ loadFrame: "x".repeat(bytes) });
const short = scriptOf(200);
const long = scriptOf(20_000);
const longer = scriptOf(100_000);

interface Sketch {
  readonly keys?: string | readonly string[];
  readonly reads?: boolean;
  readonly source?: Share["source"];
  readonly bytes?: number;
  /** The call cannot be part of a transaction. */
  readonly apart?: boolean;
  readonly settled?: boolean;
}

const callOf = ({ keys = "k", reads = false, source, bytes = 100, apart = false, settled = false }: Sketch) => ({
  kind: { reads },
  slot: 0,
  keys,
  settled,
  share: apart ? undefined : { bytes, source, reads },
});
const many = (count: number, sketch: (index: number) => Sketch = () => ({})) =>
  Array.from({ length: count }, (_, index) => callOf(sketch(index)));

const TABLE: readonly {
  readonly when: string;
  readonly calls: readonly ReturnType<typeof callOf>[];
  readonly limits?: { readonly calls?: number; readonly reads?: number; readonly bySource?: boolean };
  /** The positions of the calls that go together; undefined where the first one goes alone. */
  readonly expect: readonly number[] | undefined;
}[] = [
  { when: "seven calls wait for six answers", calls: many(7), expect: undefined },
  { when: "eight calls would wait for seven answers", calls: many(8), expect: upTo(8) },
  { when: "many reads wait for one write", calls: many(50, (index) => ({ reads: index > 0 })), expect: undefined },
  { when: "a server reads them in several goes", calls: many(1000), expect: upTo(163) },
  { when: "the node has room for 20", calls: many(1000), limits: { calls: 20 }, expect: upTo(20) },
  { when: "the node has room for 7", calls: many(1000), limits: { calls: 7 }, expect: undefined },
  {
    when: "few calls that read may go together",
    calls: many(40, (index) => ({ reads: index % 2 === 1 })),
    limits: { reads: 4 },
    expect: upTo(9),
  },
  { when: "they run a short script", calls: many(8, () => ({ source: short })), expect: upTo(8) },
  { when: "few run a long script", calls: many(8, () => ({ source: long })), expect: upTo(8) },
  { when: "few run a longer script", calls: many(20, () => ({ source: longer })), expect: undefined },
  { when: "many run a longer script", calls: many(40, () => ({ source: longer })), expect: upTo(40) },
  {
    when: "many run two scripts, and each source goes once",
    calls: many(40, (index) => ({ source: index % 2 === 0 ? long : longer })),
    expect: upTo(40),
  },
  {
    when: "each brings its source, because loading is forbidden",
    calls: many(40, () => ({ source: long })),
    limits: { bySource: true },
    expect: undefined,
  },
  {
    when: "each brings a short source",
    calls: many(40, () => ({ source: short })),
    limits: { bySource: true },
    expect: upTo(40),
  },
  {
    when: "one cannot be part of a transaction: those behind it wait",
    calls: many(30, (index) => ({ apart: index === 10 })),
    expect: upTo(10),
  },
  { when: "one has been given up", calls: many(30, (index) => ({ settled: index === 9 })), expect: upTo(9) },
  {
    when: "calls of other keys are between them",
    calls: many(30, (index) => ({ keys: index % 2 === 0 ? "k" : `other ${index}` })),
    expect: upTo(15).map((index) => index * 2),
  },
  {
    when: "one of them waits for a call of another key as well, so those behind it wait",
    calls: [callOf({}), callOf({ keys: "b" }), ...many(8), callOf({ keys: ["k", "b"] }), ...many(3)],
    expect: [0, 2, 3, 4, 5, 6, 7, 8, 9],
  },
];

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

describe("calls go together, when", () => {
  for (const { when, calls, limits, expect } of TABLE) {
    it(when, () => {
      const head = turnsOf(
        calls,
        calls.map(({ keys }) => keys),
      )?.[0];
      assert.ok(head, "the first call is waited for");
      const chosen = chooseTogether(head, ({ share }) => share, {
        calls: 10_000,
        reads: 10_000,
        bySource: false,
        ...limits,
      });
      assert.deepEqual(
        chosen?.map((call) => calls.indexOf(call)),
        expect,
      );
    });
  }
});
