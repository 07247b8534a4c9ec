import { ProtocolError } from "../errors.ts";
import { kindOf } from "../protocol/encode.ts";
import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import {
  formatAddress,
  isHostThatAnswered,
  type NodeAddress,
  parseAddress,
  UNKNOWN_HOST,
} from "../protocol/node-address.ts";
import type { Reply } from "../protocol/reply.ts";
import { shownText } from "../protocol/shown.ts";
import { type LeftOutEntry, type TopologyDescription, zoneFrom } from "./topology.ts";

/*
 * Turns the replies to CLUSTER SHARDS (since 7.0) and CLUSTER NODES into a description. Replies are not trusted: a
 * reply that makes no sense throws a ProtocolError, and a node whose entry has no usable address is left out.
 */

/** More nodes than slots are no cluster. The nodes of a cluster gossip, so real ones end near 1,000. */
const MAX_NODES = SLOT_COUNT;
/** A slot has one owner. So many times over may the slots be named before the description is refused. */
const MAX_NAMED_SLOTS = 4 * SLOT_COUNT;
/** So many entries that were left out are told. */
const MAX_LEFT_OUT = 100;
/** The most characters of a node's id. Ids of servers have 40. */
const MAX_ID_LENGTH = 255;
/** The most characters of the name of a zone. */
const MAX_ZONE_LENGTH = 255;

type Node = TopologyDescription["nodes"][number];
type Slots = TopologyDescription["slots"][number];

/**
 * Where a node was last found, by its id. A server forgets the address of a node at whose address another one answers
 * (`noaddr`). That node still owns its slots, and comes back under its id.
 */
export type LastAddress = (id: string) => NodeAddress | undefined;
const nowhere: LastAddress = () => undefined;

/**
 * Reads a reply to CLUSTER SHARDS.
 * @param answeredBy   The node that answered. Its host is used where the reply has no host.
 * @param lastAddress  For nodes whose address the server does not know. Such a node counts as failed.
 * @see https://redis.io/docs/latest/commands/cluster-shards/
 */
export function parseClusterShards(
  reply: Reply,
  answeredBy: NodeAddress,
  tls: boolean,
  lastAddress = nowhere,
): TopologyDescription {
  const nodes: Node[] = [];
  const slots: Slots[] = [];
  const leftOut = new LeftOut();
  for (const shard of list(reply, "CLUSTER SHARDS")) {
    const fields = list(shard, "a map");
    const entries = list(fieldOf(fields, "nodes"), "nodes").map((entry) => list(entry, "a map"));
    const primary = entries.find(isLivingPrimary) ?? entries.find(isPrimaryEntry);
    const forgotten = entries.map((entry) => forgottenAddress(entry, lastAddress));
    const addresses = entries.map((entry, place) => forgotten[place] ?? addressOf(entry, answeredBy, tls));
    const primaryAddress = primary && usable(addresses[entries.indexOf(primary)]);
    const primaryName = primaryAddress && formatAddress(primaryAddress);
    const bounds = list(fieldOf(fields, "slots"), "slots");
    let owner = -1;
    for (const [place, entry] of entries.entries()) {
      const address = leftOut.unlessUsable(fieldOf(entry, "id"), addresses[place] as Located);
      if (address === undefined) continue;
      if (entry === primary) owner = nodes.length;
      const node = nodeOf(entry, address, primaryName);
      nodes.push(forgotten[place] === undefined ? node : { ...node, health: "fail" });
    }
    readRanges(bounds, owner, slots);
    if (nodes.length > MAX_NODES) throw tooMany("nodes", MAX_NODES);
  }
  return checked({ nodes, slots }, leftOut);
}

function nodeOf(entry: readonly Reply[], address: NodeAddress, primary: string | undefined): Node {
  const health = fieldOf(entry, "health");
  const isPrimary = isPrimaryEntry(entry);
  return {
    id: (fieldOf(entry, "id") ?? "") as string,
    ...address,
    role: isPrimary ? "primary" : "replica",
    primary: isPrimary ? undefined : primary,
    health: health === "fail" || health === "loading" ? health : "online",
    ...zoneFrom(asZone(fieldOf(entry, "availability-zone"))),
  };
}

