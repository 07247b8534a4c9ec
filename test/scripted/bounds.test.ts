import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, SlotwireError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error, noScript } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

const BOUND = 10;
/** The first slots have an owner, the last ones have none. */
const OWNED = keyForSlot(0);
const ownerless = (index: number) => keyForSlot(16_000 + index);

/**
 * Makes one call more than may wait, in each of the places where a call can wait. The last one is refused at once; the others
 * wait, and there is room again when they have ended.
 */
interface Place {
  readonly where: string;
  /** The bound is that of a node. */
  readonly node: boolean;
  /** The one node that owns slots, or holds calls up. */
  prepare?(cluster: FakeCluster): void;
  call(client: Cluster, index: number): Promise<unknown>;
}

const hang = (...commands: string[]) => ({
  prepare: (cluster: FakeCluster) => {
    for (const command of commands) cluster.node(0).silentAt.add(command);
  },
});

const PLACES: readonly Place[] = [
  { where: "a slot without owner", node: false, call: (client) => client.command("SET", ownerless(0), 1) },
  { where: "slots without owner", node: false, call: (client, index) => client.command("SET", ownerless(index), 1) },
  { where: "a script's slot without owner", node: false, call: (client) => client.run(setScript, [ownerless(0)], [1]) },
  { where: "a blocking call without owner", node: false, call: (client) => client.command("BLPOP", ownerless(0), 5) },
  {
    where: "a transaction without owner",
    node: false,
    call: (client) => client.transaction(ownerless(0)).command("SET", ownerless(0), 1).exec(),
  },
  {
    where: "a watching transaction without owner",
    node: false,
    call: (client) => client.transaction(ownerless(0), { watch: [ownerless(0)] }, async (tx) => tx.multi()),
  },
  {
    where: "a command that a server is asked about",
    node: false,
    ...hang("COMMAND"),
    call: (client) => client.command("NEW.COMMAND", OWNED),
  },
  { where: "WAIT", node: false, ...hang("INFO"), call: (client) => client.command("WAIT", 1, 5000) },
  { where: "a command for many nodes", node: false, ...hang("DBSIZE"), call: (client) => client.command("DBSIZE") },
  {
    where: "SCRIPT LOAD",
    node: false,
    ...hang("SCRIPT LOAD"),
    call: (client, index) => client.command("SCRIPT", "LOAD", `return ${index}`),
  },
  { where: "in flight", node: true, ...hang("SET"), call: (client) => client.command("SET", OWNED, 1) },
  {
    where: "a transaction in flight",
    node: true,
    ...hang("MULTI"),
    call: (client) => client.transaction(OWNED).command("SET", OWNED, 1).exec(),
  },
  {
    where: "a pause after a refusal",
    node: true,
    prepare: (cluster) => cluster.node(0).always("SET", () => error("CLUSTERDOWN The cluster is down")),
    call: (client) => client.command("SET", OWNED, 1),
  },
  {
    where: "a look-up of a node that a redirection named",
    node: true,
    prepare: (cluster) => {
      cluster.node(0).always("SET", () => error("MOVED 0 10.0.0.1:7000"));
      cluster.node(0).silentAt.add("CLUSTER SHARDS");
    },
    call: (client) => client.command("SET", OWNED, 1),
  },
  {
    where: "a load that is under way",
    node: true,
    prepare: (cluster) => {
      cluster.node(0).always("EVALSHA", () => noScript);
      cluster.node(0).silentAt.add("SCRIPT LOAD");
    },
    call: (client) => client.run(setScript, [OWNED], [1]),
  },
];

