import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript, SlotwireError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

const script = defineScript({ name: "one", source: "redis.call('INCR', KEYS[1]) return 1", numberOfKeys: 1 });

describe("a cluster on which EVALSHA was renamed", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, args: ["--rename-command", "EVALSHA", ""] });
    client = await connect(cluster.connectOptions);
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("runs no script, and says that it ran none", async () => {
    await assert.rejects(client.run(script, ["k"]), { code: "REPLY", outcome: "not-executed", command: "one" });
    await assert.rejects(client.command("EVALSHA", script.sha, 1, "k"), { code: "REPLY", outcome: "not-executed" });
    const [inBatch] = await client.batch([script.call(["k"])] as const);
    assert.equal((inBatch as unknown as SlotwireError).outcome, "not-executed");
    await assert.rejects(client.transaction("k").run(script, ["k"]).exec(), { code: "REPLY", outcome: "not-executed" });
    const watching = client.transaction("k", { watch: ["k"] }, async (tx) => {
      await tx.run(script, ["k"]);
      return tx.multi();
    });
    await assert.rejects(watching, (thrown: unknown) => {
      assert.equal(thrown instanceof SlotwireError, true);
      assert.equal((thrown as SlotwireError).outcome, "not-executed");
      return true;
    });
    assert.equal(await client.command("GET", "k"), null);
  });
});
