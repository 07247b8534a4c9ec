import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Probe } from "../../src/connection/probe.ts";
import { Repeats } from "../../src/connection/repeats.ts";
import type { Place, Request } from "../../src/connection/request.ts";
import { settingsOn } from "../support/connection-settings.ts";
import { FakeWire } from "../support/fake-wire.ts";

const FRAME = "*2\r\n$3\r\nGET\r\n$1\r\na\r\n";

class Read implements Request {
  readonly frame = FRAME;
  readonly wantsBuffers = false;
  readonly asking = false;
  place: Place = "new";
  backlog: Request["backlog"];
  ended: unknown;

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
    this.ended = cause;
    this.place = "parked";
  }

  #end(how: unknown): void {
    this.place = "settled";
    this.ended = how;
  }
}

describe("the connection for repeats", () => {
  let wire: FakeWire;
  let repeats: Repeats;
  /** How many reads came together in each write. */
  let together: number[];
  /** With so many reads together the server closes the connection. */
  let tooMany: number;

  beforeEach(() => {
    wire = new FakeWire();
    together = [];
    tooMany = Number.POSITIVE_INFINITY;
    wire.server = (written) => {
      if (!written.startsWith(FRAME)) return "+PONG\r\n";
      const count = written.length / FRAME.length;
      together.push(count);
      return count >= tooMany ? new Error("output limit") : "+OK\r\n".repeat(count);
    };
    const settings = settingsOn(wire);
    repeats = new Repeats(settings, () => {}, new Probe(settings));
  });

  /** Pushes reads; each that is lost comes again, as calls do. */
  async function all(count: number): Promise<Read[]> {
    const reads = Array.from({ length: count }, () => new Read());
    for (const read of reads) repeats.push(read);
    for (let passed = 0; passed < 500 && reads.some(({ place }) => place !== "settled"); passed++) {
      await wire.pass(1);
      for (const read of reads) if (read.place === "parked") repeats.push(read);
    }
    return reads;
  }

  it("takes one at first, and twice as many each time that all were answered", async () => {
    const reads = await all(40);
    assert.ok(reads.every(({ ended }) => ended === "OK"));
    assert.deepEqual(together, [1, 2, 4, 8, 16, 9]);
    assert.equal(wire.opened.length, 1);
  });

  it("learns how many are too many, and tries no more than a quarter of them together", async () => {
    tooMany = 10;
    const reads = await all(60);
    assert.ok(reads.every(({ ended }) => ended === "OK"));
    assert.deepEqual(together.slice(0, 8), [1, 2, 4, 8, 16, 1, 2, 4]);
    assert.ok(
      together.slice(8).every((count) => count <= 4),
      together.join(" "),
    );
    assert.equal(wire.opened.length, 2, "one connection was lost");
  });

  it("says when each request is alone, so that a loss is due to it", async () => {
    tooMany = 1;
    const read = new Read();
    assert.equal(repeats.sendsAlone, true);
    repeats.push(read);
    await wire.pass(5);
    assert.ok(read.ended instanceof Error);
    assert.equal(repeats.sendsAlone, true);
  });

  it("begins with one again after a while of rest, and closes a connection that nobody needs", async () => {
    await all(10);
    assert.deepEqual(together, [1, 2, 4, 3]);
    await all(3);
    assert.deepEqual(together.slice(4), [1, 2]);
    wire.clock.advance(10_000);
    assert.equal(wire.opened[0]?.closed, true);
  });

  it("gives requests back when it cannot connect, and to nobody when it was closed", async () => {
    wire.server = new Error("refused");
    const read = new Read();
    repeats.push(read);
    await wire.pass(5);
    assert.equal(read.place, "parked");
    assert.match(String(read.ended), /refused/);
    repeats.close(new Error("over"));
    const late = new Read();
    repeats.push(late);
    assert.match(String(late.ended), /over/);
    assert.equal(repeats.pending, 0);
  });

  it("gives everything back when a replica answers nobody, because other nodes can serve it", async () => {
    for (const readOnly of [true, false]) {
      const answers = (written: string) => "+PONG\r\n".repeat(written.match(/^\*/gm)?.length ?? 0);
      wire.server = (written) => (written.startsWith(FRAME) ? undefined : answers(written));
      const settings = settingsOn(wire, { readOnly });
      repeats = new Repeats(settings, () => {}, new Probe(settings));
      const reads = Array.from({ length: 3 }, () => new Read());
      for (const read of reads) repeats.push(read);
      await wire.pass(10);
      assert.equal(reads[0]?.place, "in-flight");
      wire.server = undefined;
      await wire.pass(3000);
      const places = new Set(reads.map(({ place }) => place));
      assert.deepEqual(places, new Set(readOnly ? ["parked"] : ["in-flight", "queued"]));
    }
  });

  it("leaves out what was given up before it was written", async () => {
    const reads = Array.from({ length: 3 }, () => new Read());
    for (const read of reads) repeats.push(read);
    const [, second] = reads as [Read, Read, Read];
    second.place = "settled";
    second.backlog?.giveUp(second);
    assert.equal(repeats.pending, 2);
    await wire.pass(10);
    assert.deepEqual(together, [1, 1]);
  });
});
