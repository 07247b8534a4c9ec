import type { Clock, Timer } from "../environment.ts";

/** The parts of a connection that show whether it lives. */
export interface Living {
  /** Counts the reads from the socket. */
  readonly received: number;
  /** Bytes handed to the socket, and those of them that the operating system has not taken. */
  readonly writtenBytes: number;
  readonly pendingBytes: number;
}

/**
 * Sees signs of life on one connection: bytes that arrive, and bytes that the operating system takes although it had no
 * room at the last look. Bytes that it takes at once prove nothing, because its buffers take them for a dead path as well.
 */
export class SignsOfLife {
  readonly #connection: Living;
  #received: number;
  #taken: number;
  #wasFull: boolean;

  constructor(connection: Living) {
    this.#connection = connection;
    this.#received = connection.received;
    this.#taken = connection.writtenBytes - connection.pendingBytes;
    this.#wasFull = connection.pendingBytes > 0;
  }

  /** Whether there was a sign of life since the last look. */
  get isThere(): boolean {
    const { received, writtenBytes, pendingBytes } = this.#connection;
    return received !== this.#received || (this.#wasFull && writtenBytes - pendingBytes > this.#taken);
  }

  /** Whether there was a sign of life since the last look. The next look begins here. */
  look(): boolean {
    const { isThere } = this;
    const { received, writtenBytes, pendingBytes } = this.#connection;
    this.#received = received;
    this.#taken = writtenBytes - pendingBytes;
    this.#wasFull = pendingBytes > 0;
    return isThere;
  }
}

/** A wait that counts only the time during which this process listened. */
export interface Patience extends Timer {
  /** Milliseconds that this process has listened, counted in steps. */
  readonly listenedMs: number;
}

const STEPS = 8;
const LONGEST_STEP_MS = 250;

/**
 * Calls `onOver` when this process has listened for `limitMs`. The wait is made of steps, and a step counts for no more
 * than its length, however long the process was stopped or computed meanwhile.
 * @param signs  Given to begin again at each sign of life.
 */
export function setPatience(clock: Clock, limitMs: number, onOver: () => void, signs?: SignsOfLife): Patience {
  let leftMs = limitMs;
  let listenedMs = 0;
  let stepMs = 0;
  let timer: Timer;
  const wait = () => {
    stepMs = Math.min(leftMs, Math.max(1, limitMs / STEPS), LONGEST_STEP_MS);
    timer = clock.setTimer(() => {
      listenedMs += stepMs;
      leftMs = signs?.look() === true ? limitMs : leftMs - stepMs;
      if (leftMs > 0) wait();
      else onOver();
    }, stepMs);
  };
  wait();
  return {
    cancel: () => timer.cancel(),
    // The step that is under way may be a long one by now.
    get listenedMs() {
      return listenedMs + stepMs;
    },
  };
}
