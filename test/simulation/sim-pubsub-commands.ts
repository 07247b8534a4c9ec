import { ErrorReply, Replies, type Value } from "./resp.ts";
import type { Command } from "./sim-commands.ts";
import type { SimNode } from "./sim-node.ts";
import type { Message, TopicKind } from "./sim-pubsub.ts";
import type { NodeSession } from "./sim-session.ts";

/** What a subscribed connection takes. */
export const WHILE_SUBSCRIBED = /^([ps]?(un)?subscribe|ping|quit|reset)$/;
/** Commands with channels that a user may have no right to. */
export const SUBSCRIBES = /^[ps]?subscribe$/;

export const NO_CHANNEL = new ErrorReply("NOPERM No permissions to access a channel");

export function isDenied({ deniedChannels }: SimNode, args: readonly string[]): boolean {
  return args.slice(1).some((name) => [...deniedChannels].some((text) => name.includes(text)));
}

/** The refusal of a command on a subscribed connection. */
export function notNow(name: string): ErrorReply {
  const allowed = "(P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET";
  return new ErrorReply(`ERR Can't execute '${name}': only ${allowed} are allowed in this context`);
}

type Definition = Partial<Command> & Pick<Command, "run">;

const CHANNELS = (args: readonly string[]) => args.slice(1);

function subscribe(kind: TopicKind): Definition {
  return {
    ...(kind === "shard" && { isSharded: true, keys: CHANNELS }),
    whileLoading: true,
    run(session, args) {
      const { node } = session;
      if (node.refusal !== undefined) return new ErrorReply(node.refusal);
      return new Replies(args.slice(1).map((name) => node.pubsub.begin(session, kind, name)));
    },
  };
}

function unsubscribe(kind: TopicKind): Definition {
  return {
    // Redis 8 takes it anywhere.
    ...(kind === "shard" && { isSharded: true, keys: (args, { world }) => (world.version === 7 ? args.slice(1) : []) }),
    whileLoading: true,
    run(session, args) {
      const { pubsub } = session.node;
      const names = args.slice(1);
      return new Replies(
        names.length === 0 ? pubsub.endAll(session, kind) : names.map((name) => pubsub.end(session, kind, name)),
      );
    },
  };
}

function publish(kind: Message["kind"]): Definition {
  return {
    ...(kind === "shard" && { isSharded: true, keys: (args: readonly string[]) => args.slice(1, 2) }),
    whileLoading: true,
    run({ node }: NodeSession, [, channel = "", payload = ""]: readonly string[]): Value {
      return node.world.bus.publish(node, { kind, channel, payload, isStamped: false });
    },
  };
}

function numbersOf(kind: TopicKind): Definition {
  return {
    whileLoading: true,
    run: ({ node }, args) => args.slice(2).flatMap((name) => [name, node.pubsub.subscribers(kind, name).length]),
  };
}

export const PUBSUB_COMMANDS: Readonly<Record<string, Definition>> = {
  subscribe: subscribe("channel"),
  psubscribe: subscribe("pattern"),
  ssubscribe: subscribe("shard"),
  unsubscribe: unsubscribe("channel"),
  punsubscribe: unsubscribe("pattern"),
  sunsubscribe: unsubscribe("shard"),
  publish: publish("channel"),
  spublish: publish("shard"),
  "pubsub|numsub": numbersOf("channel"),
  "pubsub|shardnumsub": numbersOf("shard"),
  "pubsub|numpat": { whileLoading: true, run: ({ node }) => node.pubsub.names("pattern").length },
};
