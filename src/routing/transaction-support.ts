import type { Lane } from "../connection/lane.ts";
import type { Place, Request } from "../connection/request.ts";
import { encodeCommand } from "../protocol/encode.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Reply } from "../protocol/reply.ts";

export const MULTI = encodeCommand(["MULTI"]);
export const EXEC = encodeCommand(["EXEC"]);

/**
 * Whether a node takes transactions: a proxy may not, and a user may lack the right. Where MULTI is refused, the commands
 * behind it run all the same. So an empty transaction is sent before the first one that has calls in it.
 *
 *   unknown --ask--> asked --an empty array--> taken --MULTI refused--> refused
 *      ^---------------'  '--another answer--> refused
 *        no answer, or the node is busy or loading
 */
export class TransactionSupport {
  #state: "unknown" | "asked" | "taken" | "refused" = "unknown";

  get isTaken(): boolean {
    return this.#state === "taken";
  }

  /** Asks, unless that was done before. */
  ask(lane: Lane): void {
    if (this.#state !== "unknown") return;
    this.#state = "asked";
    lane.push(
      new EmptyTransaction((end) => {
        this.#state = end;
      }),
    );
  }

  /** The node has refused a MULTI. */
  refused(): void {
    this.#state = "refused";
  }
}

class EmptyTransaction implements Request {
  readonly frame = MULTI + EXEC;
  readonly isOwn = true;
  readonly wantsBuffers = false;
  readonly asking = false;
  readonly ahead: readonly Request[];
  place: Place = "new";
  readonly #end: (end: "unknown" | "taken" | "refused") => void;

  constructor(end: (end: "unknown" | "taken" | "refused") => void) {
    this.#end = end;
    this.ahead = [new MultiReply()];
  }

  onReply(reply: Reply): void {
    this.place = "settled";
    this.#end(Array.isArray(reply) && reply.length === 0 ? "taken" : "refused");
  }

  onErrorReply(text: string): void {
    this.place = "settled";
    const { kind } = parseErrorReply(text);
    this.#end(["busy", "loading", "masterdown", "clusterdown"].includes(kind) ? "unknown" : "refused");
  }

  onUndecodable(): void {
    this.place = "settled";
    this.#end("refused");
  }

  onLost(): void {
    this.place = "settled";
    this.#end("unknown");
  }
}

/** MULTI's own answer says no more than EXEC's does. */
class MultiReply implements Request {
  readonly frame = "";
  readonly isOwn = true;
  readonly wantsBuffers = false;
  readonly asking = false;
  place: Place = "in-flight";
  onReply(): void {}
  onErrorReply(): void {}
  onUndecodable(): void {}
  onLost(): void {}
}
