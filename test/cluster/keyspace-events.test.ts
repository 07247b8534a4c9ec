import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, type Gap, type Message } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { hearingConnections } from "../support/heard-at.ts";

/** Writers that each have one write under way. */
const WRITERS = 8;
/** A gap's times are rounded, and the clock of the system may be set a little meanwhile. */
const SLACK_MS = 20;

interface Write {
  readonly from: number;
  to: number;
}

/** Writes one key after the other, all over the slots, until it is stopped; knows when each was written. */
class Writing {
  readonly writes = new Map<string, Write>();
  readonly #client: Cluster;
  readonly #over: Promise<unknown>;
  #isOver = false;

  constructor(client: Cluster) {
    this.#client = client;
    this.#over = Promise.all(Array.from({ length: WRITERS }, (_, writer) => this.#write(writer)));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#over;
  }

  async #write(writer: number): Promise<void> {
    for (let number = 0; !this.#isOver; number++) {
      const key = `w:${writer}:${number}`;
      const write = { from: Date.now(), to: Number.POSITIVE_INFINITY };
      this.writes.set(key, write);
      // A write that may have run twice has two events.
      const isDone = await this.#client.command("SET", key, number).then(
        () => true,
        () => false,
      );
      write.to = Date.now();
      if (!isDone) this.writes.delete(key);
      await sleep(2);
    }
  }
}

