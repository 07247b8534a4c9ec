import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Connection } from "../../src/connection/connection.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import { type Informant, Inquiry } from "../../src/topology/inquiry.ts";
import { Topology } from "../../src/topology/topology.ts";
import { parseClusterShards } from "../../src/topology/topology-reply.ts";
import { TopologyTracker } from "../../src/topology/topology-tracker.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** What comes after the reads comes after all that they cause, as in Node. */
class TurningClock extends FakeClock {
  override afterReads(callback: () => void): void {
    setImmediate(callback);
  }
}

const NODE: Reply = ["id", "a", "port", 7000, "endpoint", "10.0.0.1", "role", "master", "health", "online"];
const SHARDS: Reply = [["slots", [0, 16383], "nodes", [NODE]]];

describe("a question for the topology", () => {
  let clock: TurningClock;
  let answers: ((reply: Reply) => void)[];
  beforeEach(() => {
    clock = new TurningClock();
    answers = [];
  });

  const informant = (address: string): Informant => ({
    address,
    answersAs: { host: "10.0.0.1", port: 7000 },
    connect: async () => {
      const answer = new Promise<Reply>((resolve) => answers.push(resolve));
      return { exchange: () => [answer] } as unknown as Connection;
    },
  });
  const ask = () => {
    const environment = { clock, open: () => assert.fail("nothing is to be opened"), random: () => 0 };
    const inquiry = new Inquiry({ environment, tls: false, answerTimeoutMs: 2000 });
    return inquiry.ask([informant("10.0.0.1:7000"), informant("10.0.0.2:7000")]);
  };

  it("goes to a second node after 200 ms of silence, and the first answer counts", async () => {
    const found = ask();
    await turn();
    clock.advance(199);
    await turn();
    assert.equal(answers.length, 1);
    clock.advance(1);
    await turn();
    await turn();
    assert.equal(answers.length, 2);
    answers[1]?.(SHARDS);
    assert.equal((await found).description.nodes.length, 1);
  });

  it("goes to no second node when the answer is there, and was not read because the client was busy", async () => {
    const found = ask();
    await turn();
    clock.onReads = () => answers[0]?.(SHARDS);
    clock.advance(200);
    assert.equal((await found).description.nodes.length, 1);
    await turn();
    assert.equal(answers.length, 1);
  });
});

describe("a MOVED", () => {
  const clock = new FakeClock();
  const node = (id: string, port: number): Reply => ["id", id, "port", port, "endpoint", "10.0.0.1", "role", "master"];
  const shards: Reply = [
    ["slots", [0, 99], "nodes", [node("a", 7000)]],
    ["slots", [100, 16383], "nodes", [node("b", 7001)]],
  ];
  const initial = Topology.from(parseClusterShards(shards, { host: "10.0.0.1", port: 7000 }, false));
  let changes: number;
  let tracker: TopologyTracker;
  beforeEach(() => {
    changes = 0;
    tracker = new TopologyTracker(initial, {
      environment: { clock, open: () => assert.fail("nothing is to be opened"), random: () => 0 },
      tls: false,
      intervalMs: 0,
      answerTimeoutMs: 2000,
      informants: () => [],
      unsettled: () => false,
      outOfReach: () => false,
      onChange: () => changes++,
      onRefreshed: () => {},
    });
  });

  it("that is news takes effect at once, and is to be confirmed", () => {
    tracker.slotMoved(7, "10.0.0.1:7001");
    assert.deepEqual([changes, clock.pending.size, tracker.current.primaryOf(7)?.address], [1, 1, "10.0.0.1:7001"]);
    tracker.close();
    assert.equal(clock.pending.size, 0);
  });

  it("that tells what is known already changes nothing, and asks nobody", () => {
    tracker.slotMoved(7, "10.0.0.1:7000");
    assert.deepEqual([changes, clock.pending.size], [0, 0]);
  });
});

