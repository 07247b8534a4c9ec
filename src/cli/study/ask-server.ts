import type { Connection } from "../../connection/connection.ts";
import { ReplyError } from "../../errors.ts";
import { SLOT_COUNT } from "../../protocol/hash-slot.ts";
import { formatAddress, type NodeAddress } from "../../protocol/node-address.ts";
import type { Argument, Reply } from "../../protocol/reply.ts";
import { shardsOfSlots } from "../../topology/slots-reply.ts";
import type { TopologyDescription, TopologyNode } from "../../topology/topology.ts";
import { parseClusterShards } from "../../topology/topology-reply.ts";
import { zoneInInfo } from "../../topology/zones.ts";
import type { Account } from "./server-states.ts";
import { type Entry, readInfo, readNodes, type View, viewOfDescription } from "./server-view.ts";

/** What one server is asked. */
export interface Asking {
  /** The SHA-1s of scripts. */
  readonly scripts: readonly string[];
  readonly count: "open" | "all" | readonly number[];
  /** Whether it is a single server without cluster mode. */
  readonly isSingle: boolean;
}

/**
 * Asks one server for its account, in two writes.
 *
 *   NODES, INFO, SHARDS, INFO server, DBSIZE, SCRIPT EXISTS -- its view --> COUNTKEYSINSLOT of its open slots --> the account
 *      '-- NODES is refused: SHARDS or SLOTS say less, and the account says so
 *
 * CLUSTER NODES is the only question that tells of epochs and of open slots. SHARDS has the addresses that clients use,
 * where the cluster announces other ones than those in NODES, and tells of replicas that are loading.
 *
 * @throws {ReplyError} The server answers none of the questions, or cannot now.
 * @throws {Error}      The connection was lost.
 */
export async function ask(
  connection: Connection,
  node: TopologyNode,
  { scripts, count, isSingle }: Asking,
  tls: boolean,
): Promise<Account> {
  const common: (readonly Argument[])[] = [
    ["DBSIZE"],
    ...(scripts.length > 0 ? [["SCRIPT", "EXISTS", ...scripts]] : []),
  ];
  if (isSingle) return singleAccount(node, scripts, await settled(connection, common));
  const about: (readonly Argument[])[] = [
    ["CLUSTER", "NODES"],
    ["CLUSTER", "INFO"],
    ["CLUSTER", "SHARDS"],
    ["INFO", "server"],
  ];
  const [nodes, info, shards, server, size, exists] = await settled(connection, [...about, ...common]);
  const description = describedBy(shards, node, tls) ?? (await describedBySlots(connection, node, tls));
  const { view, refusal } = viewIn(nodes, node, description);
  const id = view.self ?? node.id;
  const { state, currentEpoch } = typeof info === "string" ? readInfo(info) : { state: null, currentEpoch: null };
  return {
    id,
    address: node.address,
    view: withAddresses(view, description),
    error: refusal,
    state,
    currentEpoch,
    keys: typeof size === "number" ? size : null,
    keysBySlot: await counted(connection, view, count),
    scripts: known(scripts, exists),
    health: new Map(description?.nodes.map(({ id, health }) => [id, health])),
    zones: zonesIn(description, id, typeof server === "string" ? zoneInInfo(server) : undefined),
  };
}

/** The zones that a server knows, its own by its own word. */
function zonesIn(description: TopologyDescription | undefined, self: string, own: string | undefined) {
  const zones = new Map(description?.nodes.flatMap(({ id, zone }) => (zone === undefined ? [] : [[id, zone]])));
  if (own !== undefined) zones.set(self, own);
  return zones;
}

/** The answers in order; an error reply stands in place of an answer. Throws if the connection was lost. */
async function settled(
  connection: Connection,
  questions: readonly (readonly Argument[])[],
): Promise<(Reply | ReplyError)[]> {
  const answers = await Promise.allSettled(connection.exchange(...questions));
  return answers.map((answer) => {
    if (answer.status === "fulfilled") return answer.value;
    if (answer.reason instanceof ReplyError) return answer.reason;
    throw answer.reason;
  });
}

