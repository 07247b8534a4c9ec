import type { WrittenKeys } from "../routing/call-extras.ts";

/** The calls of this client under way that may write. Nothing that they may change is kept meanwhile. */
export class OwnWrites {
  readonly #byKey = new Map<string, number>();
  #ofAll = 0;

  begin(keys: WrittenKeys): void {
    if (keys === "all") this.#ofAll++;
    else for (const key of keys) this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + 1);
  }

  end(keys: WrittenKeys): void {
    if (keys === "all") this.#ofAll--;
    else {
      for (const key of keys) {
        const left = (this.#byKey.get(key) ?? 1) - 1;
        if (left === 0) this.#byKey.delete(key);
        else this.#byKey.set(key, left);
      }
    }
  }

  /** Whether a call under way may write one of the keys. */
  concern(keys: readonly string[]): boolean {
    if (this.#ofAll > 0) return true;
    return this.#byKey.size > 0 && keys.some((key) => this.#byKey.has(key));
  }
}
