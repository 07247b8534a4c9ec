import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Action, Coverage } from "../../src/subscriptions/coverage.ts";
import { Proofs } from "../../src/subscriptions/gap.ts";

const lossAt = (from: number) => ({ from, reason: "connection-lost" }) as const;

/** Lives through events, one each 10 ms; returns the actions of each as words. */
function live(...events: ((coverage: Coverage<string>, now: number) => Action<string>[])[]): string[] {
  const coverage = new Coverage<string>();
  return events.map((event, index) =>
    event(coverage, 10 * (index + 1))
      .map(wordsOf)
      .join(", "),
  );
}

function wordsOf(action: Action<string>): string {
  switch (action.do) {
    case "ask":
    case "leave":
      return `${action.do} ${action.node}`;
    case "open-gap":
      return `gap from ${action.loss.from} (${action.loss.reason})`;
    case "close-gap":
      return `gap from ${action.loss.from} to ${action.at}`;
    default:
      return action.do;
  }
}

type Event = (coverage: Coverage<string>, now: number) => Action<string>[];
const want =
  (...nodes: string[]): Event =>
  (coverage, now) =>
    coverage.want(nodes, now, lossAt(now - 5));
const confirmed =
  (node: string): Event =>
  (coverage, now) =>
    coverage.confirmed(node, now, now - 2);
const lost =
  (node: string): Event =>
  (coverage, now) =>
    coverage.lost(node, now, lossAt(now - 5));
const left =
  (node: string): Event =>
  (coverage, now) =>
    coverage.left(node, now);
const ended =
  (node: string): Event =>
  (coverage, now) =>
    coverage.ended(node, now, { from: now - 5, reason: "slot-moved" });
const refused =
  (node: string, isAway: boolean): Event =>
  (coverage, now) =>
    coverage.refused(node, now, lossAt(now - 5), isAway);
const again =
  (node: string): Event =>
  (coverage, now) =>
    coverage.again(node, now);
const silent =
  (node: string): Event =>
  (coverage, now) =>
    coverage.silent(node, now, { from: now - 5, reason: "node-silent" });
const speaking =
  (node: string): Event =>
  (coverage, now) =>
    coverage.speaking(node, now);
const settled: Event = (coverage, now) => coverage.settled(now);
const release: Event = (coverage, now) => coverage.release(now);
const retain: Event = (coverage, now) => coverage.retain(now);

describe("the coverage of one topic", () => {
  it("begins with the confirmation of the wanted node", () => {
    assert.deepEqual(live(want("A"), confirmed("A")), ["ask A", "begin"]);
  });

  it("begins when every wanted node has confirmed", () => {
    assert.deepEqual(live(want("A", "B"), confirmed("B"), confirmed("A")), ["ask A, ask B", "", "begin"]);
  });

  it("has no gap before it has begun", () => {
    assert.deepEqual(live(want("A"), lost("A"), confirmed("A")), ["ask A", "ask A", "begin"]);
  });

  it("asks again where a connection was lost; the confirmation ends the gap", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), lost("A"), confirmed("A")), [
      "ask A",
      "begin",
      "gap from 25 (connection-lost), ask A",
      "gap from 25 to 40",
    ]);
  });

  it("owes no message from before the confirmation was asked for", () => {
    const longAgo: Event = (coverage, now) => coverage.lost("A", now, lossAt(-1000));
    assert.equal(live(want("A"), confirmed("A"), longAgo)[2], "gap from 18 (connection-lost), ask A");
  });

  it("leaves the old node before it asks the new one", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), want("B"), left("A"), confirmed("B")), [
      "ask A",
      "begin",
      "gap from 25 (connection-lost), leave A",
      "ask B",
      "gap from 25 to 50",
    ]);
  });

  it("counts a node as left whose connection is lost", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), want("B"), lost("A")).slice(2), [
      "gap from 25 (connection-lost), leave A",
      "ask B",
    ]);
  });

  it("asks nowhere while several nodes are to be left", () => {
    assert.deepEqual(live(want("A", "B"), confirmed("A"), confirmed("B"), want("C"), left("A"), left("B")).slice(3), [
      "gap from 35 (connection-lost), leave A, leave B",
      "",
      "ask C",
    ]);
  });

  it("comes back to a node that it is leaving", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), want("B"), want("A"), left("A"), confirmed("A")).slice(3), [
      "",
      "ask A",
      "gap from 25 to 60",
    ]);
  });

  it("asks a node again that has ended the topic, and stays in doubt until the topology agrees", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), ended("A"), confirmed("A"), settled).slice(2), [
      "gap from 25 (slot-moved), ask A",
      "",
      "gap from 25 to 50",
    ]);
  });

  it("is in no doubt about another node", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), ended("A"), refused("A", true), want("B"), confirmed("B")), [
      "ask A",
      "begin",
      "gap from 25 (slot-moved), ask A",
      "",
      "ask B",
      "gap from 25 to 60",
    ]);
  });

  it("does not take the answer to a request for news", () => {
    assert.deepEqual(live(want("A"), ended("A"), confirmed("A"), want("B"), ended("A"), left("A")), [
      "ask A",
      "",
      "begin",
      "gap from 35 (connection-lost), leave A",
      "",
      "ask B",
    ]);
  });

  it("leaves a node that refused, because it may still send; but not one that is away", () => {
    const events = [want("A"), confirmed("A"), silent("A"), speaking("A")];
    assert.deepEqual(live(...events, refused("A", false), want("B"), left("A")).slice(5), ["leave A", "ask B"]);
    assert.deepEqual(live(...events, refused("A", true), want("B")).slice(5), ["ask B"]);
  });

  it("asks a node that refused again after the pause", () => {
    assert.deepEqual(live(want("A"), refused("A", false), again("A"), confirmed("A"), again("A")), [
      "ask A",
      "",
      "ask A",
      "begin",
      "",
    ]);
  });

  it("waits for a node that is silent, and asks it when it speaks again", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), silent("A"), speaking("A"), confirmed("A")).slice(2), [
      "gap from 25 (node-silent)",
      "ask A",
      "gap from 25 to 50",
    ]);
  });

  it("has one gap, however many nodes are lost in it", () => {
    const both = [want("A", "B"), confirmed("A"), confirmed("B")];
    assert.deepEqual(live(...both, lost("A"), lost("B"), confirmed("A"), confirmed("B")).slice(3), [
      "gap from 35 (connection-lost), ask A",
      "ask B",
      "",
      "gap from 35 to 70",
    ]);
  });

  it("has a gap while a node that joined has not confirmed, and none when one goes that is not needed", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), want("A", "B"), confirmed("B"), want("B"), left("A")).slice(2), [
      "gap from 25 (connection-lost), ask B",
      "gap from 25 to 40",
      "leave A",
      "",
    ]);
  });

  it("has a gap without any node", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), want(), lost("A"), want("B"), confirmed("B")).slice(2), [
      "gap from 25 (connection-lost), leave A",
      "",
      "ask B",
      "gap from 25 to 60",
    ]);
  });

  it("is forgotten when it was released and is sent nowhere", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), release, left("A")).slice(2), ["leave A", "forget"]);
    assert.deepEqual(live(want(), release), ["", "forget"]);
    assert.deepEqual(live(want("A"), refused("A", true), release), ["ask A", "", "forget"]);
  });

  it("begins anew when it is wanted again while it is being left", () => {
    assert.deepEqual(live(want("A"), confirmed("A"), release, retain, left("A"), confirmed("A")).slice(2), [
      "leave A",
      "",
      "ask A",
      "begin",
    ]);
  });

  it("keeps its invariants whatever happens", () => {
    for (let seed = 1; seed <= 300; seed++) liveAtRandom(seed);
  });
});

