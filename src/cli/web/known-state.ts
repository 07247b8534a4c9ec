import { SLOT_COUNT } from "../../protocol/hash-slot.ts";
import type { StudyEvent, StudyEventOf } from "../study/events.ts";

type Topology = StudyEventOf<"topology">;

/** A load of which no end was told for so long that others have begun is forgotten. */
const MOST_PENDING = 1000;

/**
 * What is true after events that are not kept themselves. It can be told as few events: what a page needs that opens late.
 * Calls and bytes have no part in it.
 */
export class KnownState {
  /** The owners of the slots, as the client believes. */
  readonly #owners = new Array<string | null>(SLOT_COUNT).fill(null);
  #topology: Topology | undefined;
  readonly #connections = new Map<number, StudyEvent[]>();
  /** Loads, refreshes and actions that have begun. */
  readonly #pending = new Map<string, StudyEvent>();
  /** Who has which script, by the address and the SHA-1. */
  readonly #loaded = new Map<string, StudyEvent[]>();
  /** The last event tells of all servers. */
  #servers: StudyEventOf<"servers"> | undefined;

  /** Takes the next event into account. */
  fold(event: StudyEvent): void {
    switch (event.type) {
      case "connecting":
        this.#connections.set(event.connection, [event]);
        break;
      case "connected":
        if (event.error === null) this.#connections.get(event.connection)?.push(event);
        else this.#connections.delete(event.connection);
        break;
      case "disconnected":
        this.#connections.delete(event.connection);
        break;
      case "load":
        this.#begin(`load ${event.load}`, event);
        break;
      case "loaded":
        this.#foldLoaded(event);
        break;
      case "audited":
        this.#foldAudited(event);
        break;
      case "refreshing":
        this.#begin(`refresh ${event.refresh}`, event);
        break;
      case "refreshed":
        this.#pending.delete(`refresh ${event.refresh}`);
        break;
      case "action":
        if (event.state === "begun") this.#begin(`action ${event.action}`, event);
        else this.#pending.delete(`action ${event.action}`);
        break;
      case "topology":
        this.#foldTopology(event);
        break;
      case "servers":
        this.#servers = event;
        break;
    }
  }

  /** Events that lead to the same state. */
  events(): StudyEvent[] {
    return [
      ...(this.#topology === undefined ? [] : [{ ...this.#topology, ...this.#wholeTopology(this.#topology) }]),
      ...[...this.#connections.values()].flat(),
      ...[...this.#loaded.values()].flat(),
      ...this.#pending.values(),
      ...(this.#servers === undefined ? [] : [this.#servers]),
    ];
  }

  #begin(key: string, event: StudyEvent): void {
    this.#pending.set(key, event);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > MOST_PENDING && oldest !== undefined) this.#pending.delete(oldest);
  }

  #foldLoaded(event: StudyEventOf<"loaded">): void {
    const begun = this.#pending.get(`load ${event.load}`);
    this.#pending.delete(`load ${event.load}`);
    if (event.error !== null) return;
    const key = `${event.address} ${event.script.sha}`;
    this.#loaded.set(key, begun === undefined ? [event] : [begun, event]);
  }

  #foldAudited(event: StudyEventOf<"audited">): void {
    for (const { sha } of event.missing) this.#loaded.delete(`${event.address} ${sha}`);
    for (const script of event.held) {
      this.#loaded.set(`${event.address} ${script.sha}`, [{ ...event, held: [script], missing: [] }]);
    }
  }

  #foldTopology(event: Topology): void {
    this.#topology = event;
    for (const { start, end, to } of event.moved) this.#owners.fill(to, start, end + 1);
    for (const address of event.removed) {
      for (const key of this.#loaded.keys()) if (key.startsWith(`${address} `)) this.#loaded.delete(key);
    }
  }

  /** The change from no topology at all to this one. */
  #wholeTopology({ nodes }: Topology): Pick<Topology, "reason" | "added" | "removed" | "promoted" | "moved"> {
    const moved: Topology["moved"][number][] = [];
    for (let start = 0; start < SLOT_COUNT; ) {
      const to = this.#owners[start] ?? null;
      let end = start;
      while (end + 1 < SLOT_COUNT && this.#owners[end + 1] === to) end++;
      if (to !== null) moved.push({ start, end, from: null, to });
      start = end + 1;
    }
    return { reason: "first", added: nodes.map(({ address }) => address), removed: [], promoted: [], moved };
  }
}