describe("what waits counts", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
    cluster.ranges = [[0, 15_999, 0]];
  });
  afterEach(() => cluster.stop());

  const connected = (options: object = {}) =>
    cluster.connect({ maxPendingPerNode: BOUND, commandTimeout: 60_000, scripts: [setScript], ...options });
  const outcomeOf = (call: Promise<unknown>) =>
    call.then(
      () => "served",
      (cause: unknown) => (cause instanceof SlotwireError ? `${cause.code} ${cause.outcome}` : String(cause)),
    );

  for (const { where, node, prepare, call } of PLACES) {
    it(`${where}: for ${node ? "its node" : "all that have no node, together"}`, async () => {
      const client = await connected();
      prepare?.(cluster);
      const settled: string[] = [];
      const calls = Array.from({ length: BOUND }, (_, index) => outcomeOf(call(client, index)));
      for (const each of calls) void each.then((how) => settled.push(how));
      // The node refuses those that are in flight. Without an owner they wait for 200 ms only.
      if (node) await sleep(5);
      const late = call(client, BOUND);
      const refused = await late.catch((cause: unknown) => cause);
      assert.equal(refused instanceof SlotwireError && refused.code, "QUEUE_FULL", String(refused));
      assert.equal((refused as SlotwireError).outcome, "not-executed");
      assert.equal((refused as SlotwireError).address, node ? cluster.node(0).address : undefined);
      assert.deepEqual(settled, [], "those in front of it wait");
      client.destroy();
      await Promise.all(calls);
      assert.equal(new Set(settled).size, 1, `${settled}`);
    });
  }

  it("until it ends: then there is room again", async () => {
    const client = await connected();
    for (let round = 0; round < 3; round++) {
      const calls = Array.from({ length: BOUND }, (_, index) => outcomeOf(client.command("SET", ownerless(index), 1)));
      assert.equal(await outcomeOf(client.command("SET", ownerless(0), 1)), "QUEUE_FULL not-executed");
      assert.deepEqual(new Set(await Promise.all(calls)), new Set(["UNAVAILABLE not-executed"]));
    }
  });

  it("in bytes as well, and a single call larger than the bound waits alone", async () => {
    const client = await connected({ maxPendingBytesPerNode: 1000 });
    const large = outcomeOf(client.command("SET", ownerless(0), "x".repeat(5000)));
    assert.equal(await outcomeOf(client.command("SET", ownerless(1), 1)), "QUEUE_FULL not-executed");
    assert.equal(await large, "UNAVAILABLE not-executed");
  });

  it("not for a batch, whose calls are there anyway: it feeds them as there is room", async () => {
    const client = await connected();
    const batch = client.batch();
    for (let index = 0; index < 3 * BOUND; index++) batch.command("SET", ownerless(index), index);
    const results = await batch.exec();
    const codes = results.map((result) => (result as SlotwireError).code);
    assert.deepEqual(new Set(codes), new Set(["UNAVAILABLE"]));
  });

  it("on: a call that was sent and finds its slot without owner then keeps its place, and is served later", async () => {
    const client = await connected();
    const waiting = Array.from({ length: BOUND - 1 }, () => outcomeOf(client.command("SET", ownerless(0), 1)));
    cluster.node(0).always("GET", () => error("CLUSTERDOWN Hash slot not served"));
    cluster.ranges = [[1, 15_999, 0]];
    const put = Array.from({ length: BOUND - 1 }, () => outcomeOf(client.command("GET", OWNED)));
    await Promise.race([Promise.all(put), sleep(100)]);
    cluster.node(0).always("GET", () => "+OK\r\n");
    cluster.ranges = [[0, 16_383, 0]];
    assert.deepEqual(new Set(await Promise.all([...put, ...waiting])), new Set(["served"]));
  });

  it("for a session: what its function sends without waiting has the bounds of a node", async () => {
    const client = await connected();
    cluster.node(0).silentAt.add("GET");
    let outcomes: string[] = [];
    const transaction = client.transaction(OWNED, { watch: [OWNED] }, async (tx) => {
      const calls = Array.from({ length: BOUND + 5 }, () => outcomeOf(tx.command("GET", OWNED)));
      outcomes = await Promise.all(calls.slice(BOUND));
      cluster.node(0).silentAt.delete("GET");
      cluster.node(0).goOn();
      outcomes.push(...(await Promise.all(calls.slice(0, BOUND))));
      return tx.multi().command("SET", OWNED, 1);
    });
    await outcomeOf(transaction);
    const full = outcomes.filter((each) => each === "QUEUE_FULL not-executed").length;
    assert.deepEqual([full, outcomes.length - full], [5, BOUND]);
  });
});
