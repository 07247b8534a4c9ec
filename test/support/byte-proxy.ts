import { type AddressInfo, createServer, connect as openSocket, type Server, type Socket } from "node:net";

/**
 * A TCP proxy in front of one server that can break the way to it byte by byte. A client reaches the server through it
 * by `natMap`.
 */
export class ByteProxy {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<Pair>();

  private constructor(server: Server, target: { host: string; port: number }) {
    this.#server = server;
    this.#target = target;
  }

  static async start(address: string): Promise<ByteProxy> {
    const colon = address.lastIndexOf(":");
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const proxy = new ByteProxy(server, { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
    server.on("connection", (socket) => proxy.#pair(socket));
    return proxy;
  }

  get host(): string {
    return "127.0.0.1";
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /**
   * Bytes of the present connections vanish, both ways, and nobody is told. New connections work.
   * @param ports  Of the connections' side at the server. Default: all connections.
   */
  swallow(ports?: readonly number[]): void {
    for (const pair of this.#those(ports)) pair.mode = "swallow";
  }

  /** Replies on the present connections vanish; requests still arrive. */
  swallowReplies(ports?: readonly number[]): void {
    for (const pair of this.#those(ports)) pair.mode = "swallow replies";
  }

  /**
   * Replies on the present connections wait in the proxy until the returned function is called.
   * @param ports  Of the connections' side at the server. Default: all connections.
   */
  holdReplies(ports?: readonly number[]): () => void {
    const held = this.#those(ports);
    for (const { server } of held) server.pause();
    return () => {
      for (const { server } of held) server.resume();
    };
  }

  /** Ends the present connections. */
  cut(ports?: readonly number[]): void {
    for (const { client, server } of this.#those(ports)) {
      client.destroy();
      server.destroy();
    }
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #those(ports: readonly number[] | undefined): Pair[] {
    return [...this.#pairs].filter(({ server }) => ports === undefined || ports.includes(server.localPort ?? -1));
  }

  #pair(client: Socket): void {
    const server = openSocket({ ...this.#target, noDelay: true });
    const pair: Pair = { client, server, mode: "pass" };
    this.#pairs.add(pair);
    client.on("data", (bytes) => pair.mode !== "swallow" && server.write(bytes));
    server.on("data", (bytes) => pair.mode === "pass" && client.write(bytes));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on("error", () => {});
      one.on("close", () => {
        this.#pairs.delete(pair);
        other.destroy();
      });
    }
  }
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  mode: "pass" | "swallow" | "swallow replies";
}
