import { type AddressInfo, createServer, connect as openSocket, type Server, type Socket } from "node:net";

/** A TCP proxy in front of one server, whose connections take bytes for the server slowly. */
export class SlowProxy {
  /** Bytes that were taken for the server on each connection, in the order in which they were opened. */
  readonly taken: number[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param bytesPerMs  Of each connection, towards the server. */
  static async start(address: string, bytesPerMs: number): Promise<SlowProxy> {
    const [host, port] = address.split(":") as [string, string];
    const server = createServer({ noDelay: true });
    const proxy = new SlowProxy(server);
    server.on("connection", (client) => {
      const node = openSocket({ host, port: Number(port), noDelay: true });
      const at = proxy.taken.push(0) - 1;
      let free = performance.now();
      client.on("data", (bytes) => {
        client.pause();
        const now = performance.now();
        free = Math.max(free, now) + bytes.length / bytesPerMs;
        setTimeout(() => {
          proxy.taken[at] = (proxy.taken[at] ?? 0) + bytes.length;
          node.write(bytes);
          client.resume();
        }, free - now);
      });
      node.pipe(client);
      for (const [one, other] of [
        [client, node],
        [node, client],
      ] as const) {
        proxy.#sockets.add(one);
        one.on("error", () => {});
        one.on("close", () => {
          proxy.#sockets.delete(one);
          other.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get host(): string {
    return "127.0.0.1";
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends the present connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
