import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";

const incr = defineScript({ name: "incr", source: "return redis.call('INCR', KEYS[1])", numberOfKeys: 1 });

/**
 * A client in database 3 and one in database 0 do the same with the same keys, and see nothing of each other.
 * @param kill  Ends all connections at the servers.
 */
async function keepApart(three: Cluster, zero: Cluster, kill: () => Promise<unknown>, caches: boolean): Promise<void> {
  const both = [three, zero];
  const views = both.map((client) => client.with({ cached: true }));
  const hits = () => both.map((client) => client.metrics().cache?.hits ?? 0);
  /** What each sees: in memory, if it may, from the second time on. */
  const seen = async () => [await views[0]?.command("GET", "same"), await views[1]?.command("GET", "same")];
  const inMemory = (expected: readonly unknown[]) =>
    eventually(async () => {
      const before = hits();
      assert.deepEqual(await seen(), expected);
      const isHit = hits().map((count, index) => count > (before[index] as number));
      assert.deepEqual(isHit, [caches, caches]);
    });
  for (let round = 0; round < 2; round++) {
    for (const [index, client] of both.entries()) await client.command("SET", "same", `${index} ${round}`);
    await inMemory([`0 ${round}`, `1 ${round}`]);
    await zero.command("SET", "same", "changed");
    await inMemory([`0 ${round}`, "changed"]);
    await zero.command("FLUSHDB");
    await inMemory([`0 ${round}`, null]);
    // A call that blocks, and one that watches, on connections of their own.
    const popped = three.command("BLPOP", "queue", 5);
    await zero.command("RPUSH", "queue", "of zero");
    await three.command("RPUSH", "queue", "of three");
    assert.deepEqual(await popped, ["queue", "of three"]);
    const watched = await three.transaction("same", { watch: ["same"] }, async (tx) => {
      await zero.command("SET", "same", "elsewhere");
      return tx.multi().command("APPEND", "same", "+");
    });
    assert.deepEqual(watched, ["0 0+".length]);
    await inMemory([`0 ${round}+`, "elsewhere"]);
    await kill();
    // Reads are sent again where their connection is lost; then there are others.
    for (const client of both) await client.command("GET", "same");
    await eventually(async () => assert.deepEqual(await seen(), [`0 ${round}+`, "elsewhere"]));
    if (caches) await eventually(() => assert.deepEqual(three.metrics().cache?.unavailable, []));
  }
  const found: string[] = [];
  for await (const key of three.scan()) found.push(key);
  assert.deepEqual(found, ["same"]);
}

describe("the database of a single server", () => {
  let server: SingleServer;
  let client: Cluster | undefined;
  before(async () => {
    server = await startSingle("--databases", "5");
  });
  after(async () => {
    await server?.stop();
  });
  afterEach(() => client?.destroy());

  /** How many keys each database has, without those that have none. */
  const keys = async () => {
    const info = String(await server.command("INFO", "keyspace"));
    return Object.fromEntries([...info.matchAll(/^db(\d+):keys=(\d+)/gm)].map(([, db, count]) => [db, Number(count)]));
  };

  for (const mode of ["auto", "single"] as const) {
    it(`is that of every connection (mode "${mode}")`, async () => {
      await server.command("FLUSHALL");
      client = await connect({ nodes: [server.address], database: 3, mode, scripts: [incr], connectionsPerNode: 3 });
      for (let key = 0; key < 30; key++) await client.run(incr, [`k${key}`]);
      assert.equal(await client.with({ timeout: 300 }).command("BLPOP", "none", 0.01), null);
      await client.command("LPUSH", "list", "x");
      assert.deepEqual(await client.command("BLPOP", "list", 1), ["list", "x"]);
      const watching = client.transaction("w", { watch: ["w"] }, async (tx) => tx.multi().command("SET", "w", 1));
      assert.deepEqual(await watching, ["OK"]);
      assert.deepEqual(await keys(), { 3: 31 });
    });
  }

  it("is selected again after connections were lost", async () => {
    await server.command("FLUSHALL");
    client = await connect({ nodes: [`redis://${server.address}/2`], scripts: [incr] });
    await client.run(incr, ["a"]);
    for (let time = 0; time < 3; time++) {
      await server.command("CLIENT", "KILL", "TYPE", "normal");
      await client.command("SET", `b${time}`, "1").catch(() => client?.command("SET", `b${time}`, "1"));
    }
    assert.deepEqual(await keys(), { 2: 4 });
  });

  it("is kept apart from database 0, from memory too", async () => {
    await server.command("FLUSHALL");
    const isOld = /redis_version:6\./.test(String(await server.command("INFO", "server")));
    const to = { nodes: [server.address], cache: { maxStaleness: 5000 } };
    client = await connect({ ...to, database: 3 });
    const zero = await connect(to);
    try {
      await keepApart(client, zero, () => server.command("CLIENT", "KILL", "TYPE", "normal"), !isOld);
    } finally {
      zero.destroy();
    }
  });

  it("is another one after SWAPDB, of which no server tells: memory knows at once of its own, and of others' by maxAge", async (test) => {
    await server.command("FLUSHALL");
    client = await connect({ nodes: [server.address], database: 3, cache: { maxStaleness: 5000, maxAge: 600 } });
    const view = client.with({ cached: true });
    const get = () => view.command("GET", "swapped");
    await client.command("SET", "swapped", "three");
    if (client.metrics().cache?.unavailable.length !== 0) return test.diagnostic("left out: nothing is kept here");
    await eventually(async () => {
      assert.equal(await get(), "three");
      assert.equal((client?.metrics().cache?.hits ?? 0) > 0, true);
    });
    await client.command("SWAPDB", 3, 4);
    assert.equal(await get(), null);
    await server.command("SWAPDB", "3", "4");
    await eventually(async () => assert.equal(await get(), "three"));
  });

  it("that the server does not have ends connect with the server's words", async () => {
    for (const mode of ["auto", "single"] as const) {
      const refused = connect({ nodes: [server.address], database: 5, mode, startTimeout: 60_000 });
      await assert.rejects(refused, { code: "REPLY", outcome: "not-executed", message: /database 5.*out of range/ });
    }
  });
});

