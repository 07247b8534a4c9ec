import { LRUCache } from "lru-cache";
import type { Argument } from "../protocol/reply.ts";
import type { CacheTrace } from "../telemetry/cache-trace.ts";
import type { CacheDropReason } from "../telemetry/channels.ts";
import { countIn } from "../telemetry/counters.ts";
import { bytesOf, type Entry, type Reader } from "./entry.ts";
import { KeyIndex } from "./key-index.ts";
import { hashOf, type Question } from "./question.ts";
import { type Kind, type Part, Shelves, take } from "./shelves.ts";
import { SlotCounts } from "./slot-counts.ts";

/** About as many bytes as an entry takes besides what was asked, its keys and its reply. */
const ENTRY_BYTES = 320;
const KEY_BYTES = 96;
/** So many entries are looked at in one sweep. */
const MOST_LOOKS = 1000;

const SCRIPTS: readonly Kind[] = ["deriving", "declared"];
const DERIVING: readonly Kind[] = ["deriving"];

/** How many entries have ended, by the address of the node that they were read from. */
type Counts = readonly (readonly [address: string, count: number])[];

/** So many are removed at once, and more of them later. */
const FEW = 100;

/** So many entries are let go of with their indexes, if nothing else is in these. */
const MANY = 1000;

/** Whether an entry has ended, and waits to be cleared away. */
const hasEnded = ({ row }: Entry) => row.isCut;

/**
 * The replies that are kept: by what was asked, by the keys that the calls named, and by reader and slot. It knows
 * nothing of time, and decides nothing.
 *
 * What ends together ends in one step, and is cleared away later, some at a time: `clear`. Between the two it is still in the
 * indexes, and counts among the bytes, but for nothing else, and it goes before anything is evicted.
 */
export class Store {
  readonly dropped: Record<string, number> = {};
  invalidated = 0;
  evicted = 0;
  readonly #maxBytes: number;
  /** By the hash of what was asked. Where two questions have the same one, the later entry takes the place. */
  #entries: LRUCache<number, Entry>;
  #byKey = new KeyIndex();
  #slots = new SlotCounts();
  readonly #shelves = new Map<Reader, Shelves>();
  readonly #trace: CacheTrace | undefined;
  readonly #onEnded: () => void;
  /** The entries that have not ended. */
  #size = 0;
  /** Entries that have ended. Some may be gone meanwhile. */
  #ended: Iterator<Entry>[] = [];
  /** The entries that end while a newer one is put in their place, or needs their room. */
  readonly #evicted: Entry[] = [];
  readonly #replaced: Entry[] = [];

  /**
   * @param trace  Told what has ended, when it can not be had any more.
   * @param onEnded  Called when something waits for `clear`.
   */
  constructor(maxBytes: number, trace?: CacheTrace, onEnded: () => void = () => {}) {
    this.#maxBytes = maxBytes;
    this.#trace = trace;
    this.#onEnded = onEnded;
    this.#entries = this.#empty();
  }

