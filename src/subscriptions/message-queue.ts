import { Ring } from "../protocol/ring.ts";

interface Item<T> {
  readonly value: T;
  readonly bytes: number;
}

/** The bounds of one queue. */
export interface QueueBounds {
  readonly items: number;
  readonly bytes: number;
}

/** What happened to the values of a queue. */
export interface QueueEvents<T> {
  /** The oldest value is dropped. */
  onDropped(value: T): void;
  /** The oldest value is about to be taken. Returns values to be taken in front of it. */
  onTaking(): readonly T[];
}

/** An iteration that waits for a value. */
interface Taker<T> {
  readonly by: object;
  readonly take: (result: T | undefined) => void;
  readonly fail: (error: Error) => void;
}

/**
 * What waits for an iteration: the oldest is dropped when there is no room. `take` resolves in the order in which it was
 * called.
 */
export class MessageQueue<T> {
  readonly #bounds: QueueBounds;
  readonly #events: QueueEvents<T>;
  readonly #items = new Ring<Item<T>>();
  /** In the order in which they came. */
  readonly #takers = new Set<Taker<T>>();
  /** Values that are taken in front of the items. */
  readonly #ahead: T[] = [];
  #bytes = 0;
  #end: Error | "done" | undefined;

  constructor(bounds: QueueBounds, events: QueueEvents<T>) {
    this.#bounds = bounds;
    this.#events = events;
  }

  push(value: T, bytes: number): void {
    if (this.#end !== undefined) return;
    for (const taker of this.#takers) {
      this.#takers.delete(taker);
      taker.take(value);
      return;
    }
    this.#items.push({ value, bytes });
    this.#bytes += bytes;
    // One value always has room, however large it is.
    while (this.#items.size > this.#bounds.items || (this.#bytes > this.#bounds.bytes && this.#items.size > 1)) {
      this.#events.onDropped(this.#shift() as T);
    }
  }

  /**
   * The oldest value, now or when there is one. Undefined: the queue has ended. Rejects if it ended with an error.
   * @param by  Who may change its mind: see `withdraw`.
   */
  take(by: object): Promise<T | undefined> {
    if (this.#ahead.length === 0 && this.#items.size > 0) this.#ahead.push(...this.#events.onTaking());
    const value = this.#ahead.shift() ?? this.#shift();
    if (value !== undefined) return Promise.resolve(value);
    if (this.#end === "done") return Promise.resolve(undefined);
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise((take, fail) => this.#takers.add({ by, take, fail }));
  }

  /** `by` waits for no value any more. What it waited for resolves to undefined. */
  withdraw(by: object): void {
    for (const taker of this.#takers) {
      if (taker.by !== by) continue;
      this.#takers.delete(taker);
      taker.take(undefined);
    }
  }

  /** No value follows. Those that wait can still be taken. */
  end(error?: Error): void {
    if (this.#end !== undefined) return;
    this.#end = error ?? "done";
    for (const { take, fail } of this.#takers) error === undefined ? take(undefined) : fail(error);
    this.#takers.clear();
  }

  #shift(): T | undefined {
    const item = this.#items.shift();
    if (item === undefined) return undefined;
    this.#bytes -= item.bytes;
    return item.value;
  }
}
