import { ProtocolError } from "../errors.ts";
import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import {
  formatAddress,
  isHostThatAnswered,
  type NodeAddress,
  parseAddress,
  UNKNOWN_HOST,
} from "../protocol/node-address.ts";
import type { Reply } from "../protocol/reply.ts";
import type { TopologyDescription } from "./topology.ts";

/*
 * Turns the replies to CLUSTER SHARDS (since 7.0) and CLUSTER NODES into a description. Replies are not trusted: a
 * reply that makes no sense throws a ProtocolError, and a node whose entry has no usable address is left out.
 */

type Node = TopologyDescription["nodes"][number];
type Slots = TopologyDescription["slots"][number];

/**
 * Reads a reply to CLUSTER SHARDS.
 * @param answeredBy  The node that answered. Its host is used where the reply has no host.
 * @see https://redis.io/docs/latest/commands/cluster-shards/
 */
export function parseClusterShards(reply: Reply, answeredBy: NodeAddress, tls: boolean): TopologyDescription {
  const nodes: Node[] = [];
  const slots: Slots[] = [];
  for (const shard of list(reply, "CLUSTER SHARDS")) {
    const fields = fieldsOf(shard);
    const entries = list(fields.get("nodes"), "nodes").map(fieldsOf);
    const bounds = list(fields.get("slots"), "slots").map((bound) => slotNumber(bound));
    if (bounds.length % 2 !== 0) throw nonsense("the number of slot bounds is odd");
    const primaryEntry = entries.find((entry) => entry.get("role") === "master" && entry.get("health") !== "fail");
    const primary = primaryEntry ?? entries.find((entry) => entry.get("role") === "master");
    const primaryAddress = primary && addressOf(primary, answeredBy, tls);
    for (const entry of entries) {
      const address = addressOf(entry, answeredBy, tls);
      if (address === undefined) continue;
      const isPrimary = entry.get("role") === "master";
      const health = entry.get("health");
      if (entry === primary) {
        for (let index = 0; index < bounds.length; index += 2) {
          const [start, end] = [bounds[index] as number, bounds[index + 1] as number];
          if (start > end) throw nonsense(`the slots ${start} to ${end} are no range`);
          slots.push({ owner: nodes.length, start, end });
        }
      }
      nodes.push({
        id: String(entry.get("id") ?? ""),
        ...address,
        role: isPrimary ? "primary" : "replica",
        primary: isPrimary || primaryAddress === undefined ? undefined : formatAddress(primaryAddress),
        health: health === "fail" || health === "loading" ? health : "online",
      });
    }
  }
  return checked({ nodes, slots });
}

/**
 * Whether a reply to CLUSTER SHARDS has a shard with two living primaries. Since Redis 7.2 this happens during a
 * failover. The shard then shows the slots of the primary that it lists first: none at all, while that is the old
 * primary.
 */
export function hasRivalPrimaries(reply: Reply): boolean {
  return list(reply, "CLUSTER SHARDS").some((shard) => {
    const entries = list(fieldsOf(shard).get("nodes"), "nodes").map(fieldsOf);
    return entries.filter((entry) => entry.get("role") === "master" && entry.get("health") !== "fail").length > 1;
  });
}

/** Combines two descriptions: roles and slots from CLUSTER NODES; nodes, addresses and health from CLUSTER SHARDS. */
export function withRolesOf(byNodes: TopologyDescription, byShards: TopologyDescription): TopologyDescription {
  const told = new Map(byNodes.nodes.map((node) => [node.id, node]));
  const ids = new Map(byNodes.nodes.map((node) => [formatAddress(node), node.id]));
  const places = new Map(byShards.nodes.map(({ id }, place) => [id, place]));
  const placeOf = (id: string | undefined) => places.get(id ?? "") ?? -1;
  const nodes = byShards.nodes.map((node): Node => {
    const { role, primary } = told.get(node.id) ?? node;
    const found = byShards.nodes[placeOf(ids.get(primary ?? ""))];
    return { ...node, role, primary: role === "primary" || found === undefined ? undefined : formatAddress(found) };
  });
  const slots = byNodes.slots.map((range) => ({ ...range, owner: placeOf(byNodes.nodes[range.owner]?.id) }));
  return { nodes, slots: slots.filter(({ owner }) => owner !== -1) };
}

