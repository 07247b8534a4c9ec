import { connect as connectTcp, isIP, type NetConnectOpts, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, TLSSocket } from "node:tls";
import type { Clock, Endpoint, Environment, OpenSocket, Timer, Transport, TransportHandlers } from "../environment.ts";
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

const newReadBuffer = () => Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
let sharedBuffer: Buffer | undefined;

/**
 * The buffer for the reads of a socket without TLS. libuv asks for it, fills it and hands it on in one step, so all sockets
 * can share it: 1,000 nodes would hold 64 MB otherwise. On Windows a read owns its buffer until data comes.
 */
function readBuffer(): Buffer {
  if (process.platform === "win32") return newReadBuffer();
  sharedBuffer ??= newReadBuffer();
  return sharedBuffer;
}

/** A socket of Node's own, or a stream that the application opens. */
class SocketTransport implements Transport {
  readonly #stream: Duplex;
  /** The application's stream beneath TLS. */
  readonly #beneath: Duplex | undefined;

  constructor(endpoint: Endpoint, handlers: TransportHandlers) {
    const { socket, tls } = endpoint;
    const given = typeof socket === "function" ? streamOf(socket, endpoint) : undefined;
    this.#beneath = tls === undefined ? undefined : given;
    let failure: Error | undefined;
    const onThrown = (error: Error) => {
      failure ??= error;
    };
    const safe = tls === undefined ? endpoint : { ...endpoint, tls: guarded(tls, onThrown) };
    const stream = given === undefined ? socketTo(safe, handlers) : tls === undefined ? given : tlsOver(given, safe);
    this.#stream = stream;
    let isOver = false;
    const onClose = () => {
      if (isOver) return;
      isOver = true;
      handlers.onClose(failure);
    };
    const fail = (cause: Error) => {
      failure ??= cause;
      // A socket of Node's own is destroyed by its end. An application's stream may have been told not to be.
      if (given === undefined) return;
      this.destroy();
      clock.nextTick(onClose);
    };
    if (given !== undefined) {
      stream.on("data", (bytes: Buffer) => handlers.onData(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes)));
      this.#beneath?.on("error", fail);
    }
    let stood = false;
    const onOpen = () => {
      stood = true;
      handlers.onOpen();
    };
    const opening = tls === undefined ? (isConnecting(stream) ? "connect" : undefined) : "secureConnect";
    if (opening === undefined) clock.nextTick(onOpen);
    else stream.once(opening, onOpen);
    stream.on("drain", () => handlers.onDrain());
    stream.on("error", (error) => {
      const isDistrusted = stream instanceof TLSSocket && Boolean(stream.authorizationError) && !stood;
      fail(isDistrusted ? distrust(error) : error);
    });
    stream.on("end", () => fail(new Error(ENDED)));
    stream.once("close", onClose);
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

/** A TCP or TLS connection, or one to a socket file. */
function socketTo({ host, port, path, tls, socket }: Endpoint, handlers: TransportHandlers): Socket {
  // One buffer serves many reads, so nobody may keep a reference into it.
  const buffer = tls ? newReadBuffer() : readBuffer();
  const onread = {
    buffer,
    callback: (length: number) => {
      handlers.onData(buffer.subarray(0, length));
      return true;
    },
  };
  const common = {
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    ...(typeof socket === "object" ? socket : {}),
    ...(path === undefined ? { host, port } : { path }),
    onread,
    noDelay: true,
    keepAlive: true,
    writableHighWaterMark: WRITE_BUFFER_BYTES,
  };
  if (tls === undefined) return connectTcp(common as NetConnectOpts);
  return connectTls({ ...serverNameOf(host), ...tls, ...common });
}

/** TLS over a stream that the application opened. */
function tlsOver(stream: Duplex, { host, tls }: Endpoint): Socket {
  return connectTls({ ...serverNameOf(host), ...tls, socket: stream });
}

/** TLS allows a name as the server's name, and no address. @see https://www.rfc-editor.org/rfc/rfc6066#section-3 */
function serverNameOf(host: string): { readonly servername?: string } {
  return host === "" || isIP(host) !== 0 ? {} : { servername: host };
}

/** @throws {Error} The application's function threw, or returned something else than a stream. */
function streamOf(open: OpenSocket, { host, port, path }: Endpoint): Duplex {
  const stream: Partial<Duplex> | undefined = open(path === undefined ? { host, port } : { host, port, path });
  // A copy of Node's streams from a package has classes of its own.
  if (typeof stream?.write === "function" && typeof stream.destroy === "function") return stream as Duplex;
  throw new TypeError("the function `socket` returned no Duplex");
}

function isConnecting(stream: Duplex): boolean {
  return (stream as Partial<Socket>).connecting === true;
}
