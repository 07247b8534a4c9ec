import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ClosedError, type Cluster } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { watched } from "../support/stage.ts";

const key = keyForSlot(0);
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("a batch that asks about a command while the client closes", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  it("does not send what would block without a limit, and gets the other replies before close resolves", async () => {
    const client = await cluster.connect();
    const node = cluster.node(0);
    node.always("COMMAND", () => array());
    node.always("BLPOP", () => "hang");
    node.silentAt.add("COMMAND");
    const batch = client.batch().command("M.SET", key, 1).command("BLPOP", key, 0).command("GET", key).exec();
    while (node.silentOn("COMMAND") === 0) await turn();
    const closing = watched(client.close());
    node.silentAt.clear();
    node.goOn();
    const deadline = Date.now() + 5000;
    while (!closing.isSettled && Date.now() < deadline) await sleep(1);
    assert.equal(closing.isSettled, true, "close has resolved");
    const [set, blocked, get] = await batch;
    assert.deepEqual([set, get], ["OK", "OK"]);
    assert.equal(blocked instanceof ClosedError, true, String(blocked));
    assert.equal((blocked as ClosedError).outcome, "not-executed");
    assert.equal(node.count("BLPOP"), 0);
  });
});

describe("a watching transaction whose function ends the operation itself", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  const endings = [
    { by: "its own signal", code: "ABORTED", end: (_: Cluster, controller: AbortController) => controller.abort() },
    { by: "destroy", code: "CLOSED", end: (client: Cluster) => client.destroy() },
  ] as const;

  for (const { by, code, end } of endings) {
    it(`by ${by} rejects as ${code} once, and leaves no rejection that nobody handles`, async () => {
      const client = await cluster.connect();
      const controller = new AbortController();
      const unhandled: unknown[] = [];
      const note = (reason: unknown) => void unhandled.push(reason);
      process.on("unhandledRejection", note);
      try {
        const view = client.with({ signal: controller.signal });
        const watching = view.transaction(key, { watch: [key] }, async (tx) => {
          end(client, controller);
          return tx.multi().command("SET", key, 1);
        });
        await assert.rejects(watching, { code, outcome: "not-executed" });
        // Node.js looks for such rejections when the microtasks of a turn are done.
        for (let turns = 0; turns < 5; turns++) await turn();
      } finally {
        process.off("unhandledRejection", note);
      }
      assert.deepEqual(unhandled, []);
      assert.equal(cluster.node(0).count("EXEC"), 0, "it says that nothing was executed");
    });
  }
});
