import {
  type CacheDropReason,
  type CacheLossReason,
  type CacheMessage,
  type CacheMetrics,
  type ClientInfo,
  cacheChannel,
} from "./channels.ts";
import { nextSeq } from "./sequence.ts";

/** Publishes what happens in the cache of one client. Hits are not told: they are counted. */
export class CacheTrace {
  readonly #client: ClientInfo;
  /** The reasons that were told last, by address: a try that fails as the last one did is no news. */
  readonly #unavailable = new Map<string, CacheLossReason>();

  constructor(client: ClientInfo) {
    this.#client = client;
  }

  /** Whether anybody listens. */
  get isHeard(): boolean {
    return cacheChannel.hasSubscribers;
  }

  /** Replies that were read from the node at `address` are gone. */
  dropped(address: string, reason: CacheDropReason | "invalidated" | "evicted", count: number): void {
    this.#tell({ event: "dropped", address, reason, count, figures: undefined });
  }

  /** Nothing is kept of what the node at `address` answers. */
  unavailable(address: string, reason: CacheLossReason): void {
    if (this.#unavailable.get(address) === reason) return;
    this.#unavailable.set(address, reason);
    this.#tell({ event: "unavailable", address, reason, count: 0, figures: undefined });
  }

  ready(address: string): void {
    this.#unavailable.delete(address);
    this.#tell({ event: "ready", address, reason: undefined, count: 0, figures: undefined });
  }

  /** The node at `address` is no primary any more. */
  forget(address: string): void {
    this.#unavailable.delete(address);
  }

  /** @param figures  Called if anybody listens. */
  closed(figures: () => CacheMetrics): void {
    if (!this.isHeard) return;
    this.#tell({ event: "closed", address: undefined, reason: undefined, count: 0, figures: figures() });
  }

  #tell(what: Omit<CacheMessage, "seq" | "client">): void {
    if (this.isHeard) cacheChannel.publish({ seq: nextSeq(), client: this.#client, ...what });
  }
}
