import { binaryOf, bulk, encodeCommand, inOnePiece } from "../protocol/encode.ts";
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
}

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
  readonly #heads: Record<keyof typeof BY_SHA, string[][]> = { EVALSHA: [], EVALSHA_RO: [] };
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
    const heads = this.#heads[command];
    let byArgs = heads[keys];
    if (byArgs === undefined) {
      byArgs = [];
      heads[keys] = byArgs;
    }
    let head = byArgs[args];
    if (head === undefined) {
      head = inOnePiece(`*${3 + keys + args}\r\n${bulk(command)}${bulk(this.sha)}${bulk(String(keys))}`);
      byArgs[args] = head;
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
  readonly #dialect: Dialect = { readOnlyVariants: true };

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
