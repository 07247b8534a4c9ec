import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { ConnectionSettings } from "../../src/connection/connection.ts";
import type { Lane } from "../../src/connection/lane.ts";
import { NodePool } from "../../src/connection/node-pool.ts";
import { type Call, makeCall } from "../../src/routing/call.ts";
import { idleCall } from "../support/calls.ts";
import { settingsOn } from "../support/connection-settings.ts";
import { FakeWire } from "../support/fake-wire.ts";

function poolOn(wire: FakeWire, changes: Partial<ConnectionSettings> = {}): NodePool {
  const limits = { connections: 1, maxPending: 1000, maxPendingBytes: 10_000 };
  return new NodePool(settingsOn(wire, changes), limits, { prepare: async () => true, onUp() {}, onDown() {} });
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
      const call = makeCall(
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

  it("leave a bound exact, though a pool looks at its connections once in many calls", () => {
    let looks = 0;
    const bytes = lane().pendingBytes;
    Object.defineProperty(lane(), "pendingBytes", { get: () => bytes + 0 * looks++ });
    for (let time = 0; time < 500; time++) {
      assert.equal(pool.hasRoomFor(1), true);
      queued(1);
    }
    assert.equal(looks <= 2, true, `${looks} looks at the lane`);
    pool.hold(0, 499);
    assert.equal(pool.hasRoomFor(1), true);
    queued(1);
    assert.equal(pool.hasRoomFor(1), false);
    pool.release(0, 499);
    assert.equal(pool.hasRoomFor(1), true);
    pool.hold(10_000, 1);
    assert.equal(pool.hasRoomFor(1), false);
    pool.release(10_000, 1);
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
      makeCall(
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

describe("a lane", () => {
  let wire: FakeWire;
  let pool: NodePool;
  const lane = () => pool.laneOf(0);
  beforeEach(() => {
    wire = new FakeWire();
    wire.server = (written) => (written.includes("PING") ? "+PONG\r\n" : undefined);
  });
  afterEach(() => pool.close(new Error("done")));

  it("starts its watchdog when it hands its connection out, and not when it is looked at", async () => {
    pool = poolOn(wire);
    await wire.pass(10);
    assert.deepEqual([lane().ready, lane().state, lane().inDoubt, lane().pending], [true, "ready", false, 0]);
    assert.equal(wire.clock.pending.size, 0);
    void lane().useConnection()?.exchange(["CLUSTER", "SHARDS"]);
    assert.equal(wire.clock.pending.size, 1);
  });

  it("tells everybody who waits for it when nothing is queued or in flight", async () => {
    pool = poolOn(wire);
    await wire.pass(10);
    push(lane());
    wire.clock.advance(0);
    let drained = 0;
    const waiting = [lane().drain(), lane().drain()].map((done) => done.then(() => drained++));
    await wire.pass(20);
    assert.equal(drained, 0);
    wire.opened[0]?.receive("+OK\r\n");
    await Promise.all([...waiting, wire.pass(20)]);
  });

  it("waits between its tries where creating a stream throws at once", async () => {
    let tries = 0;
    const open = () => {
      tries++;
      throw new Error("no tunnel");
    };
    pool = poolOn(wire, { environment: { ...wire.environment, open } });
    await wire.pass(5);
    assert.deepEqual([tries, lane().state, lane().cause?.message], [1, "waiting", "no tunnel"]);
    await wire.pass(1000);
    assert.ok(tries > 2 && tries < 10, `${tries} tries in a second`);
  });

  it("closes a replaced connection behind its last reply, and writes on a fresh one meanwhile", async () => {
    pool = poolOn(wire);
    await wire.pass(10);
    push(lane());
    wire.clock.advance(0);
    lane().replaceConnection();
    await wire.pass(10);
    assert.deepEqual([wire.opened.length, wire.opened[0]?.closed, lane().ready], [2, false, true]);
    wire.opened[0]?.receive("+OK\r\n");
    assert.deepEqual([wire.opened[0]?.closed, lane().ready], [true, true]);
  });

  it("keeps a replaced connection for as long as its server works at a call, and no longer than it is waited for", async () => {
    wire.server = (written) => (written.includes("WAIT") ? undefined : "+PONG\r\n");
    pool = poolOn(wire);
    await wire.pass(10);
    const call = push(lane());
    wire.clock.advance(0);
    lane().replaceConnection();
    await wire.pass(12_000);
    assert.deepEqual([wire.opened[0]?.closed, call.settled], [false, false]);
    call.reject(new Error("given up"));
    await wire.pass(10_000);
    assert.equal(wire.opened[0]?.closed, true);
  });

  it("gives a replaced connection up that is dead", async () => {
    const answer = (written: string) =>
      written.includes("EVALSHA") ? "-NOSCRIPT No matching script.\r\n" : "+PONG\r\n";
    wire.server = (written) => (written.includes("GET") ? undefined : answer(written));
    pool = poolOn(wire);
    await wire.pass(10);
    push(lane(), "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    wire.clock.advance(0);
    lane().replaceConnection();
    await wire.pass(3000);
    assert.equal(wire.opened[0]?.closed, true);
  });
});

function push(lane: Lane, frame = "*1\r\n$4\r\nWAIT\r\n"): Call {
  const { kind } = idleCall(0);
  const ignore = () => {};
  const call = makeCall(kind, frame, 0, 0, ignore, ignore);
  lane.push(call);
  return call;
}
