import { QueueFullError, type ReplyError } from "../errors.ts";
import { invariant } from "../invariant.ts";
import type { ConnectionFigures } from "../telemetry/channels.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { DedicatedConnections } from "./dedicated-connections.ts";
import { Farewell } from "./farewell.ts";
import { StrangerError } from "./identity.ts";
import { Lane, type LaneEvents } from "./lane.ts";
import { openConnection } from "./open-connection.ts";
import { Probe } from "./probe.ts";
import { Repeats } from "./repeats.ts";
import type { Request } from "./request.ts";
import { Room } from "./request-queue.ts";

/** How much may wait for one node. */
export interface PoolLimits {
  readonly connections: number;
  readonly maxPending: number;
  readonly maxPendingBytes: number;
}

/** The error for more than `limits` allow, where the limits are reached. `address` is undefined where no node has the limits. */
export function queueFull(
  address: string | undefined,
  { maxPending, maxPendingBytes }: Pick<PoolLimits, "maxPending" | "maxPendingBytes">,
  pending: number,
): QueueFullError {
  return new QueueFullError(
    address,
    pending >= maxPending
      ? `maxPendingPerNode is ${maxPending} calls`
      : `maxPendingBytesPerNode is ${maxPendingBytes} bytes`,
  );
}

/**
 * After so many requests, a pool looks at its connections again, because commands of their own that they have written since
 * count as well.
 */
const MOST_UNLOOKED = 1024;

/** A pool's news for its owner, and the preparation of its connections. */
export interface PoolEvents {
  /**
   * Prepares a fresh connection (scripts) before requests may use it. Resolves to false if the connection is kept for
   * that, and requests need another one.
   */
  prepare(connection: Connection): Promise<boolean>;
  /** The pool became ready. */
  onUp(): void;
  /** A lane lost its connection, or could not get one, and no other lane is ready. */
  onDown(cause: Error): void;
}

/** The connections to one node, with bounds on what may wait for them. */
export class NodePool {
  readonly address: string;
  /** The settings of all connections. */
  readonly settings: ConnectionSettings;
  readonly lanes: readonly Lane[];
  /** Resolves when every lane got its first connection, or failed to for the first time. */
  readonly firstTry: Promise<void>;
  /** For requests that would keep others waiting, and for sessions. The bounds on lanes do not count them. */
  readonly dedicated: DedicatedConnections;
  /** For requests that were lost together with another connection. */
  readonly repeats: Repeats;
  /** For requests that end a running script: these connections can be opened while the node is busy with it. */
  readonly urgent: DedicatedConnections;
  /** Calls that are not written are refused, because the node has been out of reach for long: see `Availability`. */
  isUnavailable = false;
  /** A call was refused since the last look of `Availability`: the node has answered, on whichever connection. */
  hasRefused = false;
  readonly #limits: PoolLimits;
  /** Asks the node about connections that are silent. */
  readonly probe: Probe;
  /** Connections that ask whether the node answers again. */
  readonly #asking = new Set<Connection>();
  /** Calls that this node refused, or that were meant for it, and that wait elsewhere for their next attempt. */
  #heldCalls = 0;
  /** Questions by `askForLife` that are not answered. */
  #questions = 0;
  #heldBytes = 0;
  /** The room that is left for certain of what the last look found. */
  readonly #room = new Room();

