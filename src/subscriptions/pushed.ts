import type { Reply } from "../protocol/reply.ts";
import { COMMANDS, type Raw, type Topic, type TopicKind } from "./topic.ts";

/**
 * The topics that are heard on one connection, by the words of the server's pushes.
 *
 *   ["message", channel, payload]   ["smessage", channel, payload]   ["pmessage", pattern, channel, payload]
 *   ["sunsubscribe", channel, count]
 */
export class HeardTopics {
  readonly #byText = new Map<string, Map<string, Topic>>();
  readonly #byBinary = new Map<string, Map<string, Topic>>();

  add(topic: Topic): void {
    const { push } = WORDS[topic.kind];
    const put = (all: Map<string, Map<string, Topic>>, name: string) => {
      const named = all.get(push) ?? new Map();
      all.set(push, named.set(name, topic));
    };
    // The text of bytes that are no text may be the name of another channel.
    if (topic.isText) put(this.#byText, topic.text);
    put(this.#byBinary, topic.binary);
  }

  remove(topic: Topic): void {
    const { push } = WORDS[topic.kind];
    if (this.#byText.get(push)?.get(topic.text) === topic) this.#byText.get(push)?.delete(topic.text);
    if (this.#byBinary.get(push)?.get(topic.binary) === topic) this.#byBinary.get(push)?.delete(topic.binary);
  }

  clear(): void {
    this.#byText.clear();
    this.#byBinary.clear();
  }

  /** The topic of a push with the first word `word`. */
  find(word: string, name: Raw | undefined): Topic | undefined {
    if (typeof name === "string") return this.#byText.get(word)?.get(name);
    return name === undefined ? undefined : this.#byBinary.get(word)?.get(name.toString("latin1"));
  }
}

const WORDS: Readonly<Record<TopicKind, { readonly push: string }>> = {
  channel: { push: "message" },
  pattern: { push: "pmessage" },
  shard: { push: "smessage" },
  keyspace: { push: "pmessage" },
};
/** The word of a message for each word that ends a topic. */
const ENDS: ReadonlyMap<string, string> = new Map(
  (["channel", "pattern", "shard"] as const).map((kind) => [COMMANDS[kind].leave.toLowerCase(), WORDS[kind].push]),
);

/** The first word of a push: undefined for a reply that is no array of strings. */
export function wordOf(reply: Reply): string | undefined {
  if (!Array.isArray(reply)) return undefined;
  const word = reply[0];
  if (typeof word === "string") return word;
  return Buffer.isBuffer(word) ? word.toString("latin1") : undefined;
}

/** The word of the messages of the topic that `word` ends; undefined for other words. */
export function endedBy(word: string): string | undefined {
  return ENDS.get(word);
}