  #empty(): LRUCache<number, Entry> {
    return new LRUCache<number, Entry>({
      maxSize: this.#maxBytes,
      sizeCalculation: ({ bytes }) => bytes,
      // In front of the removal, so that no index leads to an entry that is gone.
      dispose: (entry, _, why) => {
        if (!hasEnded(entry)) {
          if (why === "evict") this.#evicted.push(entry);
          else if (why === "set") this.#replaced.push(entry);
        }
        this.#byKey.delete(entry);
        this.#slots.remove(entry.facts.slot);
        this.#endOne(entry);
      },
    });
  }

  /** The entries that have not ended. */
  get size(): number {
    return this.#size;
  }

  /** Those that wait to be cleared away. */
  get waiting(): number {
    return this.#entries.size - this.#size;
  }

  /** About as many bytes as all take, those that wait to be cleared away too. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** The entry for what was asked, which becomes the one that was read last. Only `isFresh` says that it has not ended. */
  get(head: number, keys: readonly Argument[], args: readonly Argument[]): Entry | undefined {
    const entry = this.#entries.get(hashOf(head, keys, args));
    return entry?.question.isOf(head, keys, args) ? entry : undefined;
  }

  /** Keeps an entry, unless it is larger than the whole store may be. */
  put(entry: Entry): void {
    const most = this.#maxBytes - entry.bytes;
    while (this.bytes > most && most >= 0 && this.waiting > 0) this.clear(1);
    this.#entries.set(entry.question.hash, entry);
    const isKept = this.#entries.peek(entry.question.hash) === entry;
    if (isKept) this.#index(entry);
    const [evicted, replaced] = [this.#evicted.splice(0), this.#replaced.splice(0)];
    this.evicted += evicted.length;
    this.#tellEach(evicted, "evicted");
    this.#noteEach(replaced, "replaced");
    if (!isKept) this.#noteEach([entry], "too-large");
  }

  #index(entry: Entry): void {
    this.#byKey.add(entry);
    this.#slots.add(entry.facts.slot);
    const { reader } = entry.facts;
    let shelves = this.#shelves.get(reader);
    if (shelves === undefined) {
      shelves = new Shelves(reader);
      this.#shelves.set(reader, shelves);
    }
    shelves.add(entry);
    this.#size++;
  }

  /** A key of something that a reader has read, each time of another slot. */
  keyOf(reader: Reader): string | undefined {
    return this.#shelves.get(reader)?.next()?.facts.keys[0];
  }

  /** Removes some entries whose time is over. It looks at so many at most, each time at others. */
  sweep(now: number): void {
    const over = new Set<Entry>();
    for (let looks = Math.min(MOST_LOOKS, this.#entries.size); looks > 0; looks--) {
      const entry = this.#byKey.next();
      if (entry !== undefined && now >= entry.until && !hasEnded(entry)) over.add(entry);
    }
    this.drop(over, "expired");
  }

  /**
   * Removes the entries of a key that the client itself writes.
   * @param slot  That of the key; -1 if it is not known.
   */
  dropKey(key: string, slot: number): void {
    if (!this.#slots.mayHave(slot)) return;
    // The next write of the key need not look at them again, cleared away or not.
    const named = this.#byKey.take(key);
    if (named !== undefined) this.drop(named, "own-write");
  }

  /**
   * A server has said that a key has changed. Removes the entries of `reader` whose calls named it, and those of scripts
   * that may have read it unnamed: those that are not known to keep to their keys, or, for a key that was not to be
   * expected, all.
   */
  invalidate(reader: Reader, key: string, isExpected: boolean): void {
    const isOwn = ({ facts }: Entry) => facts.reader === reader;
    const all = [...(this.#byKey.take(key) ?? [])];
    const own = all.filter(isOwn);
    if (own.length < all.length) for (const entry of all) if (!isOwn(entry)) this.#byKey.put(key, entry);
    const named = this.#remove(own);
    this.invalidated += named.length;
    const shelves = this.#shelves.get(reader);
    const isUnnamed = named.length === 0 && !isExpected;
    const derived = (isUnnamed ? SCRIPTS : DERIVING).flatMap((kind) => shelves?.exchange(kind) ?? []);
    const count = this.#end(reader, derived);
    this.#tellEach(named, "invalidated");
    this.#note([[reader.address, count]], "derived-key");
  }

  /** Ends the entries of the slots of a reader for which `isOver` holds. */
  dropSlots(reader: Reader, isOver: (slot: number) => boolean, why: CacheDropReason): void {
    const rows = (this.#shelves.get(reader)?.all ?? []).flatMap((shelf) =>
      [...shelf.rows.values()].filter(({ slot }) => isOver(slot)),
    );
    this.#note([[reader.address, this.#end(reader, rows)]], why);
  }

  dropSlot(reader: Reader, slot: number, why: CacheDropReason): void {
    const rows = (this.#shelves.get(reader)?.all ?? []).flatMap(({ rows }) => rows.get(slot) ?? []);
    this.#note([[reader.address, this.#end(reader, rows)]], why);
  }

  dropReader(reader: Reader, why: CacheDropReason): void {
    this.#note([[reader.address, this.#end(reader, this.#shelves.get(reader)?.all ?? [])]], why);
  }

  dropAll(why: CacheDropReason): void {
    const counts = [...this.#shelves.values()].map(({ reader, all }) => [reader.address, this.#cut(all)] as const);
    if (this.#entries.size > 0) this.#forget();
    this.#note(counts, why);
  }

  drop(entries: Iterable<Entry>, why: CacheDropReason): void {
    this.#noteEach(this.#remove([...entries]), why);
  }

  /** Removes entries, many of them later. Returns those that had not ended before. */
  #remove(all: readonly Entry[]): readonly Entry[] {
    const gone = all.filter((entry) => !hasEnded(entry));
    if (all.length <= FEW) for (const entry of all) this.#entries.delete(entry.question.hash);
    else {
      for (const entry of gone) this.#endOne(entry);
      this.#ended.push(gone.values());
      this.#onEnded();
    }
    return gone;
  }

  /** Clears away what has ended, in so many steps at most. Each is for one entry, or the last one of many. */
  clear(most: number): void {
    for (let count = 0; count < most; count++) {
      const ended = this.#ended.at(-1)?.next();
      if (ended === undefined) return;
      if (ended.done) this.#ended.pop();
      // Another one may be in its place meanwhile.
      else if (this.#entries.peek(ended.value.question.hash) === ended.value) {
        this.#entries.delete(ended.value.question.hash);
      }
    }
  }

  /** Ends what stands on shelves or rows of a reader. Returns how many entries. */
  #end(reader: Reader, parts: readonly Part[]): number {
    const count = this.#cut(parts);
    this.#tidy(reader);
    if (this.#size === 0 && this.#entries.size >= MANY) this.#forget();
    if (this.waiting > 0) this.#onEnded();
    return count;
  }

  #cut(parts: readonly Part[]): number {
    let count = 0;
    for (const part of parts) {
      if (part.size === 0) continue;
      count += part.size;
      this.#ended.push(part.entries());
      part.cut();
    }
    this.#size -= count;
    return count;
  }

  /** Nothing is left but what has ended: it need not be taken out of the indexes one by one. */
  #forget(): void {
    this.#entries = this.#empty();
    this.#byKey = new KeyIndex();
    this.#slots = new SlotCounts();
    this.#shelves.clear();
    this.#ended = [];
  }

  #noteEach(gone: readonly Entry[], why: CacheDropReason): void {
    if (gone.length === 0) return;
    countIn(this.dropped, why, gone.length);
    this.#tellEach(gone, why);
  }

  #note(counts: Counts, why: CacheDropReason): void {
    let sum = 0;
    for (const [, count] of counts) sum += count;
    if (sum === 0) return;
    countIn(this.dropped, why, sum);
    this.#tell(counts, why);
  }

  #tellEach(gone: readonly Entry[], why: CacheDropReason | "invalidated" | "evicted"): void {
    if (gone.length === 0 || !this.#trace?.isHeard) return;
    this.#tell(
      gone.map(({ facts }) => [facts.reader.address, 1]),
      why,
    );
  }

  /** Tells what has ended, by the node that it was read from. Nothing is changed behind it: a listener may ask for more. */
  #tell(counts: Counts, why: CacheDropReason | "invalidated" | "evicted"): void {
    if (!this.#trace?.isHeard) return;
    const sums = new Map<string, number>();
    for (const [address, count] of counts) sums.set(address, (sums.get(address) ?? 0) + count);
    for (const [address, count] of sums) if (count > 0) this.#trace.dropped(address, why, count);
  }

  /** Ends one entry, unless it has ended. */
  #endOne(entry: Entry): void {
    const { shelf } = entry.row;
    if (!take(entry)) return;
    this.#size--;
    if (shelf.size === 0) this.#tidy(entry.facts.reader);
  }

  #tidy(reader: Reader): void {
    if (this.#shelves.get(reader)?.isEmpty) this.#shelves.delete(reader);
  }
}

/** About as many bytes as an entry takes in all. */
export function bytesOfEntry(question: Question, keys: readonly string[], replyBytes: number): number {
  let sum = ENTRY_BYTES + bytesOf([...question.keys, ...question.args]) + replyBytes;
  for (const key of keys) sum += KEY_BYTES + key.length;
  return sum;
}
