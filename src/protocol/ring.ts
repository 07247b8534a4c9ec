/** A first-in-first-out queue: a circular array that doubles when it is full. */
export class Ring<T extends object> {
  #slots: (T | undefined)[];
  #mask: number;
  #head = 0;
  #size = 0;

  /** @param capacity  The initial capacity, a power of two. */
  constructor(capacity = 16) {
    this.#slots = new Array(capacity).fill(undefined);
    this.#mask = capacity - 1;
  }

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    if (this.#size > this.#mask) this.#grow();
    this.#slots[(this.#head + this.#size) & this.#mask] = item;
    this.#size++;
  }

  peek(): T | undefined {
    return this.#slots[this.#head];
  }

  shift(): T | undefined {
    const item = this.#slots[this.#head];
    if (item === undefined) return undefined;
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.#size--;
    return item;
  }

  /** Whether `isMeant` is true of an item. Looks at all of them. */
  some(isMeant: (item: T) => boolean): boolean {
    return this.#slots.some((item) => item !== undefined && isMeant(item));
  }

  /** Empties the queue and returns its items, oldest first. */
  takeAll(): T[] {
    const items: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item);
    return items;
  }

  #grow(): void {
    const size = this.#size;
    const slots = this.takeAll() as (T | undefined)[];
    slots.length = size * 2;
    this.#slots = slots.fill(undefined, size);
    this.#mask = size * 2 - 1;
    this.#head = 0;
    this.#size = size;
  }
}
