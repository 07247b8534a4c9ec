import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import RedisParser from "redis-parser";
import type { LocalCluster } from "../../src/testing/index.ts";
import { epochMs } from "./epoch.ts";

type Answered = (reply: unknown) => void;

/** In place of a reply: nobody knows whether the command ran. */
export const LOST = Symbol("lost");

/** A socket with redis-parser on it, and no more: what a test knows of a server without the client under test. */
export class BareConnection {
  state: "opening" | "open" | "closed" = "opening";
  /** Epoch milliseconds. */
  closedAt = 0;
  /** Takes what the server sends when nothing is waited for. */
  onUnasked: (reply: unknown) => void = () => {};
  readonly #socket: Socket;
  readonly #waiting: { readonly since: number; readonly answered: Answered }[] = [];

  /** @param ca  The authority's certificate where the server speaks TLS. */
  constructor(address: string, ca: string | undefined) {
    const colon = address.lastIndexOf(":");
    const where = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
    this.#socket = ca === undefined ? connectTcp(where) : connectTls({ ...where, ca });
    const take = (reply: unknown) => (this.#waiting.shift()?.answered ?? this.onUnasked)(reply);
    const parser = new RedisParser({ returnReply: take, returnError: take });
    this.#socket.setNoDelay(true);
    this.#socket.on(ca === undefined ? "connect" : "secureConnect", () => {
      this.state = "open";
    });
    this.#socket.on("data", (bytes) => parser.execute(bytes));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.close());
  }

  send(args: readonly string[], answered: Answered): void {
    this.#waiting.push({ since: epochMs(), answered });
    const bulks = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`);
    this.#socket.write(`*${args.length}\r\n${bulks.join("")}`);
  }

  closeIfSilent(timeoutMs: number): void {
    const [oldest] = this.#waiting;
    if (oldest !== undefined && epochMs() - oldest.since > timeoutMs) this.close();
  }

  close(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.closedAt = epochMs();
    this.#socket.destroy();
    for (const { answered } of this.#waiting.splice(0)) answered(LOST);
  }
}

/** A subscriber of one shard channel at one node that notes when the server ends the subscription by itself. */
export class BareSubscriber {
  /** Epoch milliseconds of each unasked `sunsubscribe`. */
  readonly ended: number[] = [];
  readonly #connection: BareConnection;

  private constructor(connection: BareConnection) {
    this.#connection = connection;
    connection.onUnasked = (reply) => {
      if (Array.isArray(reply) && reply[0] === "sunsubscribe") this.ended.push(epochMs());
    };
  }

  static async start(cluster: LocalCluster, address: string, channel: string): Promise<BareSubscriber> {
    const { tls } = cluster.connectOptions;
    const connection = new BareConnection(address, tls ? tls.ca : undefined);
    const reply = await new Promise<unknown>((resolve) => connection.send(["SSUBSCRIBE", channel], resolve));
    if (!Array.isArray(reply)) throw new Error(`${address} does not take SSUBSCRIBE ${channel}: ${String(reply)}`);
    return new BareSubscriber(connection);
  }

  stop(): void {
    this.#connection.close();
  }
}
