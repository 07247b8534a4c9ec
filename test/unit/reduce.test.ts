import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StudyEvent } from "../../src/cli/study/events.ts";
import type { Happening } from "../../src/cli/study/recorder.ts";
import { type Facts, factsAfter, NOTHING, reduce } from "../../src/cli/web/page/reduce.js";
import { ownerOf } from "../../src/cli/web/page/reduce-topology.js";

const A = "h:1";
const B = "h:2";
const script = { name: "take", sha: "f".repeat(40) };

const node = (address: string, id = address) =>
  ({ address, id, role: "primary", primary: null, health: "online" }) as const;
const topology = (happening: Partial<Extract<Happening, { type: "topology" }>>): Happening => ({
  ...{ type: "topology", reason: "first", nodes: [node(A), node(B)], added: [], removed: [], promoted: [], moved: [] },
  ...happening,
});
const call = (number: number): Happening => ({
  type: "call",
  call: number,
  command: "GET",
  script: null,
  slot: 7,
  of: null,
});
const queued = (number: number, attempt: number, address: string): Happening => ({
  ...{ type: "queued", call: number, attempt, address, command: "GET", asking: false, bytes: 20, loadBytes: 0 },
});
const written = (number: number, attempt: number, address: string, connection: number): Happening => ({
  ...{ type: "written", call: number, attempt, address, connection, waitedMs: 1 },
});

const record = (...happenings: Happening[]) =>
  happenings.map((happening, index) => ({ seq: index + 1, at: index * 10, ...happening }) as StudyEvent);

/** Makes whatever is in it unchangeable. */
function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) frozen(each);
  }
  return value;
}

