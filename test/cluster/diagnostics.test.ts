import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type Cluster, connect, defineScript, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { Ear } from "../support/channels.ts";
import { incrScript, setScript } from "../support/scripts.ts";

describe("diagnostics channels of a real cluster", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let ear: Ear;
  const sent = () => ear.all("attempt").map(({ command, attempt, loads }) => [command, attempt, loads]);
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    ear = new Ear();
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript], topologyRefreshInterval: 0 });
  });
  afterEach(() => void ear.take());
  after(async () => {
    ear.stop();
    client?.destroy();
    await cluster?.stop();
  });

  it("tell how the client got its connections and brought its scripts", async () => {
    const opened = ear.all("connect:asyncEnd").map(({ address }) => address as string);
    // One of a seed first, or of more where it is slow.
    assert.ok(cluster.nodes.includes(opened[0] as string) && opened.length >= 4);
    assert.deepEqual(new Set(opened.slice(1)), new Set(cluster.nodes));
    assert.deepEqual(ear.all("connect:error"), []);
    const byAddress = (messages: Record<string, unknown>[]) =>
      messages.map(({ address, loaded, failed }) => [address, loaded, failed]).sort();
    const everywhere = [...cluster.nodes].sort();
    assert.deepEqual(
      byAddress(ear.all("preload")),
      everywhere.map((address) => [address, 1, 0]),
    );
    ear.take();
    const broken = defineScript({ name: "broken", source: "this is no Lua" });
    await client.preload(broken, setScript);
    assert.deepEqual(
      byAddress(ear.all("preload")),
      everywhere.map((address) => [address, 1, 1]),
    );
  });

  it("tell what goes in front of a call: a script met for the first time, and one that was flushed", async () => {
    const fresh = defineScript({ name: "fresh", source: "return redis.call('get', KEYS[1])", numberOfKeys: 1 });
    await client.run(fresh, ["d:1"]);
    await client.run(fresh, ["d:1"]);
    await cluster.flushScripts();
    await client.run(fresh, ["d:1"]);
    assert.deepEqual(sent(), [
      ["EVALSHA", 1, true],
      ["EVALSHA", 1, false],
      ["EVALSHA", 1, false],
      ["EVALSHA", 2, true],
    ]);
    assert.deepEqual(
      ear.all("script-missing").map(({ address, attempt, script }) => [address, attempt, script]),
      [[client.topology.primaryOf(slotOf("d:1"))?.address, 1, { name: "fresh", sha: fresh.sha }]],
    );
  });

  it("tell of a slot that moved, and of the topology that follows", async () => {
    const slot = slotOf("d:2");
    const from = client.topology.primaryOf(slot)?.address as string;
    const to = cluster.nodes.find((address) => address !== from) as string;
    await client.preload(incrScript);
    await cluster.moveSlots({ slots: [slot], to });
    ear.take();
    await client.run(incrScript, ["d:2"]);
    const [redirection] = ear.all("redirection");
    assert.deepEqual(
      { ...redirection, call: undefined, seq: 0 },
      {
        seq: 0,
        call: undefined,
        attempt: 1,
        address: from,
        slot,
        kind: "MOVED",
        row: "moved-known",
        to,
        text: `MOVED ${slot} ${to}`,
      },
    );
    const address = await cluster.addNode();
    await client.refreshTopology();
    const [moved, grown] = ear.all("topology");
    assert.deepEqual(moved?.moved, [{ start: slot, end: slot, from, to }]);
    assert.deepEqual([moved?.reason, grown?.reason], ["moved", "refreshed"]);
    assert.deepEqual([moved?.movedSlots, moved?.added, moved?.removed], [1, [], []]);
    assert.deepEqual([grown?.movedSlots, grown?.added, grown?.removed], [0, [address], []]);
    assert.equal((grown?.nodes as unknown[] | undefined)?.length, 4);
  });

  it("tell of a transaction as one command, and of one that watches", async () => {
    await client.transaction("d:3").run(incrScript, ["d:3"]).run(incrScript, ["d:3"]).exec();
    const [batch] = ear.all("batch:asyncEnd");
    const { client: _, seq: __, id, ...told } = batch ?? {};
    assert.equal(typeof id, "number");
    const script = { name: "incr", sha: incrScript.sha };
    const { address } = client.topology.primaryOf(slotOf("d:3")) ?? {};
    assert.deepEqual(told, {
      operation: "transaction",
      size: 2,
      commands: ["EVALSHA"],
      script,
      slot: slotOf("d:3"),
      address,
    });
    assert.deepEqual(sent(), [["MULTI", 1, false]]);
    ear.take();
    await client.transaction("d:3", { watch: ["d:3"] }, async (tx) => tx.multi().command("GET", "d:3"));
    const watched = ear.all("batch:asyncEnd").map(({ operation, size, commands }) => [operation, size, commands]);
    assert.deepEqual(watched, [["transaction", 1, ["GET"]]]);
  });

  it("tell of a command for many nodes as a command for each", async () => {
    await client.command("DBSIZE");
    const ends = ear.all("command:asyncEnd");
    assert.equal(ends.length, client.topology.nodes.length);
    assert.ok(ends.every(({ command, slot }) => command === "DBSIZE" && slot === -1));
  });

  it("tell clients apart", async () => {
    const other = await connect({ ...cluster.connectOptions, connectionName: "other" });
    await other.command("GET", "d:4");
    await client.command("GET", "d:4");
    await other.close();
    const [first, second] = ear.all("command:start").map((call) => call.client as { readonly id: number });
    assert.ok(first !== undefined && second !== undefined && first.id > second.id, "each has an id of its own");
    assert.deepEqual(first, { id: first.id, seeds: cluster.nodes, name: "other", database: 0 });
    const rest = { seeds: cluster.nodes.slice(0, 3), name: undefined, database: 0 };
    assert.deepEqual(second, { id: second.id, ...rest });
  });
});
