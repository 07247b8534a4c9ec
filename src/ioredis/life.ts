import type { EventEmitter } from "node:events";
import { realTime } from "../environment.ts";
import { type Cluster, type ConnectOptions, connect } from "../index.ts";
import { closedError } from "./replies.ts";

/** The states of a client, as ioredis has them. */
export type ClusterStatus =
  | "wait"
  | "connecting"
  | "connect"
  | "ready"
  | "reconnecting"
  | "disconnecting"
  | "close"
  | "end";

/** What a client's life needs of the client. */
export interface LifeParts {
  /** Tells of the states; packages write `status` as well. */
  readonly emitter: EventEmitter & { status: ClusterStatus };
  options(): ConnectOptions;
  /** Milliseconds until the next try; anything else ends the client. */
  retryDelay(times: number, reason: Error): unknown;
  /** Called before anybody is told that the client is connected. */
  onConnected(cluster: Cluster): void;
}

/**
 * How a client in ioredis's shape comes to a client of slotwire, and how it ends.
 *
 *   wait --connect(), or the first command--> connecting --> connect --> ready --quit(), disconnect()--> disconnecting
 *                                               ^    |                                                        |
 *                                               |    '-- close --.                             end <-- close <'
 *                                               '-- reconnecting <'
 *
 * The client of slotwire goes on by itself when it loses its connections: then the state stays `ready`.
 */
export class Life {
  readonly #parts: LifeParts;
  #cluster: Cluster | undefined;
  #connecting: Promise<Cluster> | undefined;
  #hasEnded = false;
  #wake = () => {};

  /** @param adopted  A client that is connected already. */
  constructor(parts: LifeParts, adopted: Cluster | undefined) {
    this.#parts = parts;
    if (adopted === undefined) return;
    this.#cluster = adopted;
    parts.onConnected(adopted);
    parts.emitter.status = "ready";
  }

  /** The connected client; undefined before and after. */
  get cluster(): Cluster | undefined {
    return this.#cluster;
  }

  async connect(): Promise<void> {
    if (this.#cluster !== undefined || this.#connecting !== undefined) {
      throw new Error("Redis is already connecting/connected");
    }
    this.#hasEnded = false;
    this.#connecting = this.#try();
    this.#connecting.catch(() => {});
    await this.#connecting;
  }

  /** The connected client, now or when it is connected. It begins to connect, if nobody has asked for it yet. */
  ready(): Promise<Cluster> {
    if (this.#cluster !== undefined) return Promise.resolve(this.#cluster);
    if (this.#hasEnded) return Promise.reject(closedError());
    if (this.#connecting === undefined) this.connect().catch(() => {});
    return (this.#connecting as unknown as Promise<Cluster>).catch((error: Error) => {
      throw closedError(error);
    });
  }

  /** Waits for the calls under way, and ends. */
  async quit(): Promise<"OK"> {
    if (this.#hasEnded) return "OK";
    this.#parts.emitter.status = "disconnecting";
    const cluster = this.#cluster ?? (await this.#connecting?.catch(() => undefined));
    await cluster?.close();
    this.#end();
    return "OK";
  }

  /** Ends at once. */
  disconnect(): void {
    const cluster = this.#cluster;
    this.#end();
    cluster?.destroy();
  }

  async #try(): Promise<Cluster> {
    const { options, retryDelay } = this.#parts;
    this.#turn("connecting");
    for (let times = 1; ; times++) {
      try {
        const cluster = await connect(options());
        if (this.#hasEnded) {
          cluster.destroy();
          throw closedError();
        }
        this.#cluster = cluster;
        this.#connecting = undefined;
        this.#parts.onConnected(cluster);
        this.#turn("connect");
        this.#turn("ready");
        return cluster;
      } catch (error) {
        if (this.#hasEnded) throw closedError();
        this.#tellError(error as Error);
        const delay = retryDelay(times, error as Error);
        if (typeof delay !== "number") this.#end();
        if (typeof delay !== "number" || this.#hasEnded) throw error;
        this.#turn("close");
        this.#turn("reconnecting", delay);
        await this.#pause(delay);
        if (this.#hasEnded) throw closedError();
        this.#turn("connecting");
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = realTime.setTimeout(resolve, ms);
      this.#wake = () => {
        realTime.clearTimeout(timer);
        resolve();
      };
    });
  }

  #turn(status: ClusterStatus, ...args: unknown[]): void {
    const { emitter } = this.#parts;
    emitter.status = status;
    // The listeners of a client that connects by itself are added after its constructor has returned.
    if (status === "connecting") realTime.nextTick(() => emitter.emit(status, ...args));
    else emitter.emit(status, ...args);
  }

  #tellError(error: Error): void {
    const { emitter } = this.#parts;
    if (emitter.listenerCount("error") > 0) emitter.emit("error", error);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#wake();
    this.#connecting = undefined;
    this.#cluster = undefined;
    const { emitter } = this.#parts;
    emitter.status = "disconnecting";
    realTime.nextTick(() => {
      // The client may be connecting again by now: then its state is a newer one.
      for (const status of ["close", "end"] as const) {
        if (this.#hasEnded) emitter.status = status;
        emitter.emit(status);
      }
    });
  }
}
