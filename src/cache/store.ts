import { LRUCache } from "lru-cache";
import type { Argument } from "../protocol/reply.ts";
import type { CacheTrace } from "../telemetry/cache-trace.ts";
import type { CacheDropReason } from "../telemetry/channels.ts";
import { countIn } from "../telemetry/counters.ts";
import { bytesOf, type Entry, type Reader } from "./entry.ts";
import { hashOf, type Question } from "./question.ts";
import { SlotCounts } from "./slot-counts.ts";

/** About as many bytes as an entry takes besides what was asked, its keys and its reply. */
const ENTRY_BYTES = 320;
const KEY_BYTES = 96;
/** So many keys are looked at in one sweep. */
const MOST_LOOKS = 1000;

/** The entries that one reader has read. */
class Shelf {
  readonly bySlot = new Map<number, Set<Entry>>();
  /** Replies of scripts that read the keys they were given, and no others. */
  readonly declared = new Set<Entry>();
  /** Those of scripts that may read others. */
  readonly deriving = new Set<Entry>();
  size = 0;
}

/**
 * The replies that are kept: by what was asked, by the keys that the calls named, and by reader and slot. It knows
 * nothing of time, and decides nothing.
 */
export class Store {
  readonly dropped: Record<string, number> = {};
  invalidated = 0;
  evicted = 0;
  /** By the hash of what was asked. Where two questions have the same one, the later entry takes the place. */
  readonly #entries: LRUCache<number, Entry>;
  readonly #byKey = new Map<string, Set<Entry>>();
  readonly #slots = new SlotCounts();
  readonly #shelves = new Map<Reader, Shelf>();
  readonly #trace: CacheTrace | undefined;
  #bytes = 0;
  /** The entries that end while a newer one is put in their place, or needs their room. */
  readonly #evicted: Entry[] = [];
  readonly #replaced: Entry[] = [];
  #sweeper: IterableIterator<Set<Entry>> | undefined;

