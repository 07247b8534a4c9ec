import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../../src/index.ts";
import { Cluster, type ClusterOptions } from "../../src/ioredis/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

const EVENTS = ["wait", "connecting", "connect", "ready", "reconnecting", "close", "end", "error"];
const nobody = [{ host: "127.0.0.1", port: 1 }];

/** The events of a client, each with the state at that time. */
function eventsOf(client: Cluster): string[] {
  const seen: string[] = [];
  for (const event of EVENTS) client.on(event, () => seen.push(`${event} (${client.status})`));
  return seen;
}

describe("the life of a client in ioredis's shape", () => {
  let servers: LocalCluster;
  before(async () => {
    servers = await startCluster({ primaries: 3 });
  });
  after(() => servers?.stop());

  const made = (options?: ClusterOptions) => new Cluster(servers.nodes, options);
  const connected = ["connecting (connecting)", "connect (connect)", "ready (ready)"];
  const ended = ["close (close)", "end (end)"];

  async function noConnectionsNamed(name: string): Promise<void> {
    await using monitor = await connect({ nodes: servers.nodes });
    for (const address of servers.nodes) {
      const count = async () =>
        (await monitor.node(address).command("CLIENT", "LIST"))
          .split("\n")
          .filter((line) => line.includes(` name=${name} `)).length;
      for (let tries = 0; tries < 50 && (await count()) > 0; tries++) await sleep(50);
      assert.equal(await count(), 0, `connections of ${address} are left`);
    }
  }

  it("connects by itself; calls wait for it, in their order", async () => {
    const client = made();
    const seen = eventsOf(client);
    assert.equal(client.status, "connecting");
    assert.deepEqual(await Promise.all([client.set("o", 1), client.incr("o"), client.get("o")]), ["OK", 2, "2"]);
    await assert.rejects(client.connect(), /already connecting\/connected/);
    const pending = client.get("o");
    assert.equal(await client.quit(), "OK");
    assert.equal(await pending, "2");
    assert.equal(client.status, "disconnecting");
    await once(client, "end");
    assert.deepEqual(seen, [...connected, ...ended]);
    await assert.rejects(client.get("o"), { message: "Connection is closed." });
    assert.equal(await client.quit(), "OK");
    await client.connect();
    assert.equal(await client.get("o"), "2");
    client.disconnect();
  });

  it("connects when it is asked to, or by the first command", async () => {
    for (const begin of [(client: Cluster) => client.connect(), (client: Cluster) => client.ping()]) {
      const client = made({ lazyConnect: true });
      const seen = eventsOf(client);
      await sleep(20);
      assert.deepEqual([client.status, ...seen], ["wait", "wait (wait)"]);
      await begin(client);
      assert.equal(client.status, "ready");
      await client.quit();
      await once(client, "end");
      assert.deepEqual(seen, ["wait (wait)", ...connected, ...ended]);
    }
    const unused = made({ lazyConnect: true });
    assert.equal(await unused.quit(), "OK");
  });

  it("ends at once by disconnect, whatever is under way", async () => {
    const client = made();
    await client.ping();
    const blocked = client.blpop("none", 0);
    await sleep(50);
    client.disconnect();
    await assert.rejects(blocked, { message: "Connection is closed." });
    const early = made();
    const call = early.get("a");
    early.disconnect();
    await assert.rejects(call, { message: "Connection is closed." });
    // A new life right after the end is not disturbed by the events of the old one.
    const again = made();
    await again.ping();
    again.disconnect();
    await again.connect();
    assert.equal(again.status, "ready");
    again.disconnect();
  });

  it("tries again as the strategy says, and tells errors to listeners alone", async () => {
    const times: number[] = [];
    const client = new Cluster(nobody, {
      clusterRetryStrategy: (time) => {
        times.push(time);
        return time < 3 ? 5 : null;
      },
    });
    const seen = eventsOf(client);
    await assert.rejects(client.get("a"), { message: "Connection is closed." });
    const round = ["connecting (connecting)", "error (connecting)", "close (close)"];
    const again = [...round, "reconnecting (reconnecting)"];
    await sleep(20);
    assert.deepEqual(seen, [...again, ...again, ...round, "end (end)"]);
    assert.deepEqual(times, [1, 2, 3]);
    const unheard = new Cluster(nobody, { clusterRetryStrategy: () => null });
    // Not by `once`, which would listen to errors.
    await new Promise((resolve) => unheard.on("end", resolve));
  });

  it("is ended by quit while nobody answers", async () => {
    const client = new Cluster(nobody, { clusterRetryStrategy: () => 60_000 });
    // events.once would hear the error of the first try.
    await new Promise((resolve) => client.once("reconnecting", resolve));
    const waiting = client.get("a").catch((error: Error) => error.message);
    assert.equal(await client.quit(), "OK");
    assert.equal(await waiting, "Connection is closed.");
    await once(client, "end");
  });

  it("has one life at a time: of a connection that was given up nothing is left", async () => {
    const slotwire = { connectionName: "given-up" };
    const client = made({ slotwire });
    const first = client.ping().catch((error: Error) => error.message);
    client.disconnect();
    await client.connect();
    assert.equal(await first, "Connection is closed.");
    client.disconnect();
    await noConnectionsNamed("given-up");
  });

  it("connects again by disconnect(true)", async () => {
    const client = made();
    await client.ping();
    const seen = eventsOf(client);
    const blocked = client.blpop("nothing", 0).catch((error: Error) => error.message);
    client.disconnect(true);
    assert.equal(await client.ping(), "PONG");
    assert.equal(await blocked, "Connection is closed.");
    assert.deepEqual(seen, ["close (close)", "reconnecting (reconnecting)", ...connected]);
    await client.quit();
  });

  it("is not disturbed by a listener that throws, and the process is told", async (t) => {
    const thrown: string[] = [];
    const before = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => thrown.push(error.message));
    t.after(() => {
      process.removeAllListeners("uncaughtException");
      for (const listener of before) process.on("uncaughtException", listener);
    });
    const client = made({ slotwire: { connectionName: "thrown-at" } });
    const seen = eventsOf(client);
    client.on("ready", () => {
      throw new Error("a listener's");
    });
    assert.equal(await client.ping(), "PONG");
    await client.quit();
    await once(client, "end");
    assert.deepEqual(seen, [...connected, ...ended]);
    assert.deepEqual(thrown, ["a listener's"]);
    await noConnectionsNamed("thrown-at");
  });

  it("does not try again with options that are wrong", async () => {
    const client = new Cluster(["redis://[half"]);
    await assert.rejects(client.ping(), (error: Error) => /not a valid redis:/.test((error.cause as Error).message));
  });

  it("is duplicated with its settings, and with others", async () => {
    const client = made({ lazyConnect: true, keyPrefix: "p:", redisOptions: { connectTimeout: 3000 } });
    const copy = client.duplicate();
    const other = client.duplicate([], { keyPrefix: "q:", redisOptions: { connectionName: "other" } });
    const { lazyConnect, keyPrefix } = copy.options;
    assert.deepEqual([copy.status, lazyConnect, keyPrefix, other.options.keyPrefix], ["wait", true, "p:", "q:"]);
    assert.deepEqual(other.options.redisOptions, { connectTimeout: 3000, connectionName: "other" });
    assert.deepEqual([client.isCluster, client.startupNodes], [true, servers.nodes]);
    await Promise.all([copy.set("k", 1), other.set("k", 2)]);
    assert.deepEqual(await Promise.all([copy.get("k"), other.get("k")]), ["1", "2"]);
    for (const each of [client, copy, other]) each.disconnect();
  });

  it("names one connection to each node, blocked calls and lost connections or not", async () => {
    const client = made({ redisOptions: { connectionName: "worker" } });
    const observer = made();
    await Promise.all([client.set("{w}k", 1), observer.ping()]);
    const names = async () => {
      const lists = await Promise.all(observer.nodes().map((node) => node.client("LIST") as Promise<string>));
      return lists.map((list) => [...list.matchAll(/ name=worker /g)].length);
    };
    const blocked = client.blpop("{w}list", 0).catch((error: Error) => error);
    await sleep(100);
    assert.deepEqual(await names(), [1, 1, 1]);
    for (const node of observer.nodes()) await node.client("KILL", "TYPE", "normal", "SKIPME", "no").catch(() => {});
    await sleep(300);
    await client.set("{w}k", 2);
    for (let tries = 0; tries < 100 && (await names().catch(() => [])).join() !== "1,1,1"; tries++) await sleep(50);
    assert.deepEqual(await names(), [1, 1, 1]);
    client.disconnect();
    assert.equal((await blocked) instanceof Error, true);
    observer.disconnect();
  });

  it("takes null for no option", async () => {
    const redisOptions = { username: null, password: null, tls: null, db: null, connectTimeout: null, family: null };
    const others = { natMap: null, maxRedirections: null, scaleReads: null, dnsLookup: null };
    const client = made({ redisOptions, ...others } as never);
    assert.equal(await client.ping(), "PONG");
    await client.quit();
  });

  it("wraps a client of slotwire, and ends with it", async () => {
    const slotwire = await connect(servers.connectOptions);
    const client = Cluster.from(slotwire, { keyPrefix: "w:" });
    assert.equal(client.status, "ready");
    await client.set("k", 1);
    assert.equal(await slotwire.command("GET", "w:k"), "1");
    await client.quit();
    await assert.rejects(slotwire.command("GET", "k"), /closed/);
  });

  it("takes ioredis's options: without meaning with a warning, refused by name", async () => {
    const warnings: string[] = [];
    const listener = ({ message }: Error) => warnings.push(message);
    process.on("warning", listener);
    for (const _ of [1, 2]) made({ lazyConnect: true, enableOfflineQueue: false, redisOptions: { noDelay: true } });
    await sleep(20);
    process.off("warning", listener);
    assert.equal(warnings.filter((text) => text.includes("enableOfflineQueue")).length, 1);
    assert.equal(
      warnings.some((text) => text.includes("noDelay")),
      false,
    );
    assert.throws(() => made({ redisOptions: { stringNumbers: true } }), /stringNumbers cannot be honoured/);
    assert.throws(() => made({ scaleReads: "nonsense" as "all" }), /scaleReads/);
    const [{ port }] = servers.nodes.map((address) => ({ port: Number(address.split(":")[1]) })) as [{ port: number }];
    for (const node of [port, String(port), `127.0.0.1:${port}`, `redis://127.0.0.1:${port}`, { port }]) {
      const client = new Cluster([node]);
      assert.equal(await client.ping(), "PONG");
      client.disconnect();
    }
  });
});