describe("keyspace events", () => {
  let cluster: LocalCluster;
  const clients: Cluster[] = [];
  before(async () => {
    const args = ["--notify-keyspace-events", "KEA"];
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  after(async () => {
    await cluster?.stop();
  });
  const open = async (options: object = {}) => {
    const client = await connect({ ...cluster.connectOptions, ...options });
    clients.push(client);
    return client;
  };

  /** Writes while something happens: each event has come once, or was written in a gap that was told. */
  async function watched(happens: (client: Cluster) => Promise<unknown>): Promise<Gap[]> {
    const client = await open();
    const gaps: Gap[] = [];
    const heard = new Map<string, number>();
    const listener = ({ channel, payload }: Message) => {
      const [, key = ""] = /^__keyspace@0__:(.*)$/.exec(channel) ?? [];
      if (payload === "set") heard.set(key, (heard.get(key) ?? 0) + 1);
    };
    await client.keyspaceEvents("w:*", listener, { onGap: (gap) => gaps.push(gap) });
    const writing = new Writing(await open());
    await sleep(300);
    await happens(client);
    await eventually(() => assert.equal(gaps.length % 2, 0, "a gap is open"), 20_000);
    await sleep(500);
    await writing.stop();
    const { writes } = writing;
    await eventually(() => assert.equal(gaps.length % 2, 0, "a gap is open"));
    const ended = gaps.filter(({ to }) => to !== null) as (Gap & { to: number })[];
    const inGap = ({ from, to }: Write) => ended.some((gap) => from <= gap.to + SLACK_MS && to >= gap.from - SLACK_MS);
    const missing = () => [...writes].filter(([key, write]) => !heard.has(key) && !inGap(write)).map(([key]) => key);
    await eventually(
      () => assert.deepEqual(missing().slice(0, 5), [], `missing outside of ${JSON.stringify(gaps)}`),
      3000,
    );
    const twice = [...heard].filter(([key, count]) => count !== 1 && writes.has(key));
    assert.deepEqual(
      twice.slice(0, 5),
      [],
      `${twice.length} of ${heard.size} came more than once, gaps: ${JSON.stringify(gaps)}`,
    );
    assert.equal(heard.size > 100, true, `${heard.size} events`);
    for (const [index, gap] of gaps.entries()) {
      assert.deepEqual(gap.channels, ["__keyspace@0__:w:*"]);
      assert.equal(gap.to === null, index % 2 === 0, "gaps begin and end in turn");
    }
    const gapsMs = ended.reduce((sum, { from, to }) => sum + to - from, 0);
    assert.equal(gapsMs < 15_000, true, `gaps of ${gapsMs} ms`);
    return ended;
  }

  it("come once, from every primary and from no replica, without a gap", async () => {
    const gaps = await watched(async (client) => {
      const primaries = client.topology.nodes.filter(({ role }) => role === "primary").map(({ address }) => address);
      const connections = await hearingConnections(cluster);
      const hearing = cluster.nodes.filter((_, index) => connections[index] === 1);
      assert.deepEqual(hearing.toSorted(), primaries.toSorted());
    });
    assert.deepEqual(gaps, []);
  });

  it("go on through a failover", async () => {
    const gaps = await watched(async (client) => {
      const replica = client.topology.nodes.find(({ role }) => role === "replica")?.address as string;
      await cluster.failover(replica);
      await eventually(() =>
        assert.equal(client.topology.nodes.find(({ address }) => address === replica)?.role, "primary"),
      );
      const connections = async () => (await hearingConnections(cluster))[cluster.nodes.indexOf(replica)];
      await eventually(async () => assert.equal(await connections(), 1));
    });
    assert.equal(gaps.length, 1, JSON.stringify(gaps));
  });

  it("go on when a primary joins, gets slots, and gives all but one back", async () => {
    const gaps = await watched(async (client) => {
      const address = await cluster.addNode();
      await eventually(() =>
        assert.equal(
          client.topology.nodes.some((node) => node.address === address),
          true,
        ),
      );
      const from = client.topology.primaryOf(0)?.address as string;
      const slots = Array.from({ length: 40 }, (_, slot) => slot);
      await cluster.moveSlots({ slots, to: address });
      const connections = async () => (await hearingConnections(cluster))[cluster.nodes.indexOf(address)];
      await eventually(async () => assert.equal(await connections(), 1), 20_000);
      // A primary that loses its last slot becomes a replica, whose events come as well until the topology tells.
      await cluster.moveSlots({ slots: slots.slice(1), to: from });
    });
    assert.deepEqual(
      gaps.map(({ reason }) => reason),
      ["node-joined"],
    );
  });

  it("go on when connections are lost and when a primary is dead", { timeout: 60_000 }, async () => {
    const killed = await watched(async (client) => {
      const [primary] = client.topology.nodes.filter(({ role }) => role === "primary");
      await cluster.command(primary?.address as string, "CLIENT", "KILL", "TYPE", "pubsub");
    });
    assert.deepEqual(
      killed.map(({ reason }) => reason),
      ["connection-lost"],
    );
    const dead = await watched(async (client) => {
      const { nodes, ranges } = client.topology;
      const victim = ranges.find(({ replicas }) => replicas.length > 0)?.primary.address as string;
      assert.equal(nodes.length > 6, true);
      await cluster.kill(victim);
      await eventually(() => {
        const owner = client.topology.ranges.every(({ primary }) => primary.address !== victim);
        assert.equal(owner, true);
      }, 20_000);
    });
    assert.equal(dead.length > 0, true);
    assert.equal(dead[0]?.reason, "connection-lost");
  });

  it("of events by their names, and of patterns as they are given", async () => {
    const client = await open();
    const heard: string[] = [];
    const note = ({ pattern, channel, payload }: Message) => heard.push(`${pattern} ${channel} ${payload}`);
    await client.keyspaceEvents(["__keyevent@0__:del", "__keyspace@0__:b*"], note);
    for (const key of ["a", "b1", "c"]) {
      await client.command("SET", key, 1);
      await client.command("DEL", key);
    }
    const expected = [
      "__keyevent@0__:del __keyevent@0__:del a",
      "__keyevent@0__:del __keyevent@0__:del b1",
      "__keyevent@0__:del __keyevent@0__:del c",
      "__keyspace@0__:b* __keyspace@0__:b1 del",
      "__keyspace@0__:b* __keyspace@0__:b1 set",
    ];
    await eventually(() => assert.deepEqual(heard.toSorted(), expected));
  });

  it("are refused where a primary sends none, and not where it does not say", async () => {
    const client = await open();
    const silent = client.topology.primaryOf(0)?.address as string;
    await cluster.command(silent, "CONFIG", "SET", "notify-keyspace-events", "");
    await Promise.all(
      cluster.nodes.map((node) =>
        cluster.command(node, "ACL", "SETUSER", "u", "on", ">p", "~*", "allchannels", "+@all", "-config"),
      ),
    );
    const refused = (error: Error & { code?: string }) => {
      assert.equal(error.code, "INVALID_ARGUMENT");
      assert.match(error.message, new RegExp(`${silent} sends none.*notify-keyspace-events is empty`));
      return true;
    };
    await assert.rejects(
      client.keyspaceEvents("*", () => {}),
      refused,
    );
    assert.deepEqual(client.metrics().subscriptions, { subscriptions: 0, topics: 0, connections: 0 });
    const denied = await open({ username: "u", password: "p" });
    await (await denied.keyspaceEvents("*", () => {})).close();
    await cluster.command(silent, "CONFIG", "SET", "notify-keyspace-events", "KEA");
    await (await client.keyspaceEvents("*", () => {})).close();
  });
});
