import type { MessageQueue } from "./message-queue.ts";

/**
 * One iteration over what waits. It is no generator, because a generator that is left while it waits stays until the next
 * value comes, and takes that value with it: this one takes nothing any more once it is left.
 */
export class Iteration<T, V> implements AsyncIterableIterator<V, undefined, void> {
  readonly #queue: MessageQueue<T>;
  readonly #pick: (value: T) => V | undefined;
  #isOver = false;

  /** @param pick  What is yielded for a value; undefined for a value that is left out. */
  constructor(queue: MessageQueue<T>, pick: (value: T) => V | undefined) {
    this.#queue = queue;
    this.#pick = pick;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<V, undefined>> {
    while (!this.#isOver) {
      const value = await this.#take();
      const picked = value === undefined ? undefined : this.#pick(value);
      if (picked !== undefined) return { done: false, value: picked };
      if (value === undefined) this.#isOver = true;
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<V, undefined>> {
    this.#isOver = true;
    this.#queue.withdraw(this);
    return { done: true, value: undefined };
  }

  async throw(error?: unknown): Promise<IteratorResult<V, undefined>> {
    await this.return();
    throw error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #take(): Promise<T | undefined> {
    try {
      return await this.#queue.take(this);
    } catch (error) {
      this.#isOver = true;
      throw error;
    }
  }
}
