import type { Environment } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { CacheTrace } from "../telemetry/cache-trace.ts";
import { Pair } from "./pair.ts";
import type { Session, SessionEvents, SessionTerms } from "./session.ts";

/** While very many pairs wait for their next try, all of them together try 200 times a second. */
const LEAST_MS_PER_PAUSING = 5;

/** The objects that pairs work with. */
export interface PairsParts {
  readonly environment: Environment;
  readonly nodes: () => readonly ClusterNode[];
  /** A slot of a node. Undefined where it owns none. */
  readonly slotOf: (node: ClusterNode) => number | undefined;
  readonly terms: Pick<SessionTerms, "maxStaleness" | "now" | "keyToProve">;
  readonly events: SessionEvents;
  readonly trace: CacheTrace;
}

/** The pairs of connections of a cache: one to each primary that owns slots. */
export class Pairs {
  readonly #parts: PairsParts;
  readonly #byNode = new Map<ClusterNode, Pair>();

  constructor(parts: PairsParts) {
    this.#parts = parts;
  }

  /** The session through which reads go to a node; undefined while there is none. */
  sessionAt(node: ClusterNode): Session | undefined {
    return this.#byNode.get(node)?.session;
  }

  get all(): readonly Pair[] {
    return [...this.#byNode.values()];
  }

  /** Opens pairs to primaries that are new, and ends those to nodes that are none any more. */
  follow(): void {
    const { nodes, slotOf } = this.#parts;
    // A MOVED names the owner of a slot before any view says that it is a primary.
    const primaries = new Set(nodes().filter((node) => node.info.role === "primary" || slotOf(node) !== undefined));
    for (const [node, pair] of [...this.#byNode]) {
      if (primaries.has(node)) continue;
      this.#byNode.delete(node);
      const { sessions } = pair;
      const cause = new Error("the node is no primary any more");
      pair.end(cause);
      this.#parts.trace.forget(node.address);
      for (const session of sessions) this.#parts.events.onEnded(session, "topology", cause);
    }
    for (const node of primaries) {
      if (!this.#byNode.has(node) && slotOf(node) !== undefined) this.#open(node);
    }
  }

  /** There are new credentials. */
  renew(): void {
    for (const pair of this.#byNode.values()) pair.renew();
  }

  end(cause: Error): void {
    for (const pair of this.#byNode.values()) pair.end(cause);
    this.#byNode.clear();
  }

  #open(node: ClusterNode): void {
    const { environment, slotOf, terms, events, trace } = this.#parts;
    const pair: Pair = new Pair(node, {
      environment,
      slotOf,
      terms,
      trace,
      leastWaitMs: () => LEAST_MS_PER_PAUSING * this.all.filter(({ isPausing }) => isPausing).length,
      events: {
        ...events,
        onEnded: (session, why, cause) => {
          pair.noteEnded(session, why, cause);
          events.onEnded(session, why, cause);
        },
      },
    });
    this.#byNode.set(node, pair);
  }
}
