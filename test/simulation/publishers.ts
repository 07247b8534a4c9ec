import type { Chance } from "./random.ts";
import { ErrorReply } from "./resp.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimNode } from "./sim-node.ts";
import { shardRedirectionOf, slotOfKey } from "./sim-routing.ts";
import type { HistoryEvent } from "./subscription-history.ts";

/** A channel on which numbered messages are published, or a name under which keys are written. */
export interface Line {
  readonly kind: "channel" | "shard" | "keyspace";
  /** Of a keyspace line: what its keys begin with. */
  readonly channel: string;
}

const MOST_HOPS = 3;
/** After so many messages they come more slowly: a run may wait long for its last call. */
const MANY = 200;

/** Publishes numbered messages in the servers' world, as other clients do. */
export class Publishers {
  readonly lines: readonly Line[];
  readonly #cluster: SimCluster;
  readonly #chance: Chance;
  readonly #note: (event: HistoryEvent) => void;
  readonly #numbers = new Map<Line, number>();
  /** Where each line's publisher is connected. */
  readonly #nodes = new Map<Line, SimNode>();
  #isOver = false;
  #count = 0;

  constructor(lines: readonly Line[], cluster: SimCluster, chance: Chance, note: (event: HistoryEvent) => void) {
    this.lines = lines;
    this.#cluster = cluster;
    this.#chance = chance;
    this.#note = note;
    for (const line of lines) {
      const before = cluster.nodes.filter(({ index }) => !cluster.node(0).view.lacks.has(index));
      this.#nodes.set(line, chance.pick(before));
    }
  }

  /** Publishes about every `everyMs` milliseconds, until `stop`. */
  start(everyMs: number): void {
    const waitMs = everyMs * this.#chance.between(0.3, 1.7) * (this.#count > MANY ? 20 : 1);
    this.#cluster.loop.inWorld(waitMs, () => {
      if (this.#isOver) return;
      this.#publish(this.#chance.pick(this.lines));
      this.start(everyMs);
    });
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Once on each line. */
  publishAll(): void {
    for (const line of this.lines) this.#publish(line);
  }

  #publish(line: Line): void {
    const node = line.kind === "channel" ? (this.#nodes.get(line) as SimNode) : this.#ownerFor(line);
    const { loop, bus } = this.#cluster;
    if (node === undefined || !serves(node)) return;
    const number = this.#numbers.get(line) ?? 0;
    this.#numbers.set(line, number + 1);
    this.#count++;
    const { channel, kind } = line;
    this.#note({ what: "published", at: loop.time, channel, number });
    if (kind !== "keyspace") bus.publish(node, { kind, channel, payload: String(number), isStamped: true });
    else {
      const key = keyOf(line, number);
      node.set(key, "numbered");
      node.set(key, null);
    }
  }

  /** The node that takes it: where the publisher was last, or where refusals lead from there. */
  #ownerFor(line: Line): SimNode | undefined {
    const slot = slotOfKey(line.channel);
    let node = this.#nodes.get(line) as SimNode;
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      const owner = this.#cluster.truth.ownerOf(slot);
      // A replica may not have heard that its shard has lost the slot, and then publishes to nobody.
      if (!serves(node) || !node.isPrimary) {
        if (owner === undefined) return undefined;
        node = this.#cluster.node(owner);
        if (!serves(node)) return undefined;
      }
      const refusal = this.#refusalOf(line, node);
      if (refusal === undefined) {
        this.#nodes.set(line, node);
        return this.#writerAt(line, node, slot);
      }
      const [word, , address] = refusal.text.split(" ");
      const next = this.#cluster.nodes.find(({ name }) => name === address);
      if (word !== "MOVED" || next === undefined) return undefined;
      node = next;
    }
    return undefined;
  }

  #refusalOf({ kind, channel }: Line, node: SimNode): ErrorReply | undefined {
    if (
      kind === "keyspace" &&
      (node.view.servesNothing || node.isPaused || node.loadingUntil > this.#cluster.loop.time)
    )
      return new ErrorReply("CLUSTERDOWN The cluster is down");
    return shardRedirectionOf(node, [channel]);
  }

  /** New keys of a slot that is on its way are written where it goes. */
  #writerAt({ kind }: Line, node: SimNode, slot: number): SimNode | undefined {
    const to = kind === "keyspace" ? node.migrating.get(slot) : undefined;
    if (to === undefined) return node;
    const target = this.#cluster.node(to);
    return serves(target) && target.isPrimary && target.importing.has(slot) && !target.isPaused ? target : undefined;
  }
}

function keyOf({ channel }: Line, number: number): string {
  return `${channel}:${number}`;
}

/** The number of a keyspace notification, and the channel of its line. */
export function lineOfKey(key: string): { readonly channel: string; readonly number: number } {
  const at = key.lastIndexOf(":");
  return { channel: key.slice(0, at), number: Number(key.slice(at + 1)) };
}

function serves(node: SimNode): boolean {
  return node.isAlive && !node.isFrozen && node.blockedUntil <= node.world.loop.time;
}
