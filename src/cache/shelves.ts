import type { Entry, Reader } from "./entry.ts";
import { Proofs } from "./freshness.ts";

/*
 * Where entries stand. A whole shelf, or a row of one, becomes untrue by one step, however much stands there: an entry asks
 * its row, its row the shelf, and the shelf the proofs of what has read it. What is cut off has proofs that never come.
 */

const NEVER = new Proofs(0);

/** What ends as a whole. */
export interface Part {
  /** The number of entries that have not ended. */
  readonly size: number;
  /** All entries that stand here when each is asked for, ended or not. */
  entries(): Iterator<Entry, undefined>;
  /** Ends all of them. They stay where they are. */
  cut(): void;
}

/** The entries of one shelf whose keys are in one slot. Empty ones do not stand on a shelf. */
export class Row implements Part {
  readonly slot: number;
  readonly all = new Set<Entry>();
  /** One that is cut off, when the row is. */
  shelf: Shelf;

  constructor(slot: number, shelf: Shelf) {
    this.slot = slot;
    this.shelf = shelf;
  }

  get isCut(): boolean {
    return this.shelf.proofs === NEVER;
  }

  get size(): number {
    return this.isCut ? 0 : this.all.size;
  }

  entries(): Iterator<Entry, undefined> {
    return this.all.values();
  }

  cut(): void {
    if (this.isCut) return;
    this.shelf.size -= this.all.size;
    this.shelf.rows.delete(this.slot);
    this.shelf = CUT;
  }
}

/** Entries of one kind that one reader has read. */
export class Shelf implements Part {
  readonly rows = new Map<number, Row>();
  size = 0;
  proofs: Proofs;

  constructor(proofs: Proofs) {
    this.proofs = proofs;
  }

  add(entry: Entry): void {
    const { slot } = entry.facts;
    let row = this.rows.get(slot);
    if (row === undefined) {
      row = new Row(slot, this);
      this.rows.set(slot, row);
    }
    row.all.add(entry);
    entry.row = row;
    this.size++;
  }

  *entries(): Generator<Entry, undefined> {
    for (const { all } of this.rows.values()) yield* all;
  }

  cut(): void {
    this.proofs = NEVER;
    this.size = 0;
  }
}

const CUT = new Shelf(NEVER);

/** Where an entry stands that is not kept. */
export const NOWHERE = new Row(-1, CUT);

/** Takes an entry away from where it stands, and ends it. Returns whether it had not ended before. */
export function take(entry: Entry): boolean {
  const { row } = entry;
  row.all.delete(entry);
  entry.row = NOWHERE;
  if (row.isCut) return false;
  const { shelf } = row;
  if (row.all.size === 0) shelf.rows.delete(row.slot);
  shelf.size--;
  return true;
}

/** Replies of commands; those of scripts that read the keys they were given, and no others; those of other scripts. */
export type Kind = "plain" | "declared" | "deriving";

/** All that one reader has read. */
export class Shelves {
  readonly reader: Reader;
  readonly #shelves: Record<Kind, Shelf>;
  #turn: Iterator<Row> | undefined;

  constructor(reader: Reader) {
    const { proofs } = reader;
    this.reader = reader;
    this.#shelves = { plain: new Shelf(proofs), declared: new Shelf(proofs), deriving: new Shelf(proofs) };
  }

  get all(): readonly Shelf[] {
    return Object.values(this.#shelves);
  }

  get isEmpty(): boolean {
    const { plain, declared, deriving } = this.#shelves;
    return plain.size + declared.size + deriving.size === 0;
  }

  add(entry: Entry): void {
    const { isScript, mayDerive } = entry.facts;
    this.#shelves[!isScript ? "plain" : mayDerive ? "deriving" : "declared"].add(entry);
  }

  /** Takes away a shelf that has something on it. An empty one is in its place. */
  exchange(kind: Kind): Shelf | undefined {
    const shelf = this.#shelves[kind];
    if (shelf.size === 0) return undefined;
    this.#shelves[kind] = new Shelf(this.reader.proofs);
    return shelf;
  }

  /** An entry, each time of another slot. */
  next(): Entry | undefined {
    for (let begun = 0; begun < 2; ) {
      if (this.#turn === undefined) {
        this.#turn = this.#rows();
        begun++;
      }
      const { value: row } = this.#turn.next();
      if (row === undefined) this.#turn = undefined;
      else if (!row.isCut) return row.all.values().next().value;
    }
    return undefined;
  }

  *#rows(): Generator<Row, undefined> {
    for (const { rows } of this.all) yield* rows.values();
  }
}
