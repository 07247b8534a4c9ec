import type { Place, Request } from "../connection/request.ts";
import { ProtocolError } from "../errors.ts";
import { encodeCommand } from "../protocol/encode.ts";
import type { Reply } from "../protocol/reply.ts";
import { wordOf } from "./pushed.ts";
import { COMMANDS, type Topic } from "./topic.ts";

/** A request on a feed takes so many topics at most, and so many bytes of their names. */
const MOST_TOPICS = 500;
const MOST_BYTES = 64 * 1024;

/** A command of a feed's own. The feed hears of a lost connection by itself. */
abstract class FeedRequest implements Request {
  abstract readonly frame: string;
  readonly wantsBuffers = false;
  readonly asking = false;
  readonly isOwn = true;
  place: Place = "new";

  onReply(reply: Reply): void {
    this.place = "settled";
    this.answered(reply);
  }

  onErrorReply(text: string): void {
    this.place = "settled";
    this.refused(text);
  }

  onUndecodable(why: string): void {
    this.onErrorReply(why);
  }

  onLost(): void {
    this.place = "settled";
  }

  protected abstract answered(reply: Reply): void;
  protected abstract refused(text: string): void;
}

/** Asks for some topics, or leaves them: one reply for each, in order, or one error for all. */
export class TopicsRequest extends FeedRequest {
  readonly frame: string;
  readonly isLeaving: boolean;
  /** When the request was made, on the environment's clock. */
  readonly askedAt: number;
  readonly topics: readonly Topic[];
  readonly #onTopic: (topic: Topic, askedAt: number) => void;
  readonly #onRefused: (topics: readonly Topic[], text: string) => void;
  readonly #name: string;
  #answered = 0;

  /** @param topics  At least one; all of one kind and, if they are sharded, of one slot. */
  constructor(
    what: "ask" | "leave",
    topics: readonly Topic[],
    askedAt: number,
    onTopic: (topic: Topic, askedAt: number) => void,
    onRefused: (topics: readonly Topic[], text: string) => void,
  ) {
    super();
    this.#name = COMMANDS[(topics[0] as Topic).kind][what];
    this.frame = encodeCommand([this.#name, ...topics.map(({ binary }) => Buffer.from(binary, "latin1"))]);
    this.isLeaving = what === "leave";
    this.askedAt = askedAt;
    this.topics = topics;
    this.#onTopic = onTopic;
    this.#onRefused = onRefused;
  }

  /** The topic that the next reply is about. */
  get next(): Topic {
    return this.topics[this.#answered] as Topic;
  }

  takePart(reply: Reply): boolean {
    if (this.#answered >= this.topics.length - 1) return false;
    this.answered(reply);
    return true;
  }

  protected override answered(reply: Reply): void {
    const topic = this.next;
    // Whoever takes another answer for a confirmation would never know that nothing is heard.
    if (!this.#isAbout(topic, reply)) {
      throw new ProtocolError(`The server's answer to ${this.#name} confirms nothing.`);
    }
    this.#answered++;
    this.#onTopic(topic, this.askedAt);
  }

  protected override refused(text: string): void {
    this.#onRefused(this.topics.slice(this.#answered), text);
  }

  #isAbout({ text, binary }: Topic, reply: Reply): boolean {
    if (wordOf(reply) !== this.#name.toLowerCase()) return false;
    const name = (reply as Reply[])[1];
    return Buffer.isBuffer(name) ? name.toString("latin1") === binary : name === text;
  }
}

/** A question whose answer proves that topics are heard. */
export class ProofRequest extends FeedRequest {
  readonly frame: string;
  readonly topic: Topic | undefined;
  readonly #onProof: () => void;
  readonly #onRefused: (text: string) => void;

  /** @param topic  A sharded channel that is subscribed already. Undefined for all other topics of the connection. */
  constructor(topic: Topic | undefined, onProof: () => void, onRefused: (text: string) => void) {
    super();
    this.topic = topic;
    this.frame = topic === undefined ? PING : encodeCommand([COMMANDS.shard.ask, Buffer.from(topic.binary, "latin1")]);
    this.#onProof = onProof;
    this.#onRefused = onRefused;
  }

  protected override answered(): void {
    this.#onProof();
  }

  protected override refused(text: string): void {
    this.#onRefused(text);
  }
}

const PING = encodeCommand(["PING"]);

/** The slot of the sharded channels that a request names. Undefined for other requests. */
export function slotAskedIn(request: Request | undefined): number | undefined {
  if (request instanceof TopicsRequest) return request.next.slot;
  return request instanceof ProofRequest ? request.topic?.slot : undefined;
}

/** Divides topics into requests: by kind, sharded ones by slot, and into pieces of bounded size. */
export function inRequests(topics: Iterable<Topic>): Topic[][] {
  const groups = new Map<string, { current: Topic[]; bytes: number }>();
  const requests: Topic[][] = [];
  for (const topic of topics) {
    const name = `${COMMANDS[topic.kind].ask} ${topic.slot}`;
    let group = groups.get(name);
    if (group === undefined || group.current.length >= MOST_TOPICS || group.bytes >= MOST_BYTES) {
      group = { current: [], bytes: 0 };
      groups.set(name, group);
      requests.push(group.current);
    }
    group.current.push(topic);
    group.bytes += topic.binary.length;
  }
  return requests;
}
