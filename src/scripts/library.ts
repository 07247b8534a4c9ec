import { createHash } from "node:crypto";
import { InvalidArgumentError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import { type Script, type ScriptOf, scriptOf } from "./script.ts";
import type { ScriptOptions } from "./script-definition.ts";

/** The argument of `defineLibrary`. */
export interface LibraryDefinition {
  /** Lua that begins with `#!lua name=...` and registers functions. */
  readonly source: string;
  /** The functions that are called from here, by the names that the source registers them with. */
  readonly functions: Readonly<Record<string, ScriptOptions>>;
}

/** A library of functions that has been defined. Frozen. */
export interface Library<D extends LibraryDefinition = LibraryDefinition> {
  /** The name in the first line of the source. */
  readonly name: string;
  /** The Lua that is loaded, from `#!lua` on. */
  readonly source: string;
  /** SHA-1 of the source. */
  readonly sha: string;
  /**
   * A handle for each function, for `run`, batches and transactions. A function is run by FCALL, or by FCALL_RO if it only
   * reads.
   */
  readonly functions: {
    readonly [F in keyof D["functions"]]: ScriptOf<
      D["functions"][F] & {
        /** The function's name. */
        name: string;
        /** The library's source. */
        source: string;
      }
    >;
  };
}

/** Marks the handles of every copy of slotwire that is installed. */
const BRAND = Symbol.for("slotwire.library");
/** Leads from the handle of a function to its library. */
const LIBRARY = Symbol.for("slotwire.libraryOf");

/**
 * Describes a library of functions, once, for every cluster and call. Servers keep functions through restarts and give
 * them to their replicas; `connect` and `preload` see to it that every primary has the library.
 *
 * @throws {InvalidArgumentError} naming the option and what is accepted.
 * @see https://redis.io/docs/latest/develop/programmability/functions-intro/
 */
export function defineLibrary<const D extends LibraryDefinition>(definition: D): Library<D> {
  if (typeof definition !== "object" || definition === null) {
    throw new InvalidArgumentError(
      `defineLibrary takes an object with source and functions, not ${kindOf(definition)}.`,
    );
  }
  for (const option of Object.keys(definition)) {
    if (option !== "source" && option !== "functions") {
      throw new InvalidArgumentError(`defineLibrary has no option "${option}"; accepted are source, functions.`);
    }
  }
  const { source, functions } = definition;
  const name = typeof source === "string" ? /^#!lua\s(?:.*\s)?name=(\w+)/.exec(source)?.[1] : undefined;
  if (name === undefined) {
    throw new InvalidArgumentError(
      "defineLibrary: source is no library; accepted is Lua whose first line is #!lua name=...",
    );
  }
  if (typeof functions !== "object" || functions === null || Object.keys(functions).length === 0) {
    throw new InvalidArgumentError(
      `defineLibrary: functions is ${kindOf(functions)}; accepted is an object of options by function name.`,
    );
  }
  const sha = createHash("sha1").update(source, "utf8").digest("hex");
  const handles = Object.entries(functions).map(([called, options]): [string, Script] => [
    called,
    scriptOf({ ...options, name: called, source }, undefined, { [LIBRARY]: { value: () => library } }),
  ]);
  const fields = { name, source, sha, functions: Object.freeze(Object.fromEntries(handles)) };
  const library: object = Object.freeze(Object.defineProperty(fields, BRAND, { value: true }));
  return library as unknown as Library<D>;
}

/** Whether `value` came from `defineLibrary`, of this copy of slotwire or of another one. */
export function isLibrary(value: unknown): value is Library {
  return typeof value === "object" && value !== null && Object.hasOwn(value, BRAND);
}

/** The library of a function's handle. Undefined for a script. */
export function libraryOfFunction(handle: Script): Library | undefined {
  return (handle as { [LIBRARY]?: () => Library })[LIBRARY]?.();
}
