/** A reply as a server makes it; bulk strings are binary strings. */
export type Value = number | string | null | readonly Value[] | SimpleString | ErrorReply | Replies;

/** In place of a reply: the command waits, and its connection with it. */
export class Waits {
  /** Milliseconds until it gives up. */
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

/** A pause holds the command up. It is looked at again when the pause is over. */
export const HELD_UP = new Waits(Number.NaN);

export class SimpleString {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export class ErrorReply {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Several replies to one command: subscriptions have one for each channel. */
export class Replies {
  readonly values: readonly Value[];
  constructor(values: readonly Value[]) {
    this.values = values;
  }
}

export const OK = new SimpleString("OK");
export const QUEUED = new SimpleString("QUEUED");

/** A reply in RESP2. */
export function encodeReply(value: Value): string {
  if (value === null) return "$-1\r\n";
  if (typeof value === "number") return `:${value}\r\n`;
  if (typeof value === "string") return `$${value.length}\r\n${value}\r\n`;
  if (value instanceof SimpleString) return `+${value.text}\r\n`;
  if (value instanceof ErrorReply) return `-${value.text}\r\n`;
  if (value instanceof Replies) return value.values.map(encodeReply).join("");
  return `*${value.length}\r\n${value.map(encodeReply).join("")}`;
}

/** Commands out of a stream of bytes that comes in any pieces. */
export class CommandReader {
  #bytes = "";
  #at = 0;

  /** Bytes of commands that have not been taken. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  push(binary: string): void {
    this.#bytes = this.#at === this.#bytes.length ? binary : this.#bytes.slice(this.#at) + binary;
    this.#at = 0;
  }

  /** The bytes of a command that has not come as a whole. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next command that has come as a whole. */
  next(): string[] | undefined {
    const start = this.#at;
    const count = this.#header("*");
    if (count === undefined) return this.#incomplete(start);
    const args: string[] = [];
    for (let index = 0; index < count; index++) {
      const length = this.#header("$");
      if (length === undefined || this.#at + length + 2 > this.#bytes.length) return this.#incomplete(start);
      args.push(this.#bytes.slice(this.#at, this.#at + length));
      this.#at += length + 2;
    }
    return args;
  }

  #header(type: string): number | undefined {
    const end = this.#bytes.indexOf("\r\n", this.#at);
    if (end === -1) return undefined;
    const text = this.#bytes.slice(this.#at, end);
    // A client that sends anything else is broken, and the run with it.
    if (text[0] !== type || !/^\d+$/.test(text.slice(1))) throw new Error(`The client sent ${JSON.stringify(text)}`);
    this.#at = end + 2;
    return Number(text.slice(1));
  }

  #incomplete(start: number): undefined {
    this.#at = start;
    return undefined;
  }
}
