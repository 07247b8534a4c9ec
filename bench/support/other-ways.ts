import type { Cluster, Library, Script } from "../../src/index.ts";
import { defineLibrary } from "../../src/index.ts";
import type { CalledScript } from "./called-script.ts";
import { byRun, type WayOfCalling } from "./ways.ts";

/** The library that the benchmark loads, and its function. The name is as short as names are in practice at most. */
export const LIBRARY_NAME = "slotwire_bench";
const FUNCTION_NAME = "f";
const BATCH = 16;
const TRANSACTION = 8;
/** Where a transaction of a script without keys runs. */
const ANY_KEY = "slotwire-bench:0";

/** The script as a function of a library. A function gets as arguments what a script finds in KEYS and ARGV. */
export function asLibrary({ script: { source, readOnly } }: CalledScript): Library {
  // The first line of a script can name its flags. A function cannot have such a line.
  const body = source.replace(/^#![^\n]*/, "");
  const flags = readOnly ? "flags = {'no-writes'}, " : "";
  return defineLibrary({
    source: `#!lua name=${LIBRARY_NAME}\nredis.register_function{function_name = '${FUNCTION_NAME}', ${flags}callback = function(KEYS, ARGV)\n${body}\nend}\n`,
    functions: { [FUNCTION_NAME]: { readOnly } },
  });
}

/** The function, if every primary has it. */
export interface LoadedFunction {
  readonly fcall: Script | undefined;
  /** Why there is no function. */
  readonly refused: string | undefined;
  /** Whether a node has the library. */
  readonly isSomewhere: boolean;
}

/** Loads the library on every primary. */
export async function loadedFunction(client: Cluster, called: CalledScript): Promise<LoadedFunction> {
  const library = asLibrary(called);
  const report = (await client.preload(library)).filter(({ role }) => role === "primary");
  const is = ({ sha }: { readonly sha: string }) => sha === library.sha;
  const [failure] = report.flatMap(({ failed }) => failed.filter(is));
  return {
    fcall: failure === undefined ? library.functions[FUNCTION_NAME] : undefined,
    refused: failure?.cause.message,
    isSomewhere: report.some(({ loaded }) => loaded.some(is)),
  };
}

/** EVALSHA, or EVALSHA_RO for a script that only reads, which is the base; and other ways to run it on primaries. */
export function otherWays(
  client: Cluster,
  called: CalledScript,
  fcall: Script | undefined,
  inFlight: number,
): readonly WayOfCalling[] {
  const { script, keysOf, argsOf, check } = called;
  const evalsha = byRun(script.readOnly ? "EVALSHA_RO" : "EVALSHA", client, script, called, inFlight);
  const { command } = evalsha;
  const together = Math.min(BATCH, inFlight);
  const inOne = Math.min(TRANSACTION, inFlight);
  const ways = [evalsha];
  if (fcall !== undefined) {
    const name = script.readOnly ? "fcall_ro" : "fcall";
    ways.push(byRun(name.toUpperCase(), client, fcall, called, inFlight, name));
  }
  const settled = (replies: readonly unknown[]) => {
    for (const reply of replies) {
      if (reply instanceof Error) throw reply;
      check(reply);
    }
  };
  ways.push({
    name: `batch of ${together}`,
    command,
    inFlight: Math.max(1, Math.floor(inFlight / together)),
    callsEach: together,
    call: async (number) => {
      const batch = client.batch();
      for (let index = 0; index < together; index++) {
        batch.run(script, keysOf(number + index), argsOf(number + index));
      }
      settled((await batch.exec()) as readonly unknown[]);
    },
  });
  ways.push({
    name: `transaction of ${inOne}`,
    command,
    inFlight: Math.max(1, Math.floor(inFlight / inOne)),
    callsEach: inOne,
    call: async (number) => {
      // All of its calls are the same one, because a transaction has a single slot.
      const keys = keysOf(number);
      const transaction = client.transaction(keys[0] ?? ANY_KEY);
      for (let index = 0; index < inOne; index++) transaction.run(script, keys, argsOf(number));
      settled((await transaction.exec()) as readonly unknown[]);
    },
  });
  return ways;
}

/** A script that only reads: on primaries, which is the base, and on replicas. */
export function readingWays(client: Cluster, called: CalledScript, inFlight: number): readonly WayOfCalling[] {
  const { script } = called;
  const of = (role: "primary" | "replica") => {
    return new Set(client.topology.nodes.filter((node) => node.role === role).map(({ address }) => address));
  };
  const onReplicas = client.with({ readFrom: "replica" });
  return [
    { ...byRun("EVALSHA_RO, primaries", client, script, called, inFlight), ranOn: of("primary") },
    { ...byRun("EVALSHA_RO, replicas", onReplicas, script, called, inFlight), ranOn: of("replica") },
  ];
}
