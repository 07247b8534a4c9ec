import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Cluster } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk, error, type FakeNode } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

const OTHER = "f".repeat(40);
/** Slots of the first and of the second node. */
const [FIRST, SECOND] = [keyForSlot(0), keyForSlot(9000)];
const MYID = "CLUSTER MYID";
const BUSY = error("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");

describe("the id of a node", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2, 1);
  });
  afterEach(() => cluster.stop());

  const commandsOf = (node: FakeNode, connection: number) =>
    node.received
      .filter((each) => each.connection === connection)
      .map(({ args, write }) => ({ name: args.slice(0, args[0] === "CLUSTER" ? 2 : 1).join(" "), write }));
  const downs = (client: Cluster): string[] => {
    const told: string[] = [];
    client.on("nodeDown", ({ cause }) => told.push(cause.message));
    return told;
  };
  /** Waits for what comes by itself. */
  const until = async (isSo: () => boolean, what: string) => {
    for (const end = Date.now() + 5000; !isSo(); await new Promise((resolve) => setTimeout(resolve, 5))) {
      assert.ok(Date.now() < end, what);
    }
  };

  it("is asked for in the write of the handshake, and in that of the topology query", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    await client.refreshTopology();
    const commands = commandsOf(cluster.node(1), 1);
    const [ping, myid] = commands;
    assert.deepEqual([ping?.name, myid?.name, ping?.write === myid?.write], ["PING", MYID, true]);
    const all = cluster.nodes.flatMap(({ received }) => received);
    const shards = all.filter(({ args }) => args[1] === "SHARDS");
    const asked = all.filter(({ args }) => args[1] === "MYID");
    for (const { connection, write } of shards) {
      assert.ok(
        asked.some((each) => each.write === write && each.connection === connection),
        "beside CLUSTER SHARDS",
      );
    }
  });

  it("is another one: no script and no call goes there, nodeDown says so, and the topology is asked for", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const told = downs(client);
    const stranger = cluster.node(1);
    stranger.id = OTHER;
    stranger.always("CLUSTER NODES", () => bulk(`${OTHER} 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\n`));
    const [from, before] = [stranger.received.length, cluster.queries];
    stranger.dropConnections();
    await until(() => told.some((text) => text.includes(`${stranger.address} now belongs to another node`)), "told");
    await assert.rejects(client.with({ timeout: 300 }).command("GET", SECOND), { outcome: "not-executed" });
    await until(() => cluster.queries > before, "a refresh is asked for");
    const names = new Set(stranger.received.slice(from).map(({ args }) => args[0]));
    assert.deepEqual([...names].toSorted(), ["CLIENT", "CLUSTER", "PING"]);
    assert.equal(await client.command("GET", FIRST), "OK");
  });

  it("is another one on a slow way: what a stranger says is no sign of life of the node", async () => {
    const client = await cluster.connect({ unavailableAfter: 1500, commandTimeout: 6000 });
    const stranger = cluster.node(1);
    stranger.id = OTHER;
    const says = bulk(`${OTHER} 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\n`);
    // So a handshake begins more often than once in `unavailableAfter`, and is under way when somebody looks.
    const slow = () => new Promise<string>((resolve) => setTimeout(resolve, 400, says));
    stranger.always("CLUSTER NODES", slow);
    const told = downs(client);
    stranger.dropConnections();
    await until(() => told.some((text) => /now belongs to another node/.test(text)), "no nodeDown");
    // At its deadline the call would be refused in other words.
    await assert.rejects(client.command("GET", SECOND), {
      code: "UNAVAILABLE",
      message: /no sign of life for 1500 ms/,
    });
  });

  it("is found to be another one by a blocking call: the node's other connections are closed as well", async () => {
    const client = await cluster.connect();
    const told = downs(client);
    const reset = cluster.node(1);
    reset.id = OTHER;
    reset.always("CLUSTER NODES", () => bulk(`${OTHER} :0@0 myself,master - 0 0 0 connected\n`));
    const [from, before] = [reset.received.length, cluster.queries];
    await assert.rejects(client.with({ timeout: 300 }).command("BLPOP", SECOND, 0.1), { outcome: "not-executed" });
    assert.match(told[0] ?? "", /now belongs to another node/);
    await until(() => cluster.queries > before, "a refresh is asked for");
    await assert.rejects(client.with({ timeout: 200 }).command("GET", SECOND), { outcome: "not-executed" });
    assert.ok(!reset.received.slice(from).some(({ args }) => args[0] === "BLPOP" || args[0] === "GET"), "no call");
  });

  it("is found to be another one by one of several connections: the others are closed as well", async () => {
    const client = await cluster.connect({ connectionsPerNode: 2 });
    const told = downs(client);
    const reset = cluster.node(1);
    const [from, before] = [reset.received.length, cluster.queries];
    reset.id = OTHER;
    reset.always("CLUSTER NODES", () => bulk(`${OTHER} :0@0 myself,master - 0 0 0 connected\n`));
    reset.dropConnection();
    await until(() => told.some((text) => text.includes("now belongs to another node")), "told");
    await until(() => cluster.queries > before, "a refresh is asked for");
    const calls = [SECOND, keyForSlot(9001)].map((key) => client.with({ timeout: 200 }).command("GET", key));
    for (const call of calls) await assert.rejects(call, { outcome: "not-executed" });
    assert.ok(!reset.received.slice(from).some(({ args }) => args[0] === "GET"), "no call");
  });

  it("changes on open connections: they are closed at the next topology query, and no call goes there", async () => {
    const client = await cluster.connect();
    const told = downs(client);
    const reset = cluster.node(1);
    const before = reset.received.length;
    reset.id = OTHER;
    reset.always("CLUSTER NODES", () => bulk(`${OTHER} :0@0 myself,master - 0 0 0 connected\n`));
    for (let time = 0; told.length === 0 && time < 20; time++) await client.refreshTopology();
    assert.match(told[0] ?? "", /now belongs to another node/);
    await assert.rejects(client.with({ timeout: 200 }).command("GET", SECOND), { outcome: "not-executed" });
    assert.ok(!reset.received.slice(before).some(({ args }) => args[0] === "GET"));
    assert.equal(client.topology.nodes.length, 2, "the others' view counts");
  });

  it("is asked for again while the node is busy, before any call", async () => {
    const client = await cluster.connect();
    const node = cluster.node(1);
    const from = node.connections;
    node.expect(MYID, BUSY, 2);
    node.dropConnections();
    assert.equal(await client.command("GET", SECOND), "OK");
    const calls = node.received.filter(({ args }) => args[0] === "GET");
    assert.deepEqual(
      calls.map(({ connection }) => connection > from + 2),
      [true],
    );
  });

  const harmless: [string, (node: FakeNode) => void][] = [
    ["the user may not ask", (node) => node.always(MYID, () => error("NOPERM this user has no permissions"))],
    ["the server does not know it", (node) => node.always(MYID, () => error("ERR Unknown subcommand 'MYID'."))],
    [
      "the answer is no id",
      (node) => {
        node.always(MYID, () => "+OK\r\n");
        node.always("CLUSTER NODES", () => error("NOPERM this user has no permissions"));
      },
    ],
    [
      "the server names itself otherwise in its own CLUSTER NODES, as proxies do",
      (node) => {
        node.always(MYID, () => bulk(OTHER));
        node.always("CLUSTER NODES", () => bulk(`${node.id} 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\n`));
      },
    ],
  ];
  for (const [why, make] of harmless) {
    it(`is not checked where ${why}`, async () => {
      for (const node of cluster.nodes) make(node);
      const client = await cluster.connect({ scripts: [setScript] });
      await client.refreshTopology();
      assert.deepEqual(await Promise.all([FIRST, SECOND].map((key) => client.command("GET", key))), ["OK", "OK"]);
      assert.equal(client.topology.nodes.length, 2);
    });
  }

  it("is new at an address that a view gives to another node: other connections, prepared anew", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(1);
    const [connections, ups] = [node.connections, [] as string[]];
    client.on("nodeUp", ({ address }) => ups.push(address));
    node.scripts.clear();
    node.id = OTHER;
    cluster.ids[1] = OTHER;
    await client.refreshTopology();
    assert.equal(await client.run(setScript, [SECOND], ["v"]), "OK");
    assert.ok(node.connections > connections, "a connection of its own");
    assert.deepEqual(ups, [node.address]);
    assert.equal(client.topology.nodes.find(({ address }) => address === node.address)?.id, OTHER);
  });
});