/** 200 random events: never asked while a node is left, gaps that alternate, and covered in the end. */
function liveAtRandom(seed: number): void {
  let state = seed;
  const random = (below: number) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
  const nodes = ["A", "B", "C"];
  const coverage = new Coverage<string>();
  const leaving = new Set<string>();
  const asked = new Set<string>();
  let isGapOpen = false;
  const heed = (actions: Action<string>[]) => {
    for (const action of actions) {
      if (action.do === "leave") {
        leaving.add(action.node);
        asked.delete(action.node);
      } else if (action.do === "ask") {
        assert.equal(leaving.size, 0, `seed ${seed}: asks ${action.node} while a node is left`);
        asked.add(action.node);
      } else if (action.do === "open-gap" || action.do === "close-gap") {
        assert.equal(isGapOpen, action.do === "close-gap", `seed ${seed}: ${action.do}`);
        isGapOpen = action.do === "open-gap";
      }
    }
  };
  for (let now = 1; now <= 200; now++) {
    const node = nodes[random(3)] as string;
    const loss = lossAt(now - 1);
    const events: (() => Action<string>[])[] = [
      () => coverage.want(nodes.slice(random(3)).slice(0, random(3)), now, loss),
      () => (asked.has(node) ? coverage.confirmed(node, now, now) : []),
      () => (asked.has(node) ? coverage.refused(node, now, loss, random(2) === 0) : []),
      () => coverage.again(node, now),
      () => coverage.ended(node, now, loss),
      () => coverage.silent(node, now, loss),
      () => coverage.speaking(node, now),
      () => coverage.settled(now),
      () => {
        leaving.delete(node);
        asked.delete(node);
        return random(2) === 0 ? coverage.lost(node, now, loss) : coverage.left(node, now);
      },
    ];
    const event = events[random(events.length)] as () => Action<string>[];
    if (event !== events[8] || leaving.has(node) || asked.has(node)) heed(event());
    if (leaving.has(node) && coverage.stateAt(node) !== "leaving") leaving.delete(node);
  }
  heed(coverage.want(["A"], 300, lossAt(300)));
  for (const node of nodes.filter((each) => coverage.stateAt(each) === "leaving")) {
    leaving.delete(node);
    heed(coverage.left(node, 301));
  }
  if (coverage.stateAt("A") !== "live") {
    heed(coverage.again("A", 302));
    heed(coverage.speaking("A", 302));
    heed(coverage.confirmed("A", 303, 302));
  }
  heed(coverage.settled(304));
  assert.equal(coverage.isCovered, true, `seed ${seed}: not covered in the end`);
}

describe("proofs", () => {
  it("count from the older of the last two", () => {
    const proofs = new Proofs(5);
    assert.equal(proofs.older, 5);
    proofs.note(10);
    assert.equal(proofs.older, 5);
    proofs.note(20);
    assert.equal(proofs.older, 10);
  });
});
