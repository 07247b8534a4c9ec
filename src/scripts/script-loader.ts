import { type BackoffRange, backoffMs } from "../connection/backoff.ts";
import type { Connection, ConnectionSettings } from "../connection/connection.ts";
import { Farewell } from "../connection/farewell.ts";
import { StrangerError } from "../connection/identity.ts";
import type { Lane } from "../connection/lane.ts";
import { openConnection } from "../connection/open-connection.ts";
import { setPatience } from "../connection/signs-of-life.ts";
import type { Timer } from "../environment.ts";
import type { AuditReason, LoadReason } from "../telemetry/channels.ts";
import { Delivery, type DeliveryTerms, loadReasonOf } from "./delivery.ts";
import type { Loadable } from "./loadable.ts";
import type { LoadEnd, LoadedScripts } from "./loaded-scripts.ts";
import type { ScriptRegistry } from "./script-registry.ts";
import type { Turns } from "./turns.ts";

/**
 * Milliseconds that a lane waits for its scripts, longer where opening took long. Loads that take longer keep the connection,
 * and calls get another one.
 */
const SHARED_MS = 500;
/** So many bytes are loaded on a connection that calls use. More would keep the calls waiting. */
const MOST_BYTES_BESIDE_CALLS = 64 * 1024;
/**
 * How often a fresh connection is prepared for scripts that were registered meanwhile. An application that defines a script
 * for each call would keep it from its calls for ever; a script that comes later is loaded with its call.
 */
const MOST_ROUNDS = 4;
/** How often a connection of the loader's own is looked at. */
const LOOK_MS = 250;
/** The waits after loads that were lost or refused. */
const AGAIN: BackoffRange = { firstMs: 500, mostMs: 10_000 };
/** The slowest link that a load may take its time on. Without this, an upload would start over for ever. */
const SLOWEST_BYTES_PER_MS = 16;

/** The objects that a loader works with. */
export interface LoaderParts {
  readonly scripts: LoadedScripts;
  readonly registry: ScriptRegistry;
  readonly turns: Turns;
  /** For connections of the loader's own. */
  readonly settings: () => ConnectionSettings;
  /** A lane that can write, if there is one. */
  readonly lane: () => Lane | undefined;
  /** All that was to be brought on a connection of the loader's own is held or failed. */
  readonly onBrought: () => void;
  /** Another server answers at the node's address. */
  readonly onStranger: (cause: StrangerError) => void;
}

/** The preparation of a connection. */
interface Preparation {
  readonly connection: Connection;
  readonly delivery: Delivery;
  readonly end: Promise<void>;
}

/** A connection that only loads use, with what is brought on it. */
interface Own {
  readonly connection: Connection;
  readonly delivery: Delivery;
  /** The work under way. The connection is closed when there is none. */
  tasks: number;
}

/**
 * Brings scripts to one node. What is small goes on a connection that calls use, everything else on a connection that the
 * loader has for itself, so that calls that need no missing script are served meanwhile.
 *
 *   a lane connects --> its connection is prepared -- all is there --------> the lane is ready
 *                                '-- 500 ms have passed --> the loader keeps the connection, and the lane opens another
 *   later --> more than 64 KiB are missing --> the loader opens a connection
 *   the loader's connection: open --all is there--> closed
 *                              '--- silent for `connectTimeout`, and as long as a slow link takes for what is written -> closed
 */
export class ScriptLoader {
  readonly #parts: LoaderParts;
  /** The preparation that is under way on a connection that is to be a lane's. Lanes that come up together share it. */
  #preparing: Preparation | undefined;
  #own: Own | undefined;
  #opening: Promise<Own> | undefined;
  #upcoming: Connection | undefined;
  #failures = 0;
  #retry: Timer | undefined;
  #ended: Error | undefined;
  /** Callers of `idle`. */
  readonly #whenIdle: (() => void)[] = [];

  constructor(parts: LoaderParts) {
    this.#parts = parts;
  }

  /** Whether something is brought on a connection of the loader's own. */
  get isBusy(): boolean {
    return this.#own !== undefined || this.#opening !== undefined;
  }

