import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, connect, type Gap, type Message } from "../../src/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { heardAt } from "../support/heard-at.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";

/** Every kind hears what is published, or written; answers what was heard. */
async function everyKind(client: Cluster, gaps: Gap[], pattern: string): Promise<string[]> {
  const heard: string[] = [];
  const listener = ({ channel, payload }: Message) => heard.push(`${channel} ${payload}`);
  const onGap = (gap: Gap) => void gaps.push(gap);
  const all = [
    await client.subscribe("c", listener, { onGap }),
    await client.psubscribe("p*", listener, { onGap }),
    await client.ssubscribe(["s", "s2"], listener, { onGap }),
    await client.keyspaceEvents(pattern, listener, { onGap }),
  ];
  await client.command("PUBLISH", "c", "1");
  await client.command("PUBLISH", "p1", "2");
  await client.command("SPUBLISH", "s", "3");
  await client.command("SPUBLISH", "s2", "4");
  await client.command("SET", "key", "5");
  await eventually(() => assert.equal(heard.length, 5, String(heard)));
  await Promise.all(all.map((subscription) => subscription.close()));
  return heard.toSorted();
}
const heardIn = (database: number) => [`__keyspace@${database}__:key set`, "c 1", "p1 2", "s 3", "s2 4"];

describe("subscriptions on a single server", () => {
  let server: SingleServer;
  let client: Cluster | undefined;
  afterEach(async () => {
    client?.destroy();
    await server?.stop();
  });

  for (const options of [{}, { mode: "single" }, { database: 1 }, { mode: "single", database: 1 }] as const) {
    it(`with ${JSON.stringify(options)}, also after the connection was lost`, async () => {
      server = await startSingle("--notify-keyspace-events", "KA");
      client = await connect({ nodes: [server.address], ...(options as Partial<ConnectOptions>) });
      const database = "database" in options ? options.database : 0;
      // An event of another database is none of the client's.
      const other = await connect({ nodes: [server.address], database: 3 });
      await other.command("SET", "key", "x");
      const gaps: Gap[] = [];
      assert.deepEqual(await everyKind(client, gaps, "k*"), heardIn(database));
      assert.equal(gaps.length, 0);
      other.destroy();

      const payloads: string[] = [];
      const note = ({ payload }: Message) => payloads.push(payload);
      const onGap = (gap: Gap) => void gaps.push(gap);
      await client.ssubscribe("s", note, { onGap });
      await client.subscribe("c", note, { onGap });
      await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      await eventually(() => assert.equal(gaps.filter(({ to }) => to !== null).length, 2));
      assert.deepEqual(
        gaps.map(({ reason }) => reason),
        Array(4).fill("connection-lost"),
      );
      await client.command("SPUBLISH", "s", "x");
      await client.command("PUBLISH", "c", "y");
      await eventually(() => assert.deepEqual(payloads.toSorted(), ["x", "y"]));
    });
  }
});

describe("subscriptions of a cluster that speaks TLS", () => {
  it("hear everything, also after their connections were lost", async () => {
    const cluster = await startCluster({ primaries: 3, tls: true, args: ["--notify-keyspace-events", "KA"] });
    const client = await connect(cluster.connectOptions);
    try {
      const gaps: Gap[] = [];
      assert.deepEqual(await everyKind(client, gaps, "k*"), heardIn(0));
      assert.equal(gaps.length, 0);
      const payloads: string[] = [];
      await client.subscribe("c", ({ payload }) => payloads.push(payload), { onGap: (gap) => gaps.push(gap) });
      // Feeds that are not needed any more are kept for some seconds, so the home is the one that says so.
      const heard = await heardAt(cluster, { channels: ["c"] });
      const home = cluster.nodes[heard.findIndex(({ channels }) => channels.c === 1)] as string;
      await cluster.command(home, "CLIENT", "KILL", "TYPE", "pubsub");
      await eventually(() =>
        assert.deepEqual(
          gaps.map(({ to }) => to === null),
          [true, false],
        ),
      );
      await client.command("PUBLISH", "c", "x");
      await eventually(() => assert.deepEqual(payloads, ["x"]));
    } finally {
      client.destroy();
      await cluster.stop();
    }
  });
});
