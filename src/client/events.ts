import { InvalidArgumentError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import type { Topology } from "../topology/topology.ts";

/** The payload of each event. */
export interface ClusterEvents {
  /** The topology changed: nodes, roles, or the owner of a slot. */
  topology: {
    /** The topology as it is now. */
    readonly current: Topology;
    /** The topology as it was before. */
    readonly previous: Topology;
  };
  /** A node answered a call with MOVED or ASK. Addresses are as announced. */
  redirection: {
    /** MOVED: the slot has another owner. ASK: the slot is moving, and only this call goes to the other node. */
    readonly kind: "MOVED" | "ASK";
    /** The slot of the call, 0 to 16383. */
    readonly slot: number;
    /** The node that answered. */
    readonly from: string;
    /** The node that it named. */
    readonly to: string;
    /** The script's name; undefined when no script was run. */
    readonly script: string | undefined;
  };
  /** A node did not have a script or function that a call was to run. The call is sent again with the script. */
  scriptMissing: {
    /** The node's address, as announced. */
    readonly address: string;
    /** The script's name. */
    readonly script: string;
    /** The script's SHA-1; for a function, the SHA-1 of its library. */
    readonly sha: string;
  };
  /** A node is connected and has been given every script. */
  nodeUp: {
    /** The node's address, as announced. */
    readonly address: string;
  };
  /**
   * A node has no usable connection: the last one was lost, the first one could not be opened, or the node fell silent.
   */
  nodeDown: {
    /** The node's address, as announced. */
    readonly address: string;
    /** Why the connection was lost, or could not be opened. */
    readonly cause: Error;
  };
  /** A listener threw, or the promise that it returned was rejected. Without a listener for this, the process is warned. */
  listenerError: {
    /** What was thrown. */
    readonly error: unknown;
    /** What the listener was for: the name of an event, or `message` or `gap` of a subscription. */
    readonly event: ClusterEvent | "message" | "gap";
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
  listenerError: true,
};
/** What there is in place of an event that other clients have. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ["error", 'no error is lost without a listener: a call that fails rejects, and "nodeDown" tells why a node is down'],
  ["node error", '"nodeDown" tells why a node is down'],
  ["ready", "the promise of `connect` resolves when the cluster can be used"],
  ["connect", "the promise of `connect` resolves when the cluster can be used"],
  ["end", "the promise of `close` resolves when the client has ended"],
  ["close", '"nodeDown" tells that a node has no connection, and the promise of `close` resolves at the end'],
  ["reconnecting", '"nodeDown" and "nodeUp" tell when a node has no connection, and when it has one again'],
  ["+node", '"topology" tells of every change of the nodes'],
  ["-node", '"topology" tells of every change of the nodes'],
  ["message", "the listener that `subscribe` was given gets the messages"],
  ["pmessage", "the listener that `psubscribe` was given gets the messages"],
  ["smessage", "the listener that `ssubscribe` was given gets the messages"],
]);
/** The names of all events. */
const EVENT_NAMES: readonly string[] = Object.keys(EVENTS);
/** A listener of `on`. It is called at once when the event happens. Its result and its errors change nothing. */
export type Listener<E extends ClusterEvent> = (payload: ClusterEvents[E]) => void;

/** One registration of a listener. */
interface Registration {
  readonly given: unknown;
  readonly call: (payload: unknown) => unknown;
}

/** Calls users' listeners. A listener that throws or rejects harms nobody. */
export class Emitter {
  readonly #listeners = new Map<ClusterEvent, Set<Registration>>();

  /** Adds a listener. Returns the function that removes it. */
  on<E extends ClusterEvent>(event: E, listener: Listener<E>): () => void {
    // Each registration is a function of its own. So a listener that was added twice can be removed once.
    return this.#add(event, { given: listener, call: (payload) => listener(payload as ClusterEvents[E]) });
  }

  /** Adds a listener for one time. No event is called "error": whoever waits for one waits in vain. */
  once(event: ClusterEvent | "error", listener: (payload: never) => void): void {
    if (event === "error") return;
    checkListener(event, listener);
    const remove = this.#add(event, {
      given: listener,
      call: (payload) => {
        remove();
        listener(payload as never);
      },
    });
  }

  /** Removes a listener: the last registration of it. */
  off(event: ClusterEvent | "error", listener: unknown): void {
    if (event === "error") return;
    checkListener(event, listener);
    const registered = [...(this.#listeners.get(event) ?? [])].findLast(({ given }) => given === listener);
    if (registered !== undefined) this.#listeners.get(event)?.delete(registered);
  }

  #add(event: ClusterEvent, registration: Registration): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(registration));
    return () => void listeners.delete(registration);
  }

  emit<E extends ClusterEvent>(event: E, payload: ClusterEvents[E]): void {
    const listeners = this.#listeners.get(event);
    if (listeners === undefined) return;
    for (const { call } of [...listeners]) {
      try {
        const result = call(payload);
        if (result instanceof Promise) result.catch((error: unknown) => this.tellThrown(event, error));
      } catch (error) {
        this.tellThrown(event, error);
      }
    }
  }

  /** A listener has thrown. */
  tellThrown(event: ClusterEvents["listenerError"]["event"], error: unknown): void {
    const isHeard = (this.#listeners.get("listenerError")?.size ?? 0) > 0;
    if (event === "listenerError" || !isHeard) warn(event, error);
    else this.emit("listenerError", { error, event });
  }
}

function warn(event: string, thrown: unknown): void {
  const what = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : typeof thrown;
  process.emitWarning(`A listener for "${event}" threw (${what})`, "SlotwireWarning");
}

/**
 * Checks the arguments of `on`.
 * @throws {InvalidArgumentError} There is no such event, or the listener is not a function.
 */
export function checkListener(event: unknown, listener: unknown): void {
  if (typeof event !== "string" || !EVENT_NAMES.includes(event)) {
    const given = typeof event === "string" ? JSON.stringify(event) : kindOf(event);
    const instead = INSTEAD.get(String(event));
    const advice = instead === undefined ? "" : ` In place of ${given}: ${instead}.`;
    throw new InvalidArgumentError(`on: the event is ${given}; accepted are ${EVENT_NAMES.join(", ")}.${advice}`);
  }
  if (typeof listener !== "function") {
    throw new InvalidArgumentError(`on: the listener is ${kindOf(listener)}; accepted is a function.`);
  }
}
