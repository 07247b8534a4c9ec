import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, InvalidArgumentError, ReplyError, slotOf, UnavailableError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

describe("node(address)", () => {
  let local: LocalCluster;
  let client: Cluster;
  before(async () => {
    local = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    client = await connect({ ...local.connectOptions });
  });
  after(async () => {
    client?.destroy();
    await local?.stop();
  });

  it("asks each node by itself", async () => {
    const ports = await Promise.all(
      client.topology.nodes.map(async ({ address, id, role, port }) => {
        const node = client.node(address);
        assert.deepEqual([node.address, node.id, node.role], [address, id, role]);
        assert.equal(await node.command("CLUSTER", "MYID"), id);
        const info = String(await node.command("INFO", "server"));
        assert.equal(info.includes(`port:${port}`) || info.includes(`tls_port:${port}`), true, info.slice(0, 40));
        return port;
      }),
    );
    assert.equal(new Set(ports).size, 6);
  });

  it("follows no MOVED and goes to no primary: they are its answer", async () => {
    const slot = slotOf("foo");
    const owner = client.topology.primaryOf(slot)?.address as string;
    const other = client.topology.nodes.find(({ role, address }) => role === "primary" && address !== owner);
    const replica = client.topology.replicasOf(slot)[0]?.address as string;
    assert.equal(await client.node(owner).command("SET", "foo", "1"), "OK");
    const refused = { code: "REPLY", outcome: "not-executed", reply: /^MOVED / } as const;
    await assert.rejects(client.node(other?.address as string).command("SET", "foo", "2"), refused);
    await assert.rejects(client.node(replica).command("SET", "foo", "2"), refused);
    assert.equal(await client.command("GET", "foo"), "1");
    const flush = client.node(replica).command("FLUSHALL");
    await assert.rejects(flush, (error) => error instanceof ReplyError && error.reply.startsWith("READONLY"));
    assert.equal(await client.command("GET", "foo"), "1");
  });

  it("takes SCAN, whose cursor is the node's, and commands that block", async () => {
    const owner = client.node(client.topology.primaryOf(slotOf("foo"))?.address as string);
    const [cursor, keys] = await owner.command<[string, string[]]>("SCAN", 0, "COUNT", 1000);
    assert.deepEqual([cursor, keys], ["0", ["foo"]]);
    const [popped, answered] = [owner.command("BLPOP", "{foo}list", 0.3), owner.command("PING")];
    assert.equal(await answered, "PONG");
    assert.equal(await popped, null);
  });

  it("gives Buffers in a view that wants them, and ends with the view's signal", async () => {
    const address = client.topology.primaryOf(slotOf("foo"))?.address as string;
    const id = await client.with({ replies: "buffer" }).node(address).command("CLUSTER", "MYID");
    assert.equal(Buffer.isBuffer(id), true);
    const aborted = client.with({ signal: AbortSignal.timeout(50) }).node(address);
    await assert.rejects(aborted.command("BLPOP", "{foo}list", 0), { code: "ABORTED" });
  });

  it("refuses an address that the topology does not have, and a node that has left", async () => {
    assert.throws(() => client.node("10.1.1.1:7000"), InvalidArgumentError);
    const added = await local.addNode();
    await client.refreshTopology();
    const node = client.node(added);
    assert.equal(await node.command("PING"), "PONG");
    for (const address of local.nodes) {
      if (address !== added) await local.command(address, "CLUSTER", "FORGET", node.id);
    }
    const deadline = Date.now() + 20_000;
    while (client.topology.nodes.some(({ address }) => address === added)) {
      assert.equal(Date.now() < deadline, true, "the node stays in the topology");
      await client.refreshTopology();
    }
    await assert.rejects(node.command("PING"), UnavailableError);
  });
});
