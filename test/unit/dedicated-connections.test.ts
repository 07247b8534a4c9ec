import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { DedicatedConnections } from "../../src/connection/dedicated-connections.ts";
import type { Place, Request } from "../../src/connection/request.ts";
import { AuthError } from "../../src/errors.ts";
import { settingsOn } from "../support/connection-settings.ts";
import { FakeWire } from "../support/fake-wire.ts";

/** Keeps what became of it. */
class Asked implements Request {
  readonly frame: string;
  readonly wantsBuffers = false;
  readonly asking = false;
  wasWritten = false;
  #place: Place = "new";
  backlog: Request["backlog"];
  ended: unknown;

  get place(): Place {
    return this.#place;
  }

  set place(place: Place) {
    this.#place = place;
    if (place === "in-flight") this.wasWritten = true;
  }

  constructor(frame = "*1\r\n$4\r\nWAIT\r\n") {
    this.frame = frame;
  }

  onReply(reply: unknown): void {
    this.#end(reply);
  }

  onErrorReply(text: string): void {
    this.#end(text);
  }

  onUndecodable(why: string): void {
    this.#end(why);
  }

  onLost(cause: Error): void {
    this.#end(cause);
  }

  /** As a call does when its deadline or its signal ends it. */
  giveUp(): void {
    this.#end("given up");
  }

  #end(how: unknown): void {
    // As a call drops what comes late.
    if (this.place === "settled") return;
    this.place = "settled";
    this.ended = how;
    this.backlog?.giveUp(this);
  }
}

