import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Connection, ConnectionSettings } from "../../src/connection/connection.ts";
import { openConnection } from "../../src/connection/open-connection.ts";
import { Watchdog } from "../../src/connection/watchdog.ts";
import { FakeWire, type Server } from "../support/fake-wire.ts";

const BUSY = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n";
const NOSCRIPT = "-NOSCRIPT No matching script. Please use EVAL.\r\n";

/** Answers the handshake and the question behind it, and no call. */
const answers: Server = (written) => {
  if (written.includes("PING")) return "+PONG\r\n";
  return written.includes("EVALSHA") ? NOSCRIPT : undefined;
};

describe("a watchdog", () => {
  let wire: FakeWire;
  let connection: Connection;
  let watchdog: Watchdog;
  let seen: string[];
  let seenAt: number;

  async function open(): Promise<void> {
    const settings: ConnectionSettings = {
      address: "127.0.0.1:7000",
      endpoint: { host: "127.0.0.1", port: 7000 },
      environment: wire.environment,
      connectTimeoutMs: 2000,
      connectionName: undefined,
      readOnly: false,
      credentials: () => undefined,
    };
    const opening = openConnection(settings);
    await wire.pass(2 * wire.delayMs);
    connection = await opening;
    seen = [];
    const note = (what: string) => {
      seen.push(what);
      seenAt = wire.clock.time;
    };
    watchdog = new Watchdog(connection, settings, {
      onHalfOpen: (why) => note(`half-open: ${why.message}`),
      onSilent: (why) => note(`silent: ${why.message}`),
      onSpeaking: () => note("speaking"),
    });
  }

  /** A call is written. When. */
  function call(): number {
    void connection.exchange(["GET", "k"]);
    watchdog.watch();
    return wire.clock.time;
  }

  const kinds = () => seen.map((what) => what.split(":")[0]);
  const reply = () => wire.opened[0]?.receive("+OK\r\n");

  beforeEach(async () => {
    wire = new FakeWire();
    wire.server = answers;
    await open();
  });
  afterEach(() => {
    watchdog.end();
    connection.close(new Error("done"));
    assert.equal(wire.clock.pending.size, 0, "no timer is left");
    assert.ok(wire.opened.every(({ closed }) => closed));
  });

  it("asks nobody while replies come, reads the clock once for all that is written meanwhile, and rests in between", async () => {
    assert.equal(wire.clock.pending.size, 0);
    for (let time = 0; time < 20; time++) {
      call();
      await wire.pass(90);
      reply();
    }
    assert.equal(wire.opened.length, 1);
    const readings = wire.clock.readings;
    for (let time = 0; time < 1000; time++) call();
    assert.equal(wire.clock.readings, readings);
    for (let time = 0; time < 1000; time++) reply();
    await wire.pass(600);
    assert.deepEqual([seen, wire.clock.pending.size], [[], 0]);
  });

  it("finds a connection half-open on which nothing comes, while the node answers on another", async () => {
    const start = call();
    await wire.pass(495);
    assert.equal(wire.opened.length, 1, "half a second is nothing yet");
    await wire.pass(1000);
    assert.deepEqual(seen, ["half-open: no answer for 533 ms, while the node answers on another connection"]);
    assert.ok(seenAt - start < 1000, `after ${seenAt - start} ms`);
    assert.equal(wire.opened.length, 2);
  });

  it("finds it half-open as well where the node refuses another connection: who was behind it is gone", async () => {
    wire.server = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    call();
    await wire.pass(1000);
    assert.deepEqual(kinds(), ["half-open"]);
  });

  it("lets the last bytes arrive before it judges", async () => {
    wire.server = (written) => {
      if (written.includes("EVALSHA")) wire.clock.setTimer(reply, 20);
      return answers(written);
    };
    call();
    await wire.pass(1500);
    assert.deepEqual(seen, []);
  });

  it("waits for a node that says BUSY, and for one that answers again", async () => {
    wire.server = () => BUSY;
    call();
    await wire.pass(4000);
    assert.deepEqual(seen, []);
    reply();
    await wire.pass(600);
    assert.equal(wire.clock.pending.size, 0);
  });

  it("finds a node silent that answers nobody, says so once, and notices when it speaks again", async () => {
    wire.server = undefined;
    const start = call();
    await wire.pass(3000);
    assert.deepEqual(seen, ["silent: no answer for 900 ms, nor on a second connection"]);
    assert.ok(seenAt - start <= 1200, `after ${seenAt - start} ms`);
    reply();
    await wire.pass(1000);
    assert.deepEqual(kinds(), ["silent", "speaking"]);
  });

  it("finds a connection half-open when the node that was silent answers others again", async () => {
    wire.server = undefined;
    call();
    await wire.pass(2000);
    wire.server = answers;
    await wire.pass(2000);
    assert.deepEqual(kinds(), ["silent", "half-open"]);
  });

  it("takes a node whose writes are paused for silent: it answers PING, and no script", async () => {
    wire.server = (written) => (written.includes("EVALSHA") ? undefined : answers(written));
    call();
    await wire.pass(2000);
    reply();
    await wire.pass(1000);
    assert.deepEqual(kinds(), ["silent", "speaking"]);
  });

  it("does not blame the node when the event loop was busy: what has arrived is read first", async () => {
    call();
    await wire.pass(10);
    // One turn of the event loop that took two seconds: timers come first, then what the sockets hold.
    let turns = 0;
    wire.clock.onReads = () => {
      if (++turns === 2) reply();
    };
    wire.clock.time += 2000;
    await wire.pass(20);
    await wire.pass(1000);
    assert.deepEqual([seen, wire.opened.length], [[], 1]);
  });

  it("gives a slow way more time: twice what opening took", async () => {
    connection.close(new Error("done"));
    wire.delayMs = 300;
    await open();
    assert.equal(connection.openedInMs, 600);
    call();
    await wire.pass(1190);
    assert.equal(wire.opened.length, 2);
    await wire.pass(1100);
    assert.deepEqual(kinds(), ["half-open"]);
  });

  it("leaves no timer when it ends", async () => {
    call();
    assert.equal(wire.clock.pending.size, 1);
    watchdog.end();
    assert.equal(wire.clock.pending.size, 0);
  });

  it("ends its question with itself", async () => {
    wire.server = undefined;
    call();
    await wire.pass(600);
    assert.equal(wire.opened.length, 2);
    watchdog.end();
    await wire.pass(2000);
    assert.deepEqual(seen, []);
  });
});
