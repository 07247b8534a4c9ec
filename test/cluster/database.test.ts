import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";

const incr = defineScript({ name: "incr", source: "return redis.call('INCR', KEYS[1])", numberOfKeys: 1 });

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