describe("dedicated connections", () => {
  const PING = "*1\r\n$4\r\nPING\r\n";
  let wire: FakeWire;
  let dedicated: DedicatedConnections;
  let credentials: () => { password: string } | undefined;
  beforeEach(() => {
    wire = new FakeWire();
    // Whatever else is asked is kept waiting.
    wire.server = (written) => (written.endsWith(PING) ? "+PONG\r\n" : undefined);
    credentials = () => undefined;
    dedicated = new DedicatedConnections(settingsOn(wire, { credentials: () => credentials() }), 1000);
  });

  function pushed(count: number): Asked[] {
    return Array.from({ length: count }, () => {
      const request = new Asked();
      dedicated.push(request);
      return request;
    });
  }
  const openNow = () => wire.opened.filter(({ closed }) => !closed).length;

  it("are one for each request, and are used again", async () => {
    const requests = pushed(3);
    await wire.pass(5);
    assert.deepEqual([dedicated.pending, dedicated.states], [3, { connecting: 0, ready: 3 }]);
    for (const transport of wire.opened) transport.receive(":1\r\n");
    assert.deepEqual(
      requests.map(({ ended }) => ended),
      [1, 1, 1],
    );
    assert.equal(dedicated.pending, 0);
    pushed(2);
    assert.deepEqual([dedicated.pending, wire.opened.length], [2, 3]);
  });

  it("are not used again behind a refusal: what was held is refused in front of the end of the connection", async () => {
    const request = new Asked();
    request.onErrorReply = () => {
      request.place = "parked";
      dedicated.push(request);
    };
    dedicated.push(request);
    await wire.pass(5);
    wire.opened[0]?.receive("-UNBLOCKED force unblock from blocking operation\r\n");
    await wire.pass(5);
    assert.deepEqual([wire.opened.length, wire.opened[0]?.closed, dedicated.pending], [2, true, 1]);
    wire.opened[1]?.receive(":1\r\n");
    assert.equal(request.ended, 1);
    assert.equal(openNow(), 1);
  });

  it("are closed when nobody has needed them for ten seconds", async () => {
    pushed(2);
    await wire.pass(5);
    wire.opened[0]?.receive(":1\r\n");
    wire.clock.advance(9000);
    assert.equal(openNow(), 2);
    wire.clock.advance(2000);
    assert.equal(openNow(), 1, "the one that is waited on stays");
    assert.equal(dedicated.pending, 1);
  });

  it("end with a request that is given up, and with no other", async () => {
    const [first, second] = pushed(2);
    await wire.pass(5);
    first?.giveUp();
    assert.deepEqual(
      wire.opened.map(({ closed }) => closed),
      [true, false],
    );
    assert.deepEqual([dedicated.pending, second?.ended], [1, undefined]);
    wire.opened[1]?.receive(":1\r\n");
    const [third] = pushed(1);
    // What it had before is nothing to the connection any more.
    second?.backlog?.giveUp(second);
    assert.deepEqual([openNow(), third?.wasWritten, third?.ended], [1, true, undefined]);
  });

  it("serve whoever waits, when a request is given up before it was written", async () => {
    const [first, second] = pushed(2);
    first?.giveUp();
    assert.equal(dedicated.pending, 1);
    await wire.pass(5);
    assert.deepEqual([first?.wasWritten, second?.wasWritten, dedicated.states.ready], [false, true, 2]);
  });

  it("are at most a thousand; what waits for one has a bound in bytes", async () => {
    pushed(999);
    assert.match(String(dedicated.refusalOf(2000)), /maxPendingBytesPerNode is 1000 bytes/);
    await wire.pass(5);
    assert.equal(dedicated.refusalOf(2000), undefined);
    const [last] = pushed(1);
    const refusal = dedicated.refusalOf(1);
    assert.deepEqual([refusal?.code, refusal?.outcome], ["QUEUE_FULL", "not-executed"]);
    assert.match(String(refusal), /127\.0\.0\.1:7000: 1000 calls that block/);
    last?.giveUp();
    assert.equal(dedicated.refusalOf(1), undefined);
  });

  it("are tried one at a time while a node refuses them, and all at once when it does not any more", async () => {
    const serving = wire.server;
    wire.server = new Error("refused");
    const requests = pushed(50);
    await wire.pass(5);
    assert.equal(wire.opened.length, 50);
    await wire.pass(1000);
    const tries = wire.opened.length - 50;
    assert.ok(tries > 1 && tries < 20, `${tries} tries in a second`);
    assert.ok(requests.every(({ ended }) => ended === undefined));
    wire.server = serving;
    await wire.pass(600);
    assert.ok(requests.every(({ wasWritten }) => wasWritten));
    assert.equal(openNow(), 50);
  });

  it("are not tried when nobody waits any more", async () => {
    wire.server = new Error("refused");
    const [request] = pushed(1);
    await wire.pass(5);
    request?.giveUp();
    const { length } = wire.opened;
    await wire.pass(1000);
    assert.equal(wire.opened.length, length);
    assert.equal(wire.clock.pending.size, 0);
  });

  it("are not waited for where the credentials are refused", async () => {
    credentials = () => ({ password: "wrong" });
    wire.server = () => "-WRONGPASS invalid username-password pair\r\n+PONG\r\n";
    const requests = pushed(2);
    await wire.pass(5);
    for (const { ended } of requests) assert.ok(ended instanceof AuthError);
    assert.deepEqual([dedicated.pending, openNow()], [0, 0]);
  });

  it("serve no other request once they were renewed", async () => {
    const [first] = pushed(2);
    await wire.pass(5);
    wire.opened[1]?.receive(":1\r\n");
    dedicated.renew();
    assert.deepEqual(
      wire.opened.map(({ closed }) => closed),
      [false, true],
    );
    wire.opened[0]?.receive(":1\r\n");
    assert.deepEqual([first?.ended, openNow()], [1, 0]);
    pushed(1);
    await wire.pass(5);
    assert.deepEqual([wire.opened.length, dedicated.pending], [3, 1]);
  });

  it("are lent, one that is free before a new one, and come back", async () => {
    pushed(1);
    await wire.pass(5);
    wire.opened[0]?.receive(":1\r\n");
    const lent: unknown[] = [];
    const first = await dedicated.lend((connection) => lent.push(connection));
    const opening = dedicated.lend((connection) => lent.push(connection));
    await wire.pass(5);
    const second = await opening;
    assert.deepEqual([lent, wire.opened.length], [[first.connection, second.connection], 2]);
    assert.equal(dedicated.pending, 2);
    pushed(1);
    await wire.pass(5);
    assert.equal(wire.opened.length, 3, "what is lent is nobody else's");
    first.giveBack();
    pushed(1);
    assert.deepEqual([wire.opened.length, dedicated.pending], [3, 3]);
    dedicated.renew();
    second.giveBack();
    assert.equal(wire.opened[1]?.closed, true);
    assert.equal(dedicated.pending, 2);
  });

  it("are at most 1,000 with those that are lent and with requests that wait elsewhere", async () => {
    const lending = dedicated.lend(() => {});
    await wire.pass(5);
    const loan = await lending;
    dedicated.hold(1);
    pushed(998);
    await assert.rejects(
      dedicated.lend(() => {}),
      { code: "QUEUE_FULL", outcome: "not-executed" },
    );
    dedicated.release(1);
    pushed(1);
    loan.connection.close(new Error("the transaction has ended"));
    assert.equal(dedicated.pending, 999);
    wire.server = new Error("refused");
    const refused = dedicated.lend(() => {});
    assert.equal(dedicated.pending, 1000);
    await Promise.all([assert.rejects(refused), wire.pass(5)]);
    assert.equal(dedicated.pending, 999);
  });

  it("tell everybody who waits for it when the last request that is carried has ended", async () => {
    const [first] = pushed(1);
    await wire.pass(5);
    let drained = 0;
    const waiting = [dedicated.drain(), dedicated.drain()].map((done) => done.then(() => drained++));
    await wire.pass(5);
    assert.equal(drained, 0);
    first?.giveUp();
    await Promise.all(waiting);
  });

  it("carry one request each, also after bytes that are no whole reply yet", async () => {
    pushed(1);
    await wire.pass(5);
    wire.opened[0]?.receive(":1\r\n");
    wire.opened[0]?.receive(":");
    assert.equal(dedicated.states.ready, 1);
    pushed(2);
    await wire.pass(5);
    assert.equal(wire.opened.length, 2);
  });

  it("lose everything when they are closed, and what comes later", async () => {
    const cause = new Error("the client is closed");
    const [carried] = pushed(1);
    await wire.pass(5);
    const [waiting] = pushed(1);
    dedicated.close(cause);
    const [late] = pushed(1);
    assert.deepEqual([waiting?.ended, late?.ended], [cause, cause]);
    assert.ok(carried?.ended instanceof Error);
    assert.deepEqual([carried?.wasWritten, waiting?.wasWritten, openNow(), dedicated.pending], [true, false, 0, 0]);
    await wire.pass(50);
    assert.equal(wire.clock.pending.size, 0);
  });
});
