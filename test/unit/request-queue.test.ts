import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Place, Request } from "../../src/connection/request.ts";
import { RequestQueue, Room } from "../../src/connection/request-queue.ts";

/** A request that only waits. */
class Waiting implements Request {
  readonly frame: string;
  readonly wantsBuffers = false;
  readonly asking = false;
  place: Place = "new";
  backlog: Request["backlog"];

  constructor(frame = "x") {
    this.frame = frame;
  }

  /** As a call does that its deadline or its signal ends. */
  giveUp(): void {
    this.place = "settled";
    this.backlog?.giveUp(this);
  }

  onReply(): void {}
  onErrorReply(): void {}
  onUndecodable(): void {}
  onLost(): void {}
}

describe("a queue of requests", () => {
  let queue: RequestQueue;
  beforeEach(() => {
    queue = new RequestQueue();
  });

  function queued(count: number, frame?: string): Waiting[] {
    return Array.from({ length: count }, () => {
      const request = new Waiting(frame);
      queue.push(request);
      return request;
    });
  }
  /** All requests that a connection would write. */
  function written(): Request[] {
    const requests: Request[] = [];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (next.place !== "settled") requests.push(next);
    }
    return requests;
  }
  const figures = () => [queue.size, queue.bytes];

  it("counts a request until it is given up", () => {
    const requests = queued(1000, "0123456789");
    for (const request of requests.slice(10, 20)) request.giveUp();
    assert.deepEqual(figures(), [990, 9900]);
    for (const request of requests) request.giveUp();
    assert.deepEqual(figures(), [0, 0]);
  });

  it("gives its requests in order, and counts a settled one at the front no second time", () => {
    const requests = queued(20);
    for (const request of requests.slice(5, 15)) request.giveUp();
    assert.deepEqual(written(), [...requests.slice(0, 5), ...requests.slice(15)]);
    assert.deepEqual(figures(), [0, 0]);
    for (const request of requests) request.giveUp();
    assert.deepEqual(figures(), [0, 0]);
  });

  it("takes from the room of its node what is queued, and gives nothing back", () => {
    const room = new Room();
    Object.assign(room, { calls: 10, bytes: 100 });
    queue = new RequestQueue(room);
    const other = new RequestQueue(room);
    for (const request of queued(3, "abcd")) request.giveUp();
    other.push(new Waiting("xyz"));
    queue.takeAll();
    other.shift();
    assert.deepEqual({ ...room }, { calls: 6, bytes: 85 });
  });

  it("gives the first that was not given up, when one is asked for", () => {
    const requests = queued(4);
    for (const request of requests.slice(0, 2)) request.giveUp();
    assert.deepEqual([queue.next(), queue.next(), queue.next()], [requests[2], requests[3], undefined]);
    assert.deepEqual(figures(), [0, 0]);
  });

  it("gives back, when all are taken, those that were not given up, parked and in order", () => {
    const requests = queued(300);
    const kept = requests.filter((_, index) => index % 3 === 0);
    for (const request of requests) if (!kept.includes(request)) request.giveUp();
    assert.deepEqual(queue.takeAll(), kept);
    assert.ok(kept.every(({ place, backlog }) => place === "parked" && backlog === undefined));
    assert.deepEqual(figures(), [0, 0]);
  });

  it("gives back those that are picked, and keeps the order of the others", () => {
    const requests = queued(6, "ab");
    requests[2]?.giveUp();
    const seen: Request[] = [];
    const taken = queue.takeWhere((request) => seen.push(request) % 2 === 0);
    const [first, second, , fourth, fifth, sixth] = requests;
    assert.deepEqual(seen, [first, second, fourth, fifth, sixth]);
    assert.deepEqual(taken, [second, fifth]);
    assert.deepEqual(figures(), [3, 6]);
    assert.deepEqual(written(), [first, fourth, sixth]);
  });

  it("lets go of requests that were given up, however many there are", () => {
    const [first] = queued(1);
    for (let round = 0; round < 300; round++) {
      for (const request of queued(900, `${round}${"x".repeat(100)}`)) request.giveUp();
    }
    assert.deepEqual(figures(), [1, 1]);
    let left = 0;
    while (queue.shift() !== undefined) left++;
    assert.ok(left <= 130, `${left} are still in the queue`);
    assert.equal(first?.place, "queued");
  });

  it("takes no request that waits elsewhere, is in flight, or is settled", () => {
    for (const place of ["queued", "in-flight", "settled"] as const) {
      assert.throws(() => queue.push(Object.assign(new Waiting(), { place })), new RegExp(`that is ${place}`));
    }
  });
});
