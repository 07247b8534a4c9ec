import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { ConnectionSettings } from "../../src/connection/connection.ts";
import { NodePool } from "../../src/connection/node-pool.ts";
import { Call } from "../../src/routing/call.ts";
import { idleCall } from "../support/calls.ts";
import { FakeWire } from "../support/fake-wire.ts";

function poolOn(wire: FakeWire): NodePool {
  const settings: ConnectionSettings = {
    address: "127.0.0.1:7000",
    endpoint: { host: "127.0.0.1", port: 7000 },
    environment: wire.environment,
    connectTimeoutMs: 2000,
    connectionName: undefined,
    readOnly: false,
    credentials: () => undefined,
  };
  const limits = { connections: 1, maxPending: 1000, maxPendingBytes: 10_000 };
  return new NodePool(settings, limits, { prepare: async () => {}, onUp() {}, onDown() {} });
}

describe("requests that are given up while they are queued", () => {
  let pool: NodePool;
  beforeEach(() => {
    const wire = new FakeWire();
    // Nobody answers, so everything stays queued.
    wire.server = undefined;
    pool = poolOn(wire);
  });
  afterEach(() => pool.close(new Error("done")));

  const lane = () => pool.laneOf(0);
  function queued(count: number, frame = ""): Call[] {
    return Array.from({ length: count }, () => {
      const call = new Call(
        idleCall(0).kind,
        frame,
        0,
        0,
        () => {},
        () => {},
      );
      lane().push(call);
      return call;
    });
  }
  const giveUp = (calls: readonly Call[]) => {
    for (const call of calls) call.reject(new Error("given up"));
  };

  it("make room at once, for calls and for bytes", () => {
    const calls = queued(1000, "0123456789");
    assert.equal(pool.hasRoomFor(1), false);
    giveUp(calls.slice(10, 20));
    assert.deepEqual([lane().pending, lane().pendingBytes], [990, 9900]);
    assert.equal(pool.hasRoomFor(100), true);
    assert.equal(pool.hasRoomFor(101), false);
    giveUp(calls);
    assert.deepEqual([lane().pending, lane().pendingBytes], [0, 0]);
  });

  it("cost a refusal nothing: 100,000 of them beside 1,000 queued calls", () => {
    queued(1000);
    const start = performance.now();
    for (let time = 0; time < 100_000; time++) pool.hasRoomFor(1);
    const took = performance.now() - start;
    assert.ok(took < 500, `${took} ms`);
  });
});

describe("what is queued on an open connection", () => {
  let wire: FakeWire;
  let pool: NodePool;
  let writes: string[];
  beforeEach(async () => {
    wire = new FakeWire();
    writes = [];
    wire.server = (written) => {
      if (written.includes("PING")) return "+PONG\r\n";
      writes.push(written);
      return undefined;
    };
    pool = poolOn(wire);
    await wire.pass(10);
    assert.equal(pool.ready, true);
  });
  afterEach(() => pool.close(new Error("done")));

  const push = (frame: string) => {
    const { kind } = idleCall(0);
    pool.laneOf(0).push(
      new Call(
        kind,
        frame,
        0,
        0,
        () => {},
        () => {},
      ),
    );
  };

  it("is written at the end of the tick, before other sockets are read, while little is in flight", () => {
    push("a");
    push("b");
    wire.clock.onReads = () => {
      wire.clock.onReads = () => {};
      assert.deepEqual(writes, ["ab"]);
      push("c");
    };
    wire.clock.advance(0);
    assert.deepEqual(writes, ["ab", "c"]);
  });

  it("is written once a turn while much is in flight, with what the replies on other sockets bring", () => {
    for (let count = 0; count < 8; count++) push(String(count));
    wire.clock.advance(0);
    assert.deepEqual(writes, ["01234567"]);
    push("a");
    wire.clock.onReads = () => {
      assert.equal(writes.length, 1);
      push("b");
    };
    wire.clock.advance(0);
    assert.deepEqual(writes, ["01234567", "ab"]);
  });
});