  constructor(settings: ConnectionSettings, limits: PoolLimits, events: PoolEvents) {
    this.address = settings.address;
    this.settings = settings;
    this.#limits = limits;
    // Connections that were opened earlier may lead to that server as well: CLUSTER RESET leaves them open.
    const onStranger = (cause: Error) => this.dropConnections(cause);
    const { maxPendingBytes } = limits;
    const probe = new Probe(settings, onStranger);
    this.probe = probe;
    this.dedicated = new DedicatedConnections(settings, maxPendingBytes, onStranger, probe);
    this.urgent = new DedicatedConnections({ ...settings, acceptsBusy: true }, maxPendingBytes, onStranger, probe);
    this.repeats = new Repeats(settings, onStranger, probe, this.#room);
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
          if (this.ready) this.isUnavailable = false;
          if (this.ready && !wasReady) {
            wasReady = true;
            events.onUp();
          }
          tried();
        },
        onDown: (cause) => {
          tried();
          if (cause instanceof StrangerError) onStranger(cause);
          this.#shareSilence();
          if (this.ready) return;
          wasReady = false;
          events.onDown(cause);
        },
      };
      return new Lane(settings, laneEvents, probe, this.#room);
    });
    this.firstTry = Promise.all(tries).then(() => {});
  }

  /** Whether a lane can write. */
  get ready(): boolean {
    return this.lanes.some((lane) => lane.ready);
  }

  /** Whether it was found that the node answers nobody. */
  get isSilent(): boolean {
    return this.lanes.some(({ state }) => state === "silent");
  }

  /** The open connections to the node, and the requests that are not written yet. */
  get figures(): ConnectionFigures {
    const all = [...this.lanes, this.dedicated, this.urgent, this.repeats].map(({ usage }) => usage);
    return {
      address: this.address,
      idle: all.reduce((sum, { idle }) => sum + idle, 0),
      used: all.reduce((sum, { used }) => sum + used, 0),
      queued: all.reduce((sum, { queued }) => sum + queued, 0),
    };
  }

  /** Why no lane can write, while none can: the node's own word, if it runs a script and says so on a second connection. */
  get cause(): Error | undefined {
    if (this.ready) return undefined;
    return this.busy ?? this.lanes.find((lane) => lane.cause !== undefined)?.cause;
  }

  /** What the node says instead of answering, if it is BUSY. */
  get busy(): ReplyError | undefined {
    return this.isSilent ? this.probe.busy : undefined;
  }

  /** The node has refused a call, so calls wait for it again. */
  noteRefusal(): void {
    this.hasRefused = true;
    this.isUnavailable = false;
  }

  /** Whether the lane of a slot can write, or may soon because it has not failed yet. */
  isPromisingFor(slot: number): boolean {
    const lane = this.laneOf(slot);
    return lane.ready || (lane.cause === undefined && !this.isUnavailable);
  }

  /** The lane of a slot, always the same one. */
  laneOf(slot: number): Lane {
    const { lanes } = this;
    return (lanes.length === 1 || slot < 0 ? lanes[0] : lanes[slot % lanes.length]) as Lane;
  }

  /** Whether a request of `bytes` may be queued. Most calls cost two comparisons here, and no look at the connections. */
  hasRoomFor(bytes: number): boolean {
    const { calls, bytes: sureBytes } = this.#room;
    return (calls > 0 && bytes <= sureBytes) || this.#lookForRoom(bytes);
  }

  #lookForRoom(bytes: number): boolean {
    if (this.pending >= this.#limits.maxPending) return false;
    const waiting = this.pendingBytes;
    this.#room.calls = Math.min(this.roomForCalls, MOST_UNLOOKED);
    this.#room.bytes = this.#limits.maxPendingBytes - waiting;
    return waiting === 0 || waiting + bytes <= this.#limits.maxPendingBytes;
  }

  /** The error to refuse a request of `bytes` with, or undefined when it may be queued. */
  refusalOf(bytes: number): QueueFullError | undefined {
    return this.hasRoomFor(bytes) ? undefined : queueFull(this.address, this.#limits, this.pending);
  }

  /** How many more calls may be queued. */
  get roomForCalls(): number {
    return this.#limits.maxPending - this.pending;
  }

  /** How many more bytes may be queued. */
  get roomForBytes(): number {
    return this.#limits.maxPendingBytes - this.pendingBytes;
  }

  /** Calls of this node wait in no lane, or share one request. They count until they are released. */
  hold(bytes: number, calls = 1): void {
    this.#heldCalls += calls;
    this.#heldBytes += bytes;
    this.#room.calls -= calls;
    this.#room.bytes -= bytes;
  }

  release(bytes: number, calls = 1): void {
    this.#heldCalls -= calls;
    this.#heldBytes -= bytes;
    invariant(this.#heldCalls >= 0 && this.#heldBytes >= 0, "only a call that is held is released");
  }

  /** Takes out what is not written, in its order. */
  takeUnwritten(): readonly Request[] {
    return [
      ...this.lanes.flatMap((lane) => lane.takeQueued()),
      ...this.dedicated.takeWaitingWhere(() => true),
      ...this.urgent.takeWaitingWhere(() => true),
      ...this.repeats.takeQueued(),
    ];
  }

  /**
   * Asks once more whether the node answers. A lane whose own try has heard nothing may have lost its first packets, and
   * would learn of the node's return late.
   */
  askAgain(): void {
    for (const lane of this.lanes) lane.connectNow();
    if (this.lanes.every(({ state }) => state === "connecting")) void this.#ask();
  }

  /** Somebody waits for the node on a connection of another sort: asks whether it answers, and notices if it does not. */
  askForLife(): void {
    const connection = this.lanes.find(({ ready }) => ready)?.useConnection();
    if (connection === undefined) return;
    this.#questions++;
    const answered = () => {
      this.#questions--;
    };
    connection.exchange(["PING"])[0]?.then(answered, answered);
  }

  /** Whether somebody waits for an answer of the node. */
  get isAwaited(): boolean {
    return this.pending > 0 || this.#questions > 0;
  }

  async #ask(): Promise<void> {
    let asking: Connection | undefined;
    const onCreated = (created: Connection) => {
      asking = created;
      this.#asking.add(created);
    };
    try {
      const { closed } = await openConnection(this.settings, onCreated);
      if (!closed) for (const lane of this.lanes) lane.connectAfresh();
    } catch {
      // The lanes tell why.
    }
    if (asking === undefined) return;
    asking.close(new Farewell("not-needed", "answered"));
    this.#asking.delete(asking);
  }

  /**
   * Every request from now on goes through a fresh connection.
   * @param fresh  One of these connections, if it is open already.
   */
  replaceConnections(fresh?: Connection): void {
    for (const [index, lane] of this.lanes.entries()) lane.replaceConnection(index === 0 ? fresh : undefined);
    this.dedicated.renew();
    this.urgent.renew();
    this.repeats.renew();
  }

  /** Another server answers at the node's address: closes every connection. What is queued waits for the next ones. */
  dropConnections(cause: Error): void {
    for (const lane of this.lanes) lane.dropConnection(cause);
    this.dedicated.dropConnections(cause);
    this.urgent.dropConnections(cause);
    this.repeats.dropConnections(cause);
    this.probe.reset();
  }

  /** Resolves when nothing is queued or in flight. */
  async drain(): Promise<void> {
    await Promise.all([
      this.dedicated.drain(),
      this.urgent.drain(),
      this.repeats.drain(),
      ...this.lanes.map((lane) => lane.drain()),
    ]);
  }

  /** Ends now. Requests that are queued or in flight are lost. */
  close(cause: Error): void {
    for (const connection of [...this.#asking]) connection.close(cause);
    for (const lane of this.lanes) lane.close(cause);
    this.dedicated.close(cause);
    this.urgent.close(cause);
    this.repeats.close(cause);
    this.probe.close();
  }

  /** Calls queued, in flight, or held. */
  get pending(): number {
    let pending = this.#heldCalls + this.repeats.pending;
    for (const lane of this.lanes) pending += lane.pending;
    return pending;
  }

  /** The bytes of these calls that the operating system has not taken. */
  get pendingBytes(): number {
    let bytes = this.#heldBytes + this.repeats.pendingBytes;
    for (const lane of this.lanes) bytes += lane.pendingBytes;
    return bytes;
  }

  /** A node that is silent on one lane is silent on all: the other lanes stop writing before they notice it themselves. */
  #shareSilence(): void {
    const isSilent = this.lanes.some((lane) => lane.foundSilence);
    for (const lane of this.lanes) lane.mute(isSilent);
  }
}
