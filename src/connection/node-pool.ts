import { QueueFullError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { DedicatedConnections } from "./dedicated-connections.ts";
import { Lane, type LaneEvents } from "./lane.ts";
import { Probe } from "./probe.ts";

/** How much may wait for one node. */
export interface PoolLimits {
  readonly connections: number;
  readonly maxPending: number;
  readonly maxPendingBytes: number;
}

/** A pool's news for its owner, and the preparation of its connections. */
export interface PoolEvents {
  /** Prepares a fresh connection (scripts) before requests may use it. */
  prepare(connection: Connection): Promise<void>;
  /** The pool became ready. */
  onUp(): void;
  /** A lane lost its connection, or could not get one, and no other lane is ready. */
  onDown(cause: Error): void;
}

/** The connections to one node, with bounds on what may wait for them. */
export class NodePool {
  readonly address: string;
  readonly lanes: readonly Lane[];
  /** Resolves when every lane got its first connection, or failed to for the first time. */
  readonly firstTry: Promise<void>;
  /** For requests that would keep others waiting, and for sessions. The bounds on lanes do not count them. */
  readonly dedicated: DedicatedConnections;
  readonly #limits: PoolLimits;
  readonly #probe: Probe;
  /** Calls that this node refused, or that were meant for it, and that wait elsewhere for their next attempt. */
  #heldCalls = 0;
  #heldBytes = 0;

  constructor(settings: ConnectionSettings, limits: PoolLimits, events: PoolEvents) {
    this.address = settings.address;
    this.#limits = limits;
    const probe = new Probe(settings);
    this.#probe = probe;
    this.dedicated = new DedicatedConnections(settings, limits.maxPendingBytes, probe);
    const tries: Promise<void>[] = [];
    let wasReady = false;
    this.lanes = Array.from({ length: limits.connections }, () => {
      let tried!: () => void;
      tries.push(
        new Promise((resolve) => {
          tried = resolve;
        }),
      );
      const laneEvents: LaneEvents = {
        prepare: events.prepare,
        onUp: () => {
          this.#shareSilence();
          if (this.ready && !wasReady) {
            wasReady = true;
            events.onUp();
          }
          tried();
        },
        onDown: (cause) => {
          tried();
          this.#shareSilence();
          if (this.ready) return;
          wasReady = false;
          events.onDown(cause);
        },
      };
      return new Lane(settings, laneEvents, probe);
    });
    this.firstTry = Promise.all(tries).then(() => {});
  }

  /** Whether a lane can write. */
  get ready(): boolean {
    return this.lanes.some((lane) => lane.ready);
  }

  /** Why no lane can write, while none can. */
  get cause(): Error | undefined {
    return this.ready ? undefined : this.lanes.find((lane) => lane.cause !== undefined)?.cause;
  }

  /** Whether the lane of a slot can write, or may soon because it has not failed yet. */
  isPromisingFor(slot: number): boolean {
    const lane = this.laneOf(slot);
    return lane.ready || lane.cause === undefined;
  }

  /** The lane of a slot, always the same one. */
  laneOf(slot: number): Lane {
    const { lanes } = this;
    return (lanes.length === 1 || slot < 0 ? lanes[0] : lanes[slot % lanes.length]) as Lane;
  }

  /** Whether a request of `bytes` may be queued. */
  hasRoomFor(bytes: number): boolean {
    if (this.pending >= this.#limits.maxPending) return false;
    const waiting = this.pendingBytes;
    return waiting === 0 || waiting + bytes <= this.#limits.maxPendingBytes;
  }

  /** The error to refuse a request of `bytes` with, or undefined when it may be queued. */
  refusalOf(bytes: number): QueueFullError | undefined {
    const { maxPending, maxPendingBytes } = this.#limits;
    if (this.hasRoomFor(bytes)) return undefined;
    return new QueueFullError(
      this.address,
      this.pending >= maxPending
        ? `maxPendingPerNode is ${maxPending} calls`
        : `maxPendingBytesPerNode is ${maxPendingBytes} bytes`,
    );
  }

  /** A call of this node waits in no lane. It counts until it is released. */
  hold(bytes: number): void {
    this.#heldCalls++;
    this.#heldBytes += bytes;
  }

  release(bytes: number): void {
    this.#heldCalls--;
    this.#heldBytes -= bytes;
    invariant(this.#heldCalls >= 0 && this.#heldBytes >= 0, "only a call that is held is released");
  }

  /** Every request from now on goes through a fresh connection. */
  replaceConnections(): void {
    for (const lane of this.lanes) lane.replaceConnection();
    this.dedicated.renew();
  }

  /** Another server answers at the node's address: closes every connection. What is queued waits for the next ones. */
  dropConnections(cause: Error): void {
    for (const lane of this.lanes) lane.dropConnection(cause);
    this.dedicated.dropConnections(cause);
    this.#probe.reset();
  }

  /** Resolves when nothing is queued or in flight. */
  async drain(): Promise<void> {
    await Promise.all([this.dedicated.drain(), ...this.lanes.map((lane) => lane.drain())]);
  }

  /** Ends now. Requests that are queued or in flight are lost. */
  close(cause: Error): void {
    for (const lane of this.lanes) lane.close(cause);
    this.dedicated.close(cause);
    this.#probe.close();
  }

  /** Calls queued, in flight, or held. */
  get pending(): number {
    let pending = this.#heldCalls;
    for (const lane of this.lanes) pending += lane.pending;
    return pending;
  }

  /** The bytes of these calls that the operating system has not taken. */
  get pendingBytes(): number {
    let bytes = this.#heldBytes;
    for (const lane of this.lanes) bytes += lane.pendingBytes;
    return bytes;
  }

  /** A node that is silent on one lane is silent on all: the other lanes stop writing before they notice it themselves. */
  #shareSilence(): void {
    const isSilent = this.lanes.some((lane) => lane.foundSilence);
    for (const lane of this.lanes) lane.mute(isSilent);
  }
}
