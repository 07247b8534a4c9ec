import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Clock, Endpoint, Environment, Timer, Transport, TransportHandlers } from "../environment.ts";
import { distrust } from "./certificates.ts";
import { ENDED } from "./open-failure.ts";
import { openStream } from "./open-stream.ts";

const clock: Clock = {
  now: () => performance.now(),
  setTimer(callback, delayMs, background = false): Timer {
    const handle = setTimeout(callback, delayMs);
    if (background) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  nextTick: (callback) => process.nextTick(callback),
  afterReads: (callback) => void setImmediate(callback),
};

/** Node's sockets, clock and event loop. */
export const nodeEnvironment: Environment = {
  clock,
  random: Math.random,
  open: (endpoint, handlers) => new SocketTransport(endpoint, handlers),
};

/** A socket of Node's own, or a stream that the application opens. */
class SocketTransport implements Transport {
  readonly #stream: Duplex;
  readonly #beneath: Duplex | undefined;

  constructor(endpoint: Endpoint, handlers: TransportHandlers) {
    let failure: Error | undefined;
    const { stream, opening, isGiven, beneath } = openStream(endpoint, {
      onData: handlers.onData,
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
      if (!isGiven) return;
      this.destroy();
      clock.nextTick(onClose);
    };
    if (opening === undefined) clock.nextTick(onOpen);
    else stream.once(opening, onOpen);
    stream.on("drain", () => handlers.onDrain());
    stream.on("error", (error) => {
      const isDistrusted = stream instanceof TLSSocket && Boolean(stream.authorizationError) && !stood;
      fail(isDistrusted ? distrust(error) : error);
    });
    stream.on("end", () => fail(new Error(ENDED)));
    stream.once("close", onClose);
    beneath?.on("error", fail);
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  write(binary: string): boolean {
    return this.#stream.write(binary, "latin1");
  }

  destroy(): void {
    this.#stream.destroy();
    this.#beneath?.destroy();
  }
}
