import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Lane } from "../../src/connection/lane.ts";
import type { Request } from "../../src/connection/request.ts";
import { ProtocolError, ReplyError } from "../../src/errors.ts";
import { LoadPace } from "../../src/scripts/load-pace.ts";
import { LoadedScripts } from "../../src/scripts/loaded-scripts.ts";
import { defineScript } from "../../src/scripts/script.ts";
import { type RegisteredScript, ScriptRegistry } from "../../src/scripts/script-registry.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** Takes requests, and lets the test answer them. */
class StandInLane {
  readonly pushed: Request[] = [];
  push(request: Request): void {
    this.pushed.push(request);
  }
  get asLane(): Lane {
    return this as unknown as Lane;
  }
}

const NOPERM = "NOPERM User alice has no permissions to run the 'script|load' command";
const BROKEN = "ERR Error compiling script (new function): user_script:1: unexpected symbol";

describe("LoadedScripts", () => {
  let script: RegisteredScript;
  let other: RegisteredScript;
  let scripts: LoadedScripts;
  let lane: StandInLane;
  let elsewhere: StandInLane;

  beforeEach(() => {
    const registry = new ScriptRegistry();
    script = registry.register(defineScript({ name: "one", source: "return 1" }));
    other = registry.register(defineScript({ name: "two", source: "return 2" }));
    scripts = new LoadedScripts(registry);
    lane = new StandInLane();
    elsewhere = new StandInLane();
  });

  const load = (on = lane): Request => {
    void scripts.loadOn(on.asLane, script);
    return on.pushed.at(-1) as Request;
  };
  const kind = () => scripts.stateOf(script)?.kind;
  const remedy = (stamp: number, { on = lane, again = false } = {}) =>
    scripts.remedyFor(script, on.asLane, stamp, again);

  it("loads nothing again for an audit less than 10 ms after a load, whoever flushed it", () => {
    const clock = new FakeClock();
    const registry = new ScriptRegistry();
    script = registry.register(defineScript({ name: "one", source: "return 1" }));
    scripts = new LoadedScripts(registry, undefined, undefined, new LoadPace(clock));
    load().onReply(script.sha);
    const audit = () =>
      scripts.judge(
        [script],
        new Map([[script, "none"]]),
        { asked: scripts.stamp, lane: lane.asLane, isAhead: false },
        [],
      );
    assert.deepEqual(audit(), []);
    assert.equal(kind(), "held");
    clock.advance(10);
    assert.deepEqual(audit(), [script]);
    assert.equal(kind(), undefined);
  });

  it("loads nothing again for a question that overtook the queued load", () => {
    const request = load();
    const asked = { asked: scripts.stamp, lane: lane.asLane };
    request.onReply(script.sha);
    const findings = new Map([[script, "none" as const]]);
    assert.deepEqual(scripts.judge([script], findings, { ...asked, isAhead: true }, []), []);
    assert.equal(kind(), "held");
    assert.deepEqual(scripts.judge([script], findings, { ...asked, isAhead: false }, []), [script], "asked behind it");
  });

  describe("belief", () => {
    it("is none at first: a call needs a load in front of it", () => {
      assert.equal(kind(), undefined);
      assert.equal(scripts.needsLoad(script), true);
    });

    it("while a load is queued: no call needs one more, whatever its lane", () => {
      const request = load();
      assert.equal(request.frame, script.loadFrame);
      assert.equal(kind(), "loading");
      assert.equal(scripts.needsLoad(script), false);
    });

    it("is sure when the SHA-1 comes back", async () => {
      const done = scripts.loadOn(lane.asLane, script);
      lane.pushed[0]?.onReply(script.sha);
      await done;
      assert.equal(kind(), "held");
      assert.equal(scripts.needsLoad(script), false);
      assert.equal(scripts.needsLoad(script), false);
    });

    it("is a failure with the server's words when an error comes back, and every call goes out by SHA-1 as it is", async () => {
      const done = scripts.loadOn(lane.asLane, script);
      lane.pushed[0]?.onErrorReply(BROKEN);
      await done;
      const state = scripts.stateOf(script);
      assert.ok(state?.kind === "failed");
      assert.equal(state.cause.reply, BROKEN);
      assert.equal(state.cause.outcome, "not-executed");
      assert.equal(scripts.needsLoad(script), false);
    });

    it("is gone when the connection is lost while loading", async () => {
      for (const end of [
        (request: Request) => request.onLost(new Error("gone")),
        (request: Request) => request.onUndecodable("deep"),
      ]) {
        const done = scripts.loadOn(lane.asLane, script);
        end(lane.pushed.at(-1) as Request);
        await done;
        assert.equal(kind(), undefined);
      }
    });

    it("is only touched by the newest load", () => {
      const older = load();
      const newer = load();
      older.onErrorReply(BROKEN);
      assert.equal(kind(), "loading");
      newer.onReply(script.sha);
      assert.equal(kind(), "held");
      older.onLost(new Error("gone"));
      assert.equal(kind(), "held");
    });

    it("in one script says nothing of another", () => {
      load().onReply(script.sha);
      assert.equal(scripts.stateOf(other), undefined);
      assert.equal(scripts.needsLoad(other), true);
    });

    it("is not had from another SHA-1: that is no answer to SCRIPT LOAD", () => {
      const request = load();
      assert.throws(() => request.onReply(other.sha), ProtocolError);
      assert.notEqual(kind(), "held");
    });

    it("follows from a call that brought the source itself, once that has run", () => {
      const ended = scripts.loadByEval(lane.asLane, script);
      assert.equal(kind(), "loading");
      ended("held");
      assert.equal(kind(), "held");
      assert.equal(scripts.needsLoad(script), false);
    });

    it("settles every load that was asked for, also one that was overtaken", async () => {
      const first = scripts.loadOn(lane.asLane, script);
      const second = scripts.loadOn(lane.asLane, script);
      for (const request of lane.pushed) request.onReply(script.sha);
      await Promise.all([first, second]);
    });
  });

  describe("the remedy for NOSCRIPT", () => {
    it("with nothing known is a load", () => {
      assert.deepEqual(remedy(scripts.stamp), { kind: "load" });
    });

    it("to a call queued before the load on its lane is to send it again behind that", () => {
      const before = scripts.stamp;
      load();
      assert.deepEqual(remedy(before), { kind: "replay" });
    });

    it("to a call queued behind the load on its lane is one more load: somebody flushed in between", () => {
      load();
      assert.deepEqual(remedy(scripts.stamp), { kind: "load" });
    });

    it("while another lane loads is to wait for that", async () => {
      const request = load(elsewhere);
      const found = remedy(0);
      assert.ok(found.kind === "wait");
      request.onReply(script.sha);
      await found.done;
      assert.equal(kind(), "held");
    });

    it("to a call queued before the script was there is to send it again, on whatever lane", () => {
      const before = scripts.stamp;
      load().onReply(script.sha);
      assert.deepEqual(remedy(before), { kind: "replay" });
      assert.deepEqual(remedy(before, { on: elsewhere }), { kind: "replay" });
    });

    it("to a call queued when the script was there already is a load: the node forgot it", () => {
      load().onReply(script.sha);
      assert.deepEqual(remedy(scripts.stamp), { kind: "load" });
    });

    it("to many calls that a flush met is one load: those behind the first are sent again", () => {
      load().onReply(script.sha);
      const stamps = [scripts.stamp, scripts.stamp, scripts.stamp];
      const found = stamps.map((stamp) => {
        const { kind: what } = remedy(stamp);
        if (what === "load") load();
        return what;
      });
      assert.deepEqual(found, ["load", "replay", "replay"]);
      assert.equal(lane.pushed.length, 2);
    });

    it("where the node denies SCRIPT LOAD is to bring the source, and the calls behind that are sent again", () => {
      load().onErrorReply(NOPERM);
      const before = scripts.stamp;
      assert.deepEqual(remedy(before), { kind: "eval" });
      assert.deepEqual(remedy(before, { again: true }), { kind: "eval" });
      scripts.loadByEval(lane.asLane, script);
      assert.deepEqual(remedy(before), { kind: "replay" });
    });

    it("where the node denies EVAL as well is to give up, for every call", () => {
      load().onErrorReply(NOPERM);
      const cause = new ReplyError("NOPERM User alice has no permissions to run the 'eval' command");
      scripts.loadByEval(lane.asLane, script)({ cause, final: true });
      assert.deepEqual(remedy(scripts.stamp), { kind: "give-up", cause });
    });

    it("to a call that ran on another lane before the load took effect is to send it again", () => {
      const request = load();
      const between = scripts.stamp;
      request.onReply(script.sha);
      assert.deepEqual(remedy(between, { on: elsewhere }), { kind: "replay" });
      assert.deepEqual(remedy(between), { kind: "load" });
    });

    it("where a load failed otherwise is a load of its own, and then to give up with the server's words", () => {
      load().onErrorReply(BROKEN);
      assert.deepEqual(remedy(scripts.stamp), { kind: "load" });
      const found = remedy(scripts.stamp, { again: true });
      assert.ok(found.kind === "give-up");
      assert.equal(found.cause.reply, BROKEN);
    });

    it("after the connection was lost while loading is a load", () => {
      const before = scripts.stamp;
      load().onLost(new Error("gone"));
      assert.deepEqual(remedy(before), { kind: "load" });
    });
  });
});
