import type { Topology } from "./topology.ts";

/**
 * What a node says so is newer than what other nodes say, unless they were asked so long after it. They hear of it by
 * gossip, which is late where machines are busy. A move that is upheld for too long costs one redirection.
 */
const NEWS_MS = 1000;

interface Move {
  /** The owner before; undefined for a slot that had none. */
  readonly from: string | undefined;
  readonly to: string;
  readonly at: number;
}

/**
 * What nodes have said lately by MOVED, or by a confirmation of sharded channels. A slot's move is known to the nodes that
 * take part in it first, so a view of another node can still have the owner of before. It does not undo the move.
 */
export class RecentMoves {
  readonly #bySlot = new Map<number, Move>();

  /** A node has said that the slot is at `to`, another node or itself. It was, or is, at `from`. */
  note(slot: number, from: string | undefined, to: string, now: number): void {
    // A node that repeats what is known says nothing of the owner before.
    if (from !== to) this.#bySlot.set(slot, { from, to, at: now });
    else {
      const known = this.#bySlot.get(slot);
      if (known?.to === to) this.#bySlot.set(slot, { ...known, at: now });
    }
  }

  /**
   * `topology` with the moves that it does not know yet. A third owner is news for its part, and so is the failure of the
   * node that a slot moved to.
   * @param askedAt  When the nodes were asked for it.
   */
  upheldIn(topology: Topology, askedAt: number): Topology {
    const unknown = new Map<number, string>();
    for (const [slot, { from, to, at }] of this.#bySlot) {
      if (askedAt - at >= NEWS_MS) this.#bySlot.delete(slot);
      else if (topology.primaryOf(slot)?.address === from && isUsable(topology, to)) unknown.set(slot, to);
    }
    return unknown.size === 0 ? topology : topology.withSlotsMoved(unknown);
  }
}

function isUsable({ nodes }: Topology, address: string): boolean {
  return nodes.some((node) => node.address === address && node.health !== "fail");
}