describe("the database of a cluster", () => {
  let cluster: LocalCluster;
  let has16 = false;
  let client: Cluster | undefined;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    const answer = await cluster.command(cluster.nodes[0] as string, "CONFIG", "GET", "cluster-databases");
    has16 = Array.isArray(answer) && answer.length > 0;
    await cluster.stop();
    const args = has16 ? ["--cluster-databases", "16"] : [];
    cluster = await startCluster({ primaries: 3, args });
  });
  after(async () => {
    await cluster?.stop();
  });
  afterEach(() => client?.destroy());

  it("is that of every connection from Valkey 9 on, and ends connect with the server's words elsewhere", async () => {
    const connecting = connect({ ...cluster.connectOptions, database: 3, scripts: [incr] });
    if (!has16) {
      await assert.rejects(connecting, { code: "REPLY", message: /database 3.*SELECT is not allowed in cluster mode/ });
      return;
    }
    client = await connecting;
    for (let key = 0; key < 30; key++) await client.run(incr, [`k${key}`]);
    const infos = await Promise.all(cluster.nodes.map((address) => cluster.command(address, "INFO", "keyspace")));
    const counts = infos.map((info) => Number(/^db3:keys=(\d+)/m.exec(String(info))?.[1] ?? 0));
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      30,
    );
    assert.ok(
      infos.every((info) => !/^db0:/m.test(String(info))),
      "keys are in database 0",
    );
  });

  it("is kept apart from database 0, from memory too, from Valkey 9 on", async (test) => {
    if (!has16) {
      test.diagnostic("left out: this server has one database in a cluster");
      return;
    }
    const to = { ...cluster.connectOptions, cache: { maxStaleness: 5000 } };
    client = await connect({ ...to, database: 3 });
    for (const address of cluster.nodes) await cluster.command(address, "FLUSHALL");
    const zero = await connect(to);
    const kill = () =>
      Promise.all(cluster.nodes.map((address) => cluster.command(address, "CLIENT", "KILL", "TYPE", "normal")));
    try {
      await keepApart(client, zero, kill, true);
    } finally {
      zero.destroy();
    }
  });

  it("that a node refuses which joins later leaves that node unused, and nodeDown says why", async (test) => {
    if (!has16) {
      test.diagnostic("left out: this server has one database in a cluster");
      return;
    }
    client = await connect({ ...cluster.connectOptions, database: 3, topologyRefreshInterval: 200 });
    const address = await cluster.addNode();
    await cluster.command(address, "ACL", "SETUSER", "default", "-select");
    // Connections that were opened before have selected their database.
    const causes: string[] = [];
    client.on("nodeDown", (down) => {
      if (down.address === address) causes.push(down.cause.message);
    });
    await cluster.command(address, "CLIENT", "KILL", "TYPE", "normal");
    for (let looks = 0; causes.every((cause) => !/refused database 3: NOPERM/.test(cause)); looks++) {
      assert.ok(looks < 500, `nodeDown said: ${causes.join("; ")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (let key = 0; key < 30; key++) assert.equal(await client.command("SET", `k${key}`, "v"), "OK");
  });
});
