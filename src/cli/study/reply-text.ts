import { ReplyDecoder } from "../../protocol/decoder.ts";
import type { Reply } from "../../protocol/reply.ts";

/** The value of one whole reply, or its error. */
export function replyIn(text: string): { readonly reply: Reply; readonly error: string | null } {
  let found: { reply: Reply; error: string | null } = { reply: null, error: "no reply" };
  const decoder = new ReplyDecoder({
    nextWantsBuffers: () => false,
    onReply(reply) {
      found = { reply, error: null };
    },
    onErrorReply(error) {
      found = { reply: null, error };
    },
    onUndecodable(why) {
      found = { reply: null, error: why };
    },
  });
  decoder.push(Buffer.from(text, "latin1"));
  return found;
}
