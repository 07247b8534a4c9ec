import assert from "node:assert/strict";
import { createServer } from "node:net";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster, ConnectOptions } from "../../src/index.ts";
import { type Certificate, selfSignedCertificate } from "../../src/testing/certificate.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { type Answer, error, ok } from "../support/fake-node.ts";

/** So long that a test which waited for it would fail. */
const FOR_EVER = 60_000;
const SOON_MS = 20_000;

describe("while no seed can be used, connect with a startTimeout", () => {
  let cluster: FakeCluster;
  afterEach(() => cluster?.stop());
  const begin = async (tls?: Certificate) => {
    cluster = await FakeCluster.start(2, 0, tls);
    return cluster;
  };
  const connecting = (options: Partial<ConnectOptions> = {}) => {
    let state = "trying";
    const client = cluster.connect({ startTimeout: FOR_EVER, ...options });
    const settled: Promise<Cluster | Error> = client.catch((failure: Error) => failure);
    void settled.then((result) => {
      state = result instanceof Error ? "rejected" : "connected";
    });
    return { settled, state: () => state };
  };
  const connected = async ({ settled }: { readonly settled: Promise<Cluster | Error> }) => {
    const result = await settled;
    if (result instanceof Error) throw result;
    return result;
  };

  it("goes on while a seed is loading its data, and connects when it has", async () => {
    const { nodes } = await begin();
    let isLoading = true;
    for (const node of nodes) {
      node.always("PING", () =>
        isLoading ? error("LOADING Redis is loading the dataset in memory") : ("+PONG\r\n" as Answer),
      );
    }
    const attempt = connecting();
    while (cluster.node(0).count("PING") < 3) await sleep(5);
    assert.equal(attempt.state(), "trying");
    isLoading = false;
    assert.equal(await (await connected(attempt)).command("SET", "k", "v"), "OK");
  });

  it("goes on while no slot has an owner, and connects when one has", async () => {
    await begin();
    const { ranges } = cluster;
    cluster.ranges = [];
    const attempt = connecting();
    while (cluster.queries < 6) await sleep(5);
    assert.equal(attempt.state(), "trying");
    cluster.ranges = ranges;
    assert.equal((await connected(attempt)).topology.ranges.length, 2);
  });

  it("goes on while nobody listens, and makes a pause between two tries", async () => {
    await begin();
    const port = await freePort();
    const attempt = connecting({ nodes: [`127.0.0.1:${port}`], startTimeout: 700 });
    const begun = performance.now();
    const failure = await attempt.settled;
    assert.ok(failure instanceof Error, "it connected");
    assert.match(failure.message, new RegExp(`127.0.0.1:${port} .*ECONNREFUSED`));
    assert.ok(performance.now() - begun > 650, `it gave up after ${performance.now() - begun} ms`);
  });

  it("is not longer under way than that, though a seed is silent", async () => {
    await begin();
    for (const node of cluster.nodes) node.always("PING", () => "hang");
    const begun = performance.now();
    const failure = await connecting({ startTimeout: 1000, connectTimeout: 700 }).settled;
    const took = performance.now() - begun;
    assert.ok(failure instanceof Error, "it connected");
    assert.match(failure.message, /no answer to the handshake within 700 ms/);
    assert.ok(took > 950 && took < 1390, `it took ${took} ms`);
  });

  it("of 0 tries once", async () => {
    await begin();
    for (const node of cluster.nodes) node.expect("PING", error("LOADING Redis is loading the dataset in memory"));
    cluster.node(1).expect("PING", ok, 0);
    const both = cluster.nodes.map(({ address }) => address);
    const failure = await connecting({ nodes: both, startTimeout: 0 }).settled;
    assert.match(String(failure), /LOADING/);
  });

  const refusals: [string, (cluster: FakeCluster) => void, Partial<ConnectOptions>, string, RegExp][] = [
    [
      "credentials",
      ({ nodes }) => {
        for (const node of nodes)
          node.always("AUTH", () => error("WRONGPASS invalid username-password pair or user is disabled."));
      },
      { password: "s3cret" },
      "AUTH",
      /WRONGPASS/,
    ],
    [
      "database",
      ({ nodes }) => {
        for (const node of nodes) node.always("SELECT", () => error("ERR SELECT is not allowed in cluster mode"));
      },
      { database: 1 },
      "REPLY",
      /refused database 1: ERR SELECT is not allowed/,
    ],
    ["TLS", () => {}, { tls: true }, "UNAVAILABLE", /self-signed certificate/],
  ];
  for (const [what, arrange, options, code, words] of refusals) {
    it(`is ended by the refusal of ${what}`, async () => {
      arrange(await begin(what === "TLS" ? selfSignedCertificate() : undefined));
      const begun = performance.now();
      const failure = (await connecting(options).settled) as Error & { code?: string };
      assert.ok(performance.now() - begun < SOON_MS, "it went on");
      assert.equal(failure.code, code);
      assert.match(failure.message, words);
    });
  }
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}
