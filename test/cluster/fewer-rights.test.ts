import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, connect, defineScript } from "../../src/index.ts";
import { slotOf } from "../../src/protocol/hash-slot.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

const incr = defineScript({ name: "incr", source: "return redis.call('INCR', KEYS[1])", numberOfKeys: 1 });

describe("a user who may ask one of the questions for the topology", () => {
  let cluster: LocalCluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
  });
  after(async () => {
    await cluster?.stop();
  });

  const clients: Cluster[] = [];
  after(() => {
    for (const client of clients) client.destroy();
  });
  const onEach = async (...command: string[]) => {
    for (const address of cluster.nodes) await cluster.command(address, ...command);
  };
  const open = async (rules: readonly string[], options: Partial<ConnectOptions> = {}) => {
    await onEach("ACL", "SETUSER", "u", "reset", "on", ">p", "~*", ...rules);
    const all = { ...cluster.connectOptions, username: "u", password: "p", topologyRefreshInterval: 0, ...options };
    const client = await connect(all);
    clients.push(client);
    return client;
  };

  for (const only of ["shards", "slots", "nodes"]) {
    it(`learns it by CLUSTER ${only.toUpperCase()}, at connect and later`, async (test) => {
      const isOld = (await cluster.command(cluster.nodes[0] as string, "INFO", "server"))
        ?.toString()
        .includes("redis_version:6.");
      if (only === "shards" && isOld) {
        test.diagnostic("left out: this server has no CLUSTER SHARDS");
        return;
      }
      const client = await open(["+@all", "-cluster", `+cluster|${only}`], { scripts: [incr] });
      assert.equal(client.topology.nodes.length, 3);
      assert.equal(
        client.topology.ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0),
        16384,
      );
      for (let key = 0; key < 20; key++) assert.equal(typeof (await client.run(incr, [`k${key}`])), "number");
      const slot = slotOf(`moved by ${only}`);
      const from = client.topology.primaryOf(slot)?.address as string;
      const to = cluster.nodes.find((address) => address !== from) as string;
      await cluster.moveSlots({ slots: [slot], to });
      await client.refreshTopology();
      assert.equal(client.topology.primaryOf(slot)?.address, to);
      assert.equal(await client.command("SET", `moved by ${only}`, "1"), "OK");
      assert.deepEqual(client.metrics().counters.redirections, { MOVED: 0, ASK: 0 });
    });
  }

  it("may ask none of them: connect rejects with the server's words, and names mode: single", async () => {
    await assert.rejects(open(["+@all", "-cluster"]), { code: "UNAVAILABLE", message: /NOPERM .*mode: "single"/ });
  });
});

describe("a cluster on which SCRIPT was renamed", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, args: ["--rename-command", "SCRIPT", ""] });
    client = await connect({ ...cluster.connectOptions, scripts: [incr] });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  it("tells in scripts() why nothing is preloaded", () => {
    const causes = client.scripts().flatMap(({ failed }) => failed.map(({ cause }) => cause.message));
    assert.ok(causes.length > 0, "nothing failed");
    for (const cause of causes) assert.match(cause, /unknown command/i);
  });

  it("runs scripts by EVAL, in every way that there is", async () => {
    assert.equal(await client.run(incr, ["{k}a"]), 1);
    assert.equal(await client.run(incr, ["{k}a"]), 2);
    const later = defineScript({ name: "later", source: "return redis.call('INCR', KEYS[1]) * 10", numberOfKeys: 1 });
    assert.deepEqual(await client.batch([later.call(["{k}b"]), incr.call(["{k}b"])] as const), [10, 2]);
    const other = defineScript({ name: "other", source: "return redis.call('INCR', KEYS[1]) + 0", numberOfKeys: 1 });
    assert.deepEqual(await client.transaction("{k}c").run(other, ["{k}c"]).exec(), [1]);
    const third = defineScript({ name: "third", source: "return redis.call('INCR', KEYS[1]) + 0 ", numberOfKeys: 1 });
    const watching = client.transaction("{k}d", { watch: ["{k}d"] }, async (tx) => {
      await tx.run(third, ["{k}e"]);
      return tx.multi().run(third, ["{k}d"]);
    });
    assert.deepEqual(await watching, [1]);
  });
});
