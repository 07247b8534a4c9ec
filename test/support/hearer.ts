import { setTimeout as sleep } from "node:timers/promises";
import type { Gap, Message } from "../../src/index.ts";
import { epochMs } from "./epoch.ts";
import { type Expected, type Heard, type Judgement, judge, type Stream } from "./subscription-history.ts";

/** Writes down what one subscription hears: numbered messages of a `Publisher`, and gaps. */
export class Hearer {
  readonly heard: Heard[] = [];
  readonly #topicOf: (stream: string) => string;
  readonly #openGaps = new Set<string>();

  /** @param topicOf  The pattern by which a stream was subscribed to; of a channel its name. */
  constructor(topicOf: (stream: string) => string = (stream) => stream) {
    this.#topicOf = topicOf;
  }

  readonly onMessage = ({ channel, payload }: Message): void => {
    const event = /^__keyspace@\d+__:(.*):(\d+)$/.exec(channel);
    const [stream, number] = event ? [event[1] as string, Number(event[2])] : [channel, Number(payload)];
    this.heard.push({ what: "message", stream, number, at: epochMs() });
  };

  readonly onGap = ({ channels, from, to, reason }: Gap): void => {
    for (const topic of channels) {
      if (to === null) this.#openGaps.add(topic);
      else this.#openGaps.delete(topic);
      this.heard.push({ what: "gap", topic, from, to, reason, at: epochMs() });
    }
  };

  /** Topics whose gap has begun and not ended. */
  get openGaps(): number {
    return this.#openGaps.size;
  }

  /** When the last gap of these topics ended; 0 before. */
  liveAgainAt(topics?: readonly string[]): number {
    const ends = this.heard.map((each) => {
      return each.what === "gap" && (topics?.includes(each.topic) ?? true) ? (each.to ?? 0) : 0;
    });
    return ends.reduce((latest, each) => Math.max(latest, each), 0);
  }

  /** Waits a while for messages that are still on their way, then judges. */
  async judge(sent: readonly Stream[], expected: Expected, patienceMs = 3000): Promise<Judgement> {
    const streams = sent.map((stream) => ({ ...stream, topic: this.#topicOf(stream.name) }));
    for (const end = performance.now() + patienceMs; ; await sleep(50)) {
      const judgement = judge(streams, this.heard, expected);
      if (judgement.faults.length === 0 || performance.now() > end) return judgement;
    }
  }
}
