import type { Chance } from "./random.ts";
import type { SimLoop } from "./sim-loop.ts";
import type { Link } from "./sim-network.ts";
import type { SimNode } from "./sim-node.ts";
import type { Message } from "./sim-pubsub.ts";

/** The longest way of a message from one node to another. */
const MOST_MS = 2;

/** The way of messages from node to node. */
export class Bus {
  readonly #nodes: () => readonly SimNode[];
  readonly #loop: SimLoop;
  readonly #chance: Chance;
  /** When the last message arrives, by sender and receiver: later ones come no earlier. */
  readonly #arrivals = new Map<string, number>();
  /** A message does not come to a node. */
  onLost: (node: SimNode, message: Message) => void = () => {};
  /** A client can read from `time` on that a server has ended the subscription to a channel. */
  onNews: (link: Link, channel: string, time: number) => void = () => {};

  constructor(nodes: () => readonly SimNode[], loop: SimLoop, chance: Chance) {
    this.#nodes = nodes;
    this.#loop = loop;
    this.#chance = chance;
  }

  /** Replicas on which somebody is subscribed apply what their primary wrote by themselves, and tell of it. */
  noteWrite(primary: SimNode): void {
    for (const replica of this.#nodes()) {
      if (replica.source !== primary || !replica.pubsub.isListenedTo) continue;
      const { loop, replicationLagMs } = replica.world;
      loop.inWorld(replicationLagMs, () => {
        if (replica.isAlive && !replica.isFrozen) replica.follow(loop.time - replicationLagMs);
      });
    }
  }

  /** A node publishes: to its own clients, and to the nodes that it knows. Returns to how many of its own it went. */
  publish(from: SimNode, message: Message): number {
    // A stranger has nobody to hand messages to.
    const others = from.isStranger ? [] : this.#nodes();
    for (const to of others) {
      if (to === from || (message.kind === "shard" && to.shard !== from.shard)) continue;
      if (from.view.lacks.has(to.index) || to.view.lacks.has(from.index)) {
        this.onLost(to, message);
        continue;
      }
      const way = `${from.index} ${to.index}`;
      const at = Math.max(this.#arrivals.get(way) ?? 0, this.#loop.time + MOST_MS * this.#chance.next());
      this.#arrivals.set(way, at);
      this.#loop.inWorldAt(at, () => to.hear(message));
    }
    return from.pubsub.deliver(message, from.index);
  }
}