/** The name of a zone. An empty one is none, and what is no name of a sensible length is none either. */
export function asZone(value: Reply | undefined): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= MAX_ZONE_LENGTH ? value : undefined;
}

/** Reads the slots of a shard. They are checked also where nobody owns them: -1 as `owner`. */
function readRanges(bounds: readonly Reply[], owner: number, slots: Slots[]): void {
  if (bounds.length % 2 !== 0) throw nonsense("the number of slot bounds is odd");
  for (let index = 0; index < bounds.length; index += 2) {
    const start = slotNumber(bounds[index]);
    const end = slotNumber(bounds[index + 1]);
    if (start > end) throw nonsense(`the slots ${start} to ${end} are no range`);
    if (owner !== -1) slots.push({ owner, start, end });
  }
}

/**
 * Whether a reply to CLUSTER SHARDS may keep slots back that have an owner.
 *
 * | a shard with | when | its slots |
 * | --- | --- | --- |
 * | two living primaries | during a failover, since Redis 7.2 | those of the primary that it lists first: none, while that is the old one |
 * | no living node | since Redis 8.0, until one of its nodes comes back | none |
 *
 * @param description  What the reply was read as.
 */
export function mayKeepSlotsBack(reply: Reply, { slots }: TopologyDescription): boolean {
  const hasOwnerless = slots.reduce((count, { start, end }) => count + end - start + 1, 0) < SLOT_COUNT;
  return list(reply, "CLUSTER SHARDS").some((shard) => {
    const entries = list(fieldOf(list(shard, "a map"), "nodes"), "nodes").map((entry) => list(entry, "a map"));
    return entries.filter(isLivingPrimary).length > 1 || (hasOwnerless && entries.every(hasFailed));
  });
}

/**
 * Combines two descriptions: roles and slots from CLUSTER NODES or SLOTS; nodes, addresses and health from CLUSTER
 * SHARDS.
 */
export function withRolesOf(other: TopologyDescription, byShards: TopologyDescription): TopologyDescription {
  const told = new Map(other.nodes.map((node) => [node.id, node]));
  const ids = new Map(other.nodes.map((node) => [formatAddress(node), node.id]));
  const places = new Map(byShards.nodes.map(({ id }, place) => [id, place]));
  const placeOf = (id: string | undefined) => places.get(id ?? "") ?? -1;
  const nodes = byShards.nodes.map((node): Node => {
    const { role, primary } = told.get(node.id) ?? node;
    const found = byShards.nodes[placeOf(ids.get(primary ?? ""))];
    return { ...node, role, primary: role === "primary" || found === undefined ? undefined : formatAddress(found) };
  });
  const slots = other.slots.map((range) => ({ ...range, owner: placeOf(other.nodes[range.owner]?.id) }));
  const { leftOut } = byShards;
  return { nodes, slots: slots.filter(({ owner }) => owner !== -1), ...(leftOut === undefined ? {} : { leftOut }) };
}

/**
 * Reads a reply to CLUSTER NODES: `id host:port@bus,hostname flags primary-id ping pong epoch link slot...`
 * @see https://redis.io/docs/latest/commands/cluster-nodes/
 */
