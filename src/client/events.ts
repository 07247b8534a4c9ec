import type { Topology } from "../topology/topology.ts";

/** What each event carries. */
export interface ClusterEvents {
  /** The topology changed: nodes, roles, or the owner of a slot. */
  topology: {
    /** As it is now. */
    readonly current: Topology;
    /** As it was before. */
    readonly previous: Topology;
  };
  /** A node answered MOVED or ASK. Addresses as announced. */
  redirection: {
    /** MOVED: for good; ASK: for this call, while the slot moves. */
    readonly kind: "MOVED" | "ASK";
    /** 0 to 16383. */
    readonly slot: number;
    /** The node that answered. */
    readonly from: string;
    /** The node that it named. */
    readonly to: string;
    /** The script's name, when a script was run. */
    readonly script: string | undefined;
  };
  /** A node answered NOSCRIPT; the script is loaded and the call sent again. */
  scriptMissing: {
    /** The node, as announced. */
    readonly address: string;
    /** The script's name. */
    readonly script: string;
    /** Its SHA-1. */
    readonly sha: string;
  };
  /** A node is connected and has been given every script. */
  nodeUp: {
    /** As announced. */
    readonly address: string;
  };
  /** A node has no connection any more. */
  nodeDown: {
    /** As announced. */
    readonly address: string;
    /** Why the last one was lost, or could not be opened. */
    readonly cause: Error;
  };
}

/** The name of an event. */
export type ClusterEvent = keyof ClusterEvents;
const EVENTS: Readonly<Record<ClusterEvent, true>> = {
  topology: true,
  redirection: true,
  scriptMissing: true,
  nodeUp: true,
  nodeDown: true,
};
/** What `on` knows. */
export const EVENT_NAMES: readonly string[] = Object.keys(EVENTS);
/** What `on` takes. It is called at once, where the event happens; what it returns or throws changes nothing. */
export type Listener<E extends ClusterEvent> = (payload: ClusterEvents[E]) => void;

/** Calls listeners, whatever they do. */
export class Emitter {
  readonly #listeners = new Map<ClusterEvent, Set<Listener<never>>>();

  /** Returns the function that removes the listener. */
  on<E extends ClusterEvent>(event: E, listener: Listener<E>): () => void {
    // A registration of its own, so that one function added twice is removed once.
    const registered: Listener<E> = (payload) => listener(payload);
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(registered as Listener<never>));
    return () => void listeners.delete(registered as Listener<never>);
  }

  emit<E extends ClusterEvent>(event: E, payload: ClusterEvents[E]): void {
    const listeners = this.#listeners.get(event);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      try {
        const result = (listener as (payload: ClusterEvents[E]) => unknown)(payload);
        if (result instanceof Promise) result.catch((error: unknown) => warn(event, error));
      } catch (error) {
        warn(event, error);
      }
    }
  }
}

function warn(event: ClusterEvent, thrown: unknown): void {
  const what = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : typeof thrown;
  process.emitWarning(`A listener for "${event}" threw (${what})`, "SlotwireWarning");
}
