import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Action, type Evidence, Vigil } from "../../src/connection/vigil.ts";

const silence = (passedMs: number) => ({ passedMs, hasSign: false, isAwaiting: true });
const sign = { passedMs: 250, hasSign: true, isAwaiting: true };

const MOVING = Symbol("an amount that changes");

/** What each kind of evidence leads to when it comes again and again. */
const TABLE: readonly {
  readonly says: Evidence | typeof MOVING;
  readonly ends: "given up" | "never";
  /** The silence at the end, in milliseconds. */
  readonly by?: number;
  /** Answers that were needed, or how many came in 20 s. */
  readonly answers: number;
  readonly news?: string;
}[] = [
  { says: { kind: "empty" }, ends: "given up", by: 1000, answers: 2 },
  { says: { kind: "gone" }, ends: "given up", by: 700, answers: 1 },
  { says: { kind: "unheld" }, ends: "given up", by: 2000, answers: 2 },
  { says: { kind: "held", amounts: "5 0" }, ends: "given up", by: 3000, answers: 5 },
  { says: MOVING, ends: "never", answers: 39 },
  { says: { kind: "blocked" }, ends: "never", answers: 7 },
  { says: { kind: "busy" }, ends: "never", answers: 7 },
  { says: { kind: "nothing" }, ends: "never", answers: 7 },
  { says: { kind: "silent" }, ends: "never", answers: 75, news: "silent" },
];

/** Lives through what the vigil wants. Each answer takes 10 ms. */
function live(vigil: Vigil, evidenceAt: (answer: number) => Evidence, limitMs = 20_000) {
  const news: string[] = [];
  let [time, answers] = [0, 0];
  let action: Action = vigil.begin();
  while (time < limitMs) {
    if ("news" in action && action.news !== undefined) news.push(action.news);
    if (action.next === "give-up") return { ends: "given up", time, answers, news, why: action.why };
    if (action.next === "rest") return { ends: "rest", time, answers, news };
    if (action.next === "ask") {
      time += 10;
      action = vigil.hear(evidenceAt(answers++), silence(10));
    } else {
      time += action.afterMs;
      action = vigil.look(silence(action.afterMs));
    }
  }
  return { ends: "never", time, answers, news };
}

describe("a vigil over a connection that is silent", () => {
  for (const { says, ends, by = Number.POSITIVE_INFINITY, answers, news } of TABLE) {
    const kind = says === MOVING ? "held, and moves" : (says as Evidence).kind;
    it(`hears ${kind}: ${ends}`, () => {
      const evidence = (count: number): Evidence =>
        says === MOVING ? { kind: "held", amounts: String(count) } : (says as Evidence);
      const life = live(new Vigil(0), evidence);
      assert.equal(life.ends, ends);
      assert.equal(life.answers, answers);
      if (ends === "given up") assert.equal(life.time <= by, true, `after ${life.time} ms`);
      assert.deepEqual(life.news, news === undefined ? [] : [news]);
    });
  }

  it("asks nobody for half a second, nor while an answer could prove nothing", () => {
    const vigil = new Vigil(0);
    vigil.begin();
    assert.equal(vigil.look(silence(490)).next, "look");
    assert.equal(vigil.look(silence(10), false).next, "look");
    assert.equal(vigil.look(silence(5000), false).next, "look");
    assert.equal(vigil.look(silence(1)).next, "ask");
  });

  it("forgets what spoke against the connection at a sign of life", () => {
    const vigil = new Vigil(0);
    vigil.begin();
    assert.equal(vigil.look(silence(500)).next, "ask");
    assert.equal(vigil.hear({ kind: "empty" }, silence(10)).next, "look");
    assert.equal(vigil.look(sign).next, "look");
    assert.equal(vigil.look(silence(499)).next, "look");
    assert.equal(vigil.look(silence(1)).next, "ask");
    assert.equal(vigil.hear({ kind: "empty" }, silence(10)).next, "look", "it is the first one again");
  });

  it("does not hear an answer to which a sign of life came first, and spares one that is condemned", () => {
    for (const evidence of [{ kind: "gone" }, { kind: "empty" }] as const) {
      const vigil = new Vigil(0);
      vigil.begin();
      vigil.look(silence(500));
      assert.deepEqual(vigil.hear(evidence, sign), { next: "look", afterMs: 250, news: undefined });
    }
    const vigil = new Vigil(0);
    vigil.begin();
    vigil.look(silence(500));
    const { afterMs = 0 } = vigil.hear({ kind: "gone" }, silence(10)) as { afterMs?: number };
    assert.equal(afterMs, 30);
    assert.equal(vigil.look(sign).next, "look");
  });

  it("takes a question that failed between two answers for no answer", () => {
    const said: readonly Evidence[] = [{ kind: "empty" }, { kind: "nothing" }, { kind: "silent" }, { kind: "empty" }];
    const life = live(new Vigil(0), (count) => said[Math.min(count, 3)] as Evidence);
    assert.deepEqual([life.ends, life.answers], ["given up", 4]);
  });

  it("tells that the node speaks again when it says what it has in hand", () => {
    const said: readonly Evidence[] = [{ kind: "silent" }, { kind: "silent" }, { kind: "blocked" }];
    const life = live(new Vigil(0), (count) => said[Math.min(count, 2)] as Evidence);
    assert.deepEqual([life.ends, life.news], ["never", ["silent", "speaking"]]);
  });

  it("is in doubt while the reason of the silence is not known", () => {
    const vigil = new Vigil(0);
    vigil.begin();
    assert.equal(vigil.inDoubt, false);
    vigil.look(silence(500));
    assert.equal(vigil.inDoubt, true);
    vigil.hear({ kind: "blocked" }, silence(10));
    assert.equal(vigil.inDoubt, false);
    vigil.look(silence(500));
    vigil.hear({ kind: "nothing" }, silence(10));
    assert.equal(vigil.inDoubt, true);
  });

  it("gives a slow way more time", () => {
    const life = live(new Vigil(1000), () => ({ kind: "empty" }));
    assert.equal(life.ends, "given up");
    assert.equal(life.time >= 2000, true, `after ${life.time} ms`);
  });
});
