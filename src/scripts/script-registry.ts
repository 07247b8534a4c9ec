import { binaryOf, bulk, bulkHead, encodeCommand, inOnePiece } from "../protocol/encode.ts";
import type { Library } from "./library.ts";
import type { Loadable } from "./loadable.ts";
import { RegisteredLibrary } from "./registered-library.ts";
import type { Script } from "./script.ts";

/** What is needed of a script to send it. Its lines are for errors. */
export interface ScriptSource extends Pick<Script, "name" | "sha" | "source"> {
  readonly origin?: Script["origin"];
}

/** What the servers are known not to understand. */
interface Dialect {
  readOnlyVariants: boolean;
  /** One has been answered. */
  readOnlyVariantsSeen: boolean;
}

/** Longer first values are not worth a head of their own. */
const FLAT_LENGTHS = 256;
/** How many heads of one script are kept: calls can have any number of values. */
const MOST_HEADS = 4096;

const BY_SHA = { EVALSHA: "EVAL", EVALSHA_RO: "EVAL_RO" } as const;

/** A script that this client sends, with its frames encoded once. Scripts of one source share it. */
export class RegisteredScript implements Loadable {
  readonly kind = "script";
  readonly index: number;
  readonly name: string;
  readonly sha: string;
  readonly source: string;
  readonly origin: Script["origin"] | undefined;
  wanted = true;
  readonly #dialect: Dialect;
  /** By number of keys, number of arguments, and length of the first value plus 1. */
  readonly #writingHeads: string[][][] = [];
  readonly #readingHeads: string[][][] = [];
  #numberOfHeads = 0;
  #loadFrame: string | undefined;

  constructor(index: number, { name, sha, source, origin }: ScriptSource, dialect: Dialect) {
    this.index = index;
    this.#dialect = dialect;
    this.name = name;
    this.sha = sha;
    this.origin = origin;
    this.source = source;
  }

  get loadReply(): string {
    return this.sha;
  }

  /** `SCRIPT LOAD source`, whole. */
  get loadFrame(): string {
    this.#loadFrame ??= inOnePiece(encodeCommand(["SCRIPT", "LOAD", this.source]));
    return this.#loadFrame;
  }

  /**
   * `EVALSHA sha number-of-keys`, with the array length that fits `keys` keys and `args` arguments behind it;
   * EVALSHA_RO for what only reads, on servers that have it.
   */
  head(keys: number, args: number, readOnly: boolean): string {
    const command = readOnly && this.#dialect.readOnlyVariants ? "EVALSHA_RO" : "EVALSHA";
    return `*${3 + keys + args}\r\n${bulk(command)}${bulk(this.sha)}${bulk(String(keys))}`;
  }

  /**
   * The same up to the first value's bytes, whose length it says; -1 when there is no value. One flat string for calls
   * whose first value is equally long.
   */
  headFor(keys: number, args: number, readOnly: boolean, firstLength: number): string {
    if (firstLength >= FLAT_LENGTHS) return this.headFor(keys, args, readOnly, -1) + bulkHead(firstLength);
    const heads = readOnly && this.#dialect.readOnlyVariants ? this.#readingHeads : this.#writingHeads;
    const kept = heads[keys]?.[args]?.[firstLength + 1];
    if (kept !== undefined) return kept;
    const head = inOnePiece(this.head(keys, args, readOnly) + (firstLength < 0 ? "" : bulkHead(firstLength)));
    if (this.#numberOfHeads < MOST_HEADS) {
      this.#numberOfHeads++;
      const byArgs = heads[keys] ?? [];
      const byLength = byArgs[args] ?? [];
      heads[keys] = byArgs;
      byArgs[args] = byLength;
      byLength[firstLength + 1] = head;
    }
    return head;
  }

  /** An encoded call by SHA-1 as the same call by source: `EVAL source number-of-keys ...`. */
  evalFrame(frame: string): string {
    const source = bulk(binaryOf(this.source, "source", 0));
    return this.#rewritten(frame, (command) => bulk(BY_SHA[command]) + source);
  }

  /** An encoded call by EVALSHA_RO as the same call by EVALSHA. */
  plainFrame(frame: string): string {
    return this.#rewritten(frame, () => bulk("EVALSHA") + bulk(this.sha));
  }

  /** Whether `frame` is a call by EVALSHA_RO that the servers may be too old for. */
  mayBeUnknown(frame: string): boolean {
    return !this.#dialect.readOnlyVariantsSeen && frame.indexOf(bulk("EVALSHA_RO")) === frame.indexOf("$");
  }

  /** A call was answered: if it went by EVALSHA_RO, the servers know that. */
  noteAnswered(frame: string): void {
    if (this.mayBeUnknown(frame)) this.#dialect.readOnlyVariantsSeen = true;
  }

  /** The servers are too old for EVALSHA_RO: from now on all scripts are called by EVALSHA. */
  noteNoReadOnlyVariants(): void {
    this.#dialect.readOnlyVariants = false;
  }

  #rewritten(frame: string, start: (command: keyof typeof BY_SHA) => string): string {
    for (const command of ["EVALSHA", "EVALSHA_RO"] as const) {
      const bySha = bulk(command) + bulk(this.sha);
      const at = frame.indexOf(bySha);
      // Behind the array's length: the same bytes further on are somebody's argument.
      if (at !== -1 && at === frame.indexOf("$"))
        return frame.slice(0, at) + start(command) + frame.slice(at + bySha.length);
    }
    return frame;
  }
}

/** Every script and library that this client may send, by SHA-1. Grows only. */
export class ScriptRegistry {
  readonly #bySha = new Map<string, RegisteredScript>();
  readonly #libraries = new Map<string, RegisteredLibrary>();
  readonly #all: Loadable[] = [];
  readonly #dialect: Dialect = { readOnlyVariants: true, readOnlyVariantsSeen: false };

  get all(): readonly Loadable[] {
    return this.#all;
  }

  get(sha: string): RegisteredScript | undefined {
    return this.#bySha.get(sha);
  }

  getLibrary(sha: string): RegisteredLibrary | undefined {
    return this.#libraries.get(sha);
  }

  /** Those that nodes should hold. */
  get wanted(): readonly Loadable[] {
    return this.#all.filter(({ wanted }) => wanted);
  }

  /** Of two versions of a library the newest is wanted. */
  registerLibrary(library: Library): RegisteredLibrary {
    let registered = this.#libraries.get(library.sha);
    if (registered === undefined) {
      registered = new RegisteredLibrary(this.#all.length, library);
      this.#all.push(registered);
      this.#libraries.set(library.sha, registered);
    }
    for (const other of this.#libraries.values()) if (other.name === library.name) other.wanted = other === registered;
    return registered;
  }

  register(script: ScriptSource): RegisteredScript {
    let registered = this.#bySha.get(script.sha);
    if (registered === undefined) {
      registered = new RegisteredScript(this.#all.length, script, this.#dialect);
      this.#all.push(registered);
      this.#bySha.set(script.sha, registered);
    }
    registered.wanted = true;
    return registered;
  }
}
