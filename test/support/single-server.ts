import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { findServer } from "../../src/testing/server-binary.ts";
import { ServerHerd, ServerProcess } from "../../src/testing/server-process.ts";

/** A real server without cluster mode. */
export interface SingleServer {
  readonly address: string;
  readonly port: number;
  command: ServerProcess["command"];
  kill: ServerProcess["kill"];
  stop(): Promise<void>;
}

export async function startSingle(...args: readonly string[]): Promise<SingleServer> {
  const herd = new ServerHerd();
  const settings = {
    binary: await findServer(),
    args: ["--cluster-enabled", "no", ...args],
    certificate: undefined,
  };
  try {
    const server = await ServerProcess.start(herd, settings);
    return {
      address: server.address,
      port: server.port,
      command: (...command) => server.command(...command),
      kill: () => server.kill(),
      stop: async () => {
        await server.kill();
        await herd.release();
      },
    };
  } catch (error) {
    await herd.release();
    throw error;
  }
}

/** What a server receives, by its own word: MONITOR. */
export class Monitor {
  readonly #socket: Socket;
  #text = "";

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      this.#text += chunk.toString();
    });
  }

  static async of({ port }: { readonly port: number }): Promise<Monitor> {
    const socket = connectTcp(port, "127.0.0.1");
    const monitor = new Monitor(socket);
    socket.write("MONITOR\r\n");
    while (!monitor.#text.startsWith("+OK\r\n")) await new Promise((resolve) => setTimeout(resolve, 5));
    return monitor;
  }

  /** Each command with its arguments, in order, but not those that scripts call. */
  get commands(): string[][] {
    const lines = this.#text.split("\r\n").filter((line) => /^\+\d+\.\d+ \[\d+ (?!lua\])/.test(line));
    return lines.map((line) => [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => word as string));
  }

  stop(): void {
    this.#socket.destroy();
  }
}

/** One name behind which servers change places: connections lead to the server that is meant when they are opened. */
export class OneName {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** When each connection was opened, in milliseconds. */
  readonly opened: number[] = [];
  target: number;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
    server.on("connection", (socket) => {
      this.opened.push(performance.now());
      const there = connectTcp(this.target, "127.0.0.1");
      socket.pipe(there).pipe(socket);
      for (const each of [socket, there]) {
        this.#sockets.add(each);
        each.on("error", () => {});
        each.on("close", () => {
          socket.destroy();
          there.destroy();
          this.#sockets.delete(each);
        });
      }
    });
  }

  static async leadingTo(target: number): Promise<OneName> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new OneName(server, target);
  }

  get address(): string {
    const address = this.#server.address();
    return `127.0.0.1:${typeof address === "object" ? address?.port : address}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