export function parseClusterNodes(reply: Reply, answeredBy: NodeAddress, lastAddress = nowhere): TopologyDescription {
  if (typeof reply !== "string") throw nonsense("CLUSTER NODES is not text");
  const leftOut = new LeftOut();
  const entries = reply.split("\n").flatMap((line) => {
    if (line.trim() === "") return [];
    const [id, at, flags, primaryId, , , , , ...ranges] = line.trim().split(" ");
    if (id === undefined || at === undefined || flags === undefined)
      throw nonsense("a line of CLUSTER NODES is too short");
    const marks = flags.split(",");
    if (marks.includes("handshake")) return [];
    if (marks.includes("noaddr")) {
      const forgotten = lastAddress(id);
      return forgotten === undefined ? [] : [{ id, address: forgotten, flags: [...marks, "fail"], primaryId, ranges }];
    }
    const address = leftOut.unlessUsable(id, nodesAddress(at, answeredBy));
    return address === undefined ? [] : [{ id, address, flags: marks, primaryId, ranges }];
  });
  if (entries.length > MAX_NODES) throw tooMany("nodes", MAX_NODES);
  const addresses = new Map(entries.map(({ id, address }) => [id, formatAddress(address)]));
  const slots: Slots[] = [];
  const nodes = entries.map(({ id, address, flags, primaryId, ranges }, owner): Node => {
    const isPrimary = flags.includes("master");
    // [slot->-id] and [slot-<-id] mark slots that are moving. The node that lists a slot without brackets still owns
    // it.
    for (const range of isPrimary ? ranges.filter((text) => !text.startsWith("[")) : []) {
      const [first = "", last = first, ...rest] = range.split("-");
      const [start, end] = [slotNumber(first), slotNumber(last)];
      if (start > end || rest.length > 0) throw nonsense(`the slots ${range} are no range`);
      slots.push({ owner, start, end });
    }
    return {
      id,
      ...address,
      role: isPrimary ? "primary" : "replica",
      primary: isPrimary ? undefined : addresses.get(primaryId ?? ""),
      health: flags.includes("fail") ? "fail" : "online",
    };
  });
  return checked({ nodes, slots }, leftOut);
}

/** The config epochs in a reply to CLUSTER NODES, by node id. */
export function configEpochsIn(reply: string): Map<string, number> {
  const lines = reply.split("\n").map((line) => line.trim().split(" "));
  return new Map(
    lines.flatMap(([id = "", , , , , , epoch = ""]) => (/^\d{1,15}$/.test(epoch) ? [[id, Number(epoch)]] : [])),
  );
}

/** The description of a single server without cluster mode, which owns every slot. */
export function singleNode(answeredBy: NodeAddress): TopologyDescription {
  const node: Node = { id: "", ...answeredBy, role: "primary", primary: undefined, health: "online" };
  return { nodes: [node], slots: [{ owner: 0, start: 0, end: SLOT_COUNT - 1 }] };
}

/** A node's address, or why there is none. */
type Located = NodeAddress | { readonly why: string };

function usable(located: Located | undefined): NodeAddress | undefined {
  return located === undefined || "why" in located ? undefined : located;
}

/** Where a node was last found, if its entry has no address at all. */
function forgottenAddress(entry: readonly Reply[], lastAddress: LastAddress): NodeAddress | undefined {
  if (fieldOf(entry, "port") || fieldOf(entry, "tls-port")) return undefined;
  return lastAddress(String(fieldOf(entry, "id")));
}

function addressOf(entry: readonly Reply[], answeredBy: NodeAddress, tls: boolean): Located {
  const [plainPort, tlsPort] = [fieldOf(entry, "port"), fieldOf(entry, "tls-port")];
  const port = tls ? (tlsPort ?? plainPort) : (plainPort ?? tlsPort);
  // `endpoint` is the host that clients are to use. It is "?" where names are preferred and the node has none.
  const endpoint = fieldOf(entry, "endpoint");
  return located(endpoint === UNKNOWN_HOST ? (fieldOf(entry, "ip") ?? UNKNOWN_HOST) : endpoint, port, answeredBy);
}

/** The address in a line of CLUSTER NODES; undefined if it is not usable. */
export function addressInNodes(text: string, answeredBy: NodeAddress): NodeAddress | undefined {
  return usable(nodesAddress(text, answeredBy));
}

function nodesAddress(text: string, answeredBy: NodeAddress): Located {
  const at = text.split(",", 1)[0]?.split("@", 1)[0] ?? "";
  const colon = at.lastIndexOf(":");
  return located(at.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, "$1"), at.slice(colon + 1), answeredBy);
}