  /** Resolves when nothing is brought on a connection of the loader's own, because all is there or the connection was lost. */
  async idle(): Promise<void> {
    if (this.isBusy) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  /** Changes with every sign of life on the loader's own connection. */
  get signs(): number {
    return this.#own === undefined ? 0 : this.#own.connection.received;
  }

  /**
   * Makes beliefs true for every registered script on a fresh connection, and loads missing ones. Resolves to true when the
   * connection may serve calls; to false if the loader keeps it, because that takes long.
   * @throws The connection was lost.
   */
  async prepare(connection: Connection): Promise<boolean> {
    while (this.#own === undefined) {
      this.#preparing ??= this.#prepareOn(connection);
      const { connection: used, delivery, end } = this.#preparing;
      const isMine = used === connection;
      const how = await this.#within(this.#patienceMs(connection), end);
      if (how === "done") return true;
      // The connection of the other lane was lost, so this lane prepares its own.
      if (how === "failed" && !isMine) continue;
      if (how === "failed" || connection.closed) await end;
      if (!isMine) return true;
      this.#preparing = undefined;
      this.#keep({ connection, delivery, tasks: 0 }, end);
      return false;
    }
    return true;
  }

  /** On a network with long ways a few round trips take longer than the loads of a busy link. */
  #patienceMs({ openedInMs }: Connection): number {
    return Math.max(SHARED_MS, Math.min(4 * openedInMs, this.#parts.settings().connectTimeoutMs));
  }

  #prepareOn(connection: Connection): Preparation {
    const delivery = this.#newDelivery(connection, { why: "new-connection" });
    const end = this.#inRounds(delivery);
    const preparing = { connection, delivery, end };
    const over = () => {
      if (this.#preparing === preparing) this.#preparing = undefined;
    };
    end.then(over, over);
    return preparing;
  }

  async #inRounds(delivery: Delivery): Promise<void> {
    const { registry, turns } = this.#parts;
    let prepared: readonly Loadable[] = [];
    let seen = -1;
    for (let round = 0; round < MOST_ROUNDS && registry.changes !== seen; round++) {
      seen = registry.changes;
      const earlier = new Set(prepared);
      prepared = await turns.run(() => registry.wanted);
      await delivery.bring(earlier.size === 0 ? prepared : prepared.filter((item) => !earlier.has(item)));
    }
  }

  /**
   * Asks the node which of `wanted` it has, and loads the others. Resolves when each is held or failed, or cannot be
   * brought now. Does nothing while no lane can write: its next connection is prepared.
   * @param why    For listeners on the channels.
   * @param pause  Waits until another question of so many bytes may be asked.
   */
  async bring(wanted: readonly Loadable[], why: AuditReason, pause?: DeliveryTerms["pause"]): Promise<void> {
    const lane = this.#parts.lane();
    const connection = lane?.useConnection();
    if (lane === undefined || connection === undefined || wanted.length === 0) return;
    let bytes = 0;
    const elsewhere = (missing: readonly Loadable[]) => {
      bytes += bytesOf(missing);
      return bytes > MOST_BYTES_BESIDE_CALLS ? this.#loadApart(missing, lane, loadReasonOf(why)) : undefined;
    };
    await this.#newDelivery(connection, { why, lane, pause, elsewhere }).bring(wanted);
  }

  /** Loads an item that the node lacks, or joins the loads that are under way. Resolves when none is. */
  async load(item: Loadable, why: LoadReason): Promise<LoadEnd> {
    const lane = this.#parts.lane();
    if (lane === undefined) return undefined;
    const { scripts } = this.#parts;
    if (bytesOf([item]) <= MOST_BYTES_BESIDE_CALLS) return scripts.loadNow(lane, item, why);
    await this.#loadApart([item], lane, why);
    return scripts.loaded(item);
  }

  /** Brings what the node lacks, after a wait: loads were lost, or were refused for a reason that may pass. */
  bringLater(): void {
    if (this.#retry !== undefined || this.#ended !== undefined) return;
    const { clock, random } = this.#parts.settings().environment;
    const bringNow = async () => {
      this.#retry = undefined;
      const { scripts } = this.#parts;
      await this.bring(scripts.lacking, "again").catch(() => {});
      if (scripts.lacking.length === 0) this.#failures = 0;
    };
    this.#retry = clock.setTimer(() => void bringNow(), backoffMs(this.#failures++, AGAIN, random()), true);
  }

  /** Ends the loader's own connection. */
  dropConnection(cause: Error): void {
    this.#upcoming?.close(cause);
    this.#own?.connection.close(cause);
  }

  /** Ends now. */
  close(cause: Error): void {
    this.#ended = cause;
    this.#retry?.cancel();
    this.dropConnection(cause);
  }

  #newDelivery(connection: Connection, terms: DeliveryTerms): Delivery {
    return new Delivery(connection, this.#parts.scripts, this.#parts.turns, terms);
  }

  /** Loads on the loader's own connection; on the lane where the node takes no further connection. */
  async #loadApart(items: readonly Loadable[], lane: Lane, why: LoadReason): Promise<void> {
    let own: Own;
    try {
      own = await this.#openOwn();
    } catch (error) {
      if (error instanceof StrangerError) {
        this.#parts.onStranger(error);
        throw error;
      }
      const connection = lane.useConnection();
      if (connection !== undefined) await this.#newDelivery(connection, { lane }).load(items, why);
      return;
    }
    const end = own.delivery.load(items, why);
    this.#keep(own, end);
    await end;
  }

  #openOwn(): Promise<Own> {
    if (this.#own !== undefined) return Promise.resolve(this.#own);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
      this.#tellIdle();
    });
    return this.#opening;
  }

  async #open(): Promise<Own> {
    try {
      const connection = await openConnection(this.#parts.settings(), (created) => {
        this.#upcoming = created;
        if (this.#ended !== undefined) created.close(this.#ended);
      });
      return { connection, delivery: this.#newDelivery(connection, {}), tasks: 0 };
    } finally {
      this.#upcoming = undefined;
    }
  }

  /** The connection is the loader's until `task` and all others have ended on it. */
  #keep(own: Own, task: Promise<void>): void {
    const { connection } = own;
    own.tasks++;
    if (this.#own !== own) {
      this.#own = own;
      if (!connection.closed) connection.handOver({ onClosed: () => this.#let(own) });
      this.#watch(own, connection.received, 0);
    }
    const over = () => {
      if (--own.tasks > 0 || connection.closed) return;
      connection.close(new Farewell("not-needed", "the scripts are loaded"));
      this.#parts.onBrought();
    };
    task.then(over, over);
  }

  /** The loader's own connection is closed. */
  #let(own: Own): void {
    if (this.#own !== own) return;
    this.#own = undefined;
    this.#tellIdle();
    if (own.tasks > 0) this.bringLater();
  }

  /** Closes the loader's connection when it has been silent for longer than a slow link needs. */
  #watch(own: Own, seen: number, quietMs: number): void {
    const { clock } = this.#parts.settings().environment;
    const look = () => {
      const { connection, delivery } = own;
      if (this.#own !== own || connection.closed) return;
      // A look counts for its step, however long this process computed meanwhile.
      const nowQuietMs = connection.received === seen ? quietMs + LOOK_MS : 0;
      const limitMs = this.#parts.settings().connectTimeoutMs + delivery.outstandingBytes / SLOWEST_BYTES_PER_MS;
      if (nowQuietMs < limitMs) this.#watch(own, connection.received, nowQuietMs);
      else
        connection.close(
          new Farewell("silent", `no answer while scripts were loaded, for ${Math.round(nowQuietMs)} ms`),
        );
    };
    clock.setTimer(look, LOOK_MS, true);
  }

  #tellIdle(): void {
    if (!this.isBusy) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** How `work` ended, within so many milliseconds. */
  #within(limitMs: number, work: Promise<void>): Promise<"done" | "failed" | "late"> {
    const { clock } = this.#parts.settings().environment;
    return new Promise((resolve) => {
      const timer = setPatience(clock, limitMs, () => resolve("late"));
      const end = (how: "done" | "failed") => {
        timer.cancel();
        resolve(how);
      };
      work.then(
        () => end("done"),
        () => end("failed"),
      );
    });
  }
}

function bytesOf(items: readonly Loadable[]): number {
  return items.reduce((sum, { source }) => sum + source.length, 0);
}
