import type { LookupFunction } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionOptions } from "node:tls";

/**
 * The process's functions of time. Frameworks for tests replace them in the process, so they are taken when this module
 * is loaded: connections live on while a test plays with time. Everything but the command line uses these.
 */
export const realTime = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
  nextTick: process.nextTick.bind(process),
  /** Milliseconds since some fixed moment. */
  now: performance.now.bind(performance),
  /** When `now` was 0, in milliseconds since 1970, unless the wall clock was set since. */
  origin: performance.timeOrigin,
  /** Whole milliseconds since 1970. The wall clock goes on while a virtual machine is suspended. */
  wallNow: Date.now.bind(Date),
} as const;

/**
 * Milliseconds from the times of `now` to the times since 1970, by the wall clock as it is now. The wall clock tells whole
 * milliseconds; the origin is finer, and right as long as nobody has set the wall clock.
 */
export function epochMsOf(now: number): number {
  const coarse = realTime.wallNow() - now;
  const { origin } = realTime;
  return origin >= coarse && origin < coarse + 1 ? origin : coarse + 0.5;
}

/** A timer that has been set. */
export interface Timer {
  cancel(): void;
}

/** Time, timers and the event loop. */
export interface Clock {
  /** Milliseconds since some fixed moment. The value never decreases. */
  now(): number;
  /**
   * Calls `callback` once, after `delayMs` milliseconds, and after everything that had arrived by then was read. A
   * `background` timer does not keep the process alive.
   */
  setTimer(callback: () => void, delayMs: number, background?: boolean): Timer;
  /** Calls `callback` after the current callback, and after the promise jobs that it caused. */
  nextTick(callback: () => void): void;
  /** Calls `callback` at the end of the event loop's turn, when the sockets that were readable in it have been read. */
  afterReads(callback: () => void): void;
  /**
   * Whether the sockets may not have been read for long, because the process was stopped, computed, or had nothing to
   * do. A server may have closed a connection meanwhile. Whoever is about to write waits for `afterArrivals` first.
   */
  isBehind(): boolean;
  /** Calls `callback` when everything that has arrived by now was read. Costs one more turn than `afterReads`. */
  afterArrivals(callback: () => void): void;
}

/** Resolves in another turn of the event loop, so that sockets and timers get theirs before the work goes on. */
export function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.setTimer(resolve, 0));
}

/** The way to a server, after `natMap`: a host and a port, or the path of a socket file. */
export interface SocketEndpoint {
  /** A host name or an IP address; IPv6 without brackets. Empty for a socket file. */
  readonly host: string;
  /** The TCP port, 1 to 65535; 0 for a socket file. */
  readonly port: number;
  /** The path of the server's socket file. Undefined for a host and a port. */
  readonly path?: string | undefined;
}

/** How sockets are opened, in the words of Node's `net.connect`. */
export interface SocketOptions {
  /**
   * The version of the IP addresses that a host name is resolved to: 4, 6, or 0 for both.
   * @default 0
   */
  readonly family?: 0 | 4 | 6 | undefined;
  /**
   * Resolves host names in place of `dns.lookup`.
   * @default dns.lookup
   */
  readonly lookup?: LookupFunction | undefined;
  /**
   * The local address to connect from.
   * @default chosen by the operating system
   */
  readonly localAddress?: string | undefined;
  /**
   * Milliseconds without traffic before the operating system asks whether the other side is still there.
   * @default 15000
   */
  readonly keepAliveInitialDelay?: number | undefined;
}

/** Opens the stream to a server, for tunnels. With `tls`, TLS is spoken over this stream. */
export type OpenSocket = (endpoint: SocketEndpoint) => Duplex;

/** The address to connect to, after `natMap`, and how. */
export interface Endpoint extends SocketEndpoint {
  /** Present for TLS. */
  readonly tls?: ConnectionOptions | undefined;
  /** How the socket is opened. */
  readonly socket?: SocketOptions | OpenSocket | undefined;
}

/** Handlers for the events of a byte stream. `onClose` is called exactly once, also for a stream that never opened. */
export interface TransportHandlers {
  onOpen(): void;
  /** `bytes` is only valid during the call, because the next read reuses the buffer. */
  onData(bytes: Buffer): void;
  /** Called when the operating system has taken all written bytes. */
  onDrain(): void;
  onClose(cause: Error | undefined): void;
}

/** A byte stream to one node. */
export interface Transport {
  /** Writes a binary string, in which each character is one byte. False means: write no more until `onDrain`. */
  write(binary: string): boolean;
  /** The number of written bytes that the operating system has not yet taken. */
  readonly pendingBytes: number;
  /** Ends the stream at once. `onClose` follows. */
  destroy(): void;
}

/** Opens a stream. Never throws; a failure is reported by `onClose`. */
export type OpenTransport = (endpoint: Endpoint, handlers: TransportHandlers) => Transport;

/**
 * Everything that the client needs from the outside world. It is handed in, so that a whole client can run in a
 * simulated world.
 */
export interface Environment {
  readonly clock: Clock;
  readonly open: OpenTransport;
  /**
   * Milliseconds from the clock's times to the times since 1970.
   * @default measured by the wall clock when a client connects
   */
  readonly epochMs?: number;
  /**
   * Milliseconds since 1970 by the wall clock, which goes on while a virtual machine is suspended.
   * @default the process's wall clock
   */
  readonly wallNow?: () => number;
  /** A random number in [0, 1), for jitter. */
  random(): number;
}
