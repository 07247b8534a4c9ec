import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SlotwireError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { type Answer, error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const KEY = keyForSlot(0);
const BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

describe("a node that is unavailable, whose every try to connect hangs", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
  });
  afterEach(() => cluster.stop());

  it("is asked again each second, and serves as soon as one of the questions is answered", async () => {
    // Alone, a try would hang for a minute.
    const client = await cluster.connect({ unavailableAfter: 300, connectTimeout: 60_000, commandTimeout: 30_000 });
    const node = cluster.node(0);
    assert.equal(await client.command("GET", KEY), "OK");
    node.silentAt.add("PING");
    const down = new Promise((resolve) => client.on("nodeDown", resolve));
    node.dropConnections();
    await down;
    const code = async () => {
      const error = await client.command("GET", KEY).catch((cause: unknown) => cause);
      return error instanceof SlotwireError ? error.code : "served";
    };
    assert.equal(await code(), "UNAVAILABLE");
    const [before, start] = [node.connections, performance.now()];
    await sleep(4000);
    const seconds = (performance.now() - start) / 1000;
    const asked = node.connections - before;
    assert.equal(asked >= 2 && asked <= 2 + 2 * seconds, true, `asked ${asked} times in ${seconds} s`);
    assert.equal(await code(), "UNAVAILABLE");
    // Those that hang go on hanging. A new question is answered.
    node.silentAt.delete("PING");
    const answered = performance.now();
    while ((await code()) !== "served") {
      assert.equal(performance.now() - answered < 25_000, true, "it is served");
      await sleep(20);
    }
  });
});

describe("a node that was unavailable", () => {
  for (const [text, silence] of [
    ["LOADING Redis is loading the dataset in memory", "PING"],
    [BUSY, "SET"],
  ] as const) {
    it(`is waited for when it has answered ${text.split(" ", 1)[0]}`, async () => {
      const cluster = await FakeCluster.start(1);
      try {
        const client = await cluster.connect({ unavailableAfter: 300, connectTimeout: 500 });
        const node = cluster.node(0);
        for (const command of ["PING", silence]) node.silentAt.add(command);
        const held = client.command("SET", KEY, 1).catch(() => {});
        if (silence === "PING") node.dropConnections();
        /** How a call ends that has a second, and whether it took the second. */
        const end = async () => {
          const start = performance.now();
          const how = await client
            .with({ timeout: 1000 })
            .command("GET", KEY)
            .catch(({ code }: SlotwireError) => code);
          return `${how} ${performance.now() - start < 900 ? "at once" : "when its time was up"}`;
        };
        const until = async (expected: string) => {
          for (const start = performance.now(); (await end()) !== expected; await sleep(20)) {
            assert.equal(performance.now() - start < 25_000, true, expected);
          }
        };
        await until("UNAVAILABLE at once");
        node.always("PING", () => error(text));
        node.silentAt.delete("PING");
        await until("UNAVAILABLE when its time was up");
        client.destroy();
        await held;
      } finally {
        await cluster.stop();
      }
    });
  }

  it("has answered a call that it refuses on another connection", async () => {
    const cluster = await FakeCluster.start(1);
    try {
      const client = await cluster.connect({ unavailableAfter: 300, commandTimeout: 20_000 });
      const node = cluster.node(0);
      let refuse = () => {};
      const refusal = new Promise<Answer>((resolve) => {
        refuse = () => resolve(error(BUSY));
      });
      node.always("BLPOP", () => refusal);
      const codeOf = (call: Promise<unknown>) => call.catch(({ code }: SlotwireError) => code);
      const refused = codeOf(client.command("BLPOP", KEY, 0));
      while (node.count("BLPOP") === 0) await sleep(1);
      for (const command of ["PING", "SET"]) node.silentAt.add(command);
      const held = codeOf(client.command("SET", KEY, 1));
      while ((await codeOf(client.with({ timeout: 1000 }).command("GET", KEY))) !== "UNAVAILABLE") await sleep(20);
      const start = performance.now();
      refuse();
      assert.equal(await refused, "UNAVAILABLE");
      const ms = performance.now() - start;
      assert.equal(ms > 250, true, `the node was given up ${ms} ms after it had answered`);
      client.destroy();
      await held;
    } finally {
      await cluster.stop();
    }
  });
});
