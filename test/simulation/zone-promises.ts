import type { Made } from "./calls.ts";
import type { Ledger } from "./ledger.ts";
import type { Plan } from "./plan.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { zoneOf } from "./sim-description.ts";

/** Worlds in which something is odd from the beginning on. */
const ODD_FROM_THE_START = ["join", "slow-network", "stalled-connect"];

/** As long as nothing has gone wrong, a read goes to the zone that `readFrom` names if a node of its slot is there. */
export class ZonePromise {
  readonly #zone: string | undefined;
  readonly #cluster: SimCluster;
  readonly #isOdd: boolean;
  /** The zones of the nodes of each slot, and of each address, as they are in the beginning. */
  readonly #zonesOfSlot = new Map<number, readonly string[]>();
  readonly #zoneAt: ReadonlyMap<string, string>;
  /** Reads that were compared. */
  compared = 0;

  constructor({ options, worlds }: Plan, cluster: SimCluster, slots: readonly number[]) {
    const { readFrom = "primary" } = options;
    this.#zone = typeof readFrom === "string" ? undefined : readFrom.zone;
    this.#cluster = cluster;
    this.#isOdd = worlds.some((kind) => ODD_FROM_THE_START.includes(kind));
    this.#zoneAt = new Map(cluster.nodes.map((node) => [node.name, zoneOf(node)]));
    const { truth } = cluster;
    for (const slot of slots) {
      const members = cluster.nodes.filter(({ shard }) => shard === truth.shardOf(slot));
      this.#zonesOfSlot.set(slot, members.map(zoneOf));
    }
  }

  broken(made: readonly Made[], ledger: Ledger): string[] {
    const zone = this.#zone;
    if (zone === undefined || this.#isOdd) return [];
    // A server that runs a script for long refuses reads, which then go elsewhere.
    const slow = made.filter(({ what }) => what === "slow").map(({ madeAt }) => madeAt);
    const until = Math.min(this.#cluster.troubledAt, ...slow);
    return made.flatMap(({ number, what, group, slot, settledAt = Number.POSITIVE_INFINITY }) => {
      const { written, writtenTo } = ledger.of(number);
      const isRead = what === "read" && group === undefined && written > 0;
      if (!isRead || settledAt >= until || this.#zonesOfSlot.get(slot)?.includes(zone) !== true) return [];
      this.compared++;
      const was = this.#zoneAt.get(writtenTo);
      return was === zone
        ? []
        : [`call ${number} was read of ${writtenTo} in zone ${was}, where zone ${zone} can serve`];
    });
  }
}
