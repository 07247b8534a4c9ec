import type { Outcome } from "../errors.ts";
import { hashTagOf, slotOf } from "../protocol/hash-slot.ts";
import { crc16 } from "./crc16.ts";
import type { Beside, End, Hop, Story } from "./study/call-story.ts";
import type { ServerState, StudyEvent } from "./study/events.ts";
import { replyIn } from "./study/reply-text.ts";
import { MOST_TEXT } from "./study/wire-tap.ts";
import { bytesText, commandsIn, redactedCommand, redactedReply } from "./study/wire-text.ts";
import { storyOf } from "./web/page/call-story.js";

/** What is known about the call beside its record: what was asked for, what the client believed, what the servers say. */
export interface Facts {
  /** The name of a plain command; null for a script. */
  readonly command: string | null;
  readonly script: Explanation["script"];
  readonly keys: readonly string[];
  /** The slot of the keys. Null for a call without keys, or with keys of several slots. */
  readonly slot: number | null;
  readonly spread: Explanation["spread"];
  readonly belief: Explanation["belief"];
  /** The owner and the replicas of the slot in the client's slot map before the call, and the owner after it. */
  readonly owner: string | null;
  readonly replicas: readonly string[];
  readonly ownerAfter: string | null;
  /** What the servers said before and after the call. */
  readonly before: readonly ServerState[];
  readonly after: readonly ServerState[];
  readonly reply: unknown;
  /** Null after a reply. */
  readonly error: Explanation["end"]["error"];
  /** `executed` for a reply. */
  readonly outcome: Outcome;
  /** Milliseconds that the caller waited. */
  readonly total: number;
  readonly maxRedirections: number;
}

/** What the servers themselves say of a slot. Nodes are given by their addresses, as announced. */
export interface SlotWord {
  /** The node that says that the slot is its own. Of several, the one with the highest config epoch. Null: nobody. */
  readonly owner: string | null;
  /** All nodes that say so. More than one is a disagreement. */
  readonly claims: readonly string[];
  /** The nodes for which the slot is half-way to or from another one. `peer` is the other one's name, or its id. */
  readonly open: readonly {
    readonly address: string;
    readonly kind: "migrating" | "importing";
    readonly peer: string;
  }[];
  /** The nodes that name another owner, and whom they name. Null: nobody. */
  readonly others: Readonly<Record<string, string | null>>;
  /** The nodes that refuse calls, because the cluster is down for them. */
  readonly down: readonly string[];
  /** The nodes that did not answer, and why. */
  readonly silent: Readonly<Record<string, string>>;
}

/**
 * A call and everything that happened to it, in a form that JSON can hold. Times are milliseconds since the call began.
 */
export interface Explanation {
  readonly command: string;
  /** `bytes` is the length of the source. */
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
  /** What the client was made to believe: the owner by --from, and by --preloaded that every node knows the script. */
  readonly belief: { readonly from: string | null; readonly preloaded: boolean };
  /** The slot's owner and replicas in the client's slot map when the call began, and the owner when it had ended. */
  readonly owner: string | null;
  readonly replicas: readonly string[];
  readonly ownerAfter: string | null;
  /** What the servers said of the slot before and after the call. Null for a call without a slot, and if they could not be asked. */
  readonly said: { readonly before: SlotWord | null; readonly after: SlotWord | null };
  /** The names of the nodes by address: A, B, C for primaries, A1 for a replica of A. */
  readonly names: Readonly<Record<string, string>>;
  /** Whether each node knew the script before the call, by address. Null if the node did not answer. */
  readonly known: Readonly<Record<string, boolean | null>>;
  /** The attempts, with answers and decisions. Bytes are in them only where they were asked for. */
  readonly hops: readonly Hop[];
  /** The calls that the command became, and how each of them ended. */
  readonly calls: readonly End[];
  /** What the client did and learned beside the call: loads, refreshes of the topology, connections. */
  readonly meanwhile: readonly Beside[];
  /** The reply to the caller; null after an error. */
  readonly reply: unknown;
  /** The reply of each node, for a command that went to several. */
  readonly replies: readonly {
    readonly call: number;
    readonly address: string;
    readonly slot: number;
    readonly reply: unknown;
    readonly error: string | null;
  }[];
  /** The text of the error; null after a reply. */
  readonly error: string | null;
  readonly end: {
    /** `executed` for a reply. */
    readonly outcome: Outcome;
    readonly error: {
      readonly code: string;
      readonly message: string;
      /** The text of the error that caused it. */
      readonly cause: string | null;
    } | null;
    /** The attempts that were made, and how many of them were written. */
    readonly attempts: number;
    readonly written: number;
    readonly redirections: number;
    readonly retries: number;
  };
  readonly total: number;
  readonly maxRedirections: number;
}

/** An explanation with its story, from which drawings are made. JSON leaves the story out: its parts are told apart. */
export type Explained = Explanation & { readonly story: Story };

/** Which bytes an explanation has. `redacted`: without keys, arguments, and what replies say. */
export type Bytes = "none" | "redacted" | "all";

