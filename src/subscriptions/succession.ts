import type { Clock, Timer } from "../environment.ts";
import type { Reply } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";

/** How often a replica is asked. */
const SPACING_MS = 75;

/**
 * Watches the replicas of primaries that subscriptions have lost. A replica that is promoted is the first to know, and is
 * asked by ROLE, which costs a server next to nothing. The topology, which costs more, is asked for when one says that it
 * is a primary.
 *
 *   resting --a primary is lost--> each replica is asked every 75 ms --none is lost any more--> resting
 */
export class Succession {
  readonly #clock: Clock;
  readonly #heirs: () => readonly ClusterNode[];
  readonly #onPromoted: () => void;
  /** Nodes that have not answered yet. */
  readonly #asked = new Set<ClusterNode>();
  #timer: Timer | undefined;
  #isClosed = false;

  /**
   * @param heirs       The replicas of the primaries that are lost by now.
   * @param onPromoted  One of them is a primary.
   */
  constructor(clock: Clock, heirs: () => readonly ClusterNode[], onPromoted: () => void) {
    this.#clock = clock;
    this.#heirs = heirs;
    this.#onPromoted = onPromoted;
  }

  /** A primary has been lost. */
  watch(): void {
    if (this.#isClosed) return;
    this.#timer ??= this.#clock.setTimer(() => this.#askAll(), SPACING_MS, true);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #askAll(): void {
    this.#timer = undefined;
    const heirs = this.#heirs();
    for (const node of heirs) this.#ask(node);
    if (heirs.length > 0) this.watch();
  }

  #ask(node: ClusterNode): void {
    if (this.#asked.has(node)) return;
    const connection = node.pool.lanes.find(({ ready }) => ready)?.useConnection();
    if (connection === undefined) return;
    this.#asked.add(node);
    const answer = connection.exchange(["ROLE"])[0] as Promise<Reply>;
    answer
      .then(
        (reply) => Array.isArray(reply) && reply[0] === "master" && !this.#isClosed && this.#onPromoted(),
        // Where ROLE may not be asked, the rounds that go on meanwhile find out, only later.
        () => {},
      )
      .finally(() => this.#asked.delete(node));
  }
}
