import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { generate } from "selfsigned";
import { type ConnectOptions, connect } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

describe("TLS", () => {
  let cluster: FakeCluster;
  let plain: FakeCluster;
  let ca: string;
  before(async () => {
    const pems = await generate([{ name: "commonName", value: "node.example" }], {
      extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }],
    });
    ca = pems.cert;
    cluster = await FakeCluster.start(2, 0, { key: pems.private, cert: pems.cert });
    plain = await FakeCluster.start(1);
  });
  after(async () => {
    await cluster?.stop();
    await plain?.stop();
  });

  const attempt = (options: Partial<ConnectOptions>) =>
    connect({ nodes: [cluster.node(0).address], connectTimeout: 500, topologyRefreshInterval: 0, ...options });

  it("with the right authority works on every node", async () => {
    const client = await cluster.connect({ scripts: [setScript], tls: { ca } });
    assert.equal(await client.run(setScript, [keyForSlot(0)], ["é"]), "OK");
    assert.equal(await client.run(setScript, [keyForSlot(16_383)], ["v".repeat(200_000)]), "OK");
    client.destroy();
  });

  it("is turned on by rediss://", async () => {
    await assert.rejects(attempt({ nodes: [`rediss://${cluster.node(0).address}`] }), /self-signed|self signed/);
  });

  it("refuses a certificate that nobody vouches for, with the cause in the error", async () => {
    await assert.rejects(attempt({ tls: true }), (thrown: unknown) => {
      const { code, causes } = thrown as { code: string; causes: Map<string, { code: string }> };
      assert.equal(code, "UNAVAILABLE");
      assert.equal([...causes.values()][0]?.code, "DEPTH_ZERO_SELF_SIGNED_CERT");
      return true;
    });
  });

  it("refuses a certificate for another name", async () => {
    await assert.rejects(attempt({ tls: { ca, servername: "other.example" } }), /Hostname\/IP does not match/);
  });

  it("ends a connection, and not the process, where checkServerIdentity throws or returns no Error", async () => {
    const wrong: [() => unknown, RegExp][] = [
      [
        () => {
          throw new Error("no such pin");
        },
        /no such pin/,
      ],
      [() => Promise.reject(new Error("late")), /returned neither undefined nor an Error/],
      [() => false, /returned neither undefined nor an Error/],
    ];
    for (const [checkServerIdentity, message] of wrong) {
      const tls = { ca, checkServerIdentity } as ConnectOptions["tls"];
      await assert.rejects(attempt({ tls }), { code: "UNAVAILABLE", message });
    }
  });

  it("tries a certificate that is not trusted any more about once a second, and sees when it is again", async () => {
    let isTrusted = true;
    let checks = 0;
    const checkServerIdentity = () => {
      checks++;
      return isTrusted ? undefined : new Error("revoked");
    };
    const client = await cluster.connect({ tls: { ca, checkServerIdentity } });
    isTrusted = false;
    checks = 0;
    for (const node of cluster.nodes) node.dropConnections();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    // Each of the two nodes after 0, 0.5 to 1, and 1 to 2 s; the seed once.
    assert.ok(checks >= 3, `it tried again: ${checks}`);
    assert.ok(checks <= 10, `${checks} connections in 3 s`);
    isTrusted = true;
    assert.equal(await client.command("SET", keyForSlot(0), "v"), "OK");
    client.destroy();
  });

  it("against a plain port, and plain against a TLS port, fail within connectTimeout", async () => {
    using watch = new Stopwatch();
    await assert.rejects(attempt({ nodes: [plain.node(0).address], tls: { ca } }), { code: "UNAVAILABLE" });
    await assert.rejects(attempt({}), { code: "UNAVAILABLE" });
    assert.ok(watch.ms < 1300);
  });
});
