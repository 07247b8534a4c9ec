import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, connect, slotOf, UnavailableError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

/** It expires while its keys' owner is down. */
const TIMEOUT_MS = 1500;

describe("a subscription that cannot begin says why, when", () => {
  let cluster: LocalCluster;
  let client: Cluster;

  beforeEach(async () => {
    cluster = await startCluster({ primaries: 3, args: ["--notify-keyspace-events", "Ex"] });
    client = await connect({ ...cluster.connectOptions, commandTimeout: TIMEOUT_MS });
  });
  afterEach(async () => {
    client.destroy();
    await cluster.stop();
  });

  it("the owner of a sharded channel is down, as a call does", async () => {
    const channel = "c";
    const owner = client.topology.primaryOf(slotOf(channel))?.address as string;
    await cluster.kill(owner);
    const errors = await Promise.all(
      [client.ssubscribe(channel, () => {}), client.command("SPUBLISH", channel, "m")].map((each) =>
        each.then(
          () => assert.fail("nobody serves the channel"),
          (error: unknown) => error,
        ),
      ),
    );
    for (const error of errors) {
      assert.equal(error instanceof UnavailableError, true, String(error));
      const { address, slot, outcome, message, causes } = error as UnavailableError;
      assert.deepEqual([address, slot, outcome], [owner, slotOf(channel), "not-executed"]);
      assert.match(message, new RegExp(`^${owner} could not be reached within ${TIMEOUT_MS} ms: .*ECONNREFUSED`));
      assert.deepEqual([...causes.keys()], [owner]);
    }
    assert.equal(client.metrics().subscriptions.subscriptions, 0);
  });

  it("the servers tell of keyspace events, but not of those that match", async () => {
    await assert.rejects(
      client.keyspaceEvents("user:*", () => {}),
      {
        code: "INVALID_ARGUMENT",
        message: /sends none, because its setting notify-keyspace-events is "x?Ex?", without K for __keyspace@; set it/,
      },
    );
    await assert.rejects(
      client.keyspaceEvents(["__keyevent@0__:expired", "user:*"], () => {}),
      {
        code: "INVALID_ARGUMENT",
      },
    );
    const expired = await client.keyspaceEvents("__keyevent@0__:expired", () => {});
    await expired.close();
  });
});
