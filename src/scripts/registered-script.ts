import { binaryOf, bulk, bulkHead, encodeCommand, inOnePiece } from "../protocol/encode.ts";
import type { Loadable } from "./loadable.ts";
import type { Script } from "./script.ts";

/** The parts of a script that are needed to send it. Its lines are for errors. */
export interface ScriptSource extends Pick<Script, "name" | "sha" | "source"> {
  readonly origin?: Script["origin"];
}

/** How scripts are called, which depends on the servers' age. Shared by all scripts of a registry. */
export interface Dialect {
  /** Whether EVALSHA_RO is used: until a server turns out not to know it. */
  readOnlyVariants: boolean;
}

/** First values from this length on get no head of their own, because such heads would rarely be used twice. */
const FLAT_LENGTHS = 256;
/** The most heads that are kept of one script, because its calls can have any number of values. */
const MOST_HEADS = 4096;

const BY_SHA = { EVALSHA: "EVAL", EVALSHA_RO: "EVAL_RO" } as const;

/** A script that this client sends, with its frames encoded once. Scripts of one source share one. */
export class RegisteredScript implements Loadable {
  readonly kind = "script";
  isRegistered = true;
  /** The script was run since the registry last looked for one to forget. */
  wasUsed = false;
  index: number;
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

  /** Gives its place up for another script. */
  unregister(): void {
    this.isRegistered = false;
    this.index = 0;
  }

  get loadReply(): string {
    return this.sha;
  }

  get isCheckedFirst(): boolean {
    return this.source.startsWith("#!");
  }

  /** `SCRIPT LOAD source`, whole. */
  get loadFrame(): string {
    this.#loadFrame ??= inOnePiece(encodeCommand(["SCRIPT", "LOAD", this.source]));
    return this.#loadFrame;
  }

  /**
   * `EVALSHA sha number-of-keys`, with the array length that fits `keys` keys and `args` arguments behind it. A read-only
   * script is called by EVALSHA_RO on servers that know it.
   */
  head(keys: number, args: number, readOnly: boolean): string {
    const command = readOnly && this.#dialect.readOnlyVariants ? "EVALSHA_RO" : "EVALSHA";
    return `*${3 + keys + args}\r\n${bulk(command)}${bulk(this.sha)}${bulk(String(keys))}`;
  }

  /**
   * The head with the length of the first value, up to that value's bytes. Calls whose first value is equally long share
   * one flat string.
   * @param firstLength  In bytes; -1 for a call without values.
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

  /** The servers are too old for EVALSHA_RO: from now on all scripts are called by EVALSHA. */
  noteNoReadOnlyVariants(): void {
    this.#dialect.readOnlyVariants = false;
  }

  #rewritten(frame: string, start: (command: keyof typeof BY_SHA) => string): string {
    for (const command of ["EVALSHA", "EVALSHA_RO"] as const) {
      const bySha = bulk(command) + bulk(this.sha);
      const at = frame.indexOf(bySha);
      // The command is behind the array's length. The same bytes further on are an argument.
      if (at !== -1 && at === frame.indexOf("$"))
        return frame.slice(0, at) + start(command) + frame.slice(at + bySha.length);
    }
    return frame;
  }
}
