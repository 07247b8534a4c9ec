import type { Refusal } from "../protocol/error-reply.ts";
import type { Call, HedgeTerms } from "./call.ts";
import type { Deadlines } from "./deadlines.ts";
import { Hedge, type HedgeOwner } from "./hedge.ts";
import { type Placement, poolFor } from "./placement.ts";

/** So many requests may be saved up. */
const MOST_TOKENS = 1000;
/** Sums of shares are not exact. */
const NEARLY_ONE = 1 - 1e-9;

/** How often the reads of a client were due to be sent once more, and what came of it. */
export interface HedgeCounts {
  sent: number;
  won: number;
  overBudget: number;
  withoutNode: number;
}

/**
 * Sends reads once more, to another node, when they have no answer for long. The account of a client is a token bucket: each
 * call with a hedge pays its `budget` in, and each request that is sent twice takes 1. The first may be taken in advance,
 * so that a client that has made few calls is served too.
 */
export class Hedges implements HedgeOwner {
  readonly #placement: Placement;
  readonly #deadlines: Deadlines;
  readonly #counts: HedgeCounts;
  #tokens = 0;
  #mayAdvance = true;

  constructor(placement: Placement, deadlines: Deadlines, counts: HedgeCounts) {
    this.#placement = placement;
    this.#deadlines = deadlines;
    this.#counts = counts;
  }

  /** A read was sent for the first time. */
  begin(call: Call): void {
    const { afterMs, budget } = call.kind.hedge as HedgeTerms;
    // It may have been refused at once.
    if (call.settled) return;
    this.#tokens = Math.min(MOST_TOKENS, this.#tokens + budget);
    const hedge = new Hedge(call, this);
    call.withExtras.hedge = hedge;
    this.#deadlines.add(hedge, afterMs);
  }

  onDue(hedge: Hedge): void {
    const { call } = hedge;
    const node = this.#placement.nodeForHedge(call);
    if (node === undefined) this.#counts.withoutNode++;
    else if (!this.#take(call.kind.hedge as HedgeTerms)) this.#counts.overBudget++;
    else {
      this.#counts.sent++;
      hedge.send(node, poolFor(call, node));
      return;
    }
    hedge.end();
  }

  #take({ budget }: HedgeTerms): boolean {
    const isAdvance = this.#mayAdvance && budget > 0;
    if (!isAdvance && this.#tokens < NEARLY_ONE) return false;
    this.#mayAdvance = false;
    this.#tokens--;
    return true;
  }

  onWon(): void {
    this.#counts.won++;
  }

  onRefused({ call, node, pool, stamp }: Hedge, refusal: Refusal): void {
    if (node === undefined || pool === undefined) return;
    if (pool !== node.pool) this.#placement.noteRefusal(node, refusal.kind);
    const { registered } = call.kind;
    if (refusal.kind !== "noscript" || registered?.kind !== "script") return;
    // The belief was wrong. The next hedge finds the script.
    const lane = pool.laneOf(call.slot);
    const isMissing = node.scripts.remedyFor(registered, lane, stamp, false).kind === "load";
    const isResting = node.scripts.pace?.restOf(registered) !== undefined;
    if (isMissing && !isResting && lane.ready) void node.scripts.loadOn(lane, registered, "noscript");
  }
}
