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
  /** To one node: the owner of its keys, or any primary for a command without keys. */
  | { readonly kind: "one" }
  /** In parts, each to the owner of its slot. */
  | { readonly kind: "parts"; readonly division: Division }
  /** To all nodes, or all primaries. */
  | { readonly kind: "nodes"; readonly spread: Spread }
  /** WAIT: every owner of slots is asked how far its replicas are. */
  | { readonly kind: "wait-for-replicas" }
  /** SCRIPT LOAD: to all nodes, like a script that is preloaded. */
  | { readonly kind: "load-script"; readonly script: ScriptSource }
  /** A server has to be asked first, because no table lists the command and no server has described it yet. */
  | { readonly kind: "to-learn" };

const ONE = { kind: "one" } as const;

/**
 * Where a command goes, by the tables, or by a server's description of the command. Pure. No other code decides this,
 * neither for single commands nor for the commands of a batch.
 *
 * @param mayAsk    Whether the servers may be asked for their commands. If not, the first argument of a command that
 *   nobody knows counts as its key.
 * @param isSingle  Whether there is one server without cluster mode, or one that is taken for it.
 * @throws {InvalidArgumentError} for a command that cannot be sent by `command`.
 */
export function planOf(
  name: string,
  args: readonly Argument[],
  learned: LearnedCommands,
  mayAsk: () => boolean,
  isSingle: () => boolean,
): Plan {
  const lower = String(name).toLowerCase();
  if (!isListed(lower)) return planOfUnlisted(name, lower, args, learned, mayAsk);
  if (lower === "scan") throw new InvalidArgumentError(SCAN_REFUSED);
  if (lower === "hotkeys" && !isSingle()) throw new InvalidArgumentError(HOTKEYS_REFUSED);
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
  "SCAN cannot be sent by command(), because a cursor belongs to one node and each call may go to another node. Accepted is scan(), which reads all nodes: for await (const key of cluster.scan({ match })).";

const HOTKEYS_REFUSED =
  'HOTKEYS cannot be sent by command() to a cluster, because a session belongs to one node and each call may go to another node. Accepted is a client of that node alone: connect({ nodes: [address], mode: "single" }).';

function planOfUnlisted(
  name: string,
  lower: string,
  args: readonly Argument[],
  learned: LearnedCommands,
  mayAsk: () => boolean,
): Plan {
  // Refuses a command that may not be sent at all, before a server is asked about it.
  traitsOf(name, args, learned);
  return isUnlearned(lower, args, learned, mayAsk) ? { kind: "to-learn" } : planOfLearned(lower, args, learned);
}

/** Where a command goes that no table lists, after the servers have been asked. */
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

/** The script of `SCRIPT LOAD source`; undefined for other subcommands, and for a source that is not UTF-8. */
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
