const MIB = 1024 * 1024;
/** Up to so many bytes, the room is doubled. */
const SMALL_BYTES = MIB;
/** Up to so many bytes, it is multiplied by four. Beyond them there is room for `LARGE_BYTES` at once. */
const MEDIUM_BYTES = 16 * MIB;
const LARGE_BYTES = 513 * MIB;
/** The most room for each byte that has come, whatever the server announces. */
const MOST_ROOM = 8192;

const NOTHING = Buffer.alloc(0);

/**
 * The bytes of a reply whose end has not arrived, in one piece. Every time the room grows, the old room waits for the
 * garbage collector. So a long reply gets much room early: memory that was allocated and not written to takes no place yet.
 */
export class HeldBytes {
  readonly #mostBytes: number;
  #buffer: Buffer = NOTHING;
  #size = 0;

  /** @param mostBytes  The most bytes that are ever held. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** The bytes for which there is room. */
  get room(): number {
    return this.#buffer.length;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Adds a copy of `piece`.
   * @param announced  The bytes that the server has announced behind it, as far as is known.
   */
  push(piece: Buffer, announced: number): void {
    const size = this.#size + piece.length;
    if (size > this.#buffer.length) this.#grow(size, announced);
    piece.copy(this.#buffer, this.#size);
    this.#size = size;
  }

  /** Takes all bytes out. They are not used again here. */
  take(): Buffer {
    const whole = this.#buffer.subarray(0, this.#size);
    this.clear();
    return whole;
  }

  clear(): void {
    this.#buffer = NOTHING;
    this.#size = 0;
  }

  #grow(size: number, announced: number): void {
    const usual = size <= SMALL_BYTES ? size * 2 : size <= MEDIUM_BYTES ? size * 4 : Math.max(LARGE_BYTES, size * 2);
    const wanted = Math.min(size + announced, size * MOST_ROOM);
    const grown = Buffer.allocUnsafeSlow(Math.max(size, Math.min(Math.max(usual, wanted), this.#mostBytes)));
    this.#buffer.copy(grown, 0, 0, this.#size);
    this.#buffer = grown;
  }
}
