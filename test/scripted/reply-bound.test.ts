import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

describe("a reply past maxReplyBytes", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());
  const [key, other] = [keyForSlot(0), keyForSlot(1)];
  const maxReplyBytes = 100_000;

  const replies: [string, string][] = [
    ["announced", "$100001\r\n"],
    ["announced as an array", "*12501\r\n"],
    ["without end", `+${"x".repeat(300_000)}`],
    ["of small elements", `*10000\r\n${":1000000\r\n".repeat(9999)}`],
  ];
  for (const [what, reply] of replies) {
    it(`${what} rejects its call as executed, once, and ends the connection; calls behind it are repeated`, async () => {
      const node = cluster.node(0);
      const client = await cluster.connect({ maxReplyBytes });
      const [before, causes] = [node.connections, [] as unknown[]];
      client.on("nodeDown", ({ cause }) => causes.push(cause));
      node.expect("GET", reply as never);
      const call = client.command("GET", key);
      const behind = client.command("HGET", other, "f");
      await assert.rejects(call, { code: "PROTOCOL", outcome: "executed", message: /`maxReplyBytes`/, command: "GET" });
      assert.equal(await behind, "OK");
      assert.equal(node.count("GET"), 1);
      assert.ok(node.connections > before, "another connection");
      assert.match(String(causes[0]), /maxReplyBytes/);
    });
  }

  it("ends the connection also when its call has settled long since", async () => {
    const node = cluster.node(0);
    const client = await cluster.connect({ maxReplyBytes });
    const down = new Promise<Error>((resolve) => client.on("nodeDown", ({ cause }) => resolve(cause)));
    let answer!: (reply: string) => void;
    node.expect(
      "GET",
      new Promise<string>((resolve) => {
        answer = resolve;
      }),
    );
    await assert.rejects(client.with({ timeout: 30 }).command("GET", key), { code: "DEADLINE" });
    answer(`*10000\r\n${":1000000\r\n".repeat(9000)}`);
    assert.match((await down).message, /maxReplyBytes/);
    assert.equal(await client.command("SET", key, "v"), "OK");
  });

  it("is no reply of exactly so many bytes", async () => {
    const value = "x".repeat(maxReplyBytes);
    const client = await cluster.connect({ maxReplyBytes });
    cluster.node(0).expect("GET", bulk(value));
    assert.equal(await client.command("GET", key), value);
  });
});
