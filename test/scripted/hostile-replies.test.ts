import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { inspect } from "node:util";
import { SlotwireError } from "../../src/index.ts";
import { BROKEN_REPLIES } from "../support/broken-replies.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const SECRET = "s3cret-argument";

describe("a server that sends no RESP", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  const key = keyForSlot(0);

  for (const [what, bytes] of BROKEN_REPLIES) {
    it(`${what}: the connection ends, calls in flight are unknown, and the next is served at once`, async () => {
      const client = await cluster.connect({ scripts: [setScript] });
      const node = cluster.node(0);
      node.expect("EVALSHA", "+before\r\n");
      node.expect("EVALSHA", bytes);
      node.expect("EVALSHA", "+behind\r\n", 2);
      const calls = [1, 2, 3, 4].map((value) => client.run(setScript, [key], [`${SECRET}${value}`]));
      const [before, broken, ...behind] = await Promise.allSettled(calls);
      assert.equal(before?.status === "fulfilled" && before.value, "before", "what came before is as good as any");
      for (const result of [broken, ...behind]) {
        assert.ok(result?.status === "rejected", inspect(result));
        assert.ok(result.reason instanceof SlotwireError);
        assert.match(result.reason.code, /^(PROTOCOL|CONNECTION_LOST)$/);
        assert.equal(result.reason.outcome, "unknown");
        assert.doesNotMatch(inspect(result.reason, { depth: 9, showHidden: true }), new RegExp(SECRET));
      }
      using watch = new Stopwatch();
      node.expect("EVALSHA", "+next\r\n");
      assert.equal(await client.run(setScript, [key], [5]), "next");
      assert.ok(watch.ms < 100, `${watch.ms} ms`);
    });
  }

  it("a reply too many: the connection ends before anybody gets it", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", "+mine\r\n+too many\r\n");
    assert.equal(await client.run(setScript, [key], [1]), "mine");
    cluster.node(0).expect("EVALSHA", "+next\r\n");
    assert.equal(await client.run(setScript, [key], [2]), "next");
  });

  it("half a reply, then silence: the connection is replaced, the call unknown", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    node.expect("EVALSHA", "$10\r\nhal");
    using watch = new Stopwatch();
    await assert.rejects(client.run(setScript, [key], [1]), { code: "CONNECTION_LOST", outcome: "unknown" });
    assert.ok(watch.ms < 1500);
    node.expect("EVALSHA", "+next\r\n");
    assert.equal(await client.run(setScript, [key], [2]), "next");
  });

  it("a valid reply nested 7,000 deep: that call is told, the others get their own", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", `${"*1\r\n".repeat(7000)}:1\r\n`);
    cluster.node(0).expect("EVALSHA", "+mine\r\n");
    const deep = client.run(setScript, [key], [1]);
    const other = client.run(setScript, [key], [2]);
    await assert.rejects(deep, { code: "PROTOCOL", outcome: "executed" });
    assert.equal(await other, "mine");
  });
});
