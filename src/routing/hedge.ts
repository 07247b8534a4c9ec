import type { NodePool } from "../connection/node-pool.ts";
import type { Backlog, Place, Request } from "../connection/request.ts";
import { AbortedError, ClosedError, DeadlineError } from "../errors.ts";
import { parseErrorReply, type Refusal } from "../protocol/error-reply.ts";
import type { Reply } from "../protocol/reply.ts";
import type { HedgeTrace, TracedConnection } from "../telemetry/call-trace.ts";
import type { Call } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Expiring, Moment } from "./deadlines.ts";

/** Hears when a hedge is due, and how it ends. */
export interface HedgeOwner {
  /** The call has had no answer for its `after`. */
  onDue(hedge: Hedge): void;
  onWon(): void;
  /** The node refused the hedge. */
  onRefused(hedge: Hedge, refusal: Refusal): void;
}

/**
 * The second request of one read, which goes to another node when the first has no answer for long. It is no call: its
 * call alone is counted, has a deadline, follows redirections and is sent again.
 *
 *   waiting --after--> sent ---- reply -------------------> the call has its result
 *      |                 '------ error, or lost ----------> over; the call gets the error that it had meanwhile, if any
 *      '-- the call settles, or nobody may be asked ------> over
 *
 * An error of the call waits while the hedge is under way. The end of its time, its signal and the end of the client do not.
 */
export class Hedge implements Request, Expiring {
  readonly call: Call;
  readonly #owner: HedgeOwner;
  readonly asking = false;
  /** `new` while it waits for its time. */
  place: Place = "new";
  backlog: Backlog | undefined = undefined;
  /** The call's frame when it was sent. */
  frame = "";
  /** The node that it was sent to, on which connections, and the node's stamp then. */
  node: ClusterNode | undefined = undefined;
  pool: NodePool | undefined = undefined;
  stamp = 0;

  moment: Moment | undefined = undefined;
  earlier: Expiring | undefined = undefined;
  later: Expiring | undefined = undefined;

  /** Nobody knows whether it ran, or it ran and failed. */
  #wasWritten = false;
  /** The error that the call will have if the hedge has no reply either. */
  #held: Error | undefined;
  #trace: HedgeTrace | undefined;

  constructor(call: Call, owner: HedgeOwner) {
    this.call = call;
    this.#owner = owner;
  }

  get wantsBuffers(): boolean {
    return this.call.wantsBuffers;
  }

  /** Whether a node may have run it, or has, without a reply that counted. */
  get mayHaveRun(): boolean {
    return this.#wasWritten || this.place === "in-flight";
  }

  get #isUnderWay(): boolean {
    return this.place === "queued" || this.place === "in-flight";
  }

  expire(): void {
    this.#owner.onDue(this);
  }

  /** Sends it. */
  send(node: ClusterNode, pool: NodePool): void {
    const { call } = this;
    this.frame = call.frame;
    this.node = node;
    this.pool = pool;
    this.stamp = node.scripts.stamp;
    this.#trace = call.extras?.observer?.onHedge(call, node.address);
    pool.laneOf(call.slot).push(this);
  }

  /**
   * The error that the call is to be rejected with now, which is about to be rejected with `error`. Undefined: the call
   * waits for the hedge.
   */
  errorDue(error: Error): Error | undefined {
    if (!this.#isUnderWay) return error;
    // What the first node said tells more than that the second one said nothing in time.
    if (error instanceof DeadlineError) return this.#held ?? error;
    if (error instanceof AbortedError || error instanceof ClosedError) return error;
    this.#held = error;
    this.call.place = "parked";
    return undefined;
  }

  /** The call is settled: what the node still says is dropped. */
  end(): void {
    if (this.place === "settled") return;
    this.place = "settled";
    this.moment?.list.remove(this);
    this.backlog?.giveUp(this);
  }

  onWritten(connection: TracedConnection): void {
    this.#trace?.onWritten(connection);
  }

  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    if (this.place !== "settled") this.#trace?.onAnswer(connection, bytes, error);
  }

  onReply(reply: Reply): void {
    if (this.place === "settled") return;
    this.place = "settled";
    this.#owner.onWon();
    this.#trace?.onWon();
    this.call.onReplyOfHedge(reply, this.node as ClusterNode);
  }

  onErrorReply(text: string): void {
    if (this.place === "settled") return;
    const refusal = parseErrorReply(text);
    this.#wasWritten = refusal.kind === "other";
    this.#owner.onRefused(this, refusal);
    this.#fail();
  }

  onUndecodable(): void {
    this.#wasWritten = true;
    this.#fail();
  }

  onLost(): void {
    this.#wasWritten = this.place === "in-flight";
    this.#fail();
  }

  #fail(): void {
    if (this.place === "settled") return;
    this.place = "settled";
    if (this.#held !== undefined) this.call.reject(this.#held);
  }
}
