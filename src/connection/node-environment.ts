import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Endpoint, Environment, Transport, TransportHandlers } from "../environment.ts";
import { distrust } from "./certificates.ts";
import { attention, nodeClock } from "./node-clock.ts";
import { ENDED } from "./open-failure.ts";
import { openStream } from "./open-stream.ts";
import { Outgoing } from "./outgoing.ts";

/** Node's sockets, clock and event loop. */
export const nodeEnvironment: Environment = {
  clock: nodeClock,
  random: Math.random,
  open: (endpoint, handlers) => new SocketTransport(endpoint, handlers),
};

/** A socket of Node's own, or a stream that the application opens. */
class SocketTransport implements Transport {
  readonly #stream: Duplex;
  readonly #beneath: Duplex | undefined;
  readonly #outgoing: Outgoing;

  constructor(endpoint: Endpoint, handlers: TransportHandlers) {
    let failure: Error | undefined;
    const { stream, opening, isGiven, beneath } = openStream(endpoint, {
      onData: (bytes) => {
        attention.hasRead = true;
        handlers.onData(bytes);
      },
      onThrown: (error) => {
        failure ??= error;
      },
    });
    this.#stream = stream;
    this.#beneath = beneath;
    let stood = false;
    let isOver = false;
    const onOpen = () => {
      stood = true;
      handlers.onOpen();
    };
    const onClose = () => {
      if (isOver) return;
      isOver = true;
      handlers.onClose(failure);
    };
    const fail = (cause: Error) => {
      failure ??= cause;
      // A socket of Node's own is destroyed by its end. An application's stream may have been told not to be.
      if (isGiven) this.destroy();
      // "close" comes later than calls that are written in this turn, so the end is told at its first sign.
      nodeClock.nextTick(onClose);
    };
    if (opening === undefined) nodeClock.nextTick(onOpen);
    else stream.once(opening, onOpen);
    this.#outgoing = new Outgoing(stream, () => handlers.onDrain());
    stream.on("error", (error) => {
      const isDistrusted = Boolean((stream as Partial<TLSSocket>).authorizationError) && !stood;
      fail(isDistrusted ? distrust(error) : error);
    });
    stream.on("end", () => fail(new Error(ENDED)));
    stream.once("close", onClose);
    beneath?.on("error", fail);
  }

  get pendingBytes(): number {
    return this.#outgoing.pendingBytes;
  }

  write(binary: string): boolean {
    return this.#outgoing.write(binary);
  }

  destroy(): void {
    this.#outgoing.end();
    this.#stream.destroy();
    this.#beneath?.destroy();
  }
}
