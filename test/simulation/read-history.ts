import type { SimNode } from "./sim-node.ts";
import { slotOfKey } from "./sim-routing.ts";

/** What keys of one slot held at one node, for as long as that node answered for them. */
export interface Period {
  readonly node: string;
  readonly from: number;
  /** When something changed. The moment itself belongs to the next period. */
  to: number;
  /** In the order of the keys; null where a key is not there. A key is gone as soon as its time is over. */
  readonly values: readonly (string | null)[];
  /** A key whose time ended this period. */
  expired: boolean;
  /** The slot is on its way: the node answers for no key that is not there. */
  readonly isLeaving: boolean;
  /** The slot is on its way to the node, which answers those whom the owner sends. */
  readonly isComing: boolean;
}

/** Where and when something ran. */
export interface Ran {
  readonly node: string;
  readonly at: number;
}

/** Keys of one slot. */
export interface KeyGroup {
  readonly slot: number;
  readonly keys: readonly string[];
  readonly periods: readonly Period[];
}

interface Recorded extends KeyGroup {
  readonly periods: Period[];
  /** By the index of the node. */
  readonly current: (Period | undefined)[];
}

/** The truth for those who read from memory: which node answered what for which keys, and when; and when writes ran. */
export class ReadHistory {
  readonly #groups: Recorded[] = [];
  readonly #byKey = new Map<string, Recorded>();
  readonly #ran = new Map<string, Ran>();
  readonly #now: () => number;
  #nodes: readonly SimNode[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The keys of a slot are looked at from now on. */
  watch(nodes: readonly SimNode[], keys: readonly string[]): KeyGroup {
    const group: Recorded = { slot: slotOfKey(keys[0] as string), keys, periods: [], current: [] };
    this.#nodes = nodes;
    this.#groups.push(group);
    for (const key of keys) this.#byKey.set(key, group);
    this.look();
    return group;
  }

  /** A node has written a key, or its time is over. */
  noteChange(node: SimNode, key: string): void {
    const group = this.#byKey.get(key);
    if (group === undefined || node.isStranger) return;
    const { current } = group;
    const before = current[node.index];
    if (before === undefined) return;
    this.#end(before, node.isExpired(key));
    current[node.index] = this.#begin(group, node);
  }

  /** Something of the world has happened: other nodes may answer for the keys now. */
  look(): void {
    for (const group of this.#groups) {
      for (const node of this.#nodes) {
        const before = group.current[node.index];
        const isLeaving = node.migrating.has(group.slot);
        if (answersFor(node, group.slot)) {
          const isComing = node.view.ownerOf(group.slot) !== node.index;
          if (before?.isLeaving === isLeaving && before.isComing === isComing) continue;
          if (before !== undefined) this.#end(before, false);
          group.current[node.index] = this.#begin(group, node);
        } else if (before !== undefined) {
          this.#end(before, false);
          group.current[node.index] = undefined;
        }
      }
    }
  }

  /** A write of the client ran. Its number is in its arguments, beside its keys. */
  noteRan({ name: node }: SimNode, args: readonly string[]): void {
    for (const arg of args) {
      const mark = arg.charCodeAt(0) === 0x77 ? /^w(\d+);/.exec(arg) : null;
      if (mark === null) continue;
      for (const key of args) if (this.#byKey.has(key)) this.#ran.set(`${mark[0]} ${key}`, { node, at: this.#now() });
    }
  }

  /** Where and when the client's write of a key ran last; undefined when it never did. `write`: its number and key. */
  ran(write: string): Ran | undefined {
    return this.#ran.get(write);
  }

  #begin({ keys, periods, slot }: Recorded, node: SimNode): Period {
    const values = keys.map((key) => (node.isExpired(key) ? null : (node.data.get(key) ?? null)));
    const isLeaving = node.migrating.has(slot);
    const isComing = node.view.ownerOf(slot) !== node.index;
    const period = {
      node: node.name,
      from: this.#now(),
      to: Number.POSITIVE_INFINITY,
      values,
      expired: false,
      isLeaving,
      isComing,
    };
    periods.push(period);
    return period;
  }

  #end(period: Period, expired: boolean): void {
    period.to = this.#now();
    period.expired = expired;
  }
}

/** Whether it takes itself for the one that answers for a slot, and answers. */
function answersFor(node: SimNode, slot: number): boolean {
  if (!node.isAlive || node.isFrozen || node.view.servesNothing) return false;
  return node.view.ownerOf(slot) === node.index || node.importing.has(slot);
}
