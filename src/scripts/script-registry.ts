import { binaryOf, bulk, encodeCommand, inOnePiece } from "../protocol/encode.ts";
import type { Script } from "./script.ts";

/** A script that this client sends, with its frames encoded once. Scripts of one source share it. */
export class RegisteredScript {
  /** Position in the registry, from 0: nodes keep what they hold in an array by it. */
  readonly index: number;
  readonly name: string;
  readonly sha: string;
  readonly #source: string;
  readonly #heads: string[][] = [];
  #loadFrame: string | undefined;

  constructor(index: number, { name, sha, source }: Script) {
    this.index = index;
    this.name = name;
    this.sha = sha;
    this.#source = source;
  }

  /** `SCRIPT LOAD source`, whole. */
  get loadFrame(): string {
    this.#loadFrame ??= inOnePiece(encodeCommand(["SCRIPT", "LOAD", this.#source]));
    return this.#loadFrame;
  }

  /** `EVALSHA sha number-of-keys`, with the array length that fits `keys` keys and `args` arguments behind it. */
  head(keys: number, args: number): string {
    let byArgs = this.#heads[keys];
    if (byArgs === undefined) {
      byArgs = [];
      this.#heads[keys] = byArgs;
    }
    let head = byArgs[args];
    if (head === undefined) {
      head = inOnePiece(`*${3 + keys + args}\r\n${bulk("EVALSHA")}${bulk(this.sha)}${bulk(String(keys))}`);
      byArgs[args] = head;
    }
    return head;
  }

  /** An encoded call by SHA-1 as the same call by source: `EVAL source number-of-keys ...`. */
  evalFrame(frame: string): string {
    const bySha = bulk("EVALSHA") + bulk(this.sha);
    const start = frame.indexOf(bySha);
    const bySource = bulk("EVAL") + bulk(binaryOf(this.#source, "source", 0));
    return frame.slice(0, start) + bySource + frame.slice(start + bySha.length);
  }
}

/** Every script that this client may send, by SHA-1. Grows only. */
export class ScriptRegistry {
  readonly #bySha = new Map<string, RegisteredScript>();
  readonly #all: RegisteredScript[] = [];

  get all(): readonly RegisteredScript[] {
    return this.#all;
  }

  get(sha: string): RegisteredScript | undefined {
    return this.#bySha.get(sha);
  }

  register(script: Script): RegisteredScript {
    let registered = this.#bySha.get(script.sha);
    if (registered === undefined) {
      registered = new RegisteredScript(this.#all.length, script);
      this.#all.push(registered);
      this.#bySha.set(script.sha, registered);
    }
    return registered;
  }
}
