import type { StudyEvent } from "../study/events.ts";
import { type Facts, NOTHING, reduce } from "./page/reduce.js";

type Distributed<E> = E extends unknown ? Omit<E, "seq" | "at"> : never;

/**
 * What events that are not kept themselves have led to. It can be told as few events, from which a page that opens late
 * gets the same facts. Calls and bytes have no part in it.
 */
export class KnownState {
  #facts: Facts = NOTHING;

  /** Takes the next event into account. */
  fold(event: StudyEvent): void {
    this.#facts = reduce(this.#facts, event);
  }

  /** Events that lead to the same facts. They come before all events that are kept, so they have the number 0. */
  events(): StudyEvent[] {
    const { at, loads, refreshes, actions } = this.#facts;
    if (this.#facts === NOTHING) return [];
    const first = [...this.#topology(), ...this.#connections(), ...this.#scripts(), ...this.#servers()];
    return [
      ...first.map((event) => ({ seq: 0, at, ...event }) as StudyEvent),
      // What has begun is told as it was.
      ...Object.values(loads),
      ...Object.values(refreshes),
      ...Object.values(actions),
    ];
  }

  /** It is the first of all, because nothing is known of the scripts on nodes that are new. */
  #topology(): Distributed<StudyEvent>[] {
    const { nodes, ranges } = this.#facts.topology;
    if (nodes.length === 0) return [];
    const added = nodes.map(({ address }) => address);
    const moved = ranges.map(({ start, end, address }) => ({ start, end, from: null, to: address }));
    return [{ type: "topology", reason: "first", nodes, added, removed: [], promoted: [], moved }];
  }

  #connections(): Distributed<StudyEvent>[] {
    const { connections, failures } = this.#facts;
    const failed = Object.entries(failures).flatMap(([address, error]): Distributed<StudyEvent>[] => [
      { type: "connecting", connection: 0, address, readOnly: false, attempt: 1 },
      { type: "connected", connection: 0, address, error },
    ]);
    const others = Object.values(connections).flatMap(
      ({ id: connection, address, readOnly, attempt, isOpen }): Distributed<StudyEvent>[] => [
        { type: "connecting", connection, address, readOnly, attempt },
        ...(isOpen ? [{ type: "connected", connection, address, error: null } as const] : []),
      ],
    );
    // The failures come last, because a connection that opens ends the failure of its node.
    return [...others, ...failed];
  }

  #scripts(): Distributed<StudyEvent>[] {
    return Object.entries(this.#facts.scripts).flatMap(([address, scripts]) => {
      const inState = (wanted: string) =>
        Object.entries(scripts).flatMap(([sha, { name, state }]) => (state === wanted ? [{ name, sha }] : []));
      const [held, missing] = [inState("held"), inState("missing")];
      const told: Distributed<StudyEvent> = { type: "audited", address, why: "told", asked: 0, held, missing };
      return [
        ...(held.length + missing.length > 0 ? [told] : []),
        ...inState("failed").map((script) => ({ type: "loaded", load: 0, address, script, error: "ERR" }) as const),
      ];
    });
  }

  #servers(): Distributed<StudyEvent>[] {
    const { servers } = this.#facts;
    return servers.length === 0 ? [] : [{ type: "servers", nodes: servers }];
  }
}
