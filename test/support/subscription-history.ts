import type { GapReason } from "../../src/index.ts";

/* Holds what a subscriber heard against what was sent. Pure: all times are epoch milliseconds that others measured. */

/** The clocks of two processes agree so well: each sets its own once, by the system's, which is corrected meanwhile. */
const CLOCKS_MS = 2;

export interface SentMessage {
  readonly sentAt: number;
  /** When the server answered. Infinite without an answer. */
  readonly answeredAt: number;
  /** Unknown without an answer: it may arrive, at any time. */
  readonly outcome: "acknowledged" | "refused" | "unknown";
}

/** Numbered messages under one name: the index is the number. */
export interface Stream {
  readonly name: string;
  /** The name by which its gaps are told: the channel, or the pattern. */
  readonly topic: string;
  readonly sent: readonly SentMessage[];
}

export type Heard =
  | { readonly what: "message"; readonly stream: string; readonly number: number; readonly at: number }
  | {
      readonly what: "gap";
      readonly topic: string;
      readonly from: number;
      readonly to: number | null;
      readonly reason: GapReason;
      readonly at: number;
    };

/** A gap of one topic, as it was told. */
export interface ToldGap {
  readonly topic: string;
  readonly from: number;
  /** Infinite while no end was told. */
  to: number;
  readonly reason: GapReason;
}

export type Count = number | readonly [least: number, most: number];

export interface Expected {
  /** How many gaps a topic must have: exactly, or from one number to another. */
  readonly gaps: Count | ((topic: string) => Count);
  /** A moment that one gap of each topic that must have gaps lies around. */
  readonly around?: number;
}

export interface Judgement {
  /** In words, and the number of it for each kind. Empty when everything is as promised. */
  readonly faults: readonly string[];
  readonly gaps: readonly ToldGap[];
  /** Acknowledged messages; those that were heard, each once; those that were missed, all inside gaps if there are no faults. */
  readonly acknowledged: number;
  readonly heard: number;
  readonly missed: number;
  /** Messages that came once more, after a gap and so from another node. */
  readonly again: number;
}

export function judge(streams: readonly Stream[], heard: readonly Heard[], expected: Expected): Judgement {
  const faults: string[] = [];
  const gaps = new Map<string, ToldGap[]>(streams.map(({ topic }) => [topic, []]));
  const listeners = new Map(streams.map((stream) => [stream.name, new StreamJudge(stream, faults)]));
  for (const event of heard) {
    if (event.what === "gap") {
      const known = gaps.get(event.topic);
      if (known === undefined) faults.push(`gap of ${event.topic}, which nobody subscribed to`);
      else takeGap(event, known, faults);
      continue;
    }
    const listener = listeners.get(event.stream);
    if (listener === undefined) faults.push(`message of ${event.stream}, which nobody published`);
    else listener.hear(event, gaps.get(listener.stream.topic) as ToldGap[]);
  }
  for (const [topic, told] of gaps) judgeGaps(topic, told, expected, faults);
  let [acknowledged, missed, count, again] = [0, 0, 0, 0];
  for (const listener of listeners.values()) {
    const { sent, topic } = listener.stream;
    const outcomes = sent.filter(({ outcome }) => outcome === "acknowledged");
    acknowledged += outcomes.length;
    missed += listener.judgeMissing(gaps.get(topic) as ToldGap[]);
    count += listener.numbers.size;
    again += listener.again;
  }
  return { faults, gaps: [...gaps.values()].flat(), acknowledged, heard: count, missed, again };
}

type HeardGap = Extract<Heard, { what: "gap" }>;
type HeardMessage = Extract<Heard, { what: "message" }>;

function takeGap({ topic, from, to, reason, at }: HeardGap, told: ToldGap[], faults: string[]): void {
  const open = told.find((gap) => gap.to === Number.POSITIVE_INFINITY);
  if (to === null) {
    if (open !== undefined) faults.push(`gap of ${topic} begins twice`);
    if (from > at + CLOCKS_MS) faults.push(`gap of ${topic} begins ${from - at} ms in the future`);
    told.push({ topic, from, to: Number.POSITIVE_INFINITY, reason });
    return;
  }
  if (open === undefined) {
    faults.push(`gap of ${topic} ends without a beginning`);
    return;
  }
  if (from !== open.from || reason !== open.reason) faults.push(`gap of ${topic} ends as another one than began`);
  if (to < from) faults.push(`gap of ${topic} ends before it begins`);
  if (to > at + CLOCKS_MS) faults.push(`gap of ${topic} ends ${to - at} ms in the future`);
  open.to = to;
}

