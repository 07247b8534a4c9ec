import { QueueFullError } from "../errors.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { Lane } from "./lane.ts";
import { OwnConnections } from "./own-connections.ts";

/** How much may wait for one node. */
export interface PoolLimits {
  readonly connections: number;
  readonly maxPending: number;
  readonly maxPendingBytes: number;
}

/** What a pool tells its owner. */
export interface PoolEvents {
  prepare(connection: Connection): Promise<void>;
  onUp(): void;
  onDown(cause: Error): void;
}

/** The lanes to one node, with bounds on what may wait in them. */
export class NodePool {
  readonly address: string;
  readonly lanes: readonly Lane[];
  /** Resolves when every lane got its first connection, or failed to for the first time. */
  readonly firstTry: Promise<void>;
  /** For requests that would keep others waiting, and for sessions. The bounds on lanes do not count them. */
  readonly own: OwnConnections;
  readonly #limits: PoolLimits;
  /** Calls that this node refused, or that were meant for it, and that wait elsewhere for their next attempt. */
  #heldCalls = 0;
  #heldBytes = 0;

  constructor(settings: ConnectionSettings, limits: PoolLimits, events: PoolEvents) {
    this.address = settings.address;
    this.#limits = limits;
    this.own = new OwnConnections(settings, limits.maxPendingBytes);
    const tries: Promise<void>[] = [];
    let wasReady = false;
    this.lanes = Array.from({ length: limits.connections }, () => {
      let tried!: () => void;
      tries.push(
        new Promise((resolve) => {
          tried = resolve;
        }),
      );
      return new Lane(settings, {
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
      });
    });
    this.firstTry = Promise.all(tries).then(() => {});
  }

  /** Whether a connection is open and prepared. */
  get ready(): boolean {
    return this.lanes.some((lane) => lane.ready);
  }

  /** Why no connection is open, while none is. */
  get cause(): Error | undefined {
    return this.ready ? undefined : this.lanes.find((lane) => lane.cause !== undefined)?.cause;
  }

  /** Whether the connection for a slot is open, or may be soon: it has not failed yet. */
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

  /** A call of this node waits in no lane; it counts all the same, until it is released. */
  hold(bytes: number): void {
    this.#heldCalls++;
    this.#heldBytes += bytes;
  }

  release(bytes: number): void {
    this.#heldCalls--;
    this.#heldBytes -= bytes;
  }

  replaceConnections(): void {
    for (const lane of this.lanes) lane.replaceConnection();
    this.own.renew();
  }

  async drain(): Promise<void> {
    await Promise.all([this.own.drain(), ...this.lanes.map((lane) => lane.drain())]);
  }

  close(cause: Error): void {
    for (const lane of this.lanes) lane.close(cause);
    this.own.close(cause);
  }

  /** Calls queued, in flight, or held. */
  get pending(): number {
    let pending = this.#heldCalls;
    for (const lane of this.lanes) pending += lane.pending;
    return pending;
  }

  /** Of them, bytes that the operating system has not taken. */
  get pendingBytes(): number {
    let bytes = this.#heldBytes;
    for (const lane of this.lanes) bytes += lane.pendingBytes;
    return bytes;
  }

  /** What one connection found out is so for the whole node; the others would write to it until they have, too. */
  #shareSilence(): void {
    const isSilent = this.lanes.some((lane) => lane.foundSilence);
    for (const lane of this.lanes) lane.mute(isSilent);
  }
}
