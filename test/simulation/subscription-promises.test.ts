import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HistoryEvent } from "./subscription-history.ts";
import { brokenSubscriptions } from "./subscription-promises.ts";

/*
 * Histories written by hand: one subscription to one sharded channel "c", confirmed at 0.
 */

const topics = [{ kind: "shard", name: "c", channels: ["c"] }] as const;
const begun: readonly HistoryEvent[] = [
  { what: "asked", at: -1, subscription: 0, topics },
  { what: "confirmed", at: 0, subscription: 0 },
];
const closed: HistoryEvent = { what: "closed", at: 60_000, subscription: 0 };
const fault: HistoryEvent = { what: "fault", at: 100, until: 100 };

const published = (number: number, at: number): HistoryEvent => ({ what: "published", at, channel: "c", number });
const delivered = (number: number, at: number, node = 0, order = number): HistoryEvent => {
  return { what: "delivered", at, subscription: 0, topic: "c", channel: "c", number, from: { node, order } };
};
const gap = (at: number, from: number, to: number | null, reason = "slot-moved"): HistoryEvent => {
  return { what: "gap", at, subscription: 0, topics: ["c"], from, to, reason };
};

function broken(...events: readonly HistoryEvent[]): string {
  const history = [...begun, ...events, closed];
  return brokenSubscriptions(history, { onTheWayMs: 10, stalledMs: 0 }).join("; ");
}

describe("the promises of subscriptions, compared with a history", () => {
  it("are kept when every message comes", () => {
    assert.equal(broken(published(0, 1), delivered(0, 2), published(1, 3), delivered(1, 4)), "");
  });

  it("are kept when what is missing lies in a gap", () => {
    const missing = [published(0, 150), published(1, 200), gap(300, 120, null), gap(400, 120, 400)];
    assert.equal(broken(fault, ...missing, published(2, 401), delivered(2, 402)), "");
  });

  it("are broken by a message that is lost outside every gap", () => {
    assert.match(broken(published(0, 1)), /c 0 of 1\.0 was lost outside every gap/);
    assert.match(broken(fault, gap(300, 120, null), gap(400, 120, 400), published(0, 401)), /lost outside/);
    assert.match(broken(fault, published(0, 119), gap(300, 120, null), gap(400, 120, 400)), /lost outside/);
  });

  it("leave out what was lost between servers", () => {
    assert.equal(broken(published(0, 1), { what: "unheard", at: 1, channel: "c", number: 0 }), "");
  });

  it("leave out what nobody could have noticed before the subscription was closed", () => {
    assert.equal(broken(fault, published(0, 59_000)), "");
    assert.match(broken(fault, published(0, 59_000), { what: "settled", at: 59_500 }), /lost outside/);
  });

  it("are broken by a message that comes twice from one node, not from two", () => {
    const twice = [published(0, 1), delivered(0, 2)];
    assert.match(broken(...twice, delivered(0, 3, 0, 1)), /came twice/);
    assert.equal(broken(...twice, delivered(0, 3, 1, 0)), "");
  });

  it("are broken by messages in another order than that of their node", () => {
    const both = [published(0, 1), published(1, 1)];
    assert.match(broken(...both, delivered(1, 2), delivered(0, 2)), /out of order/);
    assert.equal(broken(...both, delivered(1, 2, 0), delivered(0, 2, 1)), "");
  });

  it("are broken by gaps that are not told as they should be", () => {
    assert.match(broken(fault, gap(300, 120, 300)), /ends that was not open/);
    assert.match(broken(fault, gap(300, 120, null), gap(400, 120, null)), /begins in a gap/);
    assert.match(broken(fault, gap(300, 120, null), gap(400, 130, 400)), /ends as another one/);
    assert.match(broken(fault, gap(300, 120, null), gap(400, 120, 450)), /ends at a wrong time/);
    assert.match(broken(fault, gap(300, 500, null), gap(400, 500, 400)), /begins after it was told/);
  });

  it("are broken by a message behind a gap that comes before its end is told", () => {
    const before = [fault, gap(300, 120, null), published(0, 420), delivered(0, 430)];
    assert.match(broken(...before, gap(440, 120, 410)), /came before its end was told/);
    assert.equal(broken(...before, gap(440, 120, 430)), "");
  });

  it("are broken by a gap without a cause, and by gaps that last too long", () => {
    assert.match(broken(gap(300, 120, null), gap(400, 120, 400)), /nothing had gone wrong/);
    assert.match(broken(fault, gap(300, 120, null), gap(4000, 120, 4000)), /gaps of 3880 ms, where 3000 are allowed/);
    assert.match(broken(fault, gap(300, 120, null)), /gaps of 59880 ms/);
  });

  it("are broken by a topic that is heard again later than after a single fault of its kind", () => {
    const judge = (...events: readonly HistoryEvent[]) =>
      brokenSubscriptions([...begun, ...events, closed], { onTheWayMs: 10, stalledMs: 0, slackMs: 20 }).join("; ");
    const cut: HistoryEvent = { ...fault, heardWithin: { ms: 250, of: "fault" } } as HistoryEvent;
    assert.equal(judge(cut, gap(101, 50, null), gap(360, 50, 360)), "");
    assert.match(judge(cut, gap(101, 50, null), gap(380, 50, 380)), /heard again at 380\.0, and 370\.0 is promised/);
    assert.equal(judge(cut, fault, gap(101, 50, null), gap(380, 50, 380)), "");
    const move: HistoryEvent = { ...fault, heardWithin: { ms: 100, of: "news" } } as HistoryEvent;
    const news: HistoryEvent = { what: "news", at: 700, topic: "c" };
    assert.equal(judge(move, news, gap(700, 50, null), gap(810, 50, 810)), "");
    assert.match(judge(move, news, gap(700, 50, null), gap(830, 50, 830)), /heard again at 830\.0/);
  });

  it("are broken by a gap that is open when all was mended", () => {
    assert.match(
      broken(fault, gap(58_000, 57_000, null), { what: "settled", at: 59_000 }),
      /still in a gap when all was mended/,
    );
  });

  it("are broken when a server ends a channel and no gap is told at once", () => {
    const news: HistoryEvent = { what: "news", at: 200, topic: "c" };
    assert.match(broken(fault, news), /ended by its server at 200\.0, and no gap was told/);
    assert.match(broken(fault, news, gap(300, 120, null), gap(400, 120, 400)), /no gap was told/);
    assert.equal(broken(fault, news, gap(200, 120, null), gap(400, 120, 400)), "");
  });
});
