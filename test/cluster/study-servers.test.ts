import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { after, before, describe, it } from "node:test";
import { Servers } from "../../src/cli/study/servers.ts";
import { slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { findServer } from "../../src/testing/server-binary.ts";
import { startSingle } from "../support/single-server.ts";

const HOSTNAME = "node.slotwire.invalid";

describe("asking every server", () => {
  let cluster: LocalCluster;
  const sha = createHash("sha1").update("return 2").digest("hex");
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
  });
  after(() => cluster?.stop());

  it("counts keys and scripts on each node, from any seed, and no channel tells of it", async () => {
    const messages: unknown[] = [];
    const hear = (message: unknown) => messages.push(message);
    const channels = ["tracing:slotwire:connect:start", "tracing:slotwire:connect:asyncEnd", "slotwire:attempt"];
    for (const channel of channels) subscribe(channel, hear);
    const servers = await Servers.find({ ...cluster.connectOptions, nodes: cluster.nodes.slice(-1) });
    try {
      const before = await servers.ask();
      assert.deepEqual(
        before.map(({ name }) => name),
        ["A", "A1", "B", "B1", "C", "C1"],
      );
      const owner = before.find(({ slots }) => slots.some(({ start, end }) => start <= 12_182 && 12_182 <= end));
      const address = owner?.address as string;
      await cluster.command(address, "SET", "foo", "1");
      await cluster.command(address, "SCRIPT", "LOAD", "return 2");
      const states = await servers.ask({ scripts: [sha, "0".repeat(40)], count: "all" });
      // Before 7.0, a script also goes to the replicas.
      const told = states.map((state) => cluster.command(state.address, "SCRIPT", "EXISTS", sha));
      assert.deepEqual(
        states.map(({ scripts }) => [scripts[sha] ? 1 : 0]),
        await Promise.all(told),
      );
      assert.equal(states.find((state) => state.address === address)?.scripts[sha], true);
      for (const { scripts } of states) assert.equal(scripts["0".repeat(40)], false);
      const now = states.find((state) => state.address === address);
      assert.deepEqual([now?.keys, now?.keysBySlot], [1, { [slotOf("foo")]: 1 }]);
    } finally {
      servers.close();
      for (const channel of channels) unsubscribe(channel, hear);
    }
    assert.deepEqual(messages, []);
  });

  it("reports a frozen node while the others answer, asks it once, and hears it when it runs again", async () => {
    const servers = await Servers.find(cluster.connectOptions);
    try {
      const [a1] = (await servers.ask()).filter(({ name }) => name === "A1");
      await cluster.command(a1?.address as string, "CONFIG", "RESETSTAT");
      cluster.pause(a1?.address as string);
      for (let round = 0; round < 5; round++) {
        const states = await servers.ask({ patienceMs: 200 });
        const errors = new Map(states.map(({ name, error }) => [name, error]));
        assert.equal(errors.get("A1"), "no answer within 200 ms");
        assert.equal(states.find(({ name }) => name === "A1")?.primary, "A");
      }
      cluster.resume(a1?.address as string);
      const [back] = (await servers.ask({ patienceMs: 5000 })).filter(({ name }) => name === "A1");
      assert.deepEqual([back?.error, back?.role], [null, "replica"]);
      // The rounds shared one question, which was answered at the end.
      const stats = String(await cluster.command(a1?.address as string, "INFO", "commandstats"));
      assert.equal(/^cmdstat_dbsize:calls=(\d+),/m.exec(stats)?.[1], "1");
    } finally {
      cluster.resume((await servers.ask()).find(({ name }) => name === "A1")?.address as string);
      servers.close();
    }
  });

  it("finds a node that joins, keeps the names, and lets go of one that all have forgotten", async () => {
    const servers = await Servers.find(cluster.connectOptions);
    try {
      await servers.ask();
      const joined = await cluster.addNode();
      const states = await servers.ask();
      const added = states.find(({ address }) => address === joined);
      assert.deepEqual([added?.name, added?.role, added?.slots], ["D", "primary", []]);
      await cluster.kill(joined);
      const [dead] = (await servers.ask()).filter(({ name }) => name === "D");
      assert.equal(dead?.role, null);
      assert.match(dead?.error as string, /ECONNREFUSED|ECONNRESET|closed/);
      for (const node of cluster.nodes) await cluster.command(node, "CLUSTER", "FORGET", added?.id as string);
      assert.deepEqual(
        (await servers.ask()).map(({ name }) => name),
        ["A", "A1", "B", "B1", "C", "C1"],
      );
    } finally {
      servers.close();
    }
  });

  it("says which nodes nothing may connect to", async () => {
    const servers = await Servers.find({
      ...cluster.connectOptions,
      trusts: (address) => address === cluster.nodes[0],
    });
    try {
      const states = await servers.ask();
      assert.equal(states.filter(({ role }) => role !== null).length, 1);
      for (const { role, error } of states) if (role === null) assert.match(error as string, /trusts/);
    } finally {
      servers.close();
    }
  });
});

describe("asking servers in other places", () => {
  it("host names as announced, by natMap, and unreachable ones without it", async (test) => {
    const { version } = await findServer(undefined);
    if (/ v=6\./.test(version)) return test.skip("servers before 7.0 announce no host names");
    const args = ["--cluster-announce-hostname", HOSTNAME, "--cluster-preferred-endpoint-type", "hostname"];
    const cluster = await startCluster({ primaries: 3, args });
    try {
      const natMap = (address: string) => ({ host: "127.0.0.1", port: Number(address.split(":")[1]) });
      const tls = cluster.connectOptions.tls;
      const nodes = cluster.nodes.map((address) => address.replace(HOSTNAME, "127.0.0.1"));
      const servers = await Servers.find({ nodes, tls, natMap });
      const states = await servers.ask();
      servers.close();
      assert.deepEqual(
        states.map(({ name, address, error, disagrees }) => [name, address.split(":")[0], error, disagrees]),
        ["A", "B", "C"].map((name) => [name, HOSTNAME, null, []]),
      );
      const lost = await Servers.find({ nodes, tls });
      const unreachable = await lost.ask();
      lost.close();
      assert.deepEqual(
        unreachable.map(({ role }) => role),
        [null, null, null],
      );
    } finally {
      await cluster.stop();
    }
  });

  it("a single server without cluster mode", async () => {
    const server = await startSingle();
    const servers = await Servers.find({ nodes: [server.address] });
    const states = await servers.ask({ scripts: ["0".repeat(40)] });
    servers.close();
    await server.stop();
    assert.deepEqual(
      states.map(({ name, id, role, state, keys, slots, error }) => [name, id, role, state, keys, slots, error]),
      [["A", "", "primary", "ok", 0, [{ start: 0, end: 16_383 }], null]],
    );
  });
});
