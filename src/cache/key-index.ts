import type { Entry } from "./entry.ts";

/** The entries by the keys that their calls named. Most keys have one entry, which needs no set. */
export class KeyIndex {
  readonly #byKey = new Map<string, Entry | Set<Entry>>();
  #turn: IterableIterator<Entry | Set<Entry>> | undefined;

  /** The number of keys. */
  get size(): number {
    return this.#byKey.size;
  }

  /** The entries whose calls named a key. Undefined for none. */
  get(key: string): Iterable<Entry> | undefined {
    const there = this.#byKey.get(key);
    return there === undefined ? undefined : listed(there);
  }

  /** The entries of a key, each time of another one. */
  next(): Iterable<Entry> {
    this.#turn ??= this.#byKey.values();
    const { value: there } = this.#turn.next();
    if (there !== undefined) return listed(there);
    this.#turn = undefined;
    return [];
  }

  add(entry: Entry): void {
    for (const key of entry.facts.keys) {
      const there = this.#byKey.get(key);
      if (there === undefined) this.#byKey.set(key, entry);
      else if (there instanceof Set) there.add(entry);
      else this.#byKey.set(key, new Set([there, entry]));
    }
  }

  delete(entry: Entry): void {
    for (const key of entry.facts.keys) {
      const there = this.#byKey.get(key);
      if (there === entry || (there instanceof Set && there.delete(entry) && there.size === 0)) this.#byKey.delete(key);
    }
  }
}

function listed(there: Entry | Set<Entry>): Iterable<Entry> {
  return there instanceof Set ? there : [there];
}
