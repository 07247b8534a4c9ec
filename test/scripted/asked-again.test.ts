import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SlotwireError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const KEY = keyForSlot(0);

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
