import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { beforeEach, describe, it } from "node:test";
import { AbortedError } from "../../src/errors.ts";
import type { Call } from "../../src/routing/call.ts";
import { Signals } from "../../src/routing/signals.ts";
import { idleCall } from "../support/calls.ts";

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

describe("Signals", () => {
  let signals: Signals;
  let rejected: unknown[];
  const call = () => idleCall(1, (error) => rejected.push(error));

  /** As calls are sent: a call that settles is taken off its signal. */
  const listen = (signal: AbortSignal, item: Call) => {
    item.withExtras.stopListening = signals.listen(signal, item);
  };

  beforeEach(() => {
    signals = new Signals();
    rejected = [];
  });

  it("abort the call with the signal's reason as its cause", () => {
    const { signal, abort } = controller();
    listen(signal, call());
    const reason = new Error("the user left");
    abort(reason);
    const [error] = rejected;
    assert.ok(error instanceof AbortedError);
    assert.equal(error.code, "ABORTED");
    assert.equal(error.cause, reason);
    assert.equal(error.outcome, "not-executed");
  });

  it("abort a call that was written with an unknown outcome", () => {
    const { signal, abort } = controller();
    const written = call();
    written.place = "in-flight";
    listen(signal, written);
    abort();
    assert.equal((rejected[0] as AbortedError).outcome, "unknown");
  });

  it("put one listener on a signal, however many calls share it", () => {
    const { signal } = controller();
    for (let index = 0; index < 1000; index++) listen(signal, call());
    assert.equal(listeners(signal), 1);
  });

  it("abort every call that shares the signal, once", () => {
    const { signal, abort } = controller();
    for (let index = 0; index < 100; index++) listen(signal, call());
    abort();
    assert.equal(rejected.length, 100);
    assert.equal(listeners(signal), 0);
  });

  it("keep the listener until the last of its calls has settled, and then remove it", () => {
    const { signal } = controller();
    const calls = [call(), call(), call()];
    for (const each of calls) listen(signal, each);
    for (const [index, each] of calls.entries()) {
      assert.equal(listeners(signal), 1, `${index} settled`);
      each.onReply("OK");
    }
    assert.equal(listeners(signal), 0);
  });

  it("do not abort a call that has settled", () => {
    const { signal, abort } = controller();
    const [settled, waiting] = [call(), call()];
    listen(signal, settled);
    listen(signal, waiting);
    settled.onReply("OK");
    abort();
    assert.equal(rejected.length, 1);
    assert.equal(waiting.settled, true);
  });

  it("listen again to a signal that nobody waited for any more", () => {
    const { signal, abort } = controller();
    for (let round = 0; round < 3; round++) {
      const passing = call();
      listen(signal, passing);
      assert.equal(listeners(signal), 1);
      passing.onReply("OK");
      assert.equal(listeners(signal), 0);
    }
    listen(signal, call());
    abort();
    assert.equal(rejected.length, 1);
  });

  it("keep signals apart", () => {
    const [one, other] = [controller(), controller()];
    listen(one.signal, call());
    const waiting = call();
    listen(other.signal, waiting);
    one.abort();
    assert.equal(rejected.length, 1);
    assert.equal(waiting.settled, false);
    assert.equal(listeners(other.signal), 1);
  });

  it("leave alone the listeners of others", () => {
    const { signal } = controller();
    signal.addEventListener("abort", () => {});
    const passing = call();
    listen(signal, passing);
    passing.onReply("OK");
    assert.equal(listeners(signal), 1);
  });
});

function controller(): { signal: AbortSignal; abort: (reason?: unknown) => void } {
  const own = new AbortController();
  return { signal: own.signal, abort: (reason) => own.abort(reason) };
}
