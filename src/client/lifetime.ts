import { ClosedError } from "../errors.ts";

/** Something under way that closing waits for, and that the end of the client ends. */
export interface Underway {
  /** It waits for an event that may never come, and has no deadline. */
  readonly isEndless: boolean;
  /** The client has ended. */
  close(): void;
}

/**
 * Whether a client takes new calls, and what is under way on it.
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

  /** Returns the function that says that `item` is over. */
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

  /** Ends what waits for events that may never come. */
  endEndless(): void {
    for (const item of [...this.#underway]) if (item.isEndless) item.close();
  }

  /** Resolves when nothing is under way. */
  async over(): Promise<void> {
    while (this.#underway.size > 0) await new Promise<void>((resolve) => this.#whenOver.push(resolve));
  }

  /** Ends everything that is under way. False when that has happened before. */
  end(): boolean {
    if (this.#state === "closed") return false;
    this.#state = "closed";
    for (const item of [...this.#underway]) item.close();
    return true;
  }
}