describe("everybody who asks for the topology", () => {
  const turns = async () => {
    for (let time = 0; time < 8; time++) await turn();
  };

  it("shares the rounds of one pace: 10 in the first second, 2 a second after it", async () => {
    const clock = new TurningClock();
    const begun: number[] = [];
    const informant: Informant = {
      address: "10.0.0.1:7000",
      answersAs: { host: "10.0.0.1", port: 7000 },
      connect: async () => {
        begun.push(clock.time);
        const other = Promise.resolve("");
        return { exchange: () => [Promise.resolve(SHARDS), other, other] } as unknown as Connection;
      },
    };
    const tracker = new TopologyTracker(Topology.from(parseClusterShards(SHARDS, informant.answersAs, false)), {
      environment: { clock, open: () => assert.fail("nothing is to be opened"), random: () => 0 },
      tls: false,
      intervalMs: 0,
      answerTimeoutMs: 2000,
      informants: () => [informant],
      unsettled: () => true,
      outOfReach: () => false,
      onChange: () => {},
      onRefreshed: () => {},
    });
    const ended = { lookUps: 0, refreshes: 0 };
    for (let ms = 0; ms < 3000; ms += 10) {
      tracker.refreshSoon("urgent");
      tracker.refreshSoon("settled");
      tracker.seekOwner();
      void tracker.lookUp(() => false).then(() => ended.lookUps++);
      if (ms === 40) void tracker.refresh().then(() => ended.refreshes++);
      await turns();
      clock.advance(10);
      await turns();
    }
    assert.equal(begun.filter((at) => at < 1000).length, 10, `${begun}`);
    assert.equal(begun.filter((at) => at >= 1000).length, 4, `${begun}`);
    assert.equal(begun[0], 0);
    assert.equal(ended.refreshes, 1);
    assert.equal(ended.lookUps > 200, true, `${ended.lookUps} look-ups have ended`);
    tracker.close();
    await turns();
    assert.equal(ended.lookUps, 300, "nobody waits for a round that never comes");
    assert.equal(clock.pending.size, 0);
  });

  it("hears in the order of the questions, also when some came while the round was under way", async () => {
    const clock = new TurningClock();
    const answers: ((reply: Reply) => void)[] = [];
    const informant: Informant = {
      address: "10.0.0.1:7000",
      answersAs: { host: "10.0.0.1", port: 7000 },
      connect: async () => {
        const other = Promise.resolve("");
        const shards = new Promise<Reply>((resolve) => answers.push(resolve));
        return { exchange: () => [shards, other, other] } as unknown as Connection;
      },
    };
    const tracker = new TopologyTracker(Topology.from(parseClusterShards(SHARDS, informant.answersAs, false)), {
      environment: { clock, open: () => assert.fail("nothing is to be opened"), random: () => 0 },
      tls: false,
      intervalMs: 0,
      answerTimeoutMs: 2000,
      informants: () => [informant],
      unsettled: () => false,
      outOfReach: () => false,
      onChange: () => {},
      onRefreshed: () => {},
    });
    const heard: number[] = [];
    for (let asker = 0; asker < 5; asker++) void tracker.lookUp(() => true).then(() => heard.push(asker));
    await turns();
    assert.deepEqual([answers.length, heard], [1, []]);
    answers[0]?.(SHARDS);
    await turns();
    assert.deepEqual(heard, [0, 1, 2, 3, 4]);
    tracker.close();
  });

  it("is answered by a round that began after the question, where the one under way did not find what is looked for", async () => {
    const clock = new TurningClock();
    const answers: ((reply: Reply) => void)[] = [];
    const informant: Informant = {
      address: "10.0.0.1:7000",
      answersAs: { host: "10.0.0.1", port: 7000 },
      connect: async () => {
        const other = Promise.resolve("");
        const shards = new Promise<Reply>((resolve) => answers.push(resolve));
        return { exchange: () => [shards, other, other] } as unknown as Connection;
      },
    };
    const tracker = new TopologyTracker(Topology.from(parseClusterShards(SHARDS, informant.answersAs, false)), {
      environment: { clock, open: () => assert.fail("nothing is to be opened"), random: () => 0 },
      tls: false,
      intervalMs: 0,
      answerTimeoutMs: 2000,
      informants: () => [informant],
      unsettled: () => false,
      outOfReach: () => false,
      onChange: () => {},
      onRefreshed: () => {},
    });
    void tracker.refresh();
    await turns();
    let isFound = false;
    let ended = 0;
    void tracker.lookUp(() => isFound).then(() => ended++);
    answers[0]?.(SHARDS);
    await turns();
    assert.deepEqual([answers.length, ended], [1, 0]);
    clock.advance(100);
    await turns();
    assert.equal(answers.length, 2);
    void tracker.lookUp(() => isFound).then(() => ended++);
    isFound = true;
    answers[1]?.(SHARDS);
    await turns();
    assert.equal(ended, 2);
    tracker.close();
  });
});
