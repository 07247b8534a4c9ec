import { type Argument, defineScript, InvalidArgumentError, type Script } from "../index.ts";
import { prefixedKey } from "./arguments.ts";
import type { CommandDefinition } from "./options.ts";

/** A command that was made by `defineCommand`. */
export class Defined {
  readonly script: Script;
  readonly #numberOfKeys: number | undefined;
  readonly #name: string;

  constructor(name: string, definition: CommandDefinition) {
    const { lua, numberOfKeys, readOnly } = definition;
    if (typeof lua !== "string" && !(lua instanceof Uint8Array)) {
      throw new InvalidArgumentError(`defineCommand("${name}"): lua must be the script's source, a text or a Buffer.`);
    }
    const source = typeof lua === "string" ? lua : Buffer.from(lua).toString();
    this.#name = name;
    // As in ioredis, anything but a number is none.
    this.#numberOfKeys = typeof numberOfKeys === "number" ? numberOfKeys : undefined;
    this.script = defineScript({ name, source, ...(readOnly === true && { readOnly }) }) as Script;
  }

  /** The keys and the other arguments of one call. Without a fixed number, the number of keys comes first. */
  callOf(args: readonly Argument[], keyPrefix: string): ChainScript {
    const first = this.#numberOfKeys === undefined ? 1 : 0;
    const count = this.#numberOfKeys ?? Number(args[0]);
    if (!Number.isInteger(count) || count < 0 || count > args.length - first) {
      throw new InvalidArgumentError(
        `${this.#name}: the number of keys is no whole number from 0 to ${args.length - first}, the number of arguments.`,
      );
    }
    const keys = args.slice(first, first + count).map((key) => prefixedKey(keyPrefix, key));
    return { script: this.script, keys, rest: args.slice(first + count) };
  }
}

interface ChainScript {
  readonly script: Script;
  readonly keys: readonly Argument[];
  readonly rest: readonly Argument[];
}
