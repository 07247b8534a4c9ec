import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  type Clock,
  type Endpoint,
  type Environment,
  realTime,
  type Timer,
  type Transport,
  type TransportHandlers,
} from "../environment.ts";
import { ENDED } from "./open-failure.ts";

const READ_BUFFER_BYTES = 64 * 1024;
/** A socket takes so many bytes before it says that it is full. Node's 16 KiB are less than the calls of one tick. */
const WRITE_BUFFER_BYTES = 1024 * 1024;
/** A longer write goes to the socket in pieces. */
const LONG_WRITE_BYTES = 256 * 1024;
/** Node tells of a write when all of it was taken. So progress can be seen in steps of this size. */
const PIECE_BYTES = 64 * 1024;
const KEEP_ALIVE_MS = 15_000;
/** How long the sockets may go without being read before they are read in front of the next write. */
const BEHIND_MS = 50;
/** A full socket is looked at this often. */
const DRAIN_LOOK_MS = 50;

const { setTimeout: startTimeout, clearTimeout: stopTimeout, now, wallNow } = realTime;
const { setImmediate: startImmediate, clearImmediate: stopImmediate, nextTick } = realTime;

/** Notes when this process has read its sockets. It reads them all in one place of each turn of its event loop. */
class Attention {
  /** A socket was read since `isBehind` was asked last. The clock is not read at each read. */
  hasRead = false;
  #askedAt = 0;
  /** At this time, or later, sockets were read. */
  #readAt = 0;

  isBehind(): boolean {
    const askedAt = wallNow();
    if (this.hasRead) this.#readAt = this.#askedAt;
    this.hasRead = false;
    this.#askedAt = askedAt;
    const sinceMs = askedAt - this.#readAt;
    return sinceMs > BEHIND_MS || sinceMs < 0;
  }

  noteAllRead(): void {
    this.#askedAt = wallNow();
    this.#readAt = this.#askedAt;
  }
}

const attention = new Attention();

/** A turn of Node's event loop: timers, then the sockets are read, then immediates, then closed handles. */
const clock: Clock = {
  now,
  setTimer(callback, delayMs, background = false): Timer {
    let read: NodeJS.Immediate | undefined;
    const handle = startTimeout(() => {
      // It keeps the process alive for this turn, because otherwise the loop would wait in front of it.
      read = startImmediate(callback);
    }, delayMs);
    if (background) handle.unref();
    return {
      cancel() {
        stopTimeout(handle);
        stopImmediate(read);
      },
    };
  },
  nextTick,
  afterReads: (callback) => void startImmediate(callback),
  isBehind: () => attention.isBehind(),
  afterArrivals(callback) {
    // The present turn may be past its reads, so the first immediate can come before them.
    startImmediate(() =>
      startImmediate(() => {
        attention.noteAllRead();
        callback();
      }),
    );
  },
};

/** Node's sockets, clock and event loop. */
export const nodeEnvironment: Environment = {
  clock,
  random: Math.random,
  open: (endpoint, handlers) => new SocketTransport(endpoint, handlers),
};

class SocketTransport implements Transport {
  readonly #socket: Socket;
  readonly #handlers: TransportHandlers;
  /** Long writes, or what is left of them, that the socket was not given yet. */
  readonly #rest: string[] = [];
  #restBytes = 0;
  /** The number of the piece that the socket has been given and the operating system has not taken. */
  #outstanding = 0;
  #pieces = 0;
  /** `write` said that the socket is full. */
  #isFull = false;
  #isDestroyed = false;
  #wasClosed = false;

  constructor({ host, port, tls }: Endpoint, handlers: TransportHandlers) {
    this.#handlers = handlers;
    // A socket uses one buffer for every read, so nobody may keep a reference into it.
    const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
    const onread = {
      buffer,
      callback: (length: number) => {
        attention.hasRead = true;
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
    const socket = tls ? connectTls({ ...serverName, ...tls, ...common }) : connectTcp(common);
    socket.once(tls ? "secureConnect" : "connect", () => handlers.onOpen());
    socket.on("drain", () => this.#lookForRoom());
    // "close" comes later than calls that are written in this turn, so the end is told at its first sign.
    socket.on("error", (error) => this.#closed(error));
    socket.on("end", () => this.#closed(new Error(ENDED)));
    socket.once("close", () => this.#closed(undefined));
    this.#socket = socket;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength + this.#restBytes;
  }

  write(binary: string): boolean {
    let goesOn: boolean;
    if (binary.length <= LONG_WRITE_BYTES && this.#restBytes === 0) goesOn = this.#socket.write(binary, "latin1");
    else {
      this.#rest.push(binary);
      this.#restBytes += binary.length;
      this.#writePieces();
      goesOn = this.pendingBytes < WRITE_BUFFER_BYTES;
    }
    if (!goesOn && !this.#isFull) {
      this.#isFull = true;
      this.#lookLater();
    }
    return goesOn;
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#rest.length = 0;
    this.#restBytes = 0;
    this.#socket.destroy();
  }

  /** Gives the socket pieces for as long as the operating system takes them at once. */
  #writePieces(): void {
    while (this.#restBytes > 0 && this.#outstanding === 0) {
      const whole = this.#rest[0] as string;
      const piece = whole.slice(0, PIECE_BYTES);
      if (piece.length === whole.length) this.#rest.shift();
      else this.#rest[0] = whole.slice(PIECE_BYTES);
      this.#restBytes -= piece.length;
      const number = ++this.#pieces;
      this.#socket.write(piece, "latin1", () => this.#pieceTaken(number));
      if (this.#socket.writableLength > 0) this.#outstanding = number;
    }
  }

  #pieceTaken(number: number): void {
    if (number !== this.#outstanding || this.#isDestroyed) return;
    this.#outstanding = 0;
    this.#writePieces();
    this.#lookForRoom();
  }

  #lookForRoom(): void {
    if (!this.#isFull || this.#isDestroyed || this.pendingBytes > 0) return;
    this.#isFull = false;
    this.#handlers.onDrain();
  }

  /** Node tells of room in a later tick, which a framework may have replaced. So a full socket is looked at as well. */
  #lookLater(): void {
    clock.setTimer(
      () => {
        this.#lookForRoom();
        if (this.#isFull && !this.#isDestroyed) this.#lookLater();
      },
      DRAIN_LOOK_MS,
      true,
    );
  }

  #closed(cause: Error | undefined): void {
    if (this.#wasClosed) return;
    this.#wasClosed = true;
    this.#handlers.onClose(cause);
  }
}
