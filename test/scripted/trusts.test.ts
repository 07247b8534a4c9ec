import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, InvalidArgumentError, UnavailableError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

describe("an announced address", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1, 1);
  });
  afterEach(() => cluster.stop());
  const options = { scripts: [setScript], commandTimeout: 150, password: "s3cret" };
  const newcomer = () => cluster.node(1);

  /** The second node joins and gets the second half of the slots. */
  async function join(client: Cluster): Promise<Error[]> {
    const causes: Error[] = [];
    client.on("nodeDown", ({ address, cause }) => address === newcomer().address && causes.push(cause));
    announceBoth();
    await client.refreshTopology();
    return causes;
  }

  function announceBoth(): void {
    cluster.announced = 2;
    cluster.ranges = [
      [0, 8191, 0],
      [8192, 16383, 1],
    ];
  }

  async function refuses(client: Cluster, message: RegExp): Promise<void> {
    const failed = client.scripts().find(({ address }) => address === newcomer().address)?.failed[0]?.cause;
    assert.match(String(failed?.message), message);
    await assert.rejects(client.command("GET", keyForSlot(9000)), (error: unknown) => {
      assert.ok(error instanceof UnavailableError, String(error));
      assert.match((error.causes.get(newcomer().address) as Error).message, message);
      return true;
    });
    assert.equal(await client.command("GET", keyForSlot(0)), "OK", "the other node serves");
    assert.equal(newcomer().connections, 0, "nothing has connected");
  }

  const throws = () => {
    throw new Error("no such row");
  };
  const failures: [string, Partial<ConnectOptions>, RegExp][] = [
    [
      "natMap that throws",
      { natMap: (address) => (isNew(address) ? throws() : undefined) },
      /natMap threw .* \(no such row\)/,
    ],
    [
      "natMap that gives null",
      { natMap: (address) => (isNew(address) ? (null as never) : undefined) },
      /natMap returned no/,
    ],
    [
      "natMap that gives a promise, which rejects",
      { natMap: (address) => (isNew(address) ? (Promise.reject(new Error("lost")) as never) : undefined) },
      /natMap returned no/,
    ],
    [
      "natMap that gives a port of nonsense",
      { natMap: (address) => (isNew(address) ? { host: "127.0.0.1", port: 0 } : undefined) },
      /natMap returned no/,
    ],
    ["trusts that says no", { trusts: (address) => !isNew(address) }, /trusts says no to 127/],
    ["trusts that throws", { trusts: (address) => !isNew(address) || throws() }, /trusts threw .* \(no such row\)/],
    [
      "trusts that gives a promise",
      { trusts: (address) => !isNew(address) || (Promise.resolve(true) as never) },
      /trusts returned/,
    ],
    [
      "trusts that gives a promise, which rejects",
      { trusts: (address) => !isNew(address) || (Promise.reject(new Error("lost")) as never) },
      /trusts returned/,
    ],
  ];
  const isNew = (address: string) => address === newcomer().address;

  for (const [what, given, message] of failures) {
    it(`gets no connection from ${what}, when the node joins later`, async () => {
      const client = await cluster.connect({ ...options, ...given });
      const causes = await join(client);
      await refuses(client, message);
      assert.deepEqual(
        causes.map((cause) => message.test(cause.message)),
        [true],
      );
    });

    it(`gets no connection from ${what}, when the client connects`, async () => {
      announceBoth();
      await refuses(await cluster.connect({ ...options, ...given }), message);
    });
  }

  it("is asked about again before each connection", async () => {
    let isTrusted = false;
    const client = await cluster.connect({
      ...options,
      commandTimeout: 10_000,
      trusts: (to) => isTrusted || !isNew(to),
    });
    await join(client);
    isTrusted = true;
    assert.equal(await client.command("GET", keyForSlot(9000)), "OK");
  });

  it("is asked about although it is a seed, and the client does without that node", async () => {
    announceBoth();
    const asked: string[] = [];
    const seed = cluster.node(0).address;
    const trusts = (address: string) => asked.push(address) > 0 && address !== seed;
    const client = await cluster.connect({ ...options, trusts });
    assert.equal(await client.command("GET", keyForSlot(9000)), "OK");
    await assert.rejects(client.command("GET", keyForSlot(0)), { code: "UNAVAILABLE", message: /trusts says no/ });
    assert.equal(cluster.node(0).count("GET"), 0);
    assert.deepEqual([...new Set(asked)].sort(), [seed, newcomer().address].sort());
  });

  it("that is the only one, and may not be connected to, rejects connect", async () => {
    await assert.rejects(cluster.connect({ ...options, trusts: () => false }), (error: unknown) => {
      assert.ok(error instanceof UnavailableError, String(error));
      assert.deepEqual([...error.causes.keys()], [cluster.node(0).address]);
      return true;
    });
    await assert.rejects(cluster.connect({ ...options, natMap: throws }), InvalidArgumentError);
  });

  it("is not what a single server has: nobody is asked about it", async () => {
    cluster.node(0).shards = () => "-ERR This instance has cluster support disabled\r\n";
    cluster.node(0).id = undefined;
    for (const mode of ["auto", "single"] as const) {
      const client = await cluster.connect({ mode, trusts: () => false, natMap: throws });
      assert.equal(await client.command("GET", keyForSlot(0)), "OK");
    }
  });
});
