import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { describe, it } from "node:test";
import { fleet } from "./fleet.ts";

describe("a fleet of clients that sees one failover", () => {
  it("asks each node at most 10 times in the first second and twice a second after it, client by client", async (t) => {
    const seed = randomInt(2 ** 31);
    t.diagnostic(`seed ${seed}`);
    const { mostOfOneClient, mostAtOnce, failedCalls, upToDate, clients } = await fleet(60, seed);
    const [first, ...later] = mostOfOneClient as [number, ...number[]];
    assert.equal(first <= 10, true, `${first} queries of one client to one node in the first second`);
    for (const each of later) assert.equal(each <= 2, true, `${mostOfOneClient} queries, second by second`);
    assert.equal(mostAtOnce < clients, true, `${mostAtOnce} queries to one node within 10 ms`);
    assert.deepEqual([failedCalls, upToDate], [0, clients]);
  });
});
