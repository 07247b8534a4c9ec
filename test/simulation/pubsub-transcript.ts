import { Chance } from "./random.ts";
import { act, asked, journey, keyIn, MOVING_SLOT, type Step } from "./transcript.ts";

/*
 * Subscribers and publishers. Session "s" and others are subscribed, session "a" publishes.
 */

/** What a session hears next, unasked. */
export function heard(session: string, node: number): Step {
  return { text: `${session}@n${node} hears`, do: (side) => side.hear(session, node) };
}

/** All that a session hears until a PING is answered. */
function caughtUp(session: string, node: number): Step {
  return {
    text: `${session}@n${node} catches up`,
    async do(side) {
      const lines: string[] = [];
      side.send(session, node, ["PING", "the end"]);
      while (!lines.at(-1)?.includes("the end")) lines.push(await side.hear(session, node));
      return lines.join(" ");
    },
  };
}

// One of the slot that moves: in which order a server ends several subscriptions is its own affair.
const CHANNELS = [keyIn(MOVING_SLOT, 1), keyIn(2000, 1), keyIn(2000, 2), keyIn(7000, 1), keyIn(14000, 1)];

/**
 * Subscriptions and their ends at all nodes while a slot moves away and back, drawn from a seed. Nothing is published to
 * those who are subscribed: of messages that come from other nodes the time is not known.
 */
export function drawnPubSubSteps(seed: number, count: number): Step[] {
  const chance = new Chance(seed);
  const all = [0, 1, 2, 3, 4, 5].flatMap((node) => [caughtUp("u", node), caughtUp("v", node)]);
  const stages = [all, ...journey().map((stage) => [stage, ...all])];
  return stages.flatMap((stage) => [
    ...stage,
    ...Array.from({ length: count / stages.length }, () =>
      asked(chance.pick(["u", "v"]), chance.whole(0, 5), ...drawnCommand(chance)),
    ),
  ]);
}

function drawnCommand(chance: Chance): string[] {
  const channel = chance.of(0.4) ? (CHANNELS[0] as string) : chance.pick(CHANNELS);
  const kind = chance.weighted({ sharded: 30, classic: 20, ends: 25, questions: 20, others: 5, publish: 5 });
  switch (kind) {
    case "sharded":
      return ["SSUBSCRIBE", channel, ...(chance.of(0.1) ? [chance.pick(CHANNELS)] : [])];
    case "classic":
      return [chance.pick(["SUBSCRIBE", "PSUBSCRIBE"]), channel];
    case "ends":
      return [chance.pick(["SUNSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE"]), channel];
    case "questions":
      return chance.pick([
        ["PING"],
        ["PING", "x"],
        ["PUBSUB", "NUMSUB", channel],
        ["PUBSUB", "SHARDNUMSUB", channel],
        ["PUBSUB", "NUMPAT"],
      ]);
    case "others":
      return chance.pick([["GET", channel], ["ECHO", "x"], ["NOSUCH", "x"], ["ASKING"]]);
    default:
      return [chance.pick(["PUBLISH", "SPUBLISH"]), `${channel} of nobody`, "x"];
  }
}

/** Messages of all kinds, and what servers say when a slot moves. */
export function subscribedSteps(): Step[] {
  const [channel, other] = [keyIn(MOVING_SLOT, 1), keyIn(MOVING_SLOT, 2)];
  const [begin, , , end, beginBack, , , endBack] = journey() as [Step, Step, Step, Step, Step, Step, Step, Step];
  return [
    ...[0, 3].map((node) => asked("s", node, "SSUBSCRIBE", channel)),
    asked("a", 1, "SPUBLISH", channel, "at a wrong node"),
    ...[0, 3].flatMap((node) => [
      asked("a", node, "SPUBLISH", channel, `at n${node}`),
      ...[0, 3].map((each) => heard("s", each)),
    ]),
    begin,
    asked("s", 0, "SSUBSCRIBE", other),
    asked("t", 1, "SSUBSCRIBE", other),
    asked("t", 1, "ASKING"),
    asked("t", 1, "SSUBSCRIBE", other),
    asked("s", 0, "SUNSUBSCRIBE", other),
    asked("a", 0, "SPUBLISH", channel, "on its way"),
    ...[0, 3].map((node) => heard("s", node)),
    end,
    ...[0, 3].flatMap((node) => [heard("s", node), asked("s", node, "PING"), asked("s", node, "SUNSUBSCRIBE")]),
    asked("s", 0, "SUNSUBSCRIBE", channel),
    beginBack,
    endBack,
    heard("t", 1),
    asked("s", 0, "SUBSCRIBE", "one", "two"),
    heard("s", 0),
    asked("s", 0, "PSUBSCRIBE", "o[mn]?*"),
    asked("s", 0, "SSUBSCRIBE", channel),
    asked("a", 5, "PUBLISH", "one", "message"),
    heard("s", 0),
    heard("s", 0),
    asked("a", 0, "PUBLISH", "one", "message"),
    heard("s", 0),
    heard("s", 0),
    asked("s", 0, "UNSUBSCRIBE", "one"),
    asked("s", 0, "UNSUBSCRIBE", "never"),
    asked("s", 0, "UNSUBSCRIBE"),
    asked("s", 0, "PUNSUBSCRIBE"),
    asked("s", 0, "GET", channel),
    asked("s", 0, "SUNSUBSCRIBE"),
    asked("s", 0, "UNSUBSCRIBE"),
    asked("s", 0, "GET", channel),
    ...[0, 1, 3].map((node) => asked("k", node, "PSUBSCRIBE", "__keyspace@0__:*")),
    ...[
      ["SET", channel, "1"],
      ["INCR", channel],
      ["RPUSH", other, "1", "2"],
      ["BLPOP", other, "1"],
    ].flatMap((command) => [asked("a", 0, ...command), heard("k", 0), heard("k", 3)]),
    asked("a", 0, "BLPOP", other, "1"),
    ...[0, 0, 3, 3].map((node) => heard("k", node)),
    asked("k", 1, "PING"),
    asked("a", 0, "CONFIG", "GET", "notify-keyspace-events"),
    act("time passes", (side) => side.pass(20)),
    ...[0, 3].map((node) => asked("k", node, "PING")),
  ];
}
