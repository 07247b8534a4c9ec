import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";
import type { Clock, Endpoint, Environment, Timer, Transport, TransportHandlers } from "../environment.ts";
import { distrust, guarded } from "./certificates.ts";
import { ENDED } from "./open-failure.ts";

const READ_BUFFER_BYTES = 64 * 1024;
/** A socket takes so many bytes before it says that it is full. Node's 16 KiB are less than the calls of one tick. */
const WRITE_BUFFER_BYTES = 1024 * 1024;
const KEEP_ALIVE_MS = 15_000;

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

class SocketTransport implements Transport {
  readonly #socket: Socket;

  constructor({ host, port, tls }: Endpoint, handlers: TransportHandlers) {
    // A socket uses one buffer for every read, so nobody may keep a reference into it.
    const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
    const onread = {
      buffer,
      callback: (length: number) => {
        handlers.onData(buffer.subarray(0, length));
        return true;
      },
    };
    const common = {
      host,
      port,
      onread,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      writableHighWaterMark: WRITE_BUFFER_BYTES,
    };
    // TLS allows a name as the server's name, and no address. @see https://www.rfc-editor.org/rfc/rfc6066#section-3
    const serverName = isIP(host) === 0 ? { servername: host } : {};
    let failure: Error | undefined;
    const onThrown = (error: Error) => {
      failure ??= error;
    };
    const socket = tls ? connectTls({ ...serverName, ...guarded(tls, onThrown), ...common }) : connectTcp(common);
    let stood = false;
    socket.once(tls ? "secureConnect" : "connect", () => {
      stood = true;
      handlers.onOpen();
    });
    socket.on("drain", () => handlers.onDrain());
    socket.on("error", (error) => {
      const isDistrusted = socket instanceof TLSSocket && Boolean(socket.authorizationError) && !stood;
      failure ??= isDistrusted ? distrust(error) : error;
    });
    socket.on("end", () => {
      failure ??= new Error(ENDED);
    });
    socket.once("close", () => handlers.onClose(failure));
    this.#socket = socket;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  write(binary: string): boolean {
    return this.#socket.write(binary, "latin1");
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