/** The address that a server gives for a node. What is no host or no port is told, and never connected to. */
function located(host: Reply | undefined, port: Reply | undefined, answeredBy: NodeAddress): Located {
  const known = isHostThatAnswered(host) ? answeredBy.host : host;
  if (known === UNKNOWN_HOST) return { why: "the server does not know the node's host" };
  if (typeof port !== "number" && !(typeof port === "string" && /^\d{1,5}$/.test(port))) {
    return { why: "the port is no whole number" };
  }
  const number = Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65535) return { why: "the port is out of range" };
  if (typeof known !== "string") return { why: `the host is no text but ${kindOf(known)}` };
  const address = parseAddress(formatAddress({ host: known, port: number }));
  return address ?? { why: `the host, of ${known.length} characters, is no host name and no IP address` };
}

/** The entries of a description that name no usable node. */
class LeftOut {
  readonly #entries: LeftOutEntry[] = [];

  /** The address, if the entry is usable. */
  unlessUsable(id: Reply | undefined, located: Located): NodeAddress | undefined {
    const hasId = id === undefined || id === null || (typeof id === "string" && id.length <= MAX_ID_LENGTH);
    const address = usable(located);
    if (address !== undefined && hasId) return address;
    if (this.#entries.length < MAX_LEFT_OUT) {
      // What stands in place of the address is not quoted: nobody knows what it is.
      const why = "why" in located ? located.why : "the id is no id";
      this.#entries.push({ entry: typeof id === "string" ? shownText(id) : "an entry without an id", why });
    }
    return undefined;
  }

  get all(): readonly LeftOutEntry[] | undefined {
    return this.#entries.length === 0 ? undefined : this.#entries;
  }
}

function checked({ nodes, slots }: TopologyDescription, told: LeftOut): TopologyDescription {
  const [first] = told.all ?? [];
  if (nodes.length === 0) {
    throw nonsense(first === undefined ? "it has no nodes" : `it has no usable node; ${first.entry}: ${first.why}`);
  }
  let named = 0;
  for (const { start, end } of slots) named += end - start + 1;
  if (named > MAX_NAMED_SLOTS) throw tooMany("slots", MAX_NAMED_SLOTS);
  const leftOut = told.all === undefined ? {} : { leftOut: told.all };
  // Two entries can have one address, after a node came back under a new id. The entry that has not failed counts.
  const byAddress = new Map<string, number>();
  const keep = nodes.map((node, index) => {
    const address = formatAddress(node);
    const earlier = byAddress.get(address);
    if (earlier === undefined || nodes[earlier]?.health === "fail") byAddress.set(address, index);
    return address;
  });
  if (byAddress.size === nodes.length) return { nodes, slots, ...leftOut };
  const kept = [...byAddress.values()].sort((a, b) => a - b);
  const places = new Map(kept.map((index, place) => [keep[index], place]));
  return {
    nodes: kept.map((index) => nodes[index] as Node),
    slots: slots.map((range) => ({ ...range, owner: places.get(keep[range.owner]) as number })),
    ...leftOut,
  };
}

/** A field of a map that is sent as a flat array of names and values. */
function fieldOf(flat: readonly Reply[], name: string): Reply | undefined {
  for (let index = 0; index + 1 < flat.length; index += 2) if (flat[index] === name) return flat[index + 1];
  return undefined;
}

function isPrimaryEntry(entry: readonly Reply[]): boolean {
  return fieldOf(entry, "role") === "master";
}

function isLivingPrimary(entry: readonly Reply[]): boolean {
  return isPrimaryEntry(entry) && !hasFailed(entry);
}

function hasFailed(entry: readonly Reply[]): boolean {
  return fieldOf(entry, "health") === "fail";
}

function list(reply: Reply | undefined, what: string): Reply[] {
  if (!Array.isArray(reply)) throw nonsense(`${what} is not an array`);
  return reply;
}

function slotNumber(value: Reply | undefined): number {
  const slot = typeof value === "string" && /^\d{1,5}$/.test(value) ? Number(value) : value;
  if (typeof slot !== "number" || !Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT) {
    throw nonsense("a slot is out of range");
  }
  return slot;
}

function tooMany(what: string, most: number): ProtocolError {
  return nonsense(`it names more than ${most} ${what}`);
}

function nonsense(what: string): ProtocolError {
  return new ProtocolError(`The server's description of the cluster cannot be used: ${what}.`);
}
