import type { Reply } from "../protocol/reply.ts";

/** The options of any script. They take precedence over the comments in its file. */
export interface ScriptOptions {
  /**
   * How many keys each call has. Without it and `keys` any number is accepted.
   * @default the number of `keys`, or what the file says, or any number
   */
  readonly numberOfKeys?: number;
  /**
   * Names of the keys of each call, in place of `numberOfKeys`.
   * @default what the file says, or no names
   */
  readonly keys?: readonly string[];
  /**
   * Names of the arguments of each call. Without it any number is accepted.
   * @default what the file says, or any number of arguments
   */
  readonly args?: readonly string[];
  /**
   * Whether the script writes nothing: then it is run by EVALSHA_RO and may be sent again. `#!lua flags=no-writes` says the same.
   * @default what the flags say
   */
  readonly readOnly?: boolean;
  /**
   * Whether the script may run twice, the second time late: then a call whose outcome is unknown is sent again.
   * @default false
   */
  readonly idempotent?: boolean;
  /**
   * Strings of the reply as UTF-8 text or as Buffers.
   * @default "string"
   */
  readonly replies?: "string" | "buffer";
  /**
   * Turns the reply into the call's result. When it throws, the call rejects with what it threw as the `cause`.
   * @default what the file says, or the reply as it is
   */
  readonly parse?: (reply: Reply) => unknown;
}

/** A script whose source is at hand. */
export interface SourceDefinition extends ScriptOptions {
  /** The name for people: errors, events and reports carry it. It need not be unique. */
  readonly name: string;
  /** The Lua source. */
  readonly source: string;
  /**
   * Excluded by `source`.
   * @default none
   */
  readonly file?: never;
}

/** A script in a file of its own, which is read once, at once. */
export interface FileDefinition extends ScriptOptions {
  /**
   * The name for people: errors, events and reports carry it. It need not be unique.
   * @default the file's name without `.lua` and without a number of keys, as in `acquire-2.lua`
   */
  readonly name?: string;
  /**
   * The path or `file:` URL of a `.lua` file; a relative path is relative to the working directory. Comments in the file
   * can stand for options: `-- @keys lock owner`, `-- @args ttl`, `-- @returns integer`. The line
   * `-- @include "./shared.lua"` stands for the text of another file.
   */
  readonly file: string | URL;
  /**
   * Excluded by `file`.
   * @default none: the file's text
   */
  readonly source?: never;
}

/** The argument of `defineScript`. */
export type ScriptDefinition = SourceDefinition | FileDefinition;

/** The result of a script from a file, as far as the compiler knows: `-- @returns boolean` makes it a boolean. */
export type FileResult = Reply | boolean;
