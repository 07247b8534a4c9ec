import { invariant } from "../invariant.ts";
import type { Loss } from "./gap.ts";

/**
 * A seat is one topic at one node.
 *
 *   asked --confirmed--> live --the node answers nobody--> silent --it speaks again--> asked
 *     ^                    '--ended by the server--> asked
 *     '--again-- refused | away
 *   asked, live, silent, refused --not wanted here--> leaving --left--> gone
 *   any --lost--> gone            away --not wanted here--> gone
 *
 * `away`: the node has said that it does not send the topic. `refused`: it may still do, from an earlier answer.
 */
interface Seat<N> {
  readonly node: N;
  state: "asked" | "live" | "silent" | "refused" | "away" | "leaving";
  /** When the confirmation was asked for. No message from before it is owed: it was in an earlier gap, or in none. */
  askedAt: number;
}

/** An action to take. The methods of `Coverage` return it. */
export type Action<N> =
  /** Ask the node for the topic. */
  | { readonly do: "ask"; readonly node: N }
  /** Tell the node that the topic is not wanted any more. */
  | { readonly do: "leave"; readonly node: N }
  /** The topic is covered for the first time. */
  | { readonly do: "begin" }
  | { readonly do: "open-gap"; readonly loss: Loss }
  | { readonly do: "close-gap"; readonly loss: Loss; readonly at: number }
  /** No node sends the topic any more, and nobody wants it. */
  | { readonly do: "forget" };

/**
 * Which nodes send one topic, and whether all do that should. A value without clock and sockets: each event returns the
 * actions that follow.
 *
 *   beginning --every wanted node has a live seat--> covered --not so any more--> gap
 *                                                       ^---- every one has ------'
 *
 * Invariants:
 * - a topic is asked for nowhere while a node is still to be left. So no message comes from two nodes.
 * - a gap is open exactly while a topic that has begun is not covered.
 */
export class Coverage<N> {
  #seats: Seat<N>[] = [];
  #wanted: readonly N[] = [];
  #phase: "beginning" | "covered" | "gap" = "beginning";
  #gap: Loss | undefined;
  #isReleased = false;
  /** A server has said that the topic's place may have changed, and the topology has not settled it. */
  #isInDoubt = false;
  /** When the confirmations were asked for with which the topic began. */
  #begunAt = Number.NEGATIVE_INFINITY;

  /** Whether somebody hears the topic by now. */
  get hasBegun(): boolean {
    return this.#phase !== "beginning";
  }

  get isCovered(): boolean {
    return this.#phase === "covered";
  }

  get isInDoubt(): boolean {
    return this.#isInDoubt;
  }

  /** The nodes that are wanted. */
  get wanted(): readonly N[] {
    return this.#wanted;
  }

  stateAt(node: N): Seat<N>["state"] | undefined {
    return this.#seatAt(node)?.state;
  }

  /**
   * The topic belongs to `nodes` now.
   * @param loss       What it cost, if the topic was covered until now and is not any more.
   * @param isInDoubt  Whether it is not certain: the topic is not covered until `settled`.
   */
  want(nodes: readonly N[], now: number, loss: Loss, isInDoubt = false): Action<N>[] {
    const isSame = nodes.length === this.#wanted.length && nodes.every((node) => this.#wanted.includes(node));
    const gone = this.#seats.filter(({ node }) => !nodes.includes(node));
    this.#wanted = nodes;
    if (!isSame) this.#isInDoubt = isInDoubt;
    return this.#follow(now, loss, gone.length === 0 ? this.#begunAt : Math.min(...gone.map(({ askedAt }) => askedAt)));
  }

  /** The node has confirmed. A late answer to somebody who has left changes nothing. */
  confirmed(node: N, now: number, askedAt: number): Action<N>[] {
    const seat = this.#seatAt(node);
    if (seat?.state !== "asked") return [];
    seat.state = "live";
    seat.askedAt = askedAt;
    return this.#follow(now);
  }

  /**
   * The node has refused. It is asked again after `again`.
   * @param isAway  The answer proves that the node does not send the topic.
   */
  refused(node: N, now: number, loss: Loss, isAway: boolean): Action<N>[] {
    const seat = this.#seatAt(node);
    if (seat === undefined || seat.state === "leaving") return [];
    seat.state = isAway ? "away" : "refused";
    return this.#follow(now, loss, seat.askedAt);
  }

  /** The pause after a refusal is over. */
  again(node: N, now: number): Action<N>[] {
    const seat = this.#seatAt(node);
    if (seat?.state !== "refused" && seat?.state !== "away") return [];
    this.#remove(seat);
    return this.#follow(now);
  }

