import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import { ALL_KEYS, type Writing, type WrittenKeys } from "../routing/call-extras.ts";
import { hashOfText } from "./question.ts";

/** What a call holds that may write any key. It takes no place. */
const OF_ALL = -1;
/** In place of a slot that is not known. */
const ANY_SLOT = SLOT_COUNT;
const NO_PLACE = -1;
const FIRST_ROOM = 64;
/** A read looks through so many places at most, and so many are kept when no write is under way. */
const MOST_LOOKS = 1024;

/**
 * The keys that calls of this client under way may write. Nothing is kept of them meanwhile.
 *
 * Each key has a place for as long as its call is under way. Calls that are made one after the other have places side by
 * side, and end in about the same order, so that writes share what is in the processor's cache. Counts by hash, and lists by
 * slot, are elsewhere in memory for each write, and were measured to cost a write with a thousand under way twice as much or
 * more (bench/README.md). A read that is to be kept looks through all places. Where a crowd is under way, or was and some
 * call has not ended since, the first such read counts all keys once, and writes keep the counts from then on.
 */
export class OwnWrites {
  /** By place: the slot; below 0 where there is no key. Those are a list: -2 less the next one, or -1 at its end. */
  #slots = new Int32Array(0);
  /** By place: a number of the key, or 0 until a read has found it out. */
  #hashes = new Int32Array(0);
  readonly #keys: string[] = [];
  #free = NO_PLACE;
  #count = 0;
  #ofAll = 0;
  /** How many places each key has. Undefined until a read needs it. */
  #byKey: Map<string, number> | undefined;

  /** A call begins that may write. From now on it holds the places of its keys, in place of the keys. */
  begin(writing: Writing): void {
    const keys = writing.written as WrittenKeys;
    if (typeof keys === "string") writing.written = this.#add(keys, writing.slot);
    else if (keys !== ALL_KEYS) writing.written = keys.map((key) => this.#add(key, writing.slot));
    else {
      this.#ofAll++;
      writing.written = OF_ALL;
    }
  }

  /** The call has ended. Nothing happens if it has not begun, or has ended before. */
  end(writing: Writing): void {
    const places = writing.written;
    if (typeof places === "number") {
      if (places === OF_ALL) this.#ofAll--;
      else this.#remove(places);
    } else if (isPlaces(places)) for (const place of places) this.#remove(place);
    else return;
    writing.written = undefined;
  }

  /** Whether a call under way may write one of the keys, which are of one slot. */
  concern(keys: readonly string[], slot: number): boolean {
    if (this.#ofAll > 0) return true;
    return this.#count > 0 && keys.some((key) => this.#has(key, slot));
  }

  #has(key: string, slot: number): boolean {
    const slots = this.#slots;
    if (slots.length > MOST_LOOKS) {
      this.#byKey ??= this.#counted();
      return this.#byKey.has(key);
    }
    let hash = 0;
    for (let place = 0; place < slots.length; place++) {
      const other = slots[place];
      if (other !== slot && other !== ANY_SLOT) continue;
      // To compare two keys takes as long as to compare many numbers.
      if (hash === 0) hash = numberOf(key);
      if (this.#hashes[place] === 0) this.#hashes[place] = numberOf(this.#keys[place] as string);
      if (this.#hashes[place] === hash && this.#keys[place] === key) return true;
    }
    return false;
  }

  #counted(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const [place, slot] of this.#slots.entries()) if (slot >= 0) note(counts, this.#keys[place] as string, 1);
    return counts;
  }

  #add(key: string, slot: number): number {
    if (this.#free === NO_PLACE) this.#grow();
    const place = this.#free;
    this.#free = -2 - (this.#slots[place] as number);
    this.#slots[place] = slot < 0 ? ANY_SLOT : slot;
    this.#hashes[place] = 0;
    this.#keys[place] = key;
    this.#count++;
    if (this.#byKey !== undefined) note(this.#byKey, key, 1);
    return place;
  }

  #remove(place: number): void {
    this.#slots[place] = -2 - this.#free;
    this.#free = place;
    if (this.#byKey !== undefined) note(this.#byKey, this.#keys[place] as string, -1);
    this.#keys[place] = "";
    if (--this.#count === 0 && this.#keys.length > MOST_LOOKS) this.#forget();
  }

  /** Reads need not look through what a crowd has left. */
  #forget(): void {
    this.#slots = new Int32Array(0);
    this.#hashes = new Int32Array(0);
    this.#keys.length = 0;
    this.#free = NO_PLACE;
    this.#byKey = undefined;
  }

  #grow(): void {
    const { length } = this.#slots;
    const room = Math.max(FIRST_ROOM, 2 * length);
    this.#slots = grown(this.#slots, room);
    this.#hashes = grown(this.#hashes, room);
    for (let place = length; place < room; place++) this.#keys.push("");
    for (let place = room - 1; place >= length; place--) {
      this.#slots[place] = -2 - this.#free;
      this.#free = place;
    }
  }
}

function grown(values: Int32Array, room: number): Int32Array<ArrayBuffer> {
  const all = new Int32Array(room);
  all.set(values);
  return all;
}

function note(counts: Map<string, number>, key: string, step: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + step;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

function isPlaces(written: Writing["written"]): written is readonly number[] {
  return Array.isArray(written) && typeof written[0] === "number";
}

/** Never 0. */
function numberOf(key: string): number {
  return hashOfText(key) | 1;
}
