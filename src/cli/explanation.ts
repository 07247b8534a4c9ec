import { divide, spreadOf } from "../commands/spread.ts";
import { ReplyError } from "../errors.ts";
import { hashTagOf, slotOf, slotOfKeys } from "../protocol/hash-slot.ts";
import type { Script } from "../scripts/script.ts";
import { crc16 } from "./crc16.ts";
import { type Hop, HopRecorder } from "./hop-recorder.ts";
import type { Session } from "./session.ts";

/** The call to explain. */
export interface Asked {
  /** Undefined for a plain command. */
  readonly script: Script | undefined;
  /** The name of a plain command; undefined for a script. */
  readonly command: string | undefined;
  readonly keys: readonly string[];
  /** A script's arguments. For a plain command: all words behind its name, including the keys. */
  readonly args: readonly string[];
}

/** The client's beliefs before the call. */
export interface Belief {
  /** The address that the client takes for the slot's owner. */
  readonly from: string | undefined;
  /** Whether the client believes that every node knows the script, and therefore sends no load. */
  readonly preloaded: boolean;
}

/**
 * A call and everything that happened to it, in a form that JSON can hold. Times are milliseconds since the call began.
 */
export interface Explanation {
  readonly command: string;
  readonly script: { readonly name: string; readonly sha: string; readonly bytes: number } | null;
  readonly keys: readonly {
    readonly key: string;
    readonly slot: number;
    readonly tag: string | null;
    readonly crc16: number;
  }[];
  /** The slot of the keys. Null for a call without keys, or with keys of several slots. */
  readonly slot: number | null;
  /**
   * `slots`: the call is sent in parts, one for each slot. `primaries`, `all`: to all of these nodes. Null: to one
   * node.
   */
  readonly spread: "slots" | "primaries" | "all" | null;
  /** The slot's owner in the client's slot map before the call. */
  readonly owner: string | null;
  readonly replicas: readonly string[];
  /** Whether each node knew the script before the call, by address. Null if the node did not answer. */
  readonly known: Readonly<Record<string, boolean | null>>;
  readonly hops: readonly Hop[];
  readonly reply: unknown;
  readonly error: string | null;
  readonly total: number;
  /** The slot's owner in the client's slot map after the call. */
  readonly ownerAfter: string | null;
}

const NO_KEYS = /no key arguments/;

/** Reads a plain command. COMMAND GETKEYS asks a server which words are keys; the server does not run the command. */
export async function askedCommand(session: Session, words: readonly string[]): Promise<Asked> {
  const [command = "", ...args] = words;
  if (args.length === 0) return { script: undefined, command, keys: [], args };
  const node = session.client.nodes.find(({ pool }) => pool.ready);
  const keys = await session.ask(node?.address ?? "", "COMMAND", "GETKEYS", ...words).catch((error: unknown) => {
    if (error instanceof ReplyError && NO_KEYS.test(error.reply)) return [];
    throw error;
  });
  if (!Array.isArray(keys)) throw new Error(`${node?.address} answered COMMAND GETKEYS with something other than keys`);
  return { script: undefined, command, keys: keys.map(String), args };
}

/** Whether the call goes to more than one place, according to slotwire's own tables. */
export function spreadOfCall({ command, args }: Asked): Explanation["spread"] {
  if (command === undefined) return null;
  const lower = command.toLowerCase();
  return spreadOf(lower, args)?.nodes ?? (divide(lower, args) === undefined ? null : "slots");
}

/** Makes the call and records it. Before the call, SCRIPT EXISTS asks who knows the script; it loads nothing. */
export async function explainCall(session: Session, asked: Asked, belief: Belief): Promise<Explanation> {
  const { cluster, client } = session;
  const { script, command, keys, args } = asked;
  const spread = spreadOfCall(asked);
  const slot = keys.length === 0 || spread !== null ? null : slotOfKeys(keys);
  const known = await whoKnows(session, script, slot, belief.from);
  const owner = slot === null ? undefined : cluster.topology.primaryOf(slot);
  const replicas = slot === null ? [] : cluster.topology.replicasOf(slot);
  if (belief.from !== undefined || belief.preloaded) {
    client.believe({
      slot: slot ?? 0,
      ...(belief.from !== undefined && { owner: belief.from }),
      ...(belief.preloaded && script && { script }),
    });
  }
  const recorder = new HopRecorder(client.telemetry.client);
  let reply: unknown = null;
  let error: string | null = null;
  try {
    reply = await (script ? cluster.run(script, keys, args) : cluster.command(command as string, ...args));
  } catch (failure) {
    error = failure instanceof Error ? failure.message : String(failure);
  }
  const total = recorder.elapsed;
  recorder.stop();
  const { hops } = recorder;
  return {
    command: command ?? hops.at(-1)?.command ?? "EVALSHA",
    script: script ? { name: script.name, sha: script.sha, bytes: Buffer.byteLength(script.source) } : null,
    keys: keys.map((key) => {
      const tag = hashTagOf(key);
      return { key, slot: slotOf(key), tag: tag ?? null, crc16: crc16(tag ?? key) };
    }),
    slot,
    // By now the client has learned from a server about a command that its own tables do not list.
    spread: spread ?? client.commands.get((command ?? "").toLowerCase(), args)?.spread?.nodes ?? null,
    owner: owner?.address ?? null,
    replicas: replicas.map(({ address }) => address),
    known,
    hops,
    reply,
    error,
    total,
    ownerAfter: (slot === null ? undefined : cluster.topology.primaryOf(slot)?.address) ?? null,
  };
}

/**
 * Whether the nodes that the call may reach know its script. These are the nodes of the slot and the node of --from;
 * all primaries for a call without keys.
 */
async function whoKnows(
  session: Session,
  script: Script | undefined,
  slot: number | null,
  from: string | undefined,
): Promise<Record<string, boolean | null>> {
  if (script === undefined) return {};
  const { topology } = session.cluster;
  const nodes = topology.nodes.filter((node) => {
    if (slot === null) return node.role === "primary";
    return node === topology.primaryOf(slot) || topology.replicasOf(slot).includes(node) || node.address === from;
  });
  const answers = await session.whoKnows(nodes, [script.sha]);
  const entries = [...answers].map(([address, knows]): [string, boolean | null] => {
    return [address, knows instanceof Error ? null : knows[0] === true];
  });
  return Object.fromEntries(entries);
}