describe("reduce", () => {
  it("keeps a call under way from its beginning to its end, and changes no earlier state", () => {
    const events = record(
      call(1),
      queued(1, 1, A),
      written(1, 1, A, 4),
      { ...{ type: "answered", call: 1, attempt: 1, address: A, connection: 4, kind: "reply", bytes: 5 }, text: null },
      { type: "settled", call: 1, attempts: 1, address: A, code: null, outcome: null },
    );
    const states: Facts[] = [];
    let facts = frozen(NOTHING);
    for (const event of events) {
      facts = frozen(reduce(facts, frozen(event)));
      states.push(facts);
    }
    assert.deepEqual(
      states.map(({ calls, settled }) => (calls[1] ?? settled[0])?.place),
      ["new", "queued", "written", "answered", "settled"],
    );
    assert.deepEqual(facts.calls, {});
    assert.deepEqual(facts.settled[0]?.end, { at: 40, code: null, outcome: null });
    const [attempt] = facts.settled[0]?.attempts ?? [];
    assert.deepEqual([attempt?.queuedAt, attempt?.writtenAt, attempt?.answeredAt], [10, 20, 30]);
    // Stepping back is reducing anew, up to there.
    for (const [index, state] of states.entries()) assert.deepEqual(factsAfter(events, index + 1), state);
  });

  it("tells an attempt that was lost from one that was never written", () => {
    const { calls, connections } = factsAfter(
      record(
        { type: "connecting", connection: 4, address: A, readOnly: false, attempt: 1 },
        { type: "connected", connection: 4, address: A, error: null },
        ...[call(1), call(2), call(3)],
        ...[queued(1, 1, A), queued(2, 1, A), queued(3, 1, B)],
        ...[written(1, 1, A, 4), written(3, 1, B, 5)],
        { type: "disconnected", connection: 4, address: A, reason: "broken", awaiting: 1 },
        queued(2, 2, B),
      ),
    );
    assert.deepEqual(
      [1, 2, 3].map((number) => calls[number]?.attempts.map(({ place }) => place)),
      [["lost"], ["taken-back", "queued"], ["written"]],
    );
    assert.deepEqual(connections, {});
  });

  it("knows why a node cannot be reached, until it can", () => {
    const connecting = (connection: number): Happening => {
      return { type: "connecting", connection, address: A, readOnly: false, attempt: connection };
    };
    const events = record(
      connecting(1),
      { type: "connected", connection: 1, address: A, error: "refused" },
      connecting(2),
      { type: "connected", connection: 2, address: A, error: null },
    );
    assert.deepEqual(factsAfter(events, 2).failures, { [A]: "refused" });
    assert.deepEqual(factsAfter(events, 2).connections, {});
    assert.deepEqual(factsAfter(events).failures, {});
    assert.equal(factsAfter(events).connections[2]?.isOpen, true);
  });

  it("moves slots, and forgets the scripts of a node whose place another one has taken", () => {
    const audited: Happening = { type: "audited", address: A, why: "told", asked: 0, held: [script], missing: [] };
    const events = record(
      topology({ added: [A, B], moved: [{ start: 0, end: 16383, from: null, to: A }] }),
      audited,
      topology({ reason: "moved", moved: [{ start: 5, end: 7, from: A, to: B }] }),
      topology({ reason: "refreshed", nodes: [node(A, "other"), node(B)] }),
    );
    const moved = factsAfter(events, 3);
    assert.deepEqual(moved.topology.ranges, [
      { start: 0, end: 4, address: A },
      { start: 5, end: 7, address: B },
      { start: 8, end: 16383, address: A },
    ]);
    assert.deepEqual([ownerOf(moved.topology, 6), ownerOf(moved.topology, 8)], [B, A]);
    assert.equal(moved.scripts[A]?.[script.sha]?.state, "held");
    assert.deepEqual(factsAfter(events).scripts, {});
  });

  it("lets the end of a load count only while no newer one, and no word of the node, has taken over", () => {
    const load = (number: number): Happening => {
      return { type: "load", load: number, address: A, script, why: "audit", call: null };
    };
    const loaded = (number: number, error: string | null): Happening => {
      return { type: "loaded", load: number, address: A, script, error };
    };
    const stateAfter = (...happenings: Happening[]) => {
      const { scripts, loads } = factsAfter(record(...happenings));
      return [scripts[A]?.[script.sha]?.state, Object.keys(loads).length];
    };
    assert.deepEqual(stateAfter(load(1)), ["loading", 1]);
    assert.deepEqual(stateAfter(load(1), loaded(1, null)), ["held", 0]);
    assert.deepEqual(stateAfter(load(1), loaded(1, "OOM")), ["failed", 0]);
    assert.deepEqual(stateAfter(load(1), loaded(1, "LOST")), ["missing", 0]);
    assert.deepEqual(stateAfter(load(1), load(2), loaded(1, "LOST")), ["loading", 1]);
    const gone: Happening = { type: "audited", address: A, why: "flushed", asked: 0, held: [], missing: [script] };
    assert.deepEqual(stateAfter(load(1), gone, loaded(1, null)), ["missing", 0]);
  });

  it("knows which refreshes and actions are under way, and what the servers said last", () => {
    const events = record(
      { type: "refreshing", refresh: 1, reason: "moved" },
      { type: "action", action: 1, name: "flush", text: "flush the scripts", state: "begun" },
      { type: "refreshed", refresh: 1, adopted: true, changed: false },
      { type: "action", action: 1, name: "flush", text: "flush the scripts", state: "done" },
    );
    const between = factsAfter(events, 2);
    assert.deepEqual([between.refreshes[1]?.reason, between.actions[1]?.name], ["moved", "flush"]);
    assert.deepEqual([factsAfter(events).refreshes, factsAfter(events).actions], [{}, {}]);
  });

  it("leaves out calls whose beginning is not in the record, and keeps a bounded number of those that have settled", () => {
    assert.deepEqual(factsAfter(record(queued(9, 3, A), written(9, 3, A, 1))).calls, {});
    const many = Array.from({ length: 500 }, (_, index): Happening[] => [
      call(index + 1),
      { type: "settled", call: index + 1, attempts: 0, address: null, code: null, outcome: null },
    ]).flat();
    const { settled, calls } = factsAfter(record(...many));
    assert.deepEqual([settled.length, settled.at(-1)?.call, Object.keys(calls).length], [200, 500, 0]);
  });
});
