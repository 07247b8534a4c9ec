import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { DeadlineError, type Waited } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

describe("the error of a deadline", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
  });
  afterEach(() => cluster.stop());

  async function waitedOf(call: Promise<unknown>): Promise<readonly [Waited, string]> {
    const failure = await call.catch((reason: unknown) => reason);
    assert.ok(failure instanceof DeadlineError, String(failure));
    return [failure.waited, failure.outcome];
  }

  it("says that the last answer was a refusal, or that there was none", async () => {
    const client = (await cluster.connect()).with({ timeout: 100 });
    cluster.node(0).always("GET", () => error("TRYAGAIN Multiple keys request during rehashing of slot"));
    cluster.node(0).expect("SET", "hang");
    // An attempt can be under way just when the time is up.
    await eventually(async () => {
      assert.deepEqual(await waitedOf(client.command("GET", keyForSlot(0))), ["refused", "not-executed"]);
      const [refused] = await client.batch().command("GET", keyForSlot(0)).exec();
      assert.deepEqual(await waitedOf(Promise.reject(refused)), ["refused", "not-executed"]);
    });
    assert.deepEqual(await waitedOf(client.command("SET", keyForSlot(0), "v")), ["sent", "unknown"]);
    const { refused = 0, sent = 0 } = client.metrics().counters.deadlines;
    assert.ok(refused >= 2 && sent >= 1, `${refused} refused, ${sent} sent`);
  });

  it("says for a command of several steps what its furthest step says", async () => {
    const client = (await cluster.connect()).with({ timeout: 100 });
    cluster.node(1).expect("DBSIZE", "hang");
    assert.deepEqual(await waitedOf(client.command("DBSIZE")), ["sent", "executed"]);
    const scanning = (await cluster.connect()).with({ timeout: 100 });
    cluster.node(0).expect("SCAN", "hang");
    assert.deepEqual(await waitedOf(scanning.scan().next()), ["sent", "unknown"]);
  });
});
