import { ALL_KEYS, type WrittenKeys } from "../routing/call-extras.ts";
import { hashOfText } from "./question.ts";

/** A power of two. With 1,000 writes under way, 1.5 of 100 reads are kept back by the write of another key. */
const COUNTS = 65_536;

/**
 * The calls of this client under way that may write. Nothing that they may change is kept meanwhile. They are counted by the
 * hash of the key: to put each into a map and take it out again would be the larger part of what a cache costs a write.
 */
export class OwnWrites {
  readonly #byHash = new Uint32Array(COUNTS);
  #keys = 0;
  #ofAll = 0;

  begin(keys: WrittenKeys): void {
    this.#count(keys, 1);
  }

  end(keys: WrittenKeys): void {
    this.#count(keys, -1);
  }

  /** Whether a call under way may write one of the keys, as far as is known. */
  concern(keys: readonly string[]): boolean {
    if (this.#ofAll > 0) return true;
    return this.#keys > 0 && keys.some((key) => this.#byHash[placeOf(key)] !== 0);
  }

  #count(keys: WrittenKeys, step: 1 | -1): void {
    if (keys === ALL_KEYS) this.#ofAll += step;
    else if (typeof keys === "string") this.#countOne(keys, step);
    else for (const key of keys) this.#countOne(key, step);
  }

  #countOne(key: string, step: 1 | -1): void {
    const place = placeOf(key);
    this.#keys += step;
    this.#byHash[place] = (this.#byHash[place] as number) + step;
  }
}

function placeOf(key: string): number {
  return hashOfText(key) & (COUNTS - 1);
}
