/** Why messages may have been missed. */
export type GapReason =
  /** The connection was lost, or found dead. */
  | "connection-lost"
  /** The node answers nobody, and only it can serve. */
  | "node-silent"
  /** The slot of a sharded channel has another owner, or may have one. */
  | "slot-moved"
  /** The node left the cluster, or failed. */
  | "node-left"
  /** Another primary sends keyspace events. */
  | "node-joined"
  /** The iteration was too slow, and the oldest messages were dropped. */
  | "overflow";

/**
 * A time in which messages may have been missed between a server and the listener. It is told twice: when it begins, with
 * `to: null`, and once more with its end, before the first message after it.
 */
export interface Gap {
  /** The channels, or the patterns, as they were asked for. */
  readonly channels: readonly string[];
  /** Milliseconds since 1970: when the older of the last two proofs was asked for that the channels were heard. */
  readonly from: number;
  /** Milliseconds since 1970: when the servers' confirmation arrived. Null: the gap has begun. */
  readonly to: number | null;
  /** Why messages may have been missed. */
  readonly reason: GapReason;
}

/** What a loss is known to have cost, on the environment's clock. */
export interface Loss {
  readonly from: number;
  readonly reason: GapReason;
}

/** The times of a gap in milliseconds since 1970, rounded outwards. */
export function timesOf({ from }: Loss, to: number | null, epochMs: number): Pick<Gap, "from" | "to"> {
  return { from: Math.floor(from + epochMs), to: to === null ? null : Math.ceil(to + epochMs) };
}

/** When the last two proofs were asked for. The older one is safe also if the answer to the newer one was out of date. */
export class Proofs {
  #newer: number;
  #older: number;

  /** @param askedAt  When the first proof was asked for. */
  constructor(askedAt: number) {
    this.#newer = askedAt;
    this.#older = askedAt;
  }

  note(askedAt: number): void {
    this.#older = this.#newer;
    this.#newer = askedAt;
  }

  get older(): number {
    return this.#older;
  }
}
