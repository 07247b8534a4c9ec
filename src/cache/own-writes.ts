import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import { ALL_KEYS, type Writing, type WrittenKeys } from "../routing/call-extras.ts";
import { hashOfText } from "./question.ts";

/** In place of a place: none. */
const NONE = -1;
/** What a call holds that may write any key. It takes no place. */
const OF_ALL = -1;
/** The list of the keys whose slot is not known. */
const ANY_SLOT = SLOT_COUNT;
const NOT_HASHED = -1;

/**
 * The keys that calls of this client under way may write. Nothing is kept of them meanwhile. A write is told by its slot,
 * which is known, and adds its key to the list of the slot: to hash the key, twice, was the larger part of what a cache
 * cost a write. Only a read that is to be kept, of a slot with writes, looks at their keys.
 *
 * The lists are doubly linked, in arrays by place, so that a write allocates nothing.
 */
export class OwnWrites {
  /** By slot, the place of the key that came last. */
  readonly #first = new Int32Array(SLOT_COUNT + 1).fill(NONE);
  /** By place: a key that may be written, or "" where there is none. */
  readonly #keys: string[] = [];
  /** By place, a number of the key. Reads find it out, each key's once. */
  readonly #hashes: number[] = [];
  readonly #next: number[] = [];
  readonly #previous: number[] = [];
  /** The places without a key are a list as well. */
  #free = NONE;
  #ofAll = 0;

  /** A call begins that may write. From now on it holds the places of its keys, in place of the keys. */
  begin(writing: Writing): void {
    const keys = writing.written as WrittenKeys;
    const list = writing.slot < 0 ? ANY_SLOT : writing.slot;
    if (typeof keys === "string") writing.written = this.#add(keys, list);
    else if (keys !== ALL_KEYS) writing.written = keys.map((key) => this.#add(key, list));
    else {
      this.#ofAll++;
      writing.written = OF_ALL;
    }
  }

  /** The call has ended. Nothing happens if it has not begun, or has ended before. */
  end(writing: Writing): void {
    const { written: places, slot } = writing;
    const list = slot < 0 ? ANY_SLOT : slot;
    if (places === OF_ALL) this.#ofAll--;
    else if (typeof places === "number") this.#remove(places, list);
    else if (Array.isArray(places))
      for (const place of places) if (typeof place === "number") this.#remove(place, list);
    if (typeof places === "number" || Array.isArray(places)) writing.written = undefined;
  }

  /** Whether a call under way may write one of the keys, which are of one slot. */
  concern(keys: readonly string[], slot: number): boolean {
    if (this.#ofAll > 0) return true;
    const [first, ofAny] = [this.#first[slot] as number, this.#first[ANY_SLOT] as number];
    if (first === NONE && ofAny === NONE) return false;
    return keys.some((key) => this.#isListed(key, first) || this.#isListed(key, ofAny));
  }

  #isListed(key: string, first: number): boolean {
    const hash = positive(hashOfText(key));
    for (let place = first; place !== NONE; place = this.#next[place] as number) {
      if (this.#hashes[place] === NOT_HASHED) this.#hashes[place] = positive(hashOfText(this.#keys[place] as string));
      if (this.#hashes[place] === hash && this.#keys[place] === key) return true;
    }
    return false;
  }

  #add(key: string, list: number): number {
    let place = this.#free;
    if (place === NONE) place = this.#keys.length;
    else this.#free = this.#next[place] as number;
    const next = this.#first[list] as number;
    this.#keys[place] = key;
    this.#hashes[place] = NOT_HASHED;
    this.#next[place] = next;
    this.#previous[place] = NONE;
    if (next !== NONE) this.#previous[next] = place;
    this.#first[list] = place;
    return place;
  }

  #remove(place: number, list: number): void {
    const next = this.#next[place] as number;
    const previous = this.#previous[place] as number;
    if (previous === NONE) this.#first[list] = next;
    else this.#next[previous] = next;
    if (next !== NONE) this.#previous[next] = previous;
    this.#keys[place] = "";
    this.#next[place] = this.#free;
    this.#free = place;
  }
}

/** A whole number that the engine keeps in an array as it is. */
function positive(hash: number): number {
  return hash >>> 2;
}
