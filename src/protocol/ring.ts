/** A full segment is followed by one of twice its size, up to this one. */
const MOST_ITEMS = 512;

/**
 * A first-in-first-out queue of segments. A segment is a plain array that is filled once and left to the garbage collector
 * when it is empty: young objects in a young array cost the collector no bookkeeping, as they do in an array that lives as
 * long as its connection. A queue that runs empty uses its last segment again.
 *
 *   first: [ , , head, x, x]   between: [x, x, x, x, x] ...   last: [x, x, tail, , ]
 */
export class Ring<T extends object> {
  #first: (T | undefined)[];
  /** Full segments, oldest first. */
  readonly #between: (T | undefined)[][] = [];
  /** The same as `#first` while there is only one. */
  #last: (T | undefined)[];
  #head = 0;
  #tail = 0;
  #size = 0;

  /** @param capacity  The size of the first segment. */
  constructor(capacity = 16) {
    this.#first = new Array(capacity).fill(undefined);
    this.#last = this.#first;
  }

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    if (this.#tail === this.#last.length) this.#addSegment();
    this.#last[this.#tail++] = item;
    this.#size++;
  }

  peek(): T | undefined {
    return this.#first[this.#head];
  }

  shift(): T | undefined {
    const first = this.#first;
    const head = this.#head;
    const item = first[head];
    if (item === undefined) return undefined;
    first[head] = undefined;
    this.#size--;
    if (this.#size === 0) {
      this.#head = 0;
      this.#tail = 0;
    } else if (head + 1 === first.length) {
      this.#first = this.#between.shift() ?? this.#last;
      this.#head = 0;
    } else this.#head = head + 1;
    return item;
  }

  /** Whether `isMeant` is true of an item. Looks at all of them. */
  some(isMeant: (item: T) => boolean): boolean {
    const segments = this.#first === this.#last ? [this.#first] : [this.#first, ...this.#between, this.#last];
    return segments.some((items) => items.some((item) => item !== undefined && isMeant(item)));
  }

  /** Empties the queue and returns its items, oldest first. */
  takeAll(): T[] {
    const items: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item);
    return items;
  }

  #addSegment(): void {
    const full = this.#last;
    if (full !== this.#first) this.#between.push(full);
    this.#last = new Array(Math.min(2 * full.length, MOST_ITEMS)).fill(undefined);
    this.#tail = 0;
  }
}
