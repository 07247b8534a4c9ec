import { ReplyDecoder, type ReplySink } from "../../src/protocol/decoder.ts";
import type { Reply } from "../../src/protocol/reply.ts";

/** What a decoder delivered. */
export type Delivery = readonly ["reply", Reply] | readonly ["error", string] | readonly ["undecodable"];

/** Takes what a decoder delivers, as data. */
export class CollectingSink implements ReplySink {
  readonly delivered: Delivery[] = [];
  readonly #wantsBuffers: (index: number) => boolean;

  /** @param wantsBuffers  Whether the reply of this index is wanted as Buffers. */
  constructor(wantsBuffers: (index: number) => boolean = () => false) {
    this.#wantsBuffers = wantsBuffers;
  }

  nextWantsBuffers(): boolean {
    return this.#wantsBuffers(this.delivered.length);
  }

  onReply(reply: Reply): void {
    this.delivered.push(["reply", reply]);
  }

  onErrorReply(text: string): void {
    this.delivered.push(["error", text]);
  }

  onUndecodable(): void {
    this.delivered.push(["undecodable"]);
  }
}

/** Decodes `chunks` one after the other. */
export function decode(chunks: readonly (Buffer | string)[], wantsBuffers?: (index: number) => boolean): Delivery[] {
  const sink = new CollectingSink(wantsBuffers);
  const decoder = new ReplyDecoder(sink);
  for (const chunk of chunks) decoder.push(Buffer.from(chunk));
  return sink.delivered;
}
