import type { Environment } from "../environment.ts";
import { BatchFeed } from "./batch-feed.ts";
import type { CallKeys } from "./batch-order.ts";
import { turnsOf } from "./batch-turns.ts";
import type { Call } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { Dispatcher } from "./dispatcher.ts";

/**
 * Sends calls that have been admitted, those of each key in their order. A node without room does not delay the calls of
 * other nodes. The calls of a node need no feed while the node has room and none of them waits for another one.
 *
 * @param keys  For each call its keys; undefined where no order is kept.
 */
export function sendAll(
  dispatcher: Dispatcher,
  environment: Environment,
  calls: readonly Call[],
  keys: readonly (CallKeys | undefined)[] | undefined,
): void {
  const fed = new Map<ClusterNode | undefined, BatchFeed>();
  const feedOf = (call: Call): BatchFeed => {
    const owner = ownerOf(dispatcher, call);
    let feed = fed.get(owner);
    if (feed === undefined) {
      feed = new BatchFeed(dispatcher, environment);
      fed.set(owner, feed);
    }
    return feed;
  };
  const turns = keys === undefined ? undefined : turnsOf(calls, keys);
  if (turns !== undefined) for (const turn of turns) if (turn !== undefined) feedOf(turn.call).keepTurn(turn);
  for (let position = 0; position < calls.length; position++) {
    const call = calls[position] as Call;
    if (fed.size > 0) {
      const feed = fed.get(ownerOf(dispatcher, call));
      if (feed !== undefined) {
        feed.add(call);
        continue;
      }
    }
    if (call.settled || dispatcher.offer(call)) continue;
    // The calls that were sent make room when they end, so the feed has to hear of them.
    const feed = feedOf(call);
    const owner = ownerOf(dispatcher, call);
    for (const sent of calls.slice(0, position)) if (ownerOf(dispatcher, sent) === owner) feed.adopt(sent);
    feed.add(call);
  }
  for (const feed of fed.values()) feed.start();
}

function ownerOf(dispatcher: Dispatcher, { slot }: Call): ClusterNode | undefined {
  return slot < 0 ? undefined : dispatcher.ownerOf(slot);
}