describe("a view without a node in common", () => {
  let cluster: FakeCluster;
  let foreign: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    foreign = await FakeCluster.start(2);
    for (const [index, node] of foreign.nodes.entries()) {
      node.id = String(index).padStart(40, "e");
      foreign.ids[index] = node.id;
    }
  });
  afterEach(async () => {
    await cluster.stop();
    await foreign.stop();
  });

  const seeds = () => [cluster.node(0).address, foreign.node(0).address];
  const fall = () => {
    for (const node of cluster.nodes) {
      node.always("PING", () => "disconnect");
      node.always(MYID, () => "disconnect");
      node.dropConnections();
    }
  };

  it("is not adopted while a node was reached within connectTimeout", async () => {
    const client = await cluster.connect({ nodes: seeds(), connectTimeout: 1500 });
    fall();
    const start = Date.now();
    while (Date.now() - start < 1000) await client.refreshTopology().catch(() => {});
    assert.deepEqual(
      client.topology.nodes.map(({ port }) => port).toSorted(),
      cluster.nodes.map(({ port }) => port).toSorted(),
    );
  });

  it("is adopted when no node could be reached under its id for connectTimeout, and the seeds say so", async () => {
    const client = await cluster.connect({ nodes: seeds(), connectTimeout: 300 });
    fall();
    assert.equal(await client.command("GET", FIRST), "OK");
    assert.deepEqual(
      client.topology.nodes.map(({ port }) => port).toSorted(),
      foreign.nodes.map(({ port }) => port).toSorted(),
    );
  });

  it("is never that of a server without cluster mode", async () => {
    const client = await cluster.connect({ nodes: seeds(), connectTimeout: 200 });
    foreign.node(0).shards = () => error("ERR This instance has cluster support disabled");
    const { address: owner } = cluster.node(0);
    const down = new Promise<void>((resolve) => {
      client.on("nodeDown", ({ address }) => address === owner && resolve());
    });
    fall();
    // A call that is written to a node that falls is no call that was never written.
    await down;
    await assert.rejects(client.with({ timeout: 1000 }).command("GET", FIRST), { code: "UNAVAILABLE" });
    assert.equal(client.topology.nodes.length, 2);
    assert.deepEqual(foreign.node(0).got("GET"), []);
  });
});
