import { bulk, encodeCommand, inOnePiece } from "../protocol/encode.ts";
import type { Library } from "./library.ts";
import type { Loadable } from "./loadable.ts";

/** A library of functions that this client sends, with its frames encoded once. It stays registered. */
export class RegisteredLibrary implements Loadable {
  readonly kind = "library";
  readonly isRegistered = true;
  readonly index: number;
  readonly name: string;
  readonly sha: string;
  readonly source: string;
  readonly origin = undefined;
  readonly isCheckedFirst = true;
  wanted = true;
  readonly #heads = new Map<string, string>();
  #loadFrame: string | undefined;

  constructor(index: number, { name, sha, source }: Pick<Library, "name" | "sha" | "source">) {
    this.index = index;
    this.name = name;
    this.sha = sha;
    this.source = source;
  }

  /** `FUNCTION LOAD REPLACE source`, whole. */
  get loadFrame(): string {
    this.#loadFrame ??= inOnePiece(encodeCommand(["FUNCTION", "LOAD", "REPLACE", this.source]));
    return this.#loadFrame;
  }

  get loadReply(): string {
    return this.name;
  }

  /**
   * `FCALL function number-of-keys`, with the array length that fits `keys` keys and `args` arguments behind it. A function
   * that only reads is called by FCALL_RO.
   */
  head(called: string, keys: number, args: number, readOnly: boolean): string {
    const key = `${readOnly} ${keys} ${args} ${called}`;
    let head = this.#heads.get(key);
    if (head === undefined) {
      const command = bulk(readOnly ? "FCALL_RO" : "FCALL");
      head = inOnePiece(`*${3 + keys + args}\r\n${command}${bulk(called)}${bulk(String(keys))}`);
      this.#heads.set(key, head);
    }
    return head;
  }
}
