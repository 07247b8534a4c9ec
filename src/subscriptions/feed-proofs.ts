import { ProofRequest } from "./feed-requests.ts";
import { Proofs } from "./gap.ts";
import type { Topic } from "./topic.ts";

/** The proofs that topics are heard on one connection: a PING for all, and one channel of each slot asked for again. */
export class FeedProofs {
  readonly #all: Proofs;
  readonly #bySlot = new Map<number, Proofs>();
  /** Requests that are not answered. */
  #open = 0;

  /** @param openedAt  When the connection was opened. */
  constructor(openedAt: number) {
    this.#all = new Proofs(openedAt);
  }

  /** When the older of the last two proofs was asked for that the topics of a slot are heard; -1 for what is not sharded. */
  provenAt(slot: number): number {
    return (this.#bySlot.get(slot) ?? this.#all).older;
  }

  /** The topics of the slot were confirmed. */
  noteConfirmed(slot: number, askedAt: number): void {
    if (slot !== -1 && !this.#bySlot.has(slot)) this.#bySlot.set(slot, new Proofs(askedAt));
  }

  /**
   * The requests for the next proofs. None while earlier ones are not answered.
   * @param sharded    One sharded channel of each slot that is heard.
   * @param onRefused  The server refuses a channel that it has confirmed.
   */
  requests(sharded: readonly Topic[], now: number, onRefused: (topic: Topic, text: string) => void): ProofRequest[] {
    if (this.#open > 0) return [];
    const isAnswered = () => {
      this.#open--;
      this.#all.note(now);
    };
    // A refusal of PING is an answer as well.
    const ping = new ProofRequest(undefined, isAnswered, isAnswered);
    const channels = sharded.map((topic) => {
      const onProof = () => {
        this.#open--;
        this.#bySlot.get(topic.slot)?.note(now);
      };
      return new ProofRequest(topic, onProof, (text) => {
        this.#open--;
        onRefused(topic, text);
      });
    });
    this.#open = 1 + channels.length;
    return [ping, ...channels];
  }
}