function viewIn(
  nodes: Reply | ReplyError | undefined,
  node: TopologyNode,
  description: TopologyDescription | undefined,
): { view: View; refusal: string | null } {
  if (typeof nodes === "string") return { view: readNodes(nodes, node), refusal: null };
  const refusal = nodes instanceof ReplyError ? nodes.reply : "it is no text";
  if (description === undefined) {
    if (nodes instanceof ReplyError) throw nodes;
    throw new Error(`CLUSTER NODES cannot be used: ${refusal}`);
  }
  return {
    view: viewOfDescription(description, node.id),
    refusal: `CLUSTER NODES is refused, so its open slots and epochs are not known (${refusal})`,
  };
}

function describedBy(
  reply: Reply | ReplyError | undefined,
  answeredBy: NodeAddress,
  tls: boolean,
): TopologyDescription | undefined {
  if (!Array.isArray(reply)) return undefined;
  try {
    return parseClusterShards(reply, answeredBy, tls);
  } catch {
    // CLUSTER NODES is enough, if it says where the nodes are.
    return undefined;
  }
}

/** CLUSTER SHARDS is known since 7.0. */
async function describedBySlots(connection: Connection, node: TopologyNode, tls: boolean) {
  const [slots] = await settled(connection, [["CLUSTER", "SLOTS"]]);
  return Array.isArray(slots) ? describedBy(shardsOfSlots(slots), node, tls) : undefined;
}

/** The view with the addresses that clients are to use. */
function withAddresses(view: View, description: TopologyDescription | undefined): View {
  const announced = new Map(description?.nodes.map(({ id, host, port }) => [id, { host, port }]));
  const entries = [...view.entries].map(([id, entry]): [string, Entry] => {
    return [id, { ...entry, at: announced.get(id) ?? entry.at }];
  });
  return { ...view, entries: new Map(entries) };
}

/** The number of keys in slots. Undefined if the server refuses to count them. */
async function counted(
  connection: Connection,
  { self, entries, open }: View,
  count: Asking["count"],
): Promise<ReadonlyMap<number, number> | undefined> {
  const slots = new Set(open.map(({ slot }) => slot));
  const own = entries.get(self ?? "")?.slots ?? [];
  if (count === "all") {
    for (const { start, end } of own) for (let slot = start; slot <= end; slot++) slots.add(slot);
  } else if (count !== "open") {
    for (const slot of count) if (own.some(({ start, end }) => start <= slot && slot <= end)) slots.add(slot);
  }
  const asked = [...slots].slice(0, SLOT_COUNT);
  const answers = await settled(
    connection,
    asked.map((slot) => ["CLUSTER", "COUNTKEYSINSLOT", slot]),
  );
  if (answers.some((answer) => typeof answer !== "number")) return undefined;
  return new Map(asked.map((slot, index) => [slot, answers[index] as number]));
}

function known(scripts: readonly string[], exists: Reply | ReplyError | undefined): Record<string, boolean> {
  if (!Array.isArray(exists)) return {};
  return Object.fromEntries(scripts.map((sha, index) => [sha, exists[index] === 1]));
}

function singleAccount(
  node: TopologyNode,
  scripts: readonly string[],
  [size, exists]: readonly (Reply | ReplyError)[],
): Account {
  const { host, port } = node;
  const entry: Entry = {
    id: "",
    at: { host, port },
    isPrimary: true,
    primary: null,
    epoch: null,
    slots: [{ start: 0, end: SLOT_COUNT - 1 }],
    down: null,
  };
  return {
    id: "",
    address: formatAddress(node),
    view: { self: "", entries: new Map([["", entry]]), open: [], meeting: [] },
    error: size instanceof ReplyError ? size.reply : null,
    state: "ok",
    currentEpoch: null,
    keys: typeof size === "number" ? size : null,
    keysBySlot: undefined,
    scripts: known(scripts, exists),
    health: new Map(),
  };
}
