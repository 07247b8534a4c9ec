import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, slotOf } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk, error, type FakeNode } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const number = (value: number) => `:${value}\r\n`;
/** A module's command, by first, last and step. */
const described = (name: string, flags: string[], ...range: number[]) =>
  array(bulk(name), number(-2), array(...flags.map(bulk)), ...range.map(number));

describe("a command that no table lists", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  /** Of the first node and of the second. */
  const [here, there] = [keyForSlot(0), keyForSlot(16_000)] as [string, string];
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    client = await cluster.connect();
  });
  afterEach(() => cluster.stop());

  const describeCommands = (...commands: string[]) => {
    for (const node of cluster.nodes) node.always("COMMAND", () => array(...commands));
  };
  const asked = () => cluster.nodes.reduce((sum, node) => sum + node.count("COMMAND"), 0);
  const names = (node: FakeNode, ...wanted: string[]) =>
    node.received.map(({ args }) => args.join(" ")).filter((line) => wanted.includes(line.split(" ")[0] as string));

  it("is asked about once, however many wait, and goes where its keys are", async () => {
    describeCommands(described("m.second", ["write"], 2, 2, 1));
    const calls = Array.from({ length: 50 }, (_, index) => client.command("M.SECOND", here, there, index));
    await Promise.all(calls);
    await client.command("m.second", there, here);
    assert.equal(asked(), 1);
    assert.equal(cluster.node(1).count("M.SECOND"), 50);
    assert.deepEqual(names(cluster.node(0), "m.second"), [`m.second ${there} ${here}`]);
  });

  it("keeps its order among its like, and with other calls once it is known", async () => {
    describeCommands(described("m.set", ["write"], 1, 1, 1));
    await Promise.all([client.command("M.SET", here, 1), client.command("M.SET", here, 2)]);
    await Promise.all([
      client.command("M.SET", here, 3),
      client.command("SET", here, 4),
      client.command("M.SET", here, 5),
    ]);
    const sent = [`M.SET ${here} 1`, `M.SET ${here} 2`, `M.SET ${here} 3`, `SET ${here} 4`, `M.SET ${here} 5`];
    assert.deepEqual(names(cluster.node(0), "M.SET", "SET"), sent);
  });

  it("is sent as it was given, whatever becomes of its arguments while the server is asked", async () => {
    describeCommands(described("m.set", ["write"], 1, 1, 1));
    const value = Buffer.from("before");
    const call = client.command("M.SET", here, value);
    const batch = client.batch().command("M.OTHER", here, value);
    value.fill("x");
    await call;
    await batch.exec();
    assert.deepEqual(names(cluster.node(0), "M.SET", "M.OTHER"), [`M.SET ${here} before`, `M.OTHER ${here} before`]);
  });

  it("is repeated after a lost connection only if the server says that it reads", async () => {
    describeCommands(described("m.get", ["readonly"], 1, 1, 1), described("m.set", ["write"], 1, 1, 1));
    for (const name of ["M.GET", "M.SET"]) {
      await client.command(name, here);
      cluster.node(0).expect(name, "disconnect");
    }
    assert.equal(await client.command("M.GET", here), "OK");
    await assert.rejects(client.command("M.SET", here), { code: "CONNECTION_LOST", outcome: "unknown" });
  });

  it("has crossed slots by the server's word", async () => {
    describeCommands(described("m.all", ["write"], 1, -1, 1));
    await assert.rejects(client.command("M.ALL", here, there), { code: "CROSSSLOT" });
    assert.equal(slotOf(here) === slotOf(there), false);
  });

  it("goes by its first argument where nobody says more, and nobody is pestered for it", async () => {
    for (const node of cluster.nodes) node.always("COMMAND", () => error("NOPERM no COMMAND for you"));
    for (let call = 0; call < 10; call++) await client.command("M.THING", there);
    assert.equal(cluster.node(1).count("M.THING"), 10);
    assert.equal(asked(), 2, "each node once, for the first call");
  });

  it("is asked about at another node when one is silent", async () => {
    describeCommands(described("m.set", ["write"], 1, 1, 1));
    // Both in turn: whoever is asked first is silent.
    let first = true;
    for (const node of cluster.nodes) {
      node.always("COMMAND", () => {
        if (!first) return array(described("m.set", ["write"], 1, 1, 1));
        first = false;
        return "hang";
      });
    }
    assert.deepEqual(await Promise.all([client.command("M.SET", here), client.command("M.SET", there)]), ["OK", "OK"]);
    assert.equal(asked(), 2);
  });

  it("in a transaction is the server's to check, until it is known", async () => {
    const node = cluster.node(0);
    node.expect("EXEC", array(bulk("reply")));
    assert.deepEqual(await client.transaction(here).command("M.SECOND", there, here).exec(), ["reply"]);
    assert.equal(asked(), 0);
  });
});
