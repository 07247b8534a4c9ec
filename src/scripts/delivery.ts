import type { Connection } from "../connection/connection.ts";
import type { Lane } from "../connection/lane.ts";
import type { Request } from "../connection/request.ts";
import { ConnectionLostError } from "../errors.ts";
import { Ring } from "../protocol/ring.ts";
import type { AuditReason, LoadReason } from "../telemetry/channels.ts";
import type { Loadable } from "./loadable.ts";
import type { LoadedScripts } from "./loaded-scripts.ts";
import { askWhatIsHeld } from "./script-questions.ts";
import type { Turns } from "./turns.ts";

/** So many items are asked about at once: 12 KB for scripts. */
const PIECE = 256;
/**
 * So many bytes of loads are written before the node has answered some. On a slow link more would keep the calls of the
 * connection waiting, and the answers show that the link is not dead.
 */
const WINDOW_BYTES = 128 * 1024;
/** So many loads are under way at most, because their answers can come all at once. */
const WINDOW_LOADS = 128;
/** While a longer item waits for its turn to be written, calls wait for it and do not bring it themselves. */
const LARGE_BYTES = 256 * 1024;

/** How a delivery brings items to the node. */
export interface DeliveryTerms {
  /**
   * Why the node is asked, for listeners on the channels.
   * @default "periodic"
   */
  readonly why?: AuditReason | "first-call" | undefined;
  /** Whose connection it is. Undefined while no lane uses it. */
  readonly lane?: Lane | undefined;
  /** Waits until a question of so many bytes may be asked. */
  readonly pause?: ((bytes: number) => Promise<void>) | undefined;
  /** Takes over items that are too large to be loaded on this connection. */
  readonly elsewhere?: (missing: readonly Loadable[]) => Promise<void> | undefined;
}

/** An item that waits for its load to be written. */
interface Waiting {
  readonly item: Loadable;
  /** The load, if the belief has it already. */
  readonly begun: { readonly request: Request; readonly done: Promise<void> } | undefined;
  /** Called when the item is held or failed, or the connection is lost. */
  readonly onEnd: () => void;
  readonly why: LoadReason;
}

/**
 * Brings scripts and libraries to a node on one connection: asks in pieces which ones the node has, and loads the others,
 * a few at a time. Questions and loads share the connection, so a piece is asked about while the one before it is loaded.
 */
export class Delivery {
  /** Bytes of loads that are written and not answered. */
  outstandingBytes = 0;
  readonly #connection: Connection;
  readonly #scripts: LoadedScripts;
  readonly #turns: Turns;
  readonly #terms: DeliveryTerms;
  readonly #waiting = new Ring<Waiting>();
  #outstanding = 0;
  #isWriting = false;
  #onRoom: (() => void) | undefined;

  constructor(connection: Connection, scripts: LoadedScripts, turns: Turns, terms: DeliveryTerms = {}) {
    this.#connection = connection;
    this.#scripts = scripts;
    this.#turns = turns;
    this.#terms = terms;
  }

  /**
   * Asks the node which of `wanted` it has, and loads the others. Resolves when each is held or failed.
   * @throws The connection was lost.
   */
  async bring(wanted: readonly Loadable[]): Promise<void> {
    const { lane, pause, elsewhere } = this.#terms;
    const why = this.#terms.why === "first-call" ? undefined : this.#terms.why;
    const ends: Promise<void>[] = [];
    for (let at = 0; at < wanted.length; at += PIECE) {
      const piece = wanted.slice(at, at + PIECE);
      if (pause !== undefined) await pause(piece.length * QUESTION_BYTES);
      this.#isUsed();
      const asked = this.#scripts.stamp;
      let isAhead = false;
      const findings = await this.#turns.run(() => {
        isAhead = lane !== undefined && lane.usage.queued > 0;
        return askWhatIsHeld(this.#connection, piece);
      });
      const missing = await this.#turns.run(() =>
        this.#scripts.judge(piece, findings, { asked, lane, isAhead }, ends, why),
      );
      if (missing.length === 0) continue;
      const end = elsewhere?.(missing) ?? this.load(missing);
      // The connection may be lost before all ends are awaited.
      end.catch(() => {});
      ends.push(end);
    }
    await Promise.all(ends);
  }

  /**
   * Loads items that the node lacks. Resolves when each is held or failed.
   * @throws {ConnectionLostError}
   */
  async load(items: readonly Loadable[], why = loadReasonOf(this.#terms.why)): Promise<void> {
    let left = items.length;
    await new Promise<void>((resolve) => {
      const onEnd = () => {
        if (--left === 0) resolve();
      };
      for (const item of items) {
        const isLarge = item.source.length > LARGE_BYTES;
        const begun = isLarge ? this.#scripts.loadMissing(item, this.#terms.lane, why) : undefined;
        this.#waiting.push({ item, begun, onEnd, why });
      }
      if (!this.#isWriting) void this.#write();
    });
    if (this.#connection.closed) throw new ConnectionLostError(this.#connection.address, "unknown");
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.size > 0 && !this.#connection.closed) {
      await this.#turns.run(() => this.#fill());
      const next = this.#waiting.peek();
      if (next === undefined || this.#hasRoom(next)) continue;
      // One of the loads that are under way makes room.
      await new Promise<void>((resolve) => (this.#onRoom = resolve));
    }
    this.#isWriting = false;
    const cause = new ConnectionLostError(this.#connection.address, "unknown");
    for (const { begun, onEnd } of this.#waiting.takeAll()) {
      begun?.request.onLost(cause);
      onEnd();
    }
  }

  /** Replies are awaited from now on, so the lane watches for them. */
  #isUsed(): void {
    this.#terms.lane?.useConnection();
  }

  #hasRoom({ item }: Waiting): boolean {
    if (this.#outstanding === 0) return true;
    return this.#outstanding < WINDOW_LOADS && this.outstandingBytes + item.source.length <= WINDOW_BYTES;
  }

  #fill(): void {
    const loads = new Ring<Request>();
    for (let next = this.#waiting.peek(); next !== undefined && this.#hasRoom(next); next = this.#waiting.peek()) {
      const { item, onEnd } = next;
      const bytes = item.source.length;
      this.#waiting.shift();
      const load = next.begun ?? this.#scripts.loadMissing(item, this.#terms.lane, next.why);
      if (load === undefined) {
        void this.#scripts.loaded(item).then(onEnd);
        continue;
      }
      this.#outstanding++;
      this.outstandingBytes += bytes;
      loads.push(load.request);
      void load.done.then(() => {
        this.#outstanding--;
        this.outstandingBytes -= bytes;
        onEnd();
        // The window is filled up when half of it is answered, so that one write takes many loads.
        if (this.#outstanding <= WINDOW_LOADS / 2 && this.outstandingBytes <= WINDOW_BYTES / 2) this.#onRoom?.();
      });
    }
    this.#isUsed();
    this.#connection.writeFrom(loads, true);
    const cause = new ConnectionLostError(this.#connection.address, "unknown");
    for (const unwritten of loads.takeAll()) unwritten.onLost(cause);
  }
}

/** Why an item is loaded that was asked about for this reason. */
export function loadReasonOf(why: DeliveryTerms["why"]): LoadReason {
  return why === "first-call" || why === "new-connection" || why === "preload" || why === "again" ? why : "audit";
}

/** Bytes of a SHA-1 in SCRIPT EXISTS. */
const QUESTION_BYTES = 47;
