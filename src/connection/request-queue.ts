import { CHECKS_INVARIANTS, invariant } from "../invariant.ts";
import { Ring } from "../protocol/ring.ts";
import type { Backlog, Request } from "./request.ts";

/** Up to so many requests that were given up stay in the queue, however short it is. */
const MOST_GIVEN_UP = 64;

/**
 * What may be queued for a node until its pool looks at its connections again. It is never more than there is room for: it
 * shrinks with all that is queued, and does not grow with what leaves.
 */
export class Room {
  calls = 0;
  bytes = 0;
}

/**
 * Requests that are not written yet, in order. A request that is given up counts no longer, but stays in its place until
 * it comes to the front, or until such requests are half of the queue: taking each out at once would cost a search.
 */
export class RequestQueue implements Backlog {
  readonly #ring = new Ring<Request>();
  /** The requests in the ring that were given up: their `backlog` is undefined. */
  #givenUp = 0;
  #bytes = 0;
  readonly #room: Room;

  /** @param room  Shrinks with every request that is queued. */
  constructor(room = new Room()) {
    this.#room = room;
  }

  /** Requests that will be written. */
  get size(): number {
    return this.#ring.size - this.#givenUp;
  }

  /** Bytes that will be written. */
  get bytes(): number {
    return this.#bytes;
  }

  push(request: Request): void {
    if (CHECKS_INVARIANTS) {
      const { place } = request;
      invariant(place === "new" || place === "parked", `a request that is ${place} does not enter a queue`);
    }
    this.#ring.push(request);
    request.backlog = this;
    request.place = "queued";
    const { length } = request.frame;
    this.#bytes += length;
    const room = this.#room;
    room.calls--;
    room.bytes -= length;
  }

  /** Takes the request at the front. One that was given up is settled, and the connection leaves it out. */
  shift(): Request | undefined {
    const request = this.#ring.shift();
    if (request === undefined) return undefined;
    if (request.backlog === undefined) this.#givenUp--;
    else this.#leaves(request);
    return request;
  }

  /** Takes the first request that was not given up. */
  next(): Request | undefined {
    let request = this.shift();
    while (request !== undefined && request.place === "settled") request = this.shift();
    return request;
  }

  /** Takes every request that was not given up. */
  takeAll(): Request[] {
    const requests = this.#ring.takeAll().filter(({ backlog }) => backlog !== undefined);
    this.#givenUp = 0;
    for (const request of requests) {
      this.#leaves(request);
      request.place = "parked";
    }
    invariant(this.#bytes === 0, "an empty queue holds no bytes");
    return requests;
  }

  /** Takes the requests that `isTaken` picks. The others keep their order. */
  takeWhere(isTaken: (request: Request) => boolean): Request[] {
    if (this.#ring.size === 0) return [];
    return this.takeAll().filter((request) => {
      if (isTaken(request)) return true;
      this.push(request);
      return false;
    });
  }

  giveUp(request: Request): void {
    this.#leaves(request);
    this.#givenUp++;
    if (this.#givenUp <= MOST_GIVEN_UP || this.#givenUp * 2 <= this.#ring.size) return;
    for (const each of this.#ring.takeAll()) if (each.backlog !== undefined) this.#ring.push(each);
    this.#givenUp = 0;
  }

  #leaves(request: Request): void {
    request.backlog = undefined;
    this.#bytes -= request.frame.length;
  }
}
