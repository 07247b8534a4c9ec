import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Writes down the commands that a server gets, by its own MONITOR. */
export class Monitor {
  readonly #socket: Socket;
  #text = "";

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#text += bytes.toString("latin1");
    });
  }

  static async at(address: string): Promise<Monitor> {
    const [host, port] = address.split(":") as [string, string];
    const socket = connect(Number(port), host);
    const monitor = new Monitor(socket);
    await once(socket, "connect");
    socket.write("MONITOR\r\n");
    while (!monitor.#text.startsWith("+OK\r\n")) await once(socket, "data");
    return monitor;
  }

  /** The commands so far, each as its words. */
  get commands(): string[][] {
    return this.#text
      .split("\r\n")
      .slice(1, -1)
      .map((line) => [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => word as string));
  }

  stop(): void {
    this.#socket.destroy();
  }
}
