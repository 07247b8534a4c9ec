import { SLOT_COUNT } from "../../protocol/hash-slot.ts";
import type { Topology } from "../../topology/topology.ts";

/** A node that is to have a name. */
export interface Nameable {
  /** The node's id; empty for a single server without cluster mode. */
  readonly id: string;
  readonly address: string;
  /** The id of a replica's primary, if it is known; null for a primary. */
  readonly primary: string | null;
  readonly isPrimary: boolean;
  /** The first slot that the node owns; undefined for a node without slots. */
  readonly firstSlot: number | undefined;
}

/**
 * The names of a cluster's nodes: A, B, C for the primaries in the order of their first slots, A1, A2 for the replicas of
 * A. A node keeps its name as long as it is watched: A1 is still A1 when it is promoted, and a name is never given twice.
 * A node that joins gets the next letter, or the next number of its primary.
 */
export class NodeNames {
  /** Names by id, and for a single server by "". */
  readonly #names = new Map<string, string>();
  #letters = 0;
  /** How many replicas were named after a letter. */
  readonly #numbers = new Map<string, number>();

  /** Gives names to the nodes that have none. */
  follow(nodes: readonly Nameable[]): this {
    const unnamed = nodes.filter(({ id }) => !this.#names.has(id));
    if (unnamed.length === 0) return this;
    const first = ({ firstSlot }: Nameable) => firstSlot ?? SLOT_COUNT;
    const inOrder = unnamed.sort((one, other) => first(one) - first(other) || compareAddresses(one, other));
    for (const { id, isPrimary } of inOrder) if (isPrimary) this.#names.set(id, this.#nextLetter());
    for (const { id, isPrimary, primary } of inOrder) {
      if (!isPrimary) this.#names.set(id, this.#nextNumber(this.#names.get(primary ?? "")));
    }
    return this;
  }

  /** The name of a node that `follow` was given, by its id. */
  of(id: string): string | undefined {
    return this.#names.get(id);
  }

  #nextLetter(): string {
    let letters = "";
    for (let number = ++this.#letters; number > 0; number = Math.floor((number - 1) / 26)) {
      letters = String.fromCharCode(65 + ((number - 1) % 26)) + letters;
    }
    return letters;
  }

  /** A replica whose primary nobody knows gets a letter of its own. */
  #nextNumber(primary: string | undefined): string {
    if (primary === undefined) return this.#nextLetter();
    const letter = letterOf(primary);
    const number = (this.#numbers.get(letter) ?? 0) + 1;
    this.#numbers.set(letter, number);
    return `${letter}${number}`;
  }
}

/** The letters of a name: A for A and A1. */
function letterOf(name: string): string {
  return name.replace(/\d+$/, "");
}

/** The number of a name's letters, which gives a node its colour: 0 for A and A1, 25 for Z, 26 for AA. */
export function shardOf(name: string): number {
  let number = 0;
  for (const letter of letterOf(name)) number = number * 26 + letter.charCodeAt(0) - 64;
  return Math.max(0, number - 1);
}

/** The nodes of a client's topology, to be given names. */
export function nameablesIn(topology: Topology): Nameable[] {
  const firsts = new Map<string, number>();
  for (const { start, primary } of topology.ranges) {
    if (!firsts.has(primary.address)) firsts.set(primary.address, start);
  }
  const ids = new Map(topology.nodes.map(({ address, id }) => [address, id]));
  return topology.nodes.map(({ id, address, role, primary }) => ({
    id,
    address,
    isPrimary: role === "primary",
    primary: ids.get(primary ?? "") ?? null,
    firstSlot: firsts.get(address),
  }));
}

/** By host, then by port as a number. */
function compareAddresses({ address: one }: Nameable, { address: other }: Nameable): number {
  return one.localeCompare(other, "en", { numeric: true });
}
