import { InvalidArgumentError } from "../errors.ts";
import type { Gap } from "../subscriptions/gap.ts";
import type { Message, Subscription } from "../subscriptions/subscription.ts";
import { type Options, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { CONNECTION, connectionOf } from "./connection-options.ts";
import { drawEvent } from "./draw-event.ts";
import { outputTaken, untilEnded } from "./ending.ts";
import { jsonOf, textOf } from "./printable.ts";
import { inSession } from "./session.ts";

const OPTIONS = {
  ...CONNECTION,
  pattern: { type: "boolean", says: "the words are patterns, such as news:*" },
  sharded: { type: "boolean", says: "the words are sharded channels" },
  json: { type: "boolean", says: "each message and each gap as JSON, in one line" },
} as const satisfies Options;

/** `slotwire subscribe`: shows messages, and the gaps between them, as they come. */
export const subscribe: Command = {
  usage: "CHANNEL... [--pattern | --sharded] [-h HOST] [-p PORT] [-u URI] ... [--json]",
  summary: "the messages of channels as they come, and the gaps in which messages may have been missed",
  options: OPTIONS,
  notes:
    "Each message is a line: the time, the channel, the message. A gap is one line when it begins and one when it ends.\nWith --json, a line with a reason is a gap; its from and to are milliseconds since 1970. Ctrl-C ends the command.",
  async run(args, terminal) {
    const { values, words } = readArguments(OPTIONS, args);
    if (words.length === 0) throw new InvalidArgumentError("subscribe needs at least one CHANNEL.");
    if (values.pattern && values.sharded) {
      throw new InvalidArgumentError("subscribe is given --pattern and --sharded; accepted is one of them.");
    }
    const method = values.pattern ? "psubscribe" : values.sharded ? "ssubscribe" : "subscribe";
    const { paint } = terminal;
    const draw = (event: Message | Gap) => {
      return values.json ? `${jsonOf(event)}\n` : textOf([drawEvent(event, Date.now(), paint)], paint);
    };
    await inSession(connectionOf(values, process.env, terminal), ({ cluster }) =>
      untilEnded(async (ended) => {
        const subscription = await cluster[method](words, undefined, { signal: ended });
        terminal.progress("subscribed; Ctrl-C ends");
        try {
          await showEvents(subscription, ended, (event) => {
            terminal.progress("");
            terminal.write(draw(event));
          });
        } finally {
          terminal.progress("");
          await subscription.close();
        }
      }),
    );
    return "";
  },
};

/** Shows each message and gap. A reader that is too slow is waited for, so a gap tells what is dropped meanwhile. */
async function showEvents(
  subscription: Subscription,
  ended: AbortSignal,
  show: (event: Message | Gap) => void,
): Promise<void> {
  for await (const event of subscription.events()) {
    if (ended.aborted) return;
    show(event);
    await outputTaken(ended);
  }
}
