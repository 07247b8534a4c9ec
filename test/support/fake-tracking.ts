import { array, bulk, type FakeNode } from "./fake-node.ts";
import { type SubscriberRules, takeSubscriptions } from "./fake-subscribers.ts";

/** What a node does about a cache's connections. */
export interface TrackingRules {
  readonly subscriptions: SubscriberRules;
  /** The connection that reads, and the one that hears, of the last pair. */
  reading: () => number;
  hearing: () => number;
  /** Tells of changed keys; null: of everything. */
  invalidate(keys: readonly string[] | null): void;
}

/** Lets a node track keys as a real one does over RESP2, except that it tells nothing by itself. */
export function takeTracking(node: FakeNode): TrackingRules {
  let reading = -1;
  let hearing = -1;
  const subscriptions = takeSubscriptions(node);
  node.always("CLIENT ID", (_, connection) => `:${connection}\r\n`);
  node.always("CLIENT TRACKING", ([, , , , id = ""], connection) => {
    reading = connection;
    hearing = Number(id);
    return "+OK\r\n";
  });
  node.always("PTTL", () => ":-1\r\n");
  node.always("EXISTS", () => ":1\r\n");
  return {
    subscriptions,
    reading: () => reading,
    hearing: () => hearing,
    invalidate: (keys) => {
      const payload = keys === null ? "*-1\r\n" : array(...keys.map((key) => bulk(key)));
      node.say(hearing, array(bulk("message"), bulk("__redis__:invalidate"), payload));
    },
  };
}
