import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, connect, defineScript } from "../../src/index.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";

const incr = defineScript({ name: "incr", source: "return redis.call('INCR', KEYS[1])", numberOfKeys: 1 });

describe("a single server", () => {
  let server: SingleServer;
  let client: Cluster | undefined;
  afterEach(async () => {
    client?.destroy();
    await server?.stop();
    client = undefined;
  });
  const open = async (options: Partial<ConnectOptions> = {}) => {
    client = await connect({ nodes: [server.address], scripts: [incr], topologyRefreshInterval: 100, ...options });
    return client;
  };
  const works = async (cluster: Cluster) => {
    assert.equal(await cluster.run(incr, ["a"]), 1);
    assert.equal(await cluster.command("SET", "b", "1"), "OK");
    assert.deepEqual(await cluster.transaction("a").run(incr, ["a"]).exec(), [2]);
    assert.deepEqual(await cluster.batch([incr.call(["c"]), incr.call(["c"])] as const), [1, 2]);
    assert.deepEqual((await keysOf(cluster)).toSorted(), ["a", "b", "c"]);
    await cluster.refreshTopology();
    assert.equal(cluster.topology.nodes.length, 1);
    assert.equal(cluster.topology.primaryOf(16383)?.address, server.address);
  };

  it("without cluster mode is found", async () => {
    server = await startSingle();
    await works(await open());
  });

  for (const [what, args] of [
    ["that was taken away", ["--rename-command", "CLUSTER", ""]],
    ["that was renamed", ["--rename-command", "CLUSTER", "bunch"]],
  ] as const) {
    it(`with a CLUSTER command ${what} is found`, async () => {
      server = await startSingle(...args);
      await works(await open());
    });
  }

  it("whose user may not ask for a cluster is named as such, and served with mode: single", async () => {
    server = await startSingle();
    await server.command("ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "-cluster");
    const login = { username: "u", password: "p" };
    await assert.rejects(open(login), (error: Error & { code?: string }) => {
      assert.equal(error.code, "UNAVAILABLE");
      assert.match(error.message, /NOPERM/);
      assert.match(error.message, /mode: "single"/);
      return true;
    });
    await works(await open({ ...login, mode: "single" }));
  });

  it("gets SELECT, CLIENT SETNAME and PING in front of what was asked for, with mode: single", async () => {
    server = await startSingle();
    await server.command("CONFIG", "RESETSTAT");
    const cluster = await open({ mode: "single", database: 3, connectionName: "me", connectionsPerNode: 2 });
    assert.equal(await cluster.run(incr, ["a"]), 1);
    assert.equal(await cluster.command("GET", "a"), "1");
    // A command that no table lists: nobody is asked about it.
    await assert.rejects(cluster.command("NO.SUCH", "a"), /unknown command/);
    assert.deepEqual(await keysOf(cluster), ["a"]);
    await cluster.refreshTopology();
    assert.equal(await cluster.with({ timeout: 200 }).command("BLPOP", "none", 0.01), null);
    await new Promise((resolve) => setTimeout(resolve, 700));
    const greeting = ["select", "client|setname", "client", "ping"];
    const asked = ["script|exists", "script|load", "script", "evalsha", "get", "scan", "blpop"];
    // What the script calls is counted as well, and what this test asks.
    const own = ["incr", "config", "config|resetstat"];
    const names = await server.received();
    assert.deepEqual(
      names.filter((name) => ![...greeting, ...asked, ...own].includes(name)),
      [],
    );
    for (const name of ["select", "ping", "evalsha"]) assert.ok(names.includes(name), `${name} is missing`);
    assert.ok(
      names.some((name) => name.startsWith("client")),
      "the connection has no name",
    );
  });
});

async function keysOf(cluster: Cluster): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of cluster.scan()) keys.push(String(key));
  return keys;
}