function judgeGaps(topic: string, told: readonly ToldGap[], { gaps, around }: Expected, faults: string[]): void {
  const due = typeof gaps === "function" ? gaps(topic) : gaps;
  const [least, most] = typeof due === "number" ? [due, due] : due;
  if (told.length < least || told.length > most) {
    faults.push(`${told.length} gaps of ${topic} in place of ${String(due)}: ${shown(told)}`);
  }
  if (told.some(({ to }) => to === Number.POSITIVE_INFINITY)) faults.push(`gap of ${topic} has no end`);
  if (around !== undefined && least > 0 && !told.some(({ from, to }) => from <= around && around <= to)) {
    faults.push(`no gap of ${topic} around ${around}: ${shown(told)}`);
  }
}

class StreamJudge {
  readonly stream: Stream;
  readonly numbers = new Set<number>();
  again = 0;
  readonly #faults: string[];
  /** What came before the end of a gap was told. */
  readonly #early: { readonly number: number; readonly gap: ToldGap }[] = [];
  /** The numbers heard since the last gap began or ended: within one episode they come from one node. */
  #episode = { gaps: "", numbers: new Set<number>(), latest: -1 };

  constructor(stream: Stream, faults: string[]) {
    this.stream = stream;
    this.#faults = faults;
  }

  hear({ number }: HeardMessage, told: readonly ToldGap[]): void {
    const { name, sent } = this.stream;
    const message = sent[number];
    const open = told.find((gap) => gap.to === Number.POSITIVE_INFINITY);
    const episode = `${told.length} ${open === undefined}`;
    if (episode !== this.#episode.gaps) this.#episode = { gaps: episode, numbers: new Set(), latest: -1 };
    if (message === undefined) return void this.#faults.push(`${name} ${number} was never sent`);
    if (open !== undefined) this.#early.push({ number, gap: open });
    if (message.outcome === "refused") this.#faults.push(`${name} ${number} was refused, and came`);
    if (this.#episode.numbers.has(number)) this.#faults.push(`${name} ${number} came twice`);
    else if (this.numbers.has(number)) this.again++;
    if (message.outcome === "acknowledged") {
      const { latest } = this.#episode;
      if (number < latest) this.#faults.push(`${name} ${number} came after ${latest}`);
      this.#episode.latest = Math.max(latest, number);
    }
    this.#episode.numbers.add(number);
    this.numbers.add(number);
  }

  /** When all gaps are told. How many acknowledged messages were missed. */
  judgeMissing(told: readonly ToldGap[]): number {
    const { name, sent } = this.stream;
    for (const { number, gap } of this.#early) {
      // Sent while the gap lasted, it may come before the gap's end is told. Sent later, it must not.
      if ((sent[number] as SentMessage).sentAt <= gap.to + CLOCKS_MS) continue;
      this.#faults.push(`${name} ${number} came before the end of its gap was told: ${shown([gap])}`);
    }
    let missed = 0;
    for (const [number, { sentAt, answeredAt, outcome }] of sent.entries()) {
      if (outcome !== "acknowledged" || this.numbers.has(number)) continue;
      missed++;
      // The server had it at some moment between the two times.
      if (told.some(({ from, to }) => sentAt <= to + CLOCKS_MS && answeredAt >= from - CLOCKS_MS)) continue;
      const span = `sent at ${Math.round(sentAt)}, answered at ${Math.round(answeredAt)}`;
      this.#faults.push(`${name} ${number} is missing outside of a gap, ${span}: ${shown(told)}`);
    }
    return missed;
  }
}

function shown(told: readonly ToldGap[]): string {
  return told.map(({ from, to, reason }) => `${from} to ${to} ${reason}`).join(", ") || "no gap";
}
