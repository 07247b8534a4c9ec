import { filled } from "../../src/cli/bench/placeholders.ts";
import { defineScript, type Script } from "../../src/index.ts";
import { type Filling, sourceOf } from "./bench-script.ts";

/** A script, and how the benchmark calls it. */
export interface CalledScript {
  readonly script: Script;
  /** For a heading: `1 KB script`. */
  readonly title: string;
  readonly bytes: number;
  /** The keys of the n-th call, all in one slot. */
  readonly keysOf: (number: number) => readonly string[];
  readonly argsOf: (number: number) => readonly string[];
  /** Throws when a reply cannot be right. */
  readonly check: (reply: unknown) => void;
}

/** The keys that the benchmark's own scripts use: some thousand, spread over all nodes. */
export const BENCH_KEYS: readonly string[] = Array.from({ length: 4096 }, (_, index) => `slotwire-bench:${index}`);

export function keyOf(number: number): string {
  return BENCH_KEYS[number % BENCH_KEYS.length] as string;
}

/** The benchmark's own script of exactly so many bytes. It makes one write. */
export function ownScript(bytes: number, filling: Filling = "code"): CalledScript {
  const name = `${sizeOf(bytes)}${filling === "comment" ? ", comment" : ""}`;
  const script = defineScript({ name, source: sourceOf(bytes, filling), numberOfKeys: 1 });
  return { script, title: `${name} script`, bytes, ...OWN_CALL };
}

/** One that only reads, and makes one read. */
export function ownReadingScript(): CalledScript {
  const source = "redis.call('get', KEYS[1]) return 1";
  const script = defineScript({ name: "one GET", source, numberOfKeys: 1, readOnly: true });
  return { script, title: "script of one GET", bytes: source.length, ...OWN_CALL };
}

const OWN_CALL = {
  keysOf: (number: number) => [keyOf(number)],
  argsOf: () => ["value"],
  check: (reply: unknown) => {
    if (reply !== 1) throw new Error(`A script that returns 1 was answered by ${JSON.stringify(reply)}.`);
  },
};

/**
 * A script from a file. `__rand_int__` in keys and arguments stands for another number in each call. Every reply that is no
 * error is taken as right.
 * @throws {InvalidArgumentError} when the file cannot be read or is no script.
 */
export function givenScript(file: string, keys: readonly string[], args: readonly string[]): CalledScript {
  const script: Script = defineScript({ file });
  const { name, source } = script;
  return {
    script,
    title: name,
    bytes: Buffer.byteLength(source),
    keysOf: filled(keys),
    argsOf: filled(args),
    check: () => {},
  };
}

export function sizeOf(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${Number((bytes / 1024).toFixed(1))} KB`;
}
