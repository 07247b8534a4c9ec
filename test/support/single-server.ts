import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { findServer } from "../../src/testing/server-binary.ts";
import { ServerHerd, ServerProcess } from "../../src/testing/server-process.ts";

/** A real server without cluster mode. */
export interface SingleServer {
  readonly address: string;
  readonly port: number;
  command: ServerProcess["command"];
  /** The commands that it was sent since `CONFIG RESETSTAT`, by its own count; `client|setname` from Redis 7.0 on. */
  received(): Promise<string[]>;
  /** Freezes the server with SIGSTOP. */
  pause(): void;
  /** Lets the frozen server run again. */
  resume(): void;
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
      received: async () => {
        const info = String(await server.command("INFO", "commandstats"));
        return [...info.matchAll(/^cmdstat_([^:]+):/gm)].map(([, name]) => name as string);
      },
      pause: () => server.signal("SIGSTOP"),
      resume: () => server.signal("SIGCONT"),
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
