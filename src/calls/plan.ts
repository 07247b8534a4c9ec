import { createHash } from "node:crypto";
import { isListed, textOf } from "../commands/keys.ts";
import { type LearnedCommands, specifiedKeys } from "../commands/server-commands.ts";
import { type Division, divide, type Spread, spreadOf } from "../commands/spread.ts";
import { traitsOf } from "../commands/traits.ts";
import { InvalidArgumentError } from "../errors.ts";
import { bufferOf } from "../protocol/encode.ts";
import type { Argument } from "../protocol/reply.ts";
import type { ScriptSource } from "../scripts/script-registry.ts";

/** Where a command goes. */
export type Plan =
  /** To one node: the owner of its keys, or any node without keys. */
  | { readonly kind: "one" }
  /** In parts, each to the owner of its slot. */
  | { readonly kind: "parts"; readonly division: Division }
  /** To all nodes, or all primaries. */
  | { readonly kind: "nodes"; readonly spread: Spread }
  /** To every owner of slots, whose replicas are waited for. */
  | { readonly kind: "wait-for-replicas" }
  /** To all nodes, like a script that is preloaded. */
  | { readonly kind: "load-script"; readonly script: ScriptSource }
  /** A server has to be asked first: the tables do not know the command, and nothing has been learned of it. */
  | { readonly kind: "to-learn" };

const ONE = { kind: "one" } as const;

/**
 * Where a command goes, as far as is known: by the tables, or by what a server has said. Pure, and the only place that
 * decides it, for single commands and for those of a batch.
 *
 * @param mayAsk  The servers may be asked for their commands; otherwise a command that nobody knows goes by its first
 *   argument.
 * @throws {InvalidArgumentError} for a command that cannot be sent this way.
 */
export function planOf(name: string, args: readonly Argument[], learned: LearnedCommands, mayAsk: () => boolean): Plan {
  const lower = String(name).toLowerCase();
  if (!isListed(lower)) return planOfUnlisted(name, lower, args, learned, mayAsk);
  if (lower === "scan") throw new InvalidArgumentError(SCAN_REFUSED);
  if (lower === "wait") return { kind: "wait-for-replicas" };
  const spread = spreadOf(lower, args);
  if (spread !== undefined) {
    const script = lower === "script" ? scriptToLoad(args) : undefined;
    return script === undefined ? { kind: "nodes", spread } : { kind: "load-script", script };
  }
  const division = divide(lower, args);
  return division === undefined ? ONE : { kind: "parts", division };
}

const SCAN_REFUSED =
  "SCAN cannot be sent by command(): its cursor is one node's, and each call may go to another node. Accepted is scan(), which reads all nodes: for await (const key of cluster.scan({ match })).";

function planOfUnlisted(
  name: string,
  lower: string,
  args: readonly Argument[],
  learned: LearnedCommands,
  mayAsk: () => boolean,
): Plan {
  // Whether the command may be sent at all is found out before a server is asked.
  traitsOf(name, args, learned);
  return isUnlearned(lower, args, learned, mayAsk) ? { kind: "to-learn" } : planOfLearned(lower, args, learned);
}

/** Where a command goes that the tables do not list, when the servers have been asked. */
export function planOfLearned(
  lower: string,
  args: readonly Argument[],
  learned: LearnedCommands,
): Extract<Plan, { readonly kind: "one" | "nodes" }> {
  const spread = learned.get(lower, args)?.spread;
  return spread === undefined ? ONE : { kind: "nodes", spread };
}

/** Whether a server has to be asked where the keys of a command are. */
export function isUnlearned(
  lower: string,
  args: readonly Argument[],
  learned: LearnedCommands,
  mayAsk: () => boolean,
): boolean {
  if (isListed(lower)) return false;
  const command = learned.get(lower, args);
  return command === undefined ? mayAsk() : specifiedKeys(command, args) === undefined;
}

/** The script that `SCRIPT LOAD source` brings; undefined for other subcommands, and for a source that is no text. */
function scriptToLoad(args: readonly Argument[]): ScriptSource | undefined {
  if (args.length !== 2 || textOf(args[0]).toLowerCase() !== "load") return undefined;
  const source = sourceOf(args[1]);
  if (source === "") throw new InvalidArgumentError("SCRIPT LOAD: the source is empty; accepted is Lua.");
  if (source === undefined) return undefined;
  const sha = createHash("sha1").update(source, "utf8").digest("hex");
  return { name: sha, sha, source };
}

function sourceOf(value: Argument | undefined): string | undefined {
  if (!(value instanceof Uint8Array)) return value === undefined ? undefined : String(value);
  const bytes = bufferOf(value);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? text : undefined;
}
