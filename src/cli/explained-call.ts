import { keyPositionsOf } from "../commands/keys.ts";
import { divide, spreadOf } from "../commands/spread.ts";
import { ReplyError, SlotwireError } from "../errors.ts";
import { slotOf } from "../protocol/hash-slot.ts";
import type { Script } from "../scripts/script.ts";
import { type Bytes, type Explained, type Explanation, explanationOf } from "./explanation.ts";
import type { Session } from "./session.ts";
import type { ServerState, StudyEvent } from "./study/events.ts";

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

/** What a server says of a command without keys, and of one that it does not know. */
const NO_KEYS = /no key arguments|Invalid command specified/;

/** Reads a plain command. COMMAND GETKEYS asks a server which words are keys; the server does not run the command. */
export async function askedCommand(session: Session, words: readonly string[]): Promise<Asked> {
  const [command = "", ...args] = words;
  if (args.length === 0) return { script: undefined, command, keys: [], args };
  const node = session.client.nodes.find(({ pool }) => pool.ready);
  const own = () => keyPositionsOf(command.toLowerCase(), args).map((at) => args[at] as string);
  const keys = await session.ask(node?.address ?? "", "COMMAND", "GETKEYS", ...words).catch((error: unknown) => {
    // While no node answers, the client's own tables have to do: the call is explained all the same.
    if (!(error instanceof ReplyError)) return own();
    if (NO_KEYS.test(error.reply)) return [];
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

/**
 * Makes the call and records it. Before and after it the servers are asked who owns the slot and who knows the script,
 * on connections of their own. Nothing is loaded by that.
 */
export async function explainCall(session: Session, asked: Asked, belief: Belief, bytes: Bytes): Promise<Explained> {
  const { cluster, client } = session;
  const { script, command, keys, args } = asked;
  const spread = spreadOfCall(asked);
  const slots = new Set(keys.map((key) => slotOf(key)));
  const [only = null] = slots;
  const slot = slots.size === 1 && spread === null ? only : null;
  const ask = () => serversOf(session, script);
  const before = await ask();
  const ownerOf = () => (slot === null ? undefined : cluster.topology.primaryOf(slot)?.address) ?? null;
  const owner = ownerOf();
  const replicas = slot === null ? [] : cluster.topology.replicasOf(slot).map(({ address }) => address);
  if (belief.from !== undefined || belief.preloaded) {
    client.believe({
      slot: slot ?? 0,
      ...(belief.from !== undefined && { owner: belief.from }),
      ...(belief.preloaded && script && { script }),
    });
  }
  const events: StudyEvent[] = [];
  const record = session.record(events);
  const began = performance.now();
  const result = await (script ? cluster.run(script, keys, args) : cluster.command(command as string, ...args)).then(
    (reply) => ({ reply: reply as unknown, error: undefined }),
    (error: unknown) => ({ reply: null, error }),
  );
  const total = performance.now() - began;
  record.stop();
  const ownerAfter = ownerOf();
  const after = await ask();
  const failure = result.error;
  return explanationOf(
    events,
    {
      command: command ?? null,
      script: script ? { name: script.name, sha: script.sha, bytes: Buffer.byteLength(script.source) } : null,
      keys,
      slot,
      // By now the client has learned from a server about a command that its own tables do not list.
      spread: spread ?? client.commands.get((command ?? "").toLowerCase(), args)?.spread?.nodes ?? null,
      belief: { from: belief.from ?? null, preloaded: belief.preloaded },
      owner,
      replicas,
      ownerAfter,
      before,
      after,
      reply: result.reply,
      error: failure === undefined ? null : described(failure),
      outcome: failure === undefined ? "executed" : failure instanceof SlotwireError ? failure.outcome : "unknown",
      total,
      maxRedirections: client.options.maxRedirections,
    },
    bytes,
  );
}

/** What the servers say. The list is empty if they cannot be asked: the call is explained all the same. */
async function serversOf(session: Session, script: Script | undefined): Promise<readonly ServerState[]> {
  const servers = await session.servers().catch(() => undefined);
  return (await servers?.ask({ scripts: script === undefined ? [] : [script.sha] })) ?? [];
}

function described(failure: unknown): NonNullable<Explanation["end"]["error"]> {
  if (!(failure instanceof Error)) return { code: "OTHER", message: String(failure), cause: null };
  const { message, cause } = failure;
  const code = failure instanceof SlotwireError ? failure.code : "OTHER";
  // The message of most errors ends with its cause.
  const isSaid = cause instanceof Error && message.includes(cause.message);
  return { code, message, cause: cause instanceof Error && !isSaid ? cause.message : null };
}
