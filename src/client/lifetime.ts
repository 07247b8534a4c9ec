import { ClosedError } from "../errors.ts";

/** An operation under way. Closing the client waits for it, and the end of the client ends it. */
export interface Underway {
  /** The operation waits for an event that may never come, and has no deadline. */
  readonly isEndless: boolean;
  /** Ends the operation, because the client has ended, or will not wait for it. */
  close(): void;
}

/**
 * Whether a client takes new calls, and which operations are under way on it.
 *
 *   open --close()--> closing --nothing is under way any more, or its time is up--> closed
 *     '------------------------------------ destroy() ------------------------------^
 */
export class Lifetime {
  readonly #underway = new Set<Underway>();
  readonly #whenOver: (() => void)[] = [];
  #state: "open" | "closing" | "closed" = "open";

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** @throws {ClosedError} The client takes no new calls. */
  refuseWhenClosed(): void {
    if (this.#state !== "open") throw new ClosedError();
  }

  /** Counts `item` as under way until the returned function is called. */
  track(item: Underway): () => void {
    this.#underway.add(item);
    return () => {
      this.#underway.delete(item);
      if (this.#underway.size === 0) for (const resolve of this.#whenOver.splice(0)) resolve();
    };
  }

  beginClosing(): void {
    if (this.#state === "open") this.#state = "closing";
  }

  /** Ends the operations that wait for events that may never come. */
  endEndless(): void {
    for (const item of [...this.#underway]) if (item.isEndless) item.close();
  }

  /** Resolves when no operation is under way. */
  async over(): Promise<void> {
    while (this.#underway.size > 0) await new Promise<void>((resolve) => this.#whenOver.push(resolve));
  }

  /** Ends every operation that is under way. Returns false if the client had ended before. */
  end(): boolean {
    if (this.#state === "closed") return false;
    this.#state = "closed";
    for (const item of [...this.#underway]) item.close();
    return true;
  }
}
