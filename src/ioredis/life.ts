import type { EventEmitter } from "node:events";
import { realTime } from "../environment.ts";
import { type Cluster, type ConnectOptions, connect, InvalidArgumentError } from "../index.ts";
import { tell } from "./callbacks.ts";
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
 * The client of slotwire goes on by itself when it loses its connections: then the state stays `ready`. From there,
 * `disconnect(true)` goes by `close` and `reconnecting`. What a listener throws is thrown by itself, and changes no state.
 */
export class Life {
  readonly #parts: LifeParts;
  #cluster: Cluster | undefined;
  #connecting: Promise<Cluster> | undefined;
  #hasEnded = false;
  #isQuitting = false;
  /** The number of the present life. What was begun in an earlier one is over. */
  #life = 0;
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
    this.#begin(this.#try());
    await this.#connecting;
  }

  #begin(trying: Promise<Cluster>): void {
    this.#connecting = trying;
    trying.catch(() => {});
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
    this.#isQuitting = true;
    this.#wake();
    const life = this.#life;
    const cluster = this.#cluster ?? (await this.#connecting?.catch(() => undefined));
    await cluster?.close();
    if (this.#life === life) this.#end();
    return "OK";
  }

  /** Ends at once; or gives up what is under way, and connects again. */
  disconnect(connectsAgain: boolean): void {
    const cluster = this.#cluster;
    if (!connectsAgain) this.#end();
    else if (cluster !== undefined && !this.#isQuitting) {
      this.#cluster = undefined;
      this.#begin(this.#try(closedError()));
    } else return;
    cluster?.destroy();
  }

  /** @param lost  Why the last connection was given up, if there was one: then there is a delay before the first try. */
  async #try(lost?: Error): Promise<Cluster> {
    const life = ++this.#life;
    const refuseWhenOver = () => {
      if (this.#life !== life || this.#isQuitting) throw closedError();
    };
    this.#hasEnded = false;
    this.#isQuitting = false;
    if (lost !== undefined) {
      // Not before calls can wait for this try: a listener may make some.
      await undefined;
      await this.#waitAfter(1, lost, refuseWhenOver);
    }
    this.#turn("connecting");
    for (let times = 1; ; times++) {
      let cluster: Cluster;
      try {
        cluster = await connect(this.#parts.options());
      } catch (error) {
        refuseWhenOver();
        this.#tellError(error as Error);
        await this.#waitAfter(times, error as Error, refuseWhenOver);
        this.#turn("connecting");
        continue;
      }
      if (this.#life !== life) {
        cluster.destroy();
        throw closedError();
      }
      this.#cluster = cluster;
      this.#connecting = undefined;
      this.#parts.onConnected(cluster);
      this.#turn("connect");
      // A listener may have ended it.
      if (this.#cluster === cluster) this.#turn("ready");
      return cluster;
    }
  }

  /** Waits as long as the strategy says. @throws The reason, if there is to be no other try. */
  async #waitAfter(times: number, reason: Error, refuseWhenOver: () => void): Promise<void> {
    // Options that are wrong stay so.
    const delay = reason instanceof InvalidArgumentError ? undefined : this.#parts.retryDelay(times, reason);
    refuseWhenOver();
    if (typeof delay !== "number") {
      this.#end();
      throw reason;
    }
    this.#turn("close");
    refuseWhenOver();
    this.#turn("reconnecting", delay);
    refuseWhenOver();
    await this.#pause(delay);
    refuseWhenOver();
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
    else this.#emit(status, ...args);
  }

  #emit(event: string, ...args: unknown[]): void {
    tell(() => this.#parts.emitter.emit(event, ...args), null);
  }

  #tellError(error: Error): void {
    const { emitter } = this.#parts;
    if (emitter.listenerCount("error") > 0) this.#emit("error", error);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#life++;
    this.#wake();
    this.#connecting = undefined;
    this.#cluster = undefined;
    const { emitter } = this.#parts;
    emitter.status = "disconnecting";
    realTime.nextTick(() => {
      // The client may be connecting again by now: then its state is a newer one.
      for (const status of ["close", "end"] as const) {
        if (this.#hasEnded) emitter.status = status;
        this.#emit(status);
      }
    });
  }
}
