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
  look(): boolean {
    const { received, writtenBytes, pendingBytes } = this.#connection;
    const taken = writtenBytes - pendingBytes;
    const isAlive = received !== this.#received || (this.#wasFull && taken > this.#taken);
    this.#received = received;
    this.#taken = taken;
    this.#wasFull = pendingBytes > 0;
    return isAlive;
  }
}

const STEPS = 8;
const LONGEST_STEP_MS = 250;

/**
 * Calls `onOver` when this process has listened for `limitMs`. The wait is made of steps, and a step counts for no more
 * than its length, however long the process was stopped or computed meanwhile.
 * @param signs  Given to begin again at each sign of life.
 */
export function setPatience(clock: Clock, limitMs: number, onOver: () => void, signs?: SignsOfLife): Timer {
  let leftMs = limitMs;
  let timer: Timer;
  const wait = () => {
    const stepMs = Math.min(leftMs, Math.max(1, limitMs / STEPS), LONGEST_STEP_MS);
    timer = clock.setTimer(() => {
      leftMs = signs?.look() === true ? limitMs : leftMs - stepMs;
      if (leftMs > 0) wait();
      else onOver();
    }, stepMs);
  };
  wait();
  return { cancel: () => timer.cancel() };
}
