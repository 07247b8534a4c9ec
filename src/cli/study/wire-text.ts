import { quotesNothing } from "../../telemetry/answer-words.ts";

/*
 * Commands and replies as they are on the wire, as Latin-1 text: split into single ones, and redacted. A redacted argument
 * is `<12 bytes>` in place of its bytes; the length in front of it is the true one.
 */

/** A command as it was written. */
export interface WrittenCommand {
  readonly text: string;
  readonly args: readonly string[];
}

/** Splits what was handed to a socket in one write. It consists of whole commands. */
export function commandsIn(binary: string): WrittenCommand[] {
  const commands: WrittenCommand[] = [];
  let at = 0;
  const number = () => {
    const end = binary.indexOf("\r\n", at);
    const value = Number(binary.slice(at + 1, end));
    at = end + 2;
    return value;
  };
  while (at < binary.length && binary[at] === "*") {
    const start = at;
    const args: string[] = [];
    for (let left = number(); left > 0; left--) {
      const length = number();
      args.push(binary.slice(at, at + length));
      at += length + 2;
    }
    commands.push({ text: binary.slice(start, at), args });
  }
  return commands;
}

/** Commands whose second word is a command of its own. */
const CONTAINERS = new Set(
  "ACL CLIENT CLUSTER COMMAND CONFIG DEBUG FUNCTION LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT SLOWLOG XGROUP XINFO".split(
    " ",
  ),
);
/** Code by its SHA-1 or name, and the number of its keys. */
const CODE = new Set(["EVALSHA", "EVALSHA_RO", "FCALL", "FCALL_RO"]);
const SOURCE = new Set(["EVAL", "EVAL_RO"]);

/** Whether an argument can be a password. Such arguments are never shown. */
export function hasSecrets([name = "", second = "", ...more]: readonly string[]): boolean {
  switch (name.toUpperCase()) {
    case "AUTH":
    case "HELLO":
    case "ACL":
      return true;
    case "CONFIG":
      return second.toUpperCase() === "SET";
    case "MIGRATE":
      return more.some((word) => /^auth2?$/i.test(word));
    default:
      return false;
  }
}

/** The command, encoded, with redacted arguments. Names of commands, SHA-1s and numbers of keys are no arguments. */
export function redactedCommand(args: readonly string[]): string {
  const name = (args[0] ?? "").toUpperCase();
  const isShown = (index: number) => {
    if (index === 0) return true;
    if (CONTAINERS.has(name)) return index === 1;
    if (CODE.has(name)) return index <= 2;
    return SOURCE.has(name) && index === 2;
  };
  const parts = args.map((arg, index) => `$${arg.length}\r\n${isShown(index) ? arg : bytesText(arg.length)}\r\n`);
  return `*${args.length}\r\n${parts.join("")}`;
}

export const bytesText = (count: number) => `<${count} ${count === 1 ? "byte" : "bytes"}>`;

/** Errors that are no refusals of slotwire's table and contain no argument. A script may return any text behind any word. */
const PLAIN_ERRORS: ReadonlySet<string> = new Set([
  "CROSSSLOT Keys in request don't hash to the same slot",
  "NOAUTH Authentication required.",
  "WRONGPASS invalid username-password pair or user is disabled.",
  "EXECABORT Transaction discarded because of previous errors.",
]);
const ERROR_WORD = /^[A-Z][A-Z0-9_]{0,31}$/;
/** The statuses that say nothing of the data. */
const PLAIN_STATUS = /^\+(OK|PONG|QUEUED)$/;

/** The reply, encoded, without what it says of the data. */
export function redactedReply(text: string): string {
  let out = "";
  let at = 0;
  while (at < text.length) {
    const found = text.indexOf("\r\n", at);
    const end = found === -1 ? text.length : found;
    const line = text.slice(at, end);
    at = end + 2;
    const type = line[0];
    const length = Number(line.slice(1));
    if (type === "$" && length >= 0) {
      out += `${line}\r\n${bytesText(length)}\r\n`;
      at += length + 2;
    } else if (type === "-") {
      out += `-${redactedError(line.slice(1))}\r\n`;
    } else if (type === "*" || type === "$" || PLAIN_STATUS.test(line)) out += `${line}\r\n`;
    else out += `${type}${bytesText(line.length - 1)}\r\n`;
  }
  return out;
}

function redactedError(text: string): string {
  if (quotesNothing(text) || PLAIN_ERRORS.has(text)) return text;
  const [word = ""] = text.split(" ", 1);
  return ERROR_WORD.test(word) ? `${word} ${bytesText(text.length - word.length - 1)}` : bytesText(text.length);
}

/** Splits what comes from a server into replies, across any number of chunks. Of long replies it keeps the beginning. */
export class ReplySplitter {
  readonly #most: number;
  readonly #onReply: (text: string, length: number) => void;
  #text = "";
  #length = 0;
  /** The beginning of a line whose end has not come. */
  #line = "";
  /** The bytes of a bulk string's body, with its line end, that have not come. */
  #body = 0;
  /** The number of missing elements of each open array, outermost first. */
  readonly #missing: number[] = [];

  /** @param most  So many bytes of a reply are kept. */
  constructor(most: number, onReply: (text: string, length: number) => void) {
    this.#most = most;
    this.#onReply = onReply;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body > 0) {
        const end = Math.min(chunk.length, at + this.#body);
        this.#take(chunk, at, end);
        this.#body -= end - at;
        at = end;
        if (this.#body === 0) this.#endElement();
        continue;
      }
      const lineFeed = chunk.indexOf(10, at);
      const end = lineFeed === -1 ? chunk.length : lineFeed + 1;
      this.#line += this.#take(chunk, at, end);
      at = end;
      if (lineFeed !== -1) this.#endLine();
    }
  }

  #take(chunk: Buffer, start: number, end: number): string {
    this.#length += end - start;
    const room = this.#most - this.#text.length;
    if (room > 0) this.#text += chunk.toString("latin1", start, Math.min(end, start + room));
    return this.#body > 0 ? "" : chunk.toString("latin1", start, end);
  }

  #endLine(): void {
    const type = this.#line[0];
    const number = Number(this.#line.slice(1, -2));
    this.#line = "";
    if (type === "$" && number >= 0) this.#body = number + 2;
    else if (type === "*" && number > 0) this.#missing.push(number);
    else this.#endElement();
  }

  #endElement(): void {
    const { length } = this.#missing;
    for (let depth = length - 1; depth >= 0; depth--) {
      const left = (this.#missing[depth] as number) - 1;
      this.#missing[depth] = left;
      if (left > 0) return;
      this.#missing.pop();
    }
    const text = this.#text;
    const bytes = this.#length;
    this.#text = "";
    this.#length = 0;
    this.#onReply(text, bytes);
  }
}