  /** @param trace  Told what has ended, when it is gone. */
  constructor(maxBytes: number, trace?: CacheTrace) {
    this.#trace = trace;
    this.#entries = new LRUCache<number, Entry>({
      maxSize: maxBytes,
      sizeCalculation: ({ bytes }) => bytes,
      // In front of the removal, so that no index leads to an entry that is gone.
      dispose: (entry, _, why) => {
        if (why === "evict") this.#evicted.push(entry);
        else if (why === "set") this.#replaced.push(entry);
        this.#unindex(entry);
      },
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The entry for what was asked. It becomes the one that was read last. */
  get(head: number, keys: readonly Argument[], args: readonly Argument[]): Entry | undefined {
    const entry = this.#entries.get(hashOf(head, keys, args));
    return entry?.question.isOf(head, keys, args) ? entry : undefined;
  }

  /** Keeps an entry, unless it is larger than the whole store may be. */
  put(entry: Entry): void {
    this.#entries.set(entry.question.hash, entry);
    const isKept = this.#entries.peek(entry.question.hash) === entry;
    if (isKept) this.#index(entry);
    const [evicted, replaced] = [this.#evicted.splice(0), this.#replaced.splice(0)];
    this.evicted += evicted.length;
    this.#tell(evicted, "evicted");
    this.#note(replaced, "replaced");
    if (!isKept) this.#note([entry], "too-large");
  }

  #index(entry: Entry): void {
    this.#bytes += entry.bytes;
    this.#slots.add(entry.facts.slot);
    for (const key of entry.facts.keys) addTo(this.#byKey, key, entry);
    let shelf = this.#shelves.get(entry.facts.reader);
    if (shelf === undefined) {
      shelf = new Shelf();
      this.#shelves.set(entry.facts.reader, shelf);
    }
    addTo(shelf.bySlot, entry.facts.slot, entry);
    if (entry.facts.isScript) (entry.facts.mayDerive ? shelf.deriving : shelf.declared).add(entry);
    shelf.size++;
  }

  /** The number of entries that a reader has read. */
  sizeOf(reader: Reader): number {
    return this.#shelves.get(reader)?.size ?? 0;
  }

  /** The slots of the entries that a reader has read. */
  slotsOf(reader: Reader): readonly number[] {
    return [...(this.#shelves.get(reader)?.bySlot.keys() ?? [])];
  }

  /** A key of an entry of `slot` that a reader has read. */
  keyIn(reader: Reader, slot: number): string | undefined {
    for (const { facts } of this.#shelves.get(reader)?.bySlot.get(slot) ?? []) return facts.keys[0];
    return undefined;
  }

  /** The entries whose calls named a key. */
  naming(key: string): ReadonlySet<Entry> | undefined {
    return this.#byKey.get(key);
  }

  /** Removes some entries whose time is over. It looks at so many keys at most, each time at others. */
  sweep(now: number): void {
    const over = new Set<Entry>();
    for (let looks = Math.min(MOST_LOOKS, this.#byKey.size); looks > 0; looks--) {
      this.#sweeper ??= this.#byKey.values();
      const { value: entries, done } = this.#sweeper.next();
      if (done) this.#sweeper = undefined;
      else for (const entry of entries) if (now >= entry.until) over.add(entry);
    }
    this.drop(over, "expired");
  }

  /**
   * Removes the entries of a key that the client itself writes.
   * @param slot  That of the key; -1 if it is not known.
   */
  dropKey(key: string, slot: number): void {
    if (!this.#slots.mayHave(slot)) return;
    const named = this.#byKey.get(key);
    if (named !== undefined) this.drop(named, "own-write");
  }

  /**
   * A server has said that a key has changed. Removes the entries of `reader` whose calls named it, and those of scripts
   * that may have read it unnamed: those that are not known to keep to their keys, or, for a key that was not to be
   * expected, all.
   */
  invalidate(reader: Reader, key: string, isExpected: boolean): void {
    const named = [...(this.#byKey.get(key) ?? [])].filter((entry) => entry.facts.reader === reader);
    this.invalidated += named.length;
    for (const entry of named) this.#entries.delete(entry.question.hash);
    // What is looked at goes: the work of many invalidations is that of what they end.
    const shelf = this.#shelves.get(reader);
    const isUnnamed = named.length === 0 && !isExpected;
    const derived = [...(shelf?.deriving ?? []), ...(isUnnamed ? (shelf?.declared ?? []) : [])];
    for (const entry of derived) this.#entries.delete(entry.question.hash);
    this.#tell(named, "invalidated");
    this.#note(derived, "derived-key");
  }

  dropSlot(reader: Reader, slot: number, why: CacheDropReason): void {
    this.drop(this.#shelves.get(reader)?.bySlot.get(slot) ?? [], why);
  }

  dropReader(reader: Reader, why: CacheDropReason): void {
    const shelf = this.#shelves.get(reader);
    if (shelf === undefined) return;
    // The shelf goes as a whole: its entries need not be taken from it one by one.
    this.#shelves.delete(reader);
    this.drop(
      [...shelf.bySlot.values()].flatMap((entries) => [...entries]),
      why,
    );
  }

  dropAll(why: CacheDropReason): void {
    const gone = [...this.#entries.values()];
    this.#shelves.clear();
    this.#byKey.clear();
    this.#sweeper = undefined;
    this.#entries.clear();
    this.#note(gone, why);
  }

  drop(entries: Iterable<Entry>, why: CacheDropReason): void {
    const gone = [...entries];
    for (const entry of gone) this.#entries.delete(entry.question.hash);
    this.#note(gone, why);
  }

  #note(gone: readonly Entry[], why: CacheDropReason): void {
    if (gone.length === 0) return;
    countIn(this.dropped, why, gone.length);
    this.#tell(gone, why);
  }

  /** Tells what has ended, by the node that it was read from. Nothing is changed behind it: a listener may ask for more. */
  #tell(gone: readonly Entry[], why: CacheDropReason | "invalidated" | "evicted"): void {
    if (gone.length === 0 || !this.#trace?.isHeard) return;
    const counts = new Map<string, number>();
    for (const { facts } of gone) counts.set(facts.reader.address, (counts.get(facts.reader.address) ?? 0) + 1);
    for (const [address, count] of counts) this.#trace.dropped(address, why, count);
  }

  #unindex(entry: Entry): void {
    this.#bytes -= entry.bytes;
    this.#slots.remove(entry.facts.slot);
    for (const key of entry.facts.keys) removeFrom(this.#byKey, key, entry);
    const shelf = this.#shelves.get(entry.facts.reader);
    if (shelf === undefined) return;
    removeFrom(shelf.bySlot, entry.facts.slot, entry);
    shelf.declared.delete(entry);
    shelf.deriving.delete(entry);
    if (--shelf.size === 0) this.#shelves.delete(entry.facts.reader);
  }
}

/** About as many bytes as an entry takes in all. */
export function bytesOfEntry(question: Question, keys: readonly string[], replyBytes: number): number {
  let sum = ENTRY_BYTES + bytesOf([...question.keys, ...question.args]) + replyBytes;
  for (const key of keys) sum += KEY_BYTES + key.length;
  return sum;
}

function addTo<K>(index: Map<K, Set<Entry>>, key: K, entry: Entry): void {
  const there = index.get(key);
  if (there === undefined) index.set(key, new Set([entry]));
  else there.add(entry);
}

function removeFrom<K>(index: Map<K, Set<Entry>>, key: K, entry: Entry): void {
  const there = index.get(key);
  if (there?.delete(entry) && there.size === 0) index.delete(key);
}
