import { type AddressInfo, createServer, connect as openSocket, type Server, type Socket } from "node:net";

/** So much waits in the link for each connection before it reads no more. */
const BUFFER_BYTES = 64 * 1024;
const TICK_MS = 10;

/** Bytes of one connection that are on their way to the server. */
interface Way {
  readonly client: Socket;
  readonly server: Socket;
  readonly address: string;
  readonly chunks: Buffer[];
  bytes: number;
  isBroken: boolean;
}

/**
 * A link to servers that carries so many bytes a second towards them, for each connection or for all of them together.
 * A client reaches the servers through it by `natMap`. What comes back is not delayed.
 */
export class ThrottledLink {
  readonly natMap: Readonly<Record<string, { host: string; port: number }>>;
  readonly #bytesPerTick: number;
  readonly #isShared: boolean;
  readonly #listeners: readonly Server[];
  readonly #ways = new Set<Way>();
  readonly #ticks: NodeJS.Timeout;
  #turn = 0;

  private constructor(
    bytesPerSecond: number,
    isShared: boolean,
    listeners: readonly Server[],
    addresses: readonly string[],
  ) {
    this.#bytesPerTick = (bytesPerSecond * TICK_MS) / 1000;
    this.#isShared = isShared;
    this.#listeners = listeners;
    this.natMap = Object.fromEntries(
      addresses.map((address, index) => {
        const { port } = (listeners[index] as Server).address() as AddressInfo;
        return [address, { host: "127.0.0.1", port }];
      }),
    );
    for (const [index, listener] of listeners.entries()) {
      listener.on("connection", (client) => this.#carry(client, addresses[index] as string));
    }
    this.#ticks = setInterval(() => this.#tick(), TICK_MS);
  }

  static async to(addresses: readonly string[], bytesPerSecond: number, isShared: boolean): Promise<ThrottledLink> {
    const listeners = await Promise.all(
      addresses.map(async () => {
        const listener = createServer({ noDelay: true });
        await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
        return listener;
      }),
    );
    return new ThrottledLink(bytesPerSecond, isShared, listeners, addresses);
  }

  /** Bytes of the present connections to `address` vanish, both ways, and nobody is told. New connections work. */
  breakHalf(address: string): void {
    for (const way of this.#ways) if (way.address === address) way.isBroken = true;
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticks);
    for (const { client, server } of this.#ways) {
      client.destroy();
      server.destroy();
    }
    await Promise.all(this.#listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  }

  #carry(client: Socket, address: string): void {
    const colon = address.lastIndexOf(":");
    const server = openSocket({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true });
    const way: Way = { client, server, address, chunks: [], bytes: 0, isBroken: false };
    this.#ways.add(way);
    client.on("data", (bytes: Buffer) => {
      if (way.isBroken) return;
      way.chunks.push(bytes);
      way.bytes += bytes.length;
      if (way.bytes > BUFFER_BYTES) client.pause();
    });
    server.on("data", (bytes: Buffer) => way.isBroken || client.write(bytes));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on("error", () => {});
      one.on("close", () => {
        this.#ways.delete(way);
        other.destroy();
      });
    }
  }

  #tick(): void {
    let left = this.#bytesPerTick;
    const ways = [...this.#ways].filter(({ bytes }) => bytes > 0);
    for (let count = 0; count < ways.length && left > 0; count++) {
      // A shared link serves them in turns.
      const way = ways[(this.#turn + count) % ways.length] as Way;
      if (this.#isShared) left -= this.#pass(way, left);
      else this.#pass(way, this.#bytesPerTick);
    }
    this.#turn++;
  }

  #pass(way: Way, most: number): number {
    let passed = 0;
    while (passed < most && way.bytes > 0) {
      const chunk = way.chunks[0] as Buffer;
      const part = chunk.subarray(0, most - passed);
      if (!way.isBroken) way.server.write(part);
      passed += part.length;
      way.bytes -= part.length;
      if (part.length === chunk.length) way.chunks.shift();
      else way.chunks[0] = chunk.subarray(part.length);
    }
    if (way.bytes < BUFFER_BYTES) way.client.resume();
    return passed;
  }
}
