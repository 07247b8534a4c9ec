import type { Writable } from "node:stream";
import { nodeClock } from "./node-clock.ts";

/** A stream takes so many bytes before it says that it is full. Node's 16 KiB are less than the calls of one tick. */
export const WRITE_BUFFER_BYTES = 1024 * 1024;
/** A longer write goes to the stream in pieces. */
const LONG_WRITE_BYTES = 256 * 1024;
/** Node tells of a write when all of it was taken. So progress can be seen in steps of this size. */
const PIECE_BYTES = 64 * 1024;
/** A full stream is looked at this often. */
const DRAIN_LOOK_MS = 50;

/** The writes to one stream. Long ones go out in pieces, so that one sees how much the operating system has taken. */
export class Outgoing {
  readonly #stream: Writable;
  readonly #onDrain: () => void;
  /** Long writes, or what is left of them, that the stream was not given yet. */
  readonly #rest: string[] = [];
  #restBytes = 0;
  /** The number of the piece that the stream has been given and the operating system has not taken. 0 for none. */
  #outstanding = 0;
  #pieces = 0;
  /** `write` said that the stream is full. */
  #isFull = false;
  #hasEnded = false;

  constructor(stream: Writable, onDrain: () => void) {
    this.#stream = stream;
    this.#onDrain = onDrain;
    stream.on("drain", () => this.#lookForRoom());
  }

  /** Bytes that the operating system has not taken. */
  get pendingBytes(): number {
    return this.#stream.writableLength + this.#restBytes;
  }

  /** Writes a binary string. False means: write no more until `onDrain`. */
  write(binary: string): boolean {
    let goesOn: boolean;
    if (binary.length <= LONG_WRITE_BYTES && this.#restBytes === 0) goesOn = this.#stream.write(binary, "latin1");
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

  end(): void {
    this.#hasEnded = true;
    this.#rest.length = 0;
    this.#restBytes = 0;
  }

  /** Gives the stream pieces for as long as the operating system takes them at once. */
  #writePieces(): void {
    while (this.#restBytes > 0 && this.#outstanding === 0) {
      const whole = this.#rest[0] as string;
      const piece = whole.slice(0, PIECE_BYTES);
      if (piece.length === whole.length) this.#rest.shift();
      else this.#rest[0] = whole.slice(PIECE_BYTES);
      this.#restBytes -= piece.length;
      const number = ++this.#pieces;
      this.#stream.write(piece, "latin1", () => this.#pieceTaken(number));
      if (this.#stream.writableLength > 0) this.#outstanding = number;
    }
  }

  #pieceTaken(number: number): void {
    if (number !== this.#outstanding || this.#hasEnded) return;
    this.#outstanding = 0;
    this.#writePieces();
    this.#lookForRoom();
  }

  #lookForRoom(): void {
    if (!this.#isFull || this.#hasEnded || this.pendingBytes > 0) return;
    this.#isFull = false;
    this.#onDrain();
  }

  /** Node tells of room in a later tick, which a framework may have replaced. So a full stream is looked at as well. */
  #lookLater(): void {
    const look = () => {
      this.#lookForRoom();
      if (this.#isFull && !this.#hasEnded) this.#lookLater();
    };
    nodeClock.setTimer(look, DRAIN_LOOK_MS, true);
  }
}
