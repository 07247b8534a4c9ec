import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Expected, type Heard, judge, type SentMessage, type Stream } from "../support/subscription-history.ts";

/** Ten messages, sent at 0, 100, 200 ... and answered 10 ms later. */
function stream(outcomes: Readonly<Record<number, SentMessage["outcome"]>> = {}, name = "c", topic = name): Stream {
  const sent = Array.from({ length: 10 }, (_, number): SentMessage => {
    const outcome = outcomes[number] ?? "acknowledged";
    const answeredAt = outcome === "unknown" ? Number.POSITIVE_INFINITY : number * 100 + 10;
    return { sentAt: number * 100, answeredAt, outcome };
  });
  return { name, topic, sent };
}

function messages(...numbers: readonly number[]): Heard[] {
  return numbers.map((number) => ({ what: "message", stream: "c", number, at: number * 100 + 20 }));
}

function gap(from: number, to: number | null, at = to ?? from, topic = "c"): Heard {
  return { what: "gap", topic, from, to, reason: "connection-lost", at };
}

const faultsOf = (heard: readonly Heard[], expected: Expected = { gaps: 0 }, given = stream()) =>
  judge([given], heard, expected).faults;

describe("a history of a subscription", () => {
  const all = messages(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
  const withGap = [...messages(0, 1, 2), gap(250, null, 400), gap(250, 620), ...messages(7, 8, 9)];

  it("is right when everything came once and in order", () => {
    const { faults, ...rest } = judge([stream()], all, { gaps: 0 });
    assert.deepEqual(faults, []);
    assert.deepEqual(rest, { gaps: [], acknowledged: 10, heard: 10, missed: 0, again: 0 });
  });

  it("is right when what is missing lies inside of a gap", () => {
    const { faults, gaps, missed } = judge([stream()], withGap, { gaps: 1, around: 300 });
    assert.deepEqual(faults, []);
    assert.deepEqual(gaps, [{ topic: "c", from: 250, to: 620, reason: "connection-lost" }]);
    assert.equal(missed, 4);
  });

  it("is right when messages that nobody answered for are missing, or come late", () => {
    assert.deepEqual(
      faultsOf(messages(0, 1, 2, 4, 5, 6, 3, 7, 9), { gaps: 0 }, stream({ 3: "unknown", 8: "unknown" })),
      [],
    );
  });

  it("is right when a refused message is missing", () => {
    assert.deepEqual(faultsOf(messages(0, 1, 2, 3, 4, 5, 6, 7, 8), { gaps: 0 }, stream({ 9: "refused" })), []);
  });

  it("is right when messages come again from another node, behind a gap", () => {
    const heard = [...messages(0, 1, 2, 3), gap(250, null, 400), gap(250, 620), ...messages(2, 3, 7, 8, 9)];
    const { faults, again } = judge([stream()], heard, { gaps: 1 });
    assert.deepEqual([faults, again], [[], 2]);
  });

  it("is right when messages of a gap come before its end is told", () => {
    const heard = [...messages(0, 1, 2), gap(250, null, 300), ...messages(3, 4), gap(250, 620), ...messages(7, 8, 9)];
    assert.deepEqual(faultsOf(heard, { gaps: 1 }), []);
  });

  it("is right when it has as many gaps as it may have", () => {
    assert.deepEqual(faultsOf(withGap, { gaps: [0, 1] }), []);
    assert.deepEqual(faultsOf(all, { gaps: () => [0, 1] }), []);
  });

  it("of a pattern has the gaps of the pattern", () => {
    const heard = [...messages(0, 1, 2), gap(250, null, 400, "c*"), gap(250, 620, 620, "c*"), ...messages(7, 8, 9)];
    assert.deepEqual(faultsOf(heard, { gaps: 1 }, stream({}, "c", "c*")), []);
  });

  const wrong: readonly {
    when: string;
    heard: readonly Heard[];
    expected?: Expected;
    sent?: Stream;
    fault: RegExp;
  }[] = [
    {
      when: "a message is missing and no gap was told",
      heard: messages(0, 1, 2, 4, 5, 6, 7, 8, 9),
      fault: /^c 3 is missing outside of a gap, .*: no gap$/,
    },
    {
      when: "the last message is missing",
      heard: all.slice(0, -1),
      fault: /^c 9 is missing outside of a gap/,
    },
    {
      when: "a gap begins too late",
      heard: [...messages(0, 1, 2), gap(313, null, 400), gap(313, 620), ...messages(7, 8, 9)],
      expected: { gaps: 1 },
      fault: /^c 3 is missing outside of a gap/,
    },
    {
      when: "a gap ends too early",
      heard: [...messages(0, 1, 2), gap(250, null, 400), gap(250, 597), ...messages(7, 8, 9)],
      expected: { gaps: 1 },
      fault: /^c 6 is missing outside of a gap/,
    },
    { when: "a message comes twice", heard: [...messages(0), ...all], fault: /^c 0 came twice$/ },
    { when: "two messages change places", heard: messages(0, 1, 3, 2, 4, 5, 6, 7, 8, 9), fault: /^c 2 came after 3$/ },
    {
      when: "messages behind a gap come in the wrong order",
      heard: [...withGap.slice(0, -3), ...messages(8, 7, 9)],
      expected: { gaps: 1 },
      fault: /^c 7 came after 8$/,
    },
    {
      when: "a refused message comes",
      heard: all,
      sent: stream({ 4: "refused" }),
      fault: /^c 4 was refused, and came$/,
    },
    { when: "a message comes that was never sent", heard: [...all, ...messages(10)], fault: /^c 10 was never sent$/ },
    {
      when: "a message comes in a channel that nobody published in",
      heard: [...all, { what: "message", stream: "d", number: 0, at: 0 }],
      fault: /^message of d, which nobody published$/,
    },
    {
      when: "a gap is told where no fault was",
      heard: [...all, gap(250, null), gap(250, 260)],
      fault: /^1 gaps of c in place of 0/,
    },
    {
      when: "no gap is told where a fault was",
      heard: all,
      expected: { gaps: 1 },
      fault: /^0 gaps of c in place of 1: no gap$/,
    },
    {
      when: "two gaps are told for one fault",
      heard: [...withGap, gap(850, null), gap(850, 860)],
      expected: { gaps: 1 },
      fault: /^2 gaps of c in place of 1/,
    },
    {
      when: "three gaps are told where one or two may be",
      heard: [...withGap, gap(750, null), gap(750, 760), gap(850, null), gap(850, 860)],
      expected: { gaps: [1, 2] },
      fault: /^3 gaps of c in place of 1,2/,
    },
    {
      when: "a gap is told before the fault alone",
      heard: [gap(0, null), gap(0, 10), ...all],
      expected: { gaps: 1, around: 300 },
      fault: /^no gap of c around 300/,
    },
    {
      when: "a gap has no end",
      heard: [...messages(0, 1, 2), gap(250, null, 400), ...messages(3, 4, 5, 6, 7, 8, 9)],
      expected: { gaps: 1 },
      fault: /^gap of c has no end$/,
    },
    {
      when: "a gap's end is told after a message behind it",
      heard: [...messages(0, 1, 2), gap(250, null, 400), ...messages(7), gap(250, 620), ...messages(8, 9)],
      expected: { gaps: 1 },
      fault: /^c 7 came before the end of its gap was told/,
    },
    {
      when: "a gap ends without a beginning",
      heard: [...all, gap(250, 620)],
      fault: /^gap of c ends without a beginning$/,
    },
    {
      when: "a gap begins twice",
      heard: [...messages(0, 1, 2), gap(250, null, 400), gap(250, null, 410), gap(250, 620), ...messages(7, 8, 9)],
      expected: { gaps: 2 },
      fault: /^gap of c begins twice$/,
    },
    {
      when: "a gap's end has another beginning",
      heard: [...messages(0, 1, 2), gap(250, null, 400), gap(240, 620), ...messages(7, 8, 9)],
      expected: { gaps: 1 },
      fault: /^gap of c ends as another one than began$/,
    },
    {
      when: "a gap that is told begins in the future",
      heard: [...messages(0, 1, 2), gap(250, null, 240), gap(250, 620), ...messages(7, 8, 9)],
      expected: { gaps: 1 },
      fault: /^gap of c begins 10 ms in the future$/,
    },
    {
      when: "a gap that is told ends in the future",
      heard: [...messages(0, 1, 2), gap(250, null, 400), gap(250, 620, 617), ...messages(7, 8, 9)],
      expected: { gaps: 1 },
      fault: /^gap of c ends 3 ms in the future$/,
    },
    {
      when: "a gap ends before it begins",
      heard: [...all, gap(250, null), gap(250, 240, 260)],
      expected: { gaps: 1 },
      fault: /^gap of c ends before it begins$/,
    },
    {
      when: "a gap is told of a channel that nobody subscribed to",
      heard: [...all, gap(250, null, 250, "d")],
      fault: /^gap of d, which nobody subscribed to$/,
    },
  ];

  for (const { when, heard, expected, sent, fault } of wrong) {
    it(`is wrong when ${when}`, () => {
      const faults = faultsOf(heard, expected, sent);
      assert.notDeepEqual(faults, []);
      assert.match(faults[0] as string, fault);
    });
  }
});
