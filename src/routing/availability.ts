import type { Connection } from "../connection/connection.ts";
import { StrangerError } from "../connection/identity.ts";
import type { NodePool } from "../connection/node-pool.ts";
import type { Clock, Timer } from "../environment.ts";
import { AuthError, ReplyError, UnavailableError } from "../errors.ts";
import type { ClusterNode } from "./cluster-node.ts";

/** The bounds of the time between two looks. */
const LOOK_MS = { least: 5, most: 100 };
/** Between two looks there is a millisecond for so many nodes. */
const NODES_PER_MS = 10;
/** The least time between two questions to a node that is unavailable. */
const ASK_AGAIN_MS = 900;

/** What the looks have seen of one pool. */
interface Observation {
  /** When the last sign of life was seen, or the last moment at which nothing waited for one. */
  aliveAt: number;
  /** Reads and bytes that were not taken, by connection, at the last look. */
  signs: ReadonlyMap<Connection, { readonly received: number; readonly pendingBytes: number }>;
  askedAt: number;
}

/** What becomes of the calls of a node that is unavailable. */
export interface AvailabilityEvents {
  /** Calls for `pool` that were not written go elsewhere, or are refused. */
  onUnavailable(pool: NodePool): void;
}

/**
 * Finds out which nodes have been out of reach, or silent while calls waited for them, for `limitMs` (the option
 * `unavailableAfter`). Calls for them that are not written are refused. It judges pools, because a replica has one for
 * reads.
 *
 *   available --not ready, no sign of life for limitMs--> unavailable --ready, or a sign of life--> available
 *                                                           '-- asked again each second, and by the lanes' own tries
 *
 * A sign of life is whatever a server says, even a refusal, and bytes that it takes; but nothing of a stranger at the node's
 * address. A pool that is ready, which means that no watchdog has found its node silent, is never unavailable: a server may
 * hold a call for long.
 */
export class Availability {
  readonly #nodes: () => readonly ClusterNode[];
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #events: AvailabilityEvents;
  #observed = new WeakMap<NodePool, Observation>();
  #timer: Timer | undefined;
  /** When the next pool will have shown no sign of life for long enough, if it shows none. */
  #dueAt = Number.POSITIVE_INFINITY;

  /** @param limitMs  0 for never. */
  constructor(nodes: () => readonly ClusterNode[], clock: Clock, limitMs: number, events: AvailabilityEvents) {
    this.#nodes = nodes;
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#events = events;
    if (limitMs > 0) this.#lookLater();
  }

  close(): void {
    this.#timer?.cancel();
    // A look may be due already.
    this.#timer = undefined;
  }

  #lookLater(): void {
    // A fiftieth of the limit, or a tenth where there are very many nodes.
    const shareMs = Math.min(this.#limitMs / 10, Math.max(this.#limitMs / 50, this.#nodes().length / NODES_PER_MS));
    const usualMs = Math.min(LOOK_MS.most, Math.max(LOOK_MS.least, shareMs));
    const waitMs = Math.min(usualMs, Math.max(1, this.#dueAt - this.#clock.now()));
    // What had arrived while the process was busy is read first: it is a sign of life.
    const look = () => this.#clock.afterReads(() => this.#look());
    this.#timer = this.#clock.setTimer(look, waitMs, true);
  }

  #look(): void {
    if (this.#timer === undefined) return;
    this.#dueAt = Number.POSITIVE_INFINITY;
    for (const { pools } of this.#nodes()) for (const pool of pools) this.#judge(pool);
    this.#lookLater();
  }

  #judge(pool: NodePool): void {
    const now = this.#clock.now();
    const before = this.#observed.get(pool);
    const signs = signsOf(pool);
    const observation = { aliveAt: before?.aliveAt ?? now, signs, askedAt: before?.askedAt ?? now };
    this.#observed.set(pool, observation);
    const isIdle = pool.ready && !pool.isAwaited;
    // What is read on the next connection may be the stranger's again, until the connection is ready.
    const isStrangers = pool.cause instanceof StrangerError;
    const isHeard = !isStrangers && before !== undefined && differ(before.signs, signs);
    if (isIdle || hasSpoken(pool) || isHeard || pool.hasRefused) observation.aliveAt = now;
    pool.hasRefused = false;
    if (pool.ready) pool.isUnavailable = false;
    else if (now - observation.aliveAt < this.#limitMs) {
      // A node that loads its data, or runs a script, has answered: calls wait for it.
      pool.isUnavailable = false;
      this.#dueAt = Math.min(this.#dueAt, observation.aliveAt + this.#limitMs);
    } else if (!pool.isUnavailable) {
      pool.isUnavailable = true;
      observation.askedAt = now;
      this.#events.onUnavailable(pool);
    } else if (now - observation.askedAt >= ASK_AGAIN_MS) {
      observation.askedAt = now;
      pool.askAgain();
    }
  }
}

/**
 * The error for what would have to be sent to a node that is unavailable. It names one cause: where many nodes are down, many
 * calls are refused, and each error would list them all.
 */
export function withoutLife({ address, pool }: ClusterNode, limitMs: number): UnavailableError {
  const what = `${address} has given no sign of life for ${limitMs} ms`;
  return new UnavailableError(what, new Map([[address, pool.cause]]));
}

/**
 * Whether the last try to connect, or the last question on a second connection, ended with words of the server: it may be
 * loading, or run a script, but it is there.
 */
function hasSpoken({ cause }: NodePool): boolean {
  return cause instanceof ReplyError || cause instanceof AuthError;
}

function signsOf({ lanes }: NodePool): Observation["signs"] {
  const connections = lanes.flatMap((lane) => lane.connections);
  return new Map(connections.map((each) => [each, { received: each.received, pendingBytes: each.pendingBytes }]));
}

/** Whether something was read, or bytes were taken, on a connection that was seen at the last look, or on a newer one. */
function differ(before: Observation["signs"], now: Observation["signs"]): boolean {
  for (const [connection, { received, pendingBytes }] of now) {
    const then = before.get(connection) ?? { received: 0, pendingBytes: 0 };
    if (received > then.received || pendingBytes < then.pendingBytes) return true;
  }
  return false;
}
