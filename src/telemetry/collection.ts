import {
  type CacheMetrics,
  type ClientInfo,
  type CollectMessage,
  type ConnectionFigures,
  collectChannel,
} from "./channels.ts";

/**
 * Answers requests for the figures of a client's connections and of its cache. Returns the function that ends it. The requests come by a
 * channel, because channels are common to all copies of slotwire in a process.
 */
export function answerCollections(
  client: ClientInfo,
  figures: () => readonly ConnectionFigures[],
  cache: () => CacheMetrics | undefined,
): () => void {
  const answer = (message: unknown) => (message as CollectMessage).add(client, figures(), cache());
  collectChannel.subscribe(answer);
  return () => void collectChannel.unsubscribe(answer);
}
