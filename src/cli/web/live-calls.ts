import type { StudyEvent, StudyEventOf } from "../study/events.ts";

/** An event of a call. */
export type CallEvent = Extract<
  StudyEvent,
  { readonly attempt: number | null } | { readonly type: "call" | "settled" }
> & {
  readonly call: number;
};

/** The bounds on what is kept of calls. */
export interface CallLimits {
  /** Calls a second that are kept whatever becomes of them. */
  readonly perSecond: number;
  /** Calls a second that are kept beyond these because they were refused, or failed. */
  readonly refusedPerSecond: number;
  /** Events of calls that were answered at once. The oldest calls are dropped first. */
  readonly plainEvents: number;
  /** Events of calls that were refused, or failed. */
  readonly refusedEvents: number;
  /** Calls that are followed at the same time. Calls beyond these are only counted. */
  readonly open: number;
  /** Events of one call. Of those beyond these only the last is kept. */
  readonly eventsOfCall: number;
  /** The same of a call that is wanted: somebody looks at it, and few are. */
  readonly eventsOfWanted: number;
}

export const CALL_LIMITS: CallLimits = {
  perSecond: 50,
  refusedPerSecond: 50,
  plainEvents: 2000,
  refusedEvents: 8000,
  open: 1000,
  eventsOfCall: 400,
  eventsOfWanted: 4000,
};

/** A call that is followed. */
interface Followed {
  readonly call: number;
  readonly mostEvents: number;
  readonly events: CallEvent[];
  /** It is in the record. Otherwise its events are only held until it is known whether the call is refused. */
  isKept: boolean;
  isRefused: boolean;
}

/**
 * The calls of a record, within bounds. A call is kept when it begins, as long as few begin; one that begins under load is
 * held back, and kept after all if it is refused or fails. All others are only counted.
 */
export class LiveCalls {
  readonly #limits: CallLimits;
  readonly #open = new Map<number, Followed>();
  readonly #plain: Shelf;
  readonly #refused: Shelf;
  readonly #plainBudget: Budget;
  readonly #refusedBudget: Budget;

  constructor(limits: CallLimits) {
    this.#limits = limits;
    this.#plain = new Shelf(limits.plainEvents);
    this.#refused = new Shelf(limits.refusedEvents);
    this.#plainBudget = new Budget(limits.perSecond);
    this.#refusedBudget = new Budget(limits.refusedPerSecond);
  }

  /**
   * Takes the next event. Returns what is new in the record: the event, with those before it if the call is kept only
   * now; nothing if the call is not kept.
   * @param isWanted  The call that begins is kept whatever the load is.
   */
  add(event: CallEvent, isWanted: boolean): readonly CallEvent[] {
    if (event.type === "call") return this.#begin(event, isWanted);
    const followed = this.#open.get(event.call);
    if (followed === undefined) return [];
    const isLast = event.type === "settled";
    if (followed.events.length >= followed.mostEvents && !isLast) return [];
    followed.events.push(event);
    followed.isRefused ||= event.type === "decided" || (isLast && event.code !== null);
    const wasKept = followed.isKept;
    if (!wasKept && followed.isRefused) followed.isKept = this.#refusedBudget.take(event.at);
    if (isLast) {
      this.#open.delete(event.call);
      if (followed.isKept) (followed.isRefused ? this.#refused : this.#plain).put(followed.events);
    }
    if (!followed.isKept) return [];
    return wasKept ? [event] : followed.events;
  }

  /** Whether the call is in the record. */
  has(call: number): boolean {
    return this.#open.get(call)?.isKept === true;
  }

  /** All events that are kept. */
  events(): CallEvent[] {
    const open = [...this.#open.values()].filter(({ isKept }) => isKept);
    return [...this.#plain.events(), ...this.#refused.events(), ...open.flatMap(({ events }) => events)];
  }

  #begin(event: StudyEventOf<"call">, isWanted: boolean): readonly CallEvent[] {
    const { open, eventsOfCall, eventsOfWanted } = this.#limits;
    if (!isWanted && this.#open.size >= open) return [];
    const mostEvents = isWanted ? eventsOfWanted : eventsOfCall;
    const isKept = isWanted || this.#plainBudget.take(event.at);
    this.#open.set(event.call, { call: event.call, mostEvents, events: [event], isKept, isRefused: false });
    return isKept ? [event] : [];
  }
}

/** So many a second. */
class Budget {
  readonly #perSecond: number;
  #second = -1;
  #left = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** @param at  Milliseconds; does not decrease. */
  take(at: number): boolean {
    const second = Math.floor(at / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#left = this.#perSecond;
    }
    return this.#left-- > 0;
  }
}

/** Calls that have ended, up to a number of events. */
class Shelf {
  readonly #most: number;
  readonly #calls: (readonly CallEvent[])[] = [];
  #weight = 0;

  constructor(most: number) {
    this.#most = most;
  }

  put(events: readonly CallEvent[]): void {
    this.#calls.push(events);
    this.#weight += weightOf(events);
    while (this.#weight > this.#most && this.#calls.length > 1) {
      this.#weight -= weightOf(this.#calls.shift() as readonly CallEvent[]);
    }
  }

  events(): CallEvent[] {
    return this.#calls.flat();
  }
}

const BYTES_OF_EVENT = 256;

/** Bytes of connections can be long, so they count for more than one event. */
function weightOf(events: readonly CallEvent[]): number {
  let weight = events.length;
  for (const event of events) if (event.type === "bytes") weight += event.text.length / BYTES_OF_EVENT;
  return weight;
}
