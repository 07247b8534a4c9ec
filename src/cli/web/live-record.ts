import type { StudyEvent } from "../study/events.ts";
import { KnownState } from "./known-state.ts";
import { CALL_LIMITS, type CallEvent, type CallLimits, LiveCalls } from "./live-calls.ts";
import type { Rate } from "./protocol.ts";

/**
 * Events that are none of a call: nodes, connections, loads, servers, actions. Older ones are folded into the state. One that
 * tells of many keys counts for more.
 */
const MOST_NOTES = 4000;
const KEYS_OF_NOTE = 16;
/** The text of a `bytes` event is cut here; its `length` tells how long it was. */
const MOST_TEXT = 2048;

/**
 * A record that goes on for hours in bounded memory. It keeps the last calls and the last other events. What older events
 * have led to is told as few events, so that `state()` always begins with all that is needed to know the present state.
 */
export class LiveRecord {
  readonly #calls: LiveCalls;
  readonly #known = new KnownState();
  /** A queue: those before `#first` are folded already. */
  #notes: (Note | undefined)[] = [];
  #first = 0;
  readonly #mostNotes: number;
  #weight = 0;
  /** The numbers of keys that the last `servers` event has told. An event shares those that have not changed with it. */
  #told = new Set<object>();
  #news: StudyEvent[] | undefined;
  #onNews: (() => void) | undefined;
  #isWanted = false;
  #total = 0;
  #ended = 0;
  #kept = 0;
  #refused = 0;

  constructor({ calls = CALL_LIMITS, notes = MOST_NOTES }: { calls?: CallLimits; notes?: number } = {}) {
    this.#calls = new LiveCalls(calls);
    this.#mostNotes = notes;
  }

  /** Takes the next event. */
  add(event: StudyEvent): void {
    if (isOfCall(event)) this.#addOfCall(event.type === "bytes" ? shortened(event) : event);
    else if (event.type !== "bytes") {
      this.#note(event, this.#weightOf(event));
      this.#tell([event]);
    }
  }

  /** Runs `what`. Calls that begin before it returns are kept, however many others there are. */
  wanting<T>(what: () => T): T {
    this.#isWanted = true;
    try {
      return what();
    } finally {
      this.#isWanted = false;
    }
  }

  /** From now on `takeNews` gives what is new, and `onNews` is called when there is something. */
  listen(onNews: () => void): void {
    this.#news ??= [];
    this.#onNews = onNews;
  }

  /** Nobody wants what is new any more, so that it need not be held. */
  unlisten(): void {
    this.#news = undefined;
    this.#onNews = undefined;
  }

  /** What is new in the record since the last time. A call that is kept late comes with its earlier events. */
  takeNews(): StudyEvent[] {
    const news = this.#news ?? [];
    if (this.#news !== undefined) this.#news = [];
    return news;
  }

  /** The record: what leads to the state before the first event that is kept, and all that is kept, in order. */
  state(): StudyEvent[] {
    const kept = [...this.#notes.slice(this.#first).map((note) => (note as Note).event), ...this.#calls.events()];
    return [...this.#known.events(), ...kept].sort((one, other) => one.seq - other.seq);
  }

  /** Counts of the calls that have ended since the last time. */
  takeRate(): Rate {
    const rate = {
      calls: this.#ended,
      dropped: this.#ended - this.#kept,
      refused: this.#refused,
      total: this.#total,
    };
    this.#ended = 0;
    this.#kept = 0;
    this.#refused = 0;
    return rate;
  }

  #note(event: StudyEvent, weight: number): void {
    this.#notes.push({ event, weight });
    this.#weight += weight;
    while (this.#weight > this.#mostNotes && this.#notes.length - this.#first > 1) {
      const oldest = this.#notes[this.#first] as Note;
      // The array is shortened only now and then. What was folded must not live on in it.
      this.#notes[this.#first++] = undefined;
      this.#weight -= oldest.weight;
      this.#known.fold(oldest.event);
    }
    if (this.#first * 2 <= this.#notes.length) return;
    this.#notes = this.#notes.slice(this.#first);
    this.#first = 0;
  }

  #weightOf(event: StudyEvent): number {
    if (event.type !== "servers") return 1;
    const told = new Set<object>();
    let weight = event.nodes.length;
    for (const { keysBySlot } of event.nodes) {
      if (keysBySlot === undefined) continue;
      told.add(keysBySlot);
      if (!this.#told.has(keysBySlot)) weight += Object.keys(keysBySlot).length / KEYS_OF_NOTE;
    }
    this.#told = told;
    return weight;
  }

  #addOfCall(event: CallEvent): void {
    const news = this.#calls.add(event, this.#isWanted);
    if (event.type === "settled") {
      this.#total++;
      this.#ended++;
      if (news.length > 0) this.#kept++;
      if (event.attempts > 1 || event.code !== null) this.#refused++;
    }
    this.#tell(news);
  }

  #tell(news: readonly StudyEvent[]): void {
    if (this.#news === undefined || news.length === 0) return;
    this.#news.push(...news);
    this.#onNews?.();
  }
}

interface Note {
  readonly event: StudyEvent;
  readonly weight: number;
}

function isOfCall(event: StudyEvent): event is CallEvent {
  switch (event.type) {
    case "call":
    case "queued":
    case "written":
    case "answered":
    case "decided":
    case "settled":
      return true;
    case "bytes":
      return event.call !== null;
    default:
      return false;
  }
}

function shortened<E extends { readonly type: "bytes"; readonly text: string }>(event: E): E {
  return event.text.length <= MOST_TEXT ? event : { ...event, text: event.text.slice(0, MOST_TEXT) };
}
