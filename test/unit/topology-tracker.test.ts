import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Connection } from "../../src/connection/connection.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import { type Informant, Inquiry } from "../../src/topology/topology-tracker.ts";
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
    assert.equal((await found).nodes.length, 1);
  });

  it("goes to no second node when the answer is there, and was not read because the client was busy", async () => {
    const found = ask();
    await turn();
    clock.onReads = () => answers[0]?.(SHARDS);
    clock.advance(200);
    assert.equal((await found).nodes.length, 1);
    await turn();
    assert.equal(answers.length, 1);
  });
});
