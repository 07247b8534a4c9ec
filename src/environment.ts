import type { ConnectionOptions } from "node:tls";

/** A timer that has been set. */
export interface Timer {
  cancel(): void;
}

/** Time and turns of the event loop. */
export interface Clock {
  /** Milliseconds from any fixed point; never goes back. */
  now(): number;
  /** Calls `callback` once after `delayMs`. A `background` timer does not keep the process alive. */
  setTimer(callback: () => void, delayMs: number, background?: boolean): Timer;
  /** After the current callback and the promise jobs it caused. */
  nextTick(callback: () => void): void;
  /** After the sockets that are readable now have been read. */
  afterReads(callback: () => void): void;
}

/** Where to connect, after `natMap`. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Present for TLS. */
  readonly tls?: ConnectionOptions | undefined;
}

/** What happens on a byte stream. `onClose` comes exactly once, also when it never opened. */
export interface TransportHandlers {
  onOpen(): void;
  /** `bytes` is only valid during the call: the buffer is used again for the next read. */
  onData(bytes: Buffer): void;
  /** All that was written has been taken by the operating system. */
  onDrain(): void;
  onClose(cause: Error | undefined): void;
}

/** A byte stream to one node. */
export interface Transport {
  /** Writes a binary string (one character a byte). False: stop until `onDrain`. */
  write(binary: string): boolean;
  /** Bytes written but not yet taken by the operating system. */
  readonly pendingBytes: number;
  /** Ends the stream at once. `onClose` follows. */
  destroy(): void;
}

/** Opens a stream; never throws, failures come by `onClose`. */
export type OpenTransport = (endpoint: Endpoint, handlers: TransportHandlers) => Transport;

/** All that the client takes from the outside world, handed in so that a whole client can run on a simulated one. */
export interface Environment {
  readonly clock: Clock;
  readonly open: OpenTransport;
  /** In [0, 1), for jitter. */
  random(): number;
}
