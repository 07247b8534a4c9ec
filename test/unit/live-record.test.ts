import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Step } from "../../src/cli/study/call-story.ts";
import type { ServerState, StudyEvent } from "../../src/cli/study/events.ts";
import { CALL_LIMITS } from "../../src/cli/web/live-calls.ts";
import { LiveRecord } from "../../src/cli/web/live-record.ts";
import { storyOf } from "../../src/cli/web/page/call-story.js";
import { factsAfter } from "../../src/cli/web/page/reduce.js";
import { sentenceOf } from "../../src/cli/web/page/sentences.js";

type Distributed<E> = E extends unknown ? Omit<E, "seq" | "at"> : never;

const [A, B] = ["127.0.0.1:7000", "127.0.0.1:7001"] as const;
const SCRIPT = { name: "release", sha: "f".repeat(40) };

/** Adds events, one millisecond after the other unless told otherwise. */
class Writer {
  readonly record: LiveRecord;
  at = 0;
  #seq = 0;
  #call = 0;

  constructor(record: LiveRecord) {
    this.record = record;
  }

  add(...events: Distributed<StudyEvent>[]): void {
    for (const event of events) this.record.add({ ...event, seq: ++this.#seq, at: this.at } as StudyEvent);
  }

  /** A call that is refused so many times, and then answered. */
  call(refusals = 0): number {
    const call = ++this.#call;
    this.add({ type: "call", call, command: "EVALSHA", script: SCRIPT, slot: 7, of: null });
    for (let attempt = 1; attempt <= refusals + 1; attempt++) {
      const isLast = attempt > refusals;
      this.add(
        { type: "queued", call, attempt, address: A, command: "EVALSHA", asking: false, bytes: 98, loadBytes: 0 },
        { type: "written", call, attempt, address: A, connection: 1, waitedMs: 0 },
        {
          type: "answered",
          call,
          attempt,
          address: A,
          connection: 1,
          kind: isLast ? "reply" : "TRYAGAIN",
          bytes: 4,
          text: null,
        },
      );
      if (!isLast) {
        this.add({
          type: "decided",
          call,
          attempt,
          address: A,
          failure: "TRYAGAIN",
          row: "tryagain",
          verdict: "retry",
          to: { kind: "owner", address: null },
          asking: false,
          when: "after-backoff",
          backoffMs: 1,
          spends: "retry",
          learned: "nothing",
          remedy: null,
          outcome: null,
          redirections: 0,
          retries: attempt,
        });
      }
    }
    this.add({ type: "settled", call, attempts: refusals + 1, address: A, code: null, outcome: null });
    return call;
  }
}

const callsIn = (events: readonly StudyEvent[]) =>
  events.flatMap((event) => (event.type === "call" ? [event.call] : []));

const serverState = (keysBySlot: Record<number, number>): ServerState => ({
  address: A,
  name: "A",
  id: "a",
  role: "primary",
  primary: null,
  error: null,
  health: "online",
  state: "ok",
  currentEpoch: 1,
  configEpoch: 1,
  slots: [{ start: 0, end: 16383 }],
  open: [],
  suspects: {},
  disagrees: [],
  unknown: [],
  meeting: [],
  keys: 1,
  keysBySlot,
  scripts: {},
});

describe("a live record", () => {
  it("keeps every call while there are few, and tells its events as they come", () => {
    const writer = new Writer(new LiveRecord());
    const { record } = writer;
    record.listen(() => {});
    writer.call();
    writer.add({ type: "call", call: 99, command: "GET", script: null, slot: 7, of: null });
    const news = record.takeNews();
    assert.deepEqual(
      news.map(({ type }) => type),
      ["call", "queued", "written", "answered", "settled", "call"],
    );
    assert.deepEqual(record.takeNews(), []);
    assert.deepEqual(record.state(), news);
  });

  it("keeps 50 of a second's calls that are answered at once, and counts the others", () => {
    const writer = new Writer(new LiveRecord());
    const { record } = writer;
    record.listen(() => {});
    for (let each = 0; each < 1000; each++) writer.call();
    assert.equal(callsIn(record.takeNews()).length, 50);
    assert.deepEqual(record.takeRate(), { calls: 1000, dropped: 950, refused: 0, total: 1000 });
    assert.deepEqual(record.takeRate(), { calls: 0, dropped: 0, refused: 0, total: 1000 });
    writer.at = 1000;
    writer.call();
    assert.equal(callsIn(record.takeNews()).length, 1);
  });

  it("keeps a call under load after all when it is refused, with what came before", () => {
    const writer = new Writer(new LiveRecord());
    const { record } = writer;
    record.listen(() => {});
    for (let each = 0; each < 60; each++) writer.call();
    record.takeNews();
    const refused = writer.call(1);
    const news = record.takeNews();
    assert.deepEqual(
      news.map(({ type }) => type),
      ["call", "queued", "written", "answered", "decided", "queued", "written", "answered", "settled"],
    );
    assert.deepEqual(callsIn(news), [refused]);
    assert.equal(record.takeRate().refused, 1);
    for (let each = 0; each < 200; each++) writer.call(1);
    assert.equal(callsIn(record.takeNews()).length, 49, "50 a second in all");
  });

  it("keeps a call that is wanted, however many others there are", () => {
    const writer = new Writer(new LiveRecord());
    for (let each = 0; each < 100; each++) writer.call();
    const wanted = writer.record.wanting(() => writer.call());
    assert.ok(callsIn(writer.record.state()).includes(wanted), "it is there");
    assert.equal(callsIn(writer.record.state()).length, 51);
  });

  it("follows a bounded number of calls, and keeps a bounded number of events of one", () => {
    const writer = new Writer(new LiveRecord());
    const { record } = writer;
    for (let each = 0; each < 5000; each++) {
      writer.add({ type: "call", call: 10_000 + each, command: "GET", script: null, slot: 7, of: null });
      writer.add({
        type: "queued",
        call: 10_000 + each,
        attempt: 1,
        address: A,
        command: "GET",
        asking: false,
        bytes: 9,
        loadBytes: 0,
      });
      writer.at += 100;
    }
    assert.equal(callsIn(record.state()).length, CALL_LIMITS.open);
    const other = new Writer(new LiveRecord());
    other.call(500);
    const events = other.record.state();
    assert.equal(events.length, CALL_LIMITS.eventsOfCall + 1);
    assert.equal(events.at(-1)?.type, "settled");
    const story = storyOf(events);
    assert.match(
      sentenceOf(story.steps.at(-1) as Step, { names: {}, rows: [] }),
      /: 501 attempts, the last 40[01] of them not in the record, /,
    );
  });

  it("tells every attempt of a call that somebody has made on the page, though it has hundreds", () => {
    const writer = new Writer(new LiveRecord());
    writer.record.wanting(() => writer.call(500));
    const [end] = storyOf(writer.record.state()).ends;
    assert.deepEqual([end?.attempts, end?.written, end?.untold], [501, 501, 0]);
  });

  it("does not grow, whatever comes, while somebody listens and while nobody does", () => {
    const writer = new Writer(new LiveRecord());
    const { record } = writer;
    record.listen(() => {});
    let size = 0;
    for (let second = 0; second < 600; second++) {
      writer.at = second * 1000;
      for (let each = 0; each < 100; each++) writer.call(each % 10 === 0 ? 3 : 0);
      writer.add(
        { type: "connecting", connection: second, address: A, readOnly: false, attempt: 1 },
        { type: "connected", connection: second, address: A, error: second % 2 === 0 ? null : "ECONNREFUSED" },
        { type: "disconnected", connection: second, address: A, reason: "closed-by-server", awaiting: 0 },
        { type: "load", load: second, address: A, script: SCRIPT, why: "audit", call: null },
        { type: "loaded", load: second, address: A, script: SCRIPT, error: null },
        { type: "action", action: second, name: "flush", text: "SCRIPT FLUSH", state: "begun" },
        {
          type: "servers",
          nodes: [serverState(Object.fromEntries(Array.from({ length: 500 }, (_, slot) => [slot, 1])))],
        },
      );
      if (second < 300) record.takeNews();
      else record.unlisten();
      const length = JSON.stringify(record.state()).length;
      if (second < 200) size = Math.max(size, length);
      else assert.ok(length < size * 1.1, `${length} characters after ${second} s, ${size} at first`);
    }
    assert.ok(size < 6_000_000, `${size} characters`);
  });

  it("begins with what older events have led to", () => {
    const whole = new Writer(new LiveRecord());
    const short = new Writer(new LiveRecord({ notes: 3 }));
    const node = (address: string) => ({
      address,
      id: address,
      role: "primary" as const,
      primary: null,
      health: "online",
    });
    const both = (...events: Distributed<StudyEvent>[]) => {
      whole.add(...events);
      short.add(...events);
    };
    const base = { type: "topology", added: [], removed: [], promoted: [] } as const;
    both(
      {
        ...base,
        reason: "first",
        nodes: [node(A), node(B)],
        added: [A, B],
        moved: [
          { start: 0, end: 99, from: null, to: A },
          { start: 100, end: 16383, from: null, to: B },
        ],
      },
      { type: "connecting", connection: 1, address: A, readOnly: false, attempt: 1 },
      { type: "connected", connection: 1, address: A, error: null },
      { type: "connecting", connection: 2, address: B, readOnly: false, attempt: 1 },
      { type: "connected", connection: 2, address: B, error: null },
      { type: "load", load: 1, address: A, script: SCRIPT, why: "preload", call: null },
      { type: "load", load: 2, address: B, script: SCRIPT, why: "preload", call: null },
      { type: "loaded", load: 1, address: A, script: SCRIPT, error: null },
      { type: "loaded", load: 2, address: B, script: SCRIPT, error: null },
      { type: "servers", nodes: [serverState({ 7: 1 })] },
      { ...base, reason: "moved", nodes: [node(A), node(B)], moved: [{ start: 50, end: 50, from: A, to: B }] },
      { type: "disconnected", connection: 2, address: B, reason: "closed-by-server", awaiting: 1 },
      { type: "audited", address: B, why: "noscript", asked: 1, held: [], missing: [SCRIPT] },
      { type: "servers", nodes: [serverState({ 7: 2 })] },
      { type: "action", action: 1, name: "flush", text: "SCRIPT FLUSH", state: "begun" },
      { type: "action", action: 1, name: "flush", text: "SCRIPT FLUSH", state: "done" },
      { type: "action", action: 2, name: "failover", text: "fail over", state: "begun" },
      { type: "connecting", connection: 3, address: "127.0.0.1:7002", readOnly: false, attempt: 1 },
      { type: "connected", connection: 3, address: "127.0.0.1:7002", error: "ECONNREFUSED" },
      { type: "load", load: 3, address: B, script: { name: "other", sha: "0".repeat(40) }, why: "preload", call: null },
      { type: "loaded", load: 3, address: B, script: { name: "other", sha: "0".repeat(40) }, error: "NOPERM" },
      { type: "refreshing", refresh: 1, reason: "moved" },
      { type: "refreshed", refresh: 1, adopted: true, changed: false },
      { type: "refreshing", refresh: 2, reason: "lost" },
    );
    assert.equal(whole.record.state().length, 24);
    const state = short.record.state();
    assert.ok(state.length < 16, `${state.length} events`);
    assert.ok(
      state.every((event, index) => index === 0 || event.seq >= (state[index - 1]?.seq ?? 0)),
      "in order",
    );
    const { calls, settled, audited, ...facts } = factsAfter(state);
    assert.deepEqual(facts, (({ calls, settled, audited, ...others }) => others)(factsAfter(whole.record.state())));
    assert.equal(facts.topology.ranges.length, 4);
    assert.deepEqual(facts.failures, { "127.0.0.1:7002": "ECONNREFUSED" });
    assert.deepEqual(facts.servers[0]?.keysBySlot, { 7: 2 });
  });
});