/**
 * Reads a reply to CLUSTER NODES: `id host:port@bus,hostname flags primary-id ping pong epoch link slot...`
 * @see https://redis.io/docs/latest/commands/cluster-nodes/
 */
export function parseClusterNodes(reply: Reply, answeredBy: NodeAddress): TopologyDescription {
  if (typeof reply !== "string") throw nonsense("CLUSTER NODES is not text");
  const entries = reply
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [id, at, flags, primaryId, , , , , ...ranges] = line.trim().split(" ");
      if (id === undefined || at === undefined || flags === undefined)
        throw nonsense("a line of CLUSTER NODES is too short");
      return { id, address: nodesAddress(at, answeredBy), flags: flags.split(","), primaryId, ranges };
    })
    .filter(({ address, flags }) => address && !flags.includes("noaddr") && !flags.includes("handshake"));
  const addresses = new Map(entries.map(({ id, address }) => [id, formatAddress(address as NodeAddress)]));
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
      ...(address as NodeAddress),
      role: isPrimary ? "primary" : "replica",
      primary: isPrimary ? undefined : addresses.get(primaryId ?? ""),
      health: flags.includes("fail") ? "fail" : "online",
    };
  });
  return checked({ nodes, slots });
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

function addressOf(entry: Map<string, Reply>, answeredBy: NodeAddress, tls: boolean): NodeAddress | undefined {
  const port = Number((tls ? entry.get("tls-port") : entry.get("port")) ?? entry.get("port") ?? entry.get("tls-port"));
  if (!Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  // `endpoint` is the host that clients are to use. It is "?" where names are preferred and the node has none.
  const endpoint = entry.get("endpoint") as string | null | undefined;
  return hostKnown(
    { host: endpoint === UNKNOWN_HOST ? (entry.get("ip") ?? UNKNOWN_HOST) : endpoint, port },
    answeredBy,
  );
}

function nodesAddress(text: string, answeredBy: NodeAddress): NodeAddress | undefined {
  const address = parseAddress(text.split(",")[0]?.split("@")[0] ?? "");
  return address && hostKnown(address, answeredBy);
}

/** The address of a node, or undefined where the server does not know its host. */
function hostKnown({ host, port }: { host: Reply | undefined; port: number }, answeredBy: NodeAddress) {
  if (isHostThatAnswered(host as string | null | undefined)) return { host: answeredBy.host, port };
  return host === UNKNOWN_HOST ? undefined : { host: String(host), port };
}

function checked(description: TopologyDescription): TopologyDescription {
  const { nodes } = description;
  if (nodes.length === 0) throw nonsense("it has no nodes");
  // Two entries can have one address, after a node came back under a new id. The entry that has not failed counts.
  const byAddress = new Map<string, number>();
  const keep = nodes.map((node, index) => {
    const address = formatAddress(node);
    const earlier = byAddress.get(address);
    if (earlier === undefined || nodes[earlier]?.health === "fail") byAddress.set(address, index);
    return address;
  });
  if (byAddress.size === nodes.length) return description;
  const kept = [...byAddress.values()].sort((a, b) => a - b);
  return {
    nodes: kept.map((index) => nodes[index] as Node),
    slots: description.slots.map((range) => ({
      ...range,
      owner: kept.indexOf(byAddress.get(keep[range.owner] as string) as number),
    })),
  };
}

function fieldsOf(reply: Reply): Map<string, Reply> {
  const flat = list(reply, "a map");
  const fields = new Map<string, Reply>();
  for (let index = 0; index + 1 < flat.length; index += 2) fields.set(String(flat[index]), flat[index + 1] as Reply);
  return fields;
}

function list(reply: Reply | undefined, what: string): Reply[] {
  if (!Array.isArray(reply)) throw nonsense(`${what} is not an array`);
  return reply;
}

function slotNumber(value: Reply): number {
  const slot = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof slot !== "number" || !Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT) {
    throw nonsense("a slot is out of range");
  }
  return slot;
}

function nonsense(what: string): ProtocolError {
  return new ProtocolError(`The server's description of the cluster cannot be used: ${what}.`);
}
