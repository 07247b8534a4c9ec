import type { Backlog, Place, Request } from "../connection/request.ts";
import { ProtocolError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Loadable } from "./loadable.ts";
import { replyErrorOf } from "./script-error.ts";
import type { LoadOutcome } from "./script-state.ts";

/** SCRIPT LOAD, or FUNCTION LOAD. */
export class LoadRequest implements Request {
  readonly frame: string;
  readonly isOwn = true;
  readonly wantsBuffers = false;
  readonly asking = false;
  place: Place = "new";
  backlog: Backlog | undefined = undefined;
  readonly #script: Loadable;
  readonly #finish: (outcome: LoadOutcome) => void;

  /** @param finish  Called once, with the end of the load. */
  constructor(script: Loadable, finish: (outcome: LoadOutcome) => void) {
    this.frame = script.loadFrame;
    this.#script = script;
    this.#finish = finish;
  }

  /** @throws {ProtocolError} Another SHA-1, or another name: the connection is out of step. */
  onReply(reply: Reply): void {
    const isLoaded = reply === this.#script.loadReply;
    this.#end(isLoaded ? "held" : "lost");
    if (!isLoaded)
      throw new ProtocolError(
        "The server answered a load with another SHA-1, or another name, than that of the source.",
      );
  }

  onErrorReply(text: string): void {
    this.#end({ cause: replyErrorOf(text, "not-executed", this.#script), final: false });
  }

  onUndecodable(): void {
    this.#end("lost");
  }

  onLost(): void {
    this.#end("lost");
  }

  #end(outcome: LoadOutcome): void {
    this.place = "settled";
    this.#finish(outcome);
  }
}