/** The explanation of a call: a pure function of its record and of what is known beside it. */
export function explanationOf(
  events: readonly StudyEvent[],
  facts: Facts,
  bytes: Bytes,
): Explanation & { story: Story } {
  const { command, script, keys, slot, before, after, error, belief } = facts;
  const story = storyOf(events);
  const replies = facts.spread === null ? [] : repliesIn(story);
  // The caller gets the server's words, so they may be told here as well.
  for (const hop of story.hops) {
    const isLast = hop.decisions.at(-1)?.verdict === "reject" && hop.answer?.text === null;
    const words = isLast ? errorIn(hop) : null;
    if (words !== null && hop.answer !== null) hop.answer.text = words;
  }
  for (const { sent, received } of story.hops) {
    if (bytes === "all") continue;
    const isShown = bytes === "redacted";
    sent.splice(0, sent.length, ...(isShown ? sent.map((frame) => redacted(frame, redactedRequest)) : []));
    received.splice(0, received.length, ...(isShown ? received.map((frame) => redacted(frame, redactedReply)) : []));
  }
  const { hops, ends, meanwhile } = story;
  const sum = (of: (end: End) => number) => ends.reduce((total, end) => total + of(end), 0);
  const owner = belief.from ?? facts.owner;
  const explanation: Explanation = {
    command: command ?? hops.at(-1)?.command ?? "EVALSHA",
    script,
    keys: keys.map((key) => {
      const tag = hashTagOf(key);
      return { key, slot: slotOf(key), tag: tag ?? null, crc16: crc16(tag ?? key) };
    }),
    slot,
    spread: facts.spread,
    belief,
    owner,
    replicas: facts.replicas,
    ownerAfter: facts.ownerAfter,
    said: {
      before: slot === null || before.length === 0 ? null : slotWord(before, slot),
      after: slot === null || after.length === 0 ? null : slotWord(after, slot),
    },
    names: Object.fromEntries([...before, ...after].map(({ address, name }) => [address, name])),
    known: knownBy(facts, owner),
    hops,
    calls: ends,
    meanwhile,
    reply: facts.reply,
    replies,
    error: error?.message ?? null,
    end: {
      outcome: facts.outcome,
      error,
      attempts: sum(({ attempts }) => attempts),
      written: sum(({ written }) => written),
      redirections: sum(({ redirections }) => redirections),
      retries: sum(({ retries }) => retries),
    },
    total: facts.total,
    maxRedirections: facts.maxRedirections,
  };
  return { ...explanation, story };
}

/** What the servers say of a slot. */
export function slotWord(servers: readonly ServerState[], slot: number): SlotWord {
  const has = ({ slots }: Pick<ServerState, "slots">) => slots.some(({ start, end }) => start <= slot && slot <= end);
  const claims = servers.filter((server) => server.role === "primary" && has(server));
  const [owner] = claims.toSorted((one, other) => (other.configEpoch ?? 0) - (one.configEpoch ?? 0));
  const addressOf = (name: string | null) => servers.find((server) => server.name === name)?.address ?? name;
  const differs = (server: ServerState) =>
    server.disagrees.find(({ slots: { start, end } }) => start <= slot && slot <= end);
  const silent = servers.filter(({ role }) => role === null);
  return {
    owner: owner?.address ?? null,
    claims: claims.map(({ address }) => address),
    open: servers.flatMap(({ address, open }) => {
      return open.filter((each) => each.slot === slot).map(({ kind, peer }) => ({ address, kind, peer }));
    }),
    others: Object.fromEntries(
      servers.flatMap((server) => {
        const says = differs(server);
        return says === undefined || server.address === owner?.address ? [] : [[server.address, addressOf(says.says)]];
      }),
    ),
    down: servers.filter(({ state }) => state === "fail").map(({ address }) => address),
    silent: Object.fromEntries(silent.map(({ address, error }) => [address, error ?? "no answer"])),
  };
}

/**
 * Whether the nodes that the call may reach know its script. These are the nodes of the slot and the node of --from;
 * all primaries for a call without keys.
 */
function knownBy({ script, slot, before, replicas, belief }: Facts, owner: string | null): Explanation["known"] {
  if (script === null) return {};
  const really = slot === null ? null : slotWord(before, slot).owner;
  const wanted = new Set([really, owner, ...replicas, belief.from]);
  const nodes = before.filter(({ address, primary }) => (slot === null ? primary === null : wanted.has(address)));
  return Object.fromEntries(nodes.map(({ address, scripts }) => [address, scripts[script.sha] ?? null]));
}

function repliesIn({ hops, ends }: Story): Explanation["replies"] {
  const slots = new Map(ends.map(({ call, slot }) => [call, slot]));
  return hops.flatMap(({ call, address, answer, received }) => {
    const last = received.at(-1);
    if (answer === null || !["reply", "error"].includes(answer.kind) || last === undefined) return [];
    const isWhole = last.length <= MOST_TEXT;
    const { reply, error } = isWhole ? replyIn(last.text) : { reply: bytesText(last.length), error: null };
    return [{ call, address, slot: slots.get(call) ?? -1, reply, error }];
  });
}

function errorIn({ received }: Hop): string | null {
  const last = received.at(-1);
  return last?.text.startsWith("-") && last.length <= MOST_TEXT ? replyIn(last.text).error : null;
}

function redacted(frame: Hop["sent"][number], by: (text: string) => string): Hop["sent"][number] {
  const { text, length } = frame;
  return { text: length > MOST_TEXT ? bytesText(length) : by(text), length };
}

const redactedRequest = (text: string) => redactedCommand(commandsIn(text)[0]?.args ?? []);