  /** The server has ended the topic at the node, unasked. The node is asked again: its answer tells why. */
  ended(node: N, now: number, loss: Loss): Action<N>[] {
    const seat = this.#seatAt(node);
    // While the topic is asked for or left there, the answer that counts is still to come.
    if (seat?.state !== "live" && seat?.state !== "silent") return [];
    this.#remove(seat);
    this.#isInDoubt = true;
    return this.#follow(now, loss, seat.askedAt);
  }

  /** The topology agrees with the wanted nodes. */
  settled(now: number): Action<N>[] {
    this.#isInDoubt = false;
    return this.#follow(now);
  }

  /** The connection to the node is gone, and with it the topic there. */
  lost(node: N, now: number, loss: Loss): Action<N>[] {
    const seat = this.#seatAt(node);
    if (seat === undefined) return [];
    this.#remove(seat);
    return this.#follow(now, loss, seat.askedAt);
  }

  /** The node answers nobody. */
  silent(node: N, now: number, loss: Loss): Action<N>[] {
    const seat = this.#seatAt(node);
    if (seat?.state !== "live") return [];
    seat.state = "silent";
    return this.#follow(now, loss, seat.askedAt);
  }

  /** The node answers again, on the same connection. It is asked once more: its answer ends the gap. */
  speaking(node: N, now: number): Action<N>[] {
    const seat = this.#seatAt(node);
    if (seat?.state !== "silent") return [];
    this.#remove(seat);
    return this.#follow(now);
  }

  /** The topic was left at the node. */
  left(node: N, now: number): Action<N>[] {
    const seat = this.#seatAt(node);
    if (seat?.state !== "leaving") return [];
    this.#remove(seat);
    return this.#follow(now);
  }

  /** Nobody wants the topic any more. */
  release(now: number): Action<N>[] {
    invariant(!this.#isReleased, "a topic is released once");
    this.#isReleased = true;
    return this.#follow(now);
  }

  /** Somebody wants the topic again, which nobody wanted. It begins anew. */
  retain(now: number): Action<N>[] {
    invariant(this.#isReleased, "only a topic that was released is retained");
    this.#isReleased = false;
    this.#phase = "beginning";
    this.#gap = undefined;
    this.#isInDoubt = false;
    return this.#follow(now);
  }

  /**
   * Returns the actions that follow an event.
   * @param loss   What it cost, if the topic is not covered any more. Other events can only make it better covered.
   * @param floor  No message from before this time is owed.
   */
  #follow(now: number, loss?: Loss, floor = this.#begunAt): Action<N>[] {
    const actions: Action<N>[] = [];
    this.#tell(actions, now, loss, floor);
    for (const seat of [...this.#seats]) {
      if (seat.state === "leaving" || (!this.#isReleased && this.#wanted.includes(seat.node))) continue;
      if (seat.state === "away") this.#remove(seat);
      else {
        seat.state = "leaving";
        actions.push({ do: "leave", node: seat.node });
      }
    }
    if (this.#isReleased) {
      if (this.#seats.length === 0) actions.push({ do: "forget" });
      return actions;
    }
    if (this.#seats.some(({ state }) => state === "leaving")) return actions;
    for (const node of this.#wanted) {
      if (this.#seatAt(node) !== undefined) continue;
      this.#seats.push({ node, state: "asked", askedAt: now });
      actions.push({ do: "ask", node });
    }
    return actions;
  }

  /** Tells whether the topic is covered, if that has changed. */
  #tell(actions: Action<N>[], now: number, loss: Loss | undefined, floor: number): void {
    if (this.#isReleased) return;
    const isLive = (node: N) => this.#seatAt(node)?.state === "live";
    const isCovered = !this.#isInDoubt && this.#wanted.length > 0 && this.#wanted.every(isLive);
    if (isCovered === this.isCovered) return;
    if (!isCovered) {
      if (!this.hasBegun) return;
      invariant(loss !== undefined, "only a loss uncovers a topic");
      const { from, reason } = loss as Loss;
      this.#gap = { reason, from: Math.min(now, Math.max(from, floor)) };
      this.#phase = "gap";
      actions.push({ do: "open-gap", loss: this.#gap });
      return;
    }
    if (this.#gap === undefined) {
      this.#begunAt = Math.max(...this.#seats.map(({ askedAt }) => askedAt));
      actions.push({ do: "begin" });
    } else actions.push({ do: "close-gap", loss: this.#gap, at: now });
    this.#gap = undefined;
    this.#phase = "covered";
  }

  #seatAt(node: N): Seat<N> | undefined {
    return this.#seats.find((seat) => seat.node === node);
  }

  #remove(seat: Seat<N>): void {
    this.#seats = this.#seats.filter((each) => each !== seat);
  }
}
