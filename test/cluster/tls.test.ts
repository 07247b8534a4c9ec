import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { incrScript } from "../support/scripts.ts";

describe("a cluster that speaks TLS", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, tls: true });
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript] });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("has every script on every node, and runs them while a slot moves and after it", async () => {
    for (const address of cluster.nodes) {
      assert.deepEqual(await cluster.command(address, "SCRIPT", "EXISTS", incrScript.sha), [1], address);
    }
    const slot = 12_182;
    const to = client.topology.nodes.find((node) => {
      return node.role === "primary" && node !== client.topology.primaryOf(slot);
    })?.address as string;
    let moved = false;
    const moving = cluster.moveSlots({ slots: [slot], to, pause: 5 }).then(() => {
      moved = true;
    });
    let runs = 0;
    while (!moved || runs < 20) assert.equal(await client.run(incrScript, ["foo"]), ++runs);
    await moving;
    assert.equal(client.topology.primaryOf(slot)?.address, to);
  });

  it("is closed to who does not use TLS, and to who knows no authority for it", async () => {
    const { nodes } = cluster;
    await assert.rejects(connect({ nodes }), { code: "UNAVAILABLE", message: /if this port expects TLS, set `tls`/ });
    await assert.rejects(connect({ nodes, tls: true }), { code: "UNAVAILABLE", message: /`tls.ca` is for/ });
  });

  it("is told from one that does not", async () => {
    const plain = await startCluster({ primaries: 3, tls: false });
    const { nodes } = plain;
    await assert.rejects(connect({ nodes, tls: true, connectTimeout: 200 }), {
      code: "UNAVAILABLE",
      message: /no TLS connection within 200 ms; is this a port for TLS\?/,
    });
    await plain.stop();
  });
});
