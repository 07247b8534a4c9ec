import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lane } from "../../src/connection/lane.ts";
import { ReplyError } from "../../src/errors.ts";
import { type Miss, type Remedy, remedyOf } from "../../src/scripts/remedy.ts";
import type { ScriptState } from "../../src/scripts/script-state.ts";

const LANE = { name: "the call's lane" } as unknown as Lane;
const OTHER = { name: "another lane" } as unknown as Lane;
const done = Promise.resolve();
const NOPERM = new ReplyError("NOPERM User alice has no permissions to run the 'script|load' command");
const BROKEN = new ReplyError("ERR Error compiling script (new function): user_script:1: unexpected symbol");

const OOM = new ReplyError("OOM command not allowed when used memory > 'maxmemory'.");
const BUSY = new ReplyError("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");

const loading = (lane: Lane | undefined, queued: number): ScriptState => ({
  kind: "loading",
  lane,
  queued,
  done,
  earlier: undefined,
});
const held = (lane: Lane | undefined): ScriptState => ({ kind: "held", lane, queued: 10, effective: 20 });
const failed = (cause: ReplyError, final = false): ScriptState => ({ kind: "failed", cause, final });

const ROWS: readonly (Partial<Miss> & {
  readonly belief: string;
  readonly call: string;
  readonly expect: Remedy;
})[] = [
  { belief: "absent", call: "any", state: undefined, expect: { kind: "load" } },
  { belief: "failed, OOM", call: "of a library", kind: "library", state: failed(OOM), expect: { kind: "load" } },
  {
    belief: "failed, OOM",
    call: "of a library, mended before",
    kind: "library",
    state: failed(OOM),
    wasMended: true,
    expect: { kind: "give-up", cause: OOM },
  },
  { belief: "failed, BUSY", call: "mended before", state: failed(BUSY), wasMended: true, expect: { kind: "load" } },
  { belief: "absent", call: "mended before", state: undefined, wasMended: true, expect: { kind: "load" } },

  {
    belief: "loading on the call's lane",
    call: "queued before the load",
    state: loading(LANE, 10),
    stamp: 9,
    expect: { kind: "replay" },
  },
  {
    belief: "loading on the call's lane",
    call: "queued behind the load",
    state: loading(LANE, 10),
    stamp: 10,
    expect: { kind: "load" },
  },
  {
    belief: "loading on another lane",
    call: "queued before the load",
    state: loading(OTHER, 10),
    stamp: 9,
    expect: { kind: "wait", done },
  },
  {
    belief: "loading on another lane",
    call: "queued after the load",
    state: loading(OTHER, 10),
    stamp: 10,
    expect: { kind: "wait", done },
  },
  {
    belief: "loading while a connection is prepared",
    call: "any",
    state: loading(undefined, 10),
    stamp: 0,
    expect: { kind: "wait", done },
  },

  {
    belief: "held by a load on the call's lane",
    call: "queued before that load",
    state: held(LANE),
    stamp: 9,
    expect: { kind: "replay" },
  },
  {
    belief: "held by a load on the call's lane",
    call: "queued behind that load",
    state: held(LANE),
    stamp: 10,
    expect: { kind: "load" },
  },
  {
    belief: "held by a load on another lane",
    call: "queued before its reply",
    state: held(OTHER),
    stamp: 19,
    expect: { kind: "replay" },
  },
  {
    belief: "held by a load on another lane",
    call: "queued after its reply",
    state: held(OTHER),
    stamp: 20,
    expect: { kind: "load" },
  },
  {
    belief: "held",
    call: "of a script, behind a load of its own",
    state: held(LANE),
    stamp: 10,
    wasMended: true,
    expect: { kind: "load" },
  },
  {
    belief: "held",
    call: "of a library, queued after it was loaded",
    kind: "library",
    state: held(LANE),
    stamp: 10,
    expect: { kind: "load" },
  },
  {
    belief: "held",
    call: "of a library that was loaded for this attempt",
    kind: "library",
    state: held(LANE),
    stamp: 10,
    wasMended: true,
    expect: { kind: "give-up", cause: new ReplyError("ERR Function not found") },
  },
  {
    belief: "held",
    call: "of a library, queued before it was loaded",
    kind: "library",
    state: held(LANE),
    stamp: 9,
    wasMended: true,
    expect: { kind: "replay" },
  },

  {
    belief: "failed, and EVAL is denied as well",
    call: "any",
    state: failed(NOPERM, true),
    expect: { kind: "give-up", cause: NOPERM },
  },
  {
    belief: "failed",
    call: "of a library",
    kind: "library",
    state: failed(BROKEN),
    expect: { kind: "give-up", cause: BROKEN },
  },
  {
    belief: "failed",
    call: "of a library that may not be loaded",
    kind: "library",
    state: failed(NOPERM),
    expect: { kind: "give-up", cause: NOPERM },
  },
  { belief: "failed, loads are denied", call: "not mended before", state: failed(NOPERM), expect: { kind: "eval" } },
  {
    belief: "failed, loads are denied",
    call: "mended before",
    state: failed(NOPERM),
    wasMended: true,
    expect: { kind: "eval" },
  },
  { belief: "failed otherwise", call: "not mended before", state: failed(BROKEN), expect: { kind: "load" } },
  {
    belief: "failed otherwise",
    call: "mended before",
    state: failed(BROKEN),
    wasMended: true,
    expect: { kind: "give-up", cause: BROKEN },
  },
];

describe("the remedy for a miss", () => {
  for (const { belief, call, expect, ...miss } of ROWS) {
    it(`${belief}; a call, ${call}: ${expect.kind}`, () => {
      const found = remedyOf({ state: undefined, kind: "script", lane: LANE, stamp: 0, wasMended: false, ...miss });
      assert.deepEqual(found, expect);
    });
  }
});
