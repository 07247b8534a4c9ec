import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { drawnPubSubSteps, heard as hears, subscribedSteps } from "../simulation/pubsub-transcript.ts";
import { RealSide, type Side, SimulatedSide } from "../simulation/sides.ts";
import { SOURCES, shaOf } from "../simulation/sim-scripts.ts";
import { act, asked, drawnSteps, keyIn, MOVING_SLOT, type Step } from "../simulation/transcript.ts";

/*
 * The simulator is worth what its servers are worth: they must answer as real ones do. The same commands, by sessions of
 * their own, to both.
 */

const BUSY_AFTER_MS = 100;
const SEEDS = [1, 2, 3, 4, 5, 6];
const STEPS = 700;

describe("the simulated cluster answers as a real one does", () => {
  let cluster: LocalCluster;
  let isOther: string | false = false;
  let answers = "";

  before(async () => {
    // Nobody is promoted unless told to.
    const args = ["--lua-time-limit", String(BUSY_AFTER_MS), "--notify-keyspace-events", "KA"];
    cluster = await startCluster({
      // Answers are the same with TLS, and a handshake for each of thousands of commands takes minutes.
      tls: false,
      primaries: 3,
      replicasPerPrimary: 1,
      args: [...args, "--cluster-replica-no-failover", "yes"],
    });
    if (!/^Redis server v=[78]\./.test(cluster.version)) {
      isOther =
        "simulated are Redis 7 and 8; 6 has no EVALSHA_RO, Valkey words NOSCRIPT and checks EXEC in another way";
    }
  });
  after(() => cluster.stop());

  for (const seed of SEEDS) {
    it(`to ${STEPS} commands drawn from ${seed}, while a slot moves away and back`, async (t) => {
      if (isOther) return t.skip(isOther);
      answers += await compare(drawnSteps(seed, STEPS));
    });
  }

  for (const seed of SEEDS) {
    it(`to ${STEPS} commands of subscribers drawn from ${seed}, while a slot moves away and back`, async (t) => {
      if (isOther) return t.skip(isOther);
      await compare(drawnPubSubSteps(seed, STEPS));
    });
  }

  it("to subscribers, with messages and through moves", async (t) => {
    if (isOther) return t.skip(isOther);
    await compare(subscribedSteps());
  });

  it("and every kind of answer was among them", (t) => {
    if (isOther) return t.skip(isOther);
    for (const word of ["MOVED", "ASK", "TRYAGAIN", "NOSCRIPT", "CROSSSLOT", "EXECABORT", "QUEUED", "null", "NOSUCH"]) {
      assert.ok(answers.includes(`-> -${word}`) || answers.includes(word), `${word} is among the answers`);
    }
  });

  it("while a script runs for too long", async (t) => {
    if (isOther) return t.skip(isOther);
    const key = keyIn(2000, 1);
    const slow = ["EVAL", SOURCES.slow, "1", key, "v", "2000"];
    await compare([
      asked("c", 0, "MULTI"),
      asked("c", 0, "GET", key),
      act("a slow script begins", async (side) => side.send("a", 0, slow)),
      act("it runs for long enough", (side) => side.pass(BUSY_AFTER_MS + 100)),
      ...[["PING"], ["GET", key], ["INCR", key], ["SCRIPT", "LOAD", "return 1"], ["SCRIPT", "EXISTS", "x"]].map(
        (args) => asked("b", 0, ...args),
      ),
      ...[["EVALSHA", shaOf(SOURCES.read), "1", key, "v"], ["GET", keyIn(7000, 1)], ["ASKING"], ["READONLY"]].map(
        (args) => asked("b", 0, ...args),
      ),
      ...[["CLUSTER", "SHARDS"], ["CLUSTER", "INFO"], ["WATCH", key], ["MULTI"], ["GET", key], ["EXEC"]].map((args) =>
        asked("b", 0, ...args),
      ),
      asked("c", 0, "EXEC"),
      { text: "the slow script ends", do: (side) => side.hear("a", 0) },
      asked("b", 0, "GET", key),
      asked("c", 0, "GET", key),
    ]);
  });

  it("when commands wait: for elements, and for the end of a pause", async (t) => {
    if (isOther) return t.skip(isOther);
    const key = keyIn(2000, 1);
    const later = (session: string, ...args: string[]) =>
      act(`${session} sends ${args.join(" ")}`, async (side) => {
        side.send(session, 0, args);
        await side.pass(50);
      });
    const heard = (session: string): Step => ({ text: `${session} hears`, do: (side) => side.hear(session, 0) });
    await compare([
      asked("b", 0, "BLPOP", key, "0.05"),
      later("b", "BLPOP", key, "5"),
      later("c", "BLPOP", key, keyIn(2000, 2), "5"),
      asked("a", 0, "RPUSH", key, "one", "two"),
      heard("b"),
      heard("c"),
      asked("a", 0, "RPUSH", key, "three"),
      asked("b", 0, "BLPOP", key, "5"),
      asked("a", 0, "CLIENT", "PAUSE", "400", "WRITE"),
      later("b", "SET", key, "v"),
      later("c", "EVALSHA", "0".repeat(40), "0"),
      asked("a", 0, "PING"),
      asked("a", 0, "GET", keyIn(1000, 1)),
      asked("a", 0, "SCRIPT", "LOAD", "return 1"),
      asked("a", 0, "EVALSHA_RO", "0".repeat(40), "1", key),
      asked("a", 0, "MULTI"),
      asked("a", 0, "GET", key),
      asked("a", 0, "EXEC"),
      heard("b"),
      heard("c"),
      asked("b", 0, "GET", key),
    ]);
  });

  it("through a failover, and when nobody serves some slots", async (t) => {
    if (isOther) return t.skip(isOther);
    const everywhere = [0, 1, 2, 3, 4, 5];
    const questions = (nodes: readonly number[]) =>
      nodes.flatMap((node) =>
        [keyIn(2000, 1), keyIn(7000, 1), keyIn(14000, 1)].flatMap((key) => [
          asked("a", node, "GET", key),
          asked("readonly", node, "GET", key),
          asked("readonly", node, "INCR", key),
          asked("a", node, "EVAL", SOURCES.count, "1", key, "v"),
        ]),
      );
    await compare([
      ...everywhere.map((node) => asked("readonly", node, "READONLY")),
      ...questions(everywhere),
      ...[0, 3].flatMap((node) => [
        asked("s", node, "SSUBSCRIBE", keyIn(2000, 1)),
        asked("t", node, "PSUBSCRIBE", "__keyspace@0__:*"),
      ]),
      act("n3 takes over from n0", (side) => side.failover(3)),
      ...everywhere.map((node) => asked("readonly", node, "READONLY")),
      ...questions(everywhere),
      ...(versionOf(cluster) === 7 ? [0] : [0, 3]).map((node) => hears("s", node)),
      ...[0, 3].flatMap((node) => [asked("s", node, "PING"), asked("s", node, "SSUBSCRIBE", keyIn(2000, 1))]),
      asked("a", 0, "SPUBLISH", keyIn(2000, 1), "at a replica"),
      hears("s", 0),
      hears("s", 3),
      act("n2 is lost", (side) => side.lose(2)),
      ...questions([0, 1, 3, 4, 5]),
      ...[["PING"], ["SCRIPT", "LOAD", "return 1"], ["EVAL", SOURCES.echo, "0", "v"], ["MULTI"], ["ASKING"]].map(
        (args) => asked("b", 1, ...args),
      ),
      asked("b", 1, "INCR", keyIn(7000, 1)),
      asked("b", 1, "EXEC"),
      ...[7000, 14000].flatMap((slot) => [
        asked("s", 1, "SSUBSCRIBE", keyIn(slot, 1)),
        asked("s", 5, "SSUBSCRIBE", keyIn(slot, 1)),
      ]),
      asked("u", 1, "SUBSCRIBE", "channel"),
      asked("a", 3, "PUBLISH", "channel", "in spite of it"),
      hears("u", 1),
      act("slot 7000 is nobody's for n1", (side) => side.disown(7000, 1)),
      hears("s", 1),
      asked("s", 1, "SSUBSCRIBE", keyIn(7000, 1)),
    ]);
  });

  async function compare(steps: readonly Step[]): Promise<string> {
    for (const address of cluster.nodes) {
      await cluster.command(address, "SCRIPT", "FLUSH");
      if (cluster.nodes.indexOf(address) < 3) await cluster.command(address, "FLUSHALL");
    }
    const real = await RealSide.of(cluster);
    try {
      await real.endMove(MOVING_SLOT, 1, 0);
      return await same(steps, real, new SimulatedSide(BUSY_AFTER_MS, versionOf(cluster)));
    } finally {
      real.end();
    }
  }
});

function versionOf({ version }: LocalCluster): 7 | 8 {
  return version.includes("v=8.") ? 8 : 7;
}

/** Does each step on both sides; what was answered, as one text. */
async function same(steps: readonly Step[], real: Side, simulated: Side): Promise<string> {
  const lines: string[] = [];
  for (const step of steps) {
    const answer = await step.do(real);
    const simulatedAnswer = await step.do(simulated);
    lines.push(`${step.text}  ->  ${answer}`);
    if (answer !== simulatedAnswer) {
      assert.fail(`${lines.slice(-40).join("\n")}\nThe simulated cluster answers ${simulatedAnswer}`);
    }
  }
  return lines.join("\n");
}
