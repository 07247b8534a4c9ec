import { type Answer, array, bulk, error, type FakeNode } from "./fake-node.ts";

/** What a node does about subscriptions. */
export interface SubscriberRules {
  /** What it answers to a command in place of a confirmation; undefined: it confirms. */
  refuse: (command: string, names: readonly string[]) => string | undefined;
  /** A connection on which it does not answer any more. */
  silent: number | undefined;
  /** The channels, patterns and shard channels of all connections, each as `COMMAND name`. */
  readonly subscribed: () => string[];
  /** Sends a message to those who are subscribed. */
  publish(channel: string, payload: string): void;
  spublish(channel: string, payload: string): void;
  /** Ends shard channels unasked, as a server whose slot has left. */
  sunsubscribe(channel: string): void;
  /** Closes the connections on which anything is subscribed. */
  dropSubscribers(): void;
}

const LEAVE: Readonly<Record<string, string>> = {
  SUBSCRIBE: "UNSUBSCRIBE",
  PSUBSCRIBE: "PUNSUBSCRIBE",
  SSUBSCRIBE: "SUNSUBSCRIBE",
};

/** Lets a node take subscriptions as a real one does over RESP2. */
export function takeSubscriptions(node: FakeNode): SubscriberRules {
  /** By connection. */
  const open = new Map<number, Set<string>>();
  const of = (connection: number) => {
    const known = open.get(connection) ?? new Set();
    open.set(connection, known);
    return known;
  };
  const rules: SubscriberRules = {
    refuse: () => undefined,
    silent: undefined,
    subscribed: () => [...open.values()].flatMap((topics) => [...topics]),
    publish: (channel, payload) => send(`SUBSCRIBE ${channel}`, "message", channel, payload),
    spublish: (channel, payload) => send(`SSUBSCRIBE ${channel}`, "smessage", channel, payload),
    sunsubscribe: (channel) => {
      for (const [connection, topics] of open) {
        if (topics.delete(`SSUBSCRIBE ${channel}`))
          node.say(connection, confirmation("sunsubscribe", channel, topics.size));
      }
    },
    dropSubscribers: () => {
      for (const [connection, topics] of open) if (topics.size > 0) node.hangUp(connection);
      open.clear();
    },
  };
  function send(topic: string, word: string, channel: string, payload: string): void {
    const message = array(bulk(word), bulk(channel), bulk(payload));
    for (const [connection, topics] of open) if (topics.has(topic)) node.say(connection, message);
  }
  for (const [command, leave] of Object.entries(LEAVE)) {
    node.always(command, ([, ...names], connection) => {
      if (connection === rules.silent) return "hang";
      const refusal = rules.refuse(command, names);
      if (refusal !== undefined) return error(refusal);
      const topics = of(connection);
      return names
        .map((name) => confirmation(command.toLowerCase(), name, topics.add(`${command} ${name}`).size))
        .join("");
    });
    node.always(leave, ([, ...names], connection) => {
      const topics = of(connection);
      return names
        .map((name) => {
          topics.delete(`${command} ${name}`);
          return confirmation(leave.toLowerCase(), name, topics.size);
        })
        .join("");
    });
  }
  node.always("PING", (_, connection) => (of(connection).size > 0 ? array(bulk("pong"), bulk("")) : "+PONG\r\n"));
  return rules;
}

function confirmation(word: string, name: string, count: number): Answer {
  return array(bulk(word), bulk(name), `:${count}\r\n`);
}
