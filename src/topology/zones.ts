import type { Reply } from "../protocol/reply.ts";
import type { Topology } from "./topology.ts";
import { asZone } from "./topology-reply.ts";

/**
 * The zones of nodes by the nodes' own word: INFO. It counts only where the description of the cluster names no zone at
 * all, because servers older than Valkey 9.1 name none there.
 */
export class Zones {
  readonly #byId = new Map<string, string>();
  /** Somebody reads by zones, so zones that the description of the cluster lacks are asked for. */
  isWanted = false;

  /** Notes what a node has said of itself. */
  note(id: string, zone: string | undefined): void {
    if (zone === undefined) this.#byId.delete(id);
    else this.#byId.set(id, zone);
  }

  isKnown(id: string): boolean {
    return this.#byId.has(id);
  }

  /** The topology as a node describes it, with the zones that it may lack. */
  addedTo(described: Topology): Topology {
    return this.isWanted && !namesZones(described) ? this.allIn(described) : described;
  }

  /** The topology with these zones alone. */
  allIn(topology: Topology): Topology {
    return topology.withZones((id) => this.#byId.get(id));
  }
}

/** Whether a description of the cluster names a zone. If it names one, then all that are set. */
export function namesZones({ nodes }: Topology): boolean {
  return nodes.some(({ zone }) => zone !== undefined);
}

/** The zone in a reply to INFO. */
export function zoneInInfo(reply: Reply): string | undefined {
  return asZone(typeof reply === "string" ? /^availability_zone:([^\r\n]*)/m.exec(reply)?.[1]?.trim() : undefined);
}
