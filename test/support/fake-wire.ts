import type { Environment, Transport, TransportHandlers } from "../../src/environment.ts";
import { FakeClock } from "./fake-clock.ts";

/** What a server makes of the bytes of one write: a reply, nothing, or the end of the connection. */
export type Server = (written: string) => string | Error | undefined;

/** Connections without a network, on a clock that a test moves. Opening and every reply take `delayMs`. */
export class FakeWire {
  readonly clock = new FakeClock();
  readonly opened: FakeTransport[] = [];
  /** Who serves the connections that are opened from now on. An error refuses them, undefined leaves them without an answer. */
  server: Server | Error | undefined = () => "+PONG\r\n";
  delayMs = 1;

  readonly environment: Environment = {
    clock: this.clock,
    random: () => 0.5,
    open: (_, handlers) => {
      const transport = new FakeTransport(this, handlers, this.server);
      this.opened.push(transport);
      return transport;
    },
  };

  /** Time passes, with the promise jobs that it causes. */
  async pass(milliseconds: number): Promise<void> {
    for (let step = 0; step <= milliseconds; step++) {
      this.clock.advance(step === 0 ? 0 : 1);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

class FakeTransport implements Transport {
  readonly pendingBytes = 0;
  closed = false;
  readonly #wire: FakeWire;
  readonly #handlers: TransportHandlers;
  readonly #server: Server;

  constructor(wire: FakeWire, handlers: TransportHandlers, server: Server | Error | undefined) {
    this.#wire = wire;
    this.#handlers = handlers;
    this.#server = typeof server === "function" ? server : () => undefined;
    if (server instanceof Error) this.#later(() => this.#close(server));
    else if (server !== undefined) this.#later(() => handlers.onOpen());
  }

  write(binary: string): boolean {
    const answer = this.#server(binary);
    if (answer instanceof Error) this.#later(() => this.#close(answer));
    else if (answer !== undefined) this.#later(() => this.receive(answer));
    return true;
  }

  /** Bytes from the server. */
  receive(bytes: string): void {
    if (!this.closed) this.#handlers.onData(Buffer.from(bytes, "latin1"));
  }

  destroy(): void {
    this.closed = true;
  }

  #close(cause: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.#handlers.onClose(cause);
  }

  #later(what: () => void): void {
    this.#wire.clock.setTimer(what, this.#wire.delayMs);
  }
}
