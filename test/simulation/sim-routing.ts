import { slotOf } from "../../src/protocol/hash-slot.ts";
import { ErrorReply } from "./resp.ts";
import type { SimNode } from "./sim-node.ts";
import type { NodeSession } from "./sim-session.ts";

const slots = new Map<string, number>();

/** Of a key as a binary string. */
export function slotOfKey(key: string): number {
  let slot = slots.get(key);
  if (slot === undefined) {
    slot = slotOf(Buffer.from(key, "latin1"));
    slots.set(key, slot);
  }
  return slot;
}

/** Why a node does not serve keys, in its words; undefined when it does. The order of the checks is the servers' own. */
export function redirectionOf(session: NodeSession, keys: readonly string[], isWrite: boolean): ErrorReply | undefined {
  const [firstKey] = keys;
  if (firstKey === undefined) return undefined;
  const { node } = session;
  const { view } = node;
  const slot = slotOfKey(firstKey);
  if (keys.some((key) => slotOfKey(key) !== slot)) {
    return new ErrorReply("CROSSSLOT Keys in request don't hash to the same slot");
  }
  if (view.servesNothing) return new ErrorReply("CLUSTERDOWN The cluster is down");
  const owner = view.ownerOf(slot);
  if (owner === undefined) return NOT_SERVED;
  const isMine = owner === node.index;
  const migratingTo = isMine ? node.migrating.get(slot) : undefined;
  const isMissing = (key: string) => !node.data.has(key) || node.isExpired(key);
  if (migratingTo !== undefined && keys.some(isMissing)) {
    return keys.every(isMissing) ? new ErrorReply(`ASK ${slot} ${addressOf(node, migratingTo)}`) : TRY_AGAIN;
  }
  if (session.asking && node.importing.has(slot)) {
    return keys.some((key) => key !== firstKey) && keys.some(isMissing) ? TRY_AGAIN : undefined;
  }
  const servesReads = session.isReadOnly && !isWrite && !node.isPrimary && owner === view.primaries[node.shard];
  if (isMine || servesReads) return undefined;
  return new ErrorReply(`MOVED ${slot} ${addressOf(node, owner)}`);
}

/** Why a node does not serve sharded channels. The replicas of a shard serve them as well, also while the cluster is down. */
export function shardRedirectionOf(
  node: SimNode,
  channels: readonly string[],
  isAsking = false,
): ErrorReply | undefined {
  const [first] = channels;
  if (first === undefined) return undefined;
  const { view } = node;
  const slot = slotOfKey(first);
  if (channels.some((channel) => slotOfKey(channel) !== slot)) {
    return new ErrorReply("CROSSSLOT Keys in request don't hash to the same slot");
  }
  const owner = view.ownerOf(slot);
  if (owner === undefined) return NOT_SERVED;
  const isOfShard = owner === node.index || (owner === view.primaries[node.shard] && !node.isPrimary);
  return isOfShard || (isAsking && node.importing.has(slot))
    ? undefined
    : new ErrorReply(`MOVED ${slot} ${addressOf(node, owner)}`);
}

const NOT_SERVED = new ErrorReply("CLUSTERDOWN Hash slot not served");
const TRY_AGAIN = new ErrorReply("TRYAGAIN Multiple keys request during rehashing of slot");

function addressOf({ view, port }: SimNode, index: number): string {
  return `${view.hostOf(index)}:${port}`;
}
