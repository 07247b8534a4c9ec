import type { Entry } from "./entry.ts";

/** The entries by the keys that their calls named. Most keys have one entry, which needs no set. */
export class KeyIndex {
  readonly #byKey = new Map<string, Entry | Set<Entry>>();
  #turn: Iterator<Entry, undefined> | undefined;

  /** The entries whose calls named a key. Undefined for none. */
  get(key: string): Iterable<Entry> | undefined {
    const there = this.#byKey.get(key);
    return there === undefined ? undefined : listed(there);
  }

  /** The same, and leaves none of them here. */
  take(key: string): Iterable<Entry> | undefined {
    const entries = this.get(key);
    this.#byKey.delete(key);
    return entries;
  }

  /** An entry, each time another one. Undefined when all have had their turn, and then it begins again. */
  next(): Entry | undefined {
    this.#turn ??= this.#all();
    const { value: entry } = this.#turn.next();
    if (entry === undefined) this.#turn = undefined;
    return entry;
  }

  *#all(): Generator<Entry, undefined> {
    for (const there of this.#byKey.values()) yield* listed(there);
  }

  add(entry: Entry): void {
    for (const key of entry.facts.keys) this.put(key, entry);
  }

  /** Adds an entry under one of its keys. */
  put(key: string, entry: Entry): void {
    const there = this.#byKey.get(key);
    if (there === undefined) this.#byKey.set(key, entry);
    else if (there instanceof Set) there.add(entry);
    else this.#byKey.set(key, new Set([there, entry]));
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
