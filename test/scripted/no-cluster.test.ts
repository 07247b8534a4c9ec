import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { FakeCluster } from "../support/fake-cluster.ts";
import { type Answer, array, bulk, error, type FakeNode } from "../support/fake-node.ts";

const QUESTIONS = ["CLUSTER SHARDS", "CLUSTER NODES", "CLUSTER SLOTS"] as const;

describe("a server or proxy", () => {
  let cluster: FakeCluster;
  afterEach(() => cluster?.stop());
  const start = async (answers: Partial<Record<(typeof QUESTIONS)[number], Answer>>) => {
    cluster = await FakeCluster.start(1);
    const node = cluster.node(0);
    for (const question of QUESTIONS) {
      const answer = answers[question];
      if (answer !== undefined) node.always(question, () => answer);
    }
    return node;
  };
  const always = (answer: Answer) => Object.fromEntries(QUESTIONS.map((question) => [question, answer]));

  for (const words of [
    "ERR unknown command 'CLUSTER'",
    "ERR unknown command 'cluster', with args beginning with: shards",
    "ERR command is not allowed",
    "ERR Cluster is disabled. Use --cluster_mode=yes to enable.",
    "ERR Cluster mode is not enabled",
  ]) {
    it(`that says "${words}" is a single server`, async () => {
      const node = await start(always(error(words)));
      const client = await cluster.connect();
      assert.equal(await client.command("SET", "k", "v"), "OK");
      await client.refreshTopology();
      assert.deepEqual(
        client.topology.ranges.map(({ start, end, primary }) => [start, end, primary.address]),
        [[0, 16383, node.address]],
      );
    });
  }

  for (const [what, answer] of [
    ["forbids CLUSTER", error("NOPERM this user has no permissions to run the 'cluster' command")],
    ["has other words for it", error("ERR Sorry, Dave")],
    ["closes the connection at CLUSTER", "disconnect"],
    ["never answers CLUSTER", "hang"],
    ["answers CLUSTER with something else", "+OK\r\n"],
  ] as const) {
    it(`that ${what} is taken for one only with mode: single, which the error of connect names`, async () => {
      const node = await start(always(answer));
      const refused = cluster.connect({ connectTimeout: 500 });
      await assert.rejects(refused, { code: "UNAVAILABLE", message: /For a single server, .* mode: "single"/ });
      node.received.length = 0;
      const client = await cluster.connect({ mode: "single" });
      assert.equal(await client.command("SET", "k", "v"), "OK");
      await client.refreshTopology();
      assert.deepEqual(
        node.received.map(({ args }) => args[0]),
        ["PING", "PING", "SET"],
      );
    });
  }

  it("with mode: single is asked nothing about a connection that is silent", async () => {
    const node = await start(always(error("ERR unknown command 'CLUSTER'")));
    const client = await cluster.connect({ mode: "single" });
    node.always("GET", () => "hang");
    await assert.rejects(client.with({ timeout: 2500 }).command("GET", "k"), { code: "DEADLINE", outcome: "unknown" });
    const names = node.received.map(({ args }) => args[0] as string);
    assert.deepEqual(
      names.filter((name) => name !== "PING" && name !== "GET"),
      [],
    );
    assert.ok(names.includes("GET"), "the call was not written");
  });

  it("that is loading its data, or refuses the login, is no reason to name the mode", async () => {
    const node = await start({});
    node.always("CLUSTER SHARDS", () => error("LOADING Redis is loading the dataset in memory"));
    await assert.rejects(cluster.connect(), ({ message }: Error) => /LOADING/.test(message) && !/mode/.test(message));
    node.always("AUTH", () => error("WRONGPASS invalid username-password pair or user is disabled."));
    await assert.rejects(cluster.connect({ password: "p" }), { code: "AUTH", message: /^(?!.*mode)/ });
  });

  for (const words of [
    "ERR Wrong CLUSTER subcommand or number of arguments",
    "ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER HELP.",
    "ERR unknown subcommand 'SHARDS'. Try CLUSTER HELP.",
    "ERR CLUSTER SHARDS is not supported here",
    "NOPERM this user has no permissions to run the 'cluster|shards' command",
  ]) {
    for (const question of ["NODES", "SLOTS"] as const) {
      it(`that says "${words}" and answers CLUSTER ${question} is a cluster, and is asked that first from then on`, async () => {
        const node = await start({
          "CLUSTER SHARDS": error(words),
          "CLUSTER NODES": error(words),
          "CLUSTER SLOTS": error(words),
        });
        node.always(`CLUSTER ${question}`, () => (question === "NODES" ? nodesOf(node) : slotsOf(node)));
        const client = await cluster.connect();
        assert.deepEqual(
          client.topology.nodes.map(({ id, address }) => [id, address]),
          [[node.id, node.address]],
        );
        await client.refreshTopology();
        node.received.length = 0;
        await client.refreshTopology();
        assert.equal(node.count("CLUSTER SHARDS"), 0);
        assert.equal(node.count(`CLUSTER ${question}`), 1);
        assert.equal(await client.command("SET", "k", "v"), "OK");
      });
    }
  }
});

function nodesOf({ id, port }: FakeNode): Answer {
  return bulk(`${id} 127.0.0.1:${port}@${port + 10_000} myself,master - 0 0 1 connected 0-16383\n`);
}

function slotsOf({ id, port }: FakeNode): Answer {
  return array(array(":0\r\n", ":16383\r\n", array(bulk("127.0.0.1"), `:${port}\r\n`, bulk(id as string))));
}
