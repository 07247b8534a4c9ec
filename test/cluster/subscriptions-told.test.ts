import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { inspect } from "node:util";
import { type Cluster, connect, type Gap, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { Ear } from "../support/channels.ts";
import { eventually } from "../support/eventually.ts";
import { takesShardChannels } from "../support/subscribed-cluster.ts";

/** In every name and payload, and in nothing that is told. */
const SECRET = "s3cret";
const nameOf = (name: string) => `${SECRET}:${name}`;

describe("subscriptions are told", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let ear: Ear;
  /** Servers before 7.0 have no sharded channels; before 6.2, no rights to channels. */
  let isNew: boolean;
  before(async () => {
    cluster = await startCluster({ primaries: 3, args: ["--notify-keyspace-events", "KA"] });
    isNew = await takesShardChannels(cluster);
    ear = new Ear("topic", "message", "gap");
    client = await connect(cluster.connectOptions);
  });
  afterEach(() => {
    const told = inspect(
      ear.take().map(({ message }) => message),
      { depth: 9 },
    );
    assert.doesNotMatch(told, new RegExp(SECRET));
  });
  after(async () => {
    ear.stop();
    client?.destroy();
    await cluster?.stop();
  });

  /** What happened to topics, and where. */
  const life = (on: Ear = ear) =>
    on.all("topic").map(({ event, topic, address }) => {
      const { kind, slot } = topic as { kind: string; slot: number };
      return { event, kind, slot, address };
    });
  const events = () => life().map(({ event, kind }) => `${kind} ${event}`);
  const killSubscribers = (address: string) =>
    cluster.command(address, "CLIENT", "KILL", "TYPE", "pubsub") as Promise<number>;
  const publish = (channel: string) => client.command("PUBLISH", channel, SECRET);

  it("on channels: a topic is asked for, confirmed and left at its node", async (test) => {
    if (!isNew) return test.skip("the server is too old");
    const channel = nameOf("{a}1");
    const owner = client.topology.primaryOf(slotOf(channel))?.address;
    const subscription = await client.ssubscribe(channel, () => {});
    await subscription.close();
    const topic = { kind: "shard", slot: slotOf(channel), address: owner };
    assert.deepEqual(
      life(),
      ["asked", "confirmed", "left"].map((event) => ({ event, ...topic })),
    );
    const [first, ...others] = ear.all("topic");
    for (const each of others) assert.equal(each.topic, first?.topic);
    const { id, ...who } = (first?.client ?? { id: 0 }) as { readonly id: number };
    assert.deepEqual(who, { seeds: cluster.nodes, name: undefined, database: 0 });
    assert.equal(id > 0, true);
  });

  it("on channels: keyspace events are asked for at every primary, patterns at one node", async () => {
    const all = await Promise.all([
      client.keyspaceEvents(nameOf("*"), () => {}),
      client.psubscribe(nameOf("*"), () => {}),
      client.psubscribe(nameOf("*"), () => {}),
    ]);
    for (const each of all) await each.close();
    const at = (kind: string, event: string) => life().filter((each) => each.kind === kind && each.event === event);
    for (const event of ["asked", "confirmed", "left"]) {
      const addresses = at("keyspace", event).map(({ address }) => address as string);
      assert.deepEqual(addresses.sort(), [...cluster.nodes].sort(), event);
      assert.equal(at("pattern", event).length, 1, event);
      assert.equal(at("pattern", event)[0]?.slot, -1);
    }
  });

  it("on channels: each message, with the number of its subscriptions", async () => {
    const heard: string[] = [];
    const hear = ({ payload }: { payload: string }) => heard.push(payload);
    const two = [await client.subscribe(nameOf("b"), hear), await client.subscribe(nameOf("b"), hear)];
    await publish(nameOf("b"));
    await publish(nameOf("nobody"));
    await eventually(() => assert.equal(heard.length, 2));
    const [message, ...others] = ear.all("message");
    assert.deepEqual([message?.subscriptions, others], [2, []]);
    const [asked] = ear.all("topic");
    assert.deepEqual([message?.topic, message?.address], [asked?.topic, asked?.address]);
    for (const each of two) await each.close();
  });

  it("on channels and in metrics: a gap, when it begins and when it ends, once for all that it hits", async () => {
    const names = ["c", "d", "e"].map(nameOf);
    const gaps: Gap[] = [];
    const before = client.metrics();
    const subscription = await client.subscribe(names, () => {}, { onGap: (gap) => gaps.push(gap) });
    const [home] = ear.all("topic");
    assert.equal(await killSubscribers(home?.address as string), 1);
    await eventually(() => assert.equal(gaps.length, 2));
    const told = ear.all("gap").map(({ topics, reason, from, to }) => [(topics as unknown[]).length, reason, from, to]);
    assert.deepEqual(
      told,
      gaps.map(({ reason, from, to }) => [3, reason, from, to]),
    );
    assert.deepEqual([told[0]?.[1], told[0]?.[3], typeof told[1]?.[3]], ["connection-lost", null, "number"]);
    assert.deepEqual(
      new Set(ear.all("gap")[0]?.topics as object[]),
      new Set(ear.all("topic").map(({ topic }) => topic)),
    );
    const once = ["asked", "confirmed", "lost", "asked", "confirmed"];
    assert.deepEqual(
      events(),
      once.flatMap((event) => names.map(() => `channel ${event}`)),
    );
    const { counters, subscriptions } = client.metrics();
    assert.equal((counters.gaps["connection-lost"] ?? 0) - (before.counters.gaps["connection-lost"] ?? 0), 3);
    const { subscriptions: count, topics } = subscriptions;
    assert.deepEqual([count, topics], [1, 3]);
    await subscription.close();
  });

  it("on channels and in metrics: a gap of a sharded channel whose slot moves", async (test) => {
    if (!isNew) return test.skip("the server is too old");
    const channel = nameOf("f");
    const slot = slotOf(channel);
    const from = client.topology.primaryOf(slot)?.address as string;
    const to = cluster.nodes.find((address) => address !== from) as string;
    const gaps: Gap[] = [];
    const subscription = await client.ssubscribe(channel, () => {}, { onGap: (gap) => gaps.push(gap) });
    await cluster.moveSlots({ slots: [slot], to });
    await eventually(() => assert.deepEqual(life().at(-1), { event: "confirmed", kind: "shard", slot, address: to }));
    await eventually(() => assert.equal(gaps.at(-1)?.to === null, false));
    const at = (address: string) => life().filter((each) => each.address === address);
    assert.deepEqual(
      at(to).map(({ event }) => event),
      ["asked", "confirmed"],
    );
    // Asked again at once, the old owner says where the slot is, unless the topology says it before.
    assert.match(
      at(from)
        .map(({ event }) => event)
        .join(" "),
      /^asked confirmed ended( asked)?( refused| left)?$/,
    );
    for (const { event, row } of ear.all("topic")) assert.equal(row !== undefined, event === "refused");
    assert.deepEqual(new Set(ear.all("gap").map(({ reason }) => reason)), new Set(["slot-moved"]));
    assert.equal(client.metrics().counters.gaps["slot-moved"], gaps.length / 2);
    await subscription.close();
  });

  it("on channels: a refusal, with the row of the decision", async (test) => {
    if (!isNew) return test.skip("the server is too old");
    for (const address of cluster.nodes) {
      await cluster.command(address, "ACL", "SETUSER", "deaf", "on", ">pw", "~*", "+@all", "resetchannels");
    }
    const deaf = await connect({ ...cluster.connectOptions, username: "deaf", password: "pw" });
    await assert.rejects(
      deaf.subscribe(nameOf("g"), () => {}),
      { code: "REPLY" },
    );
    const [asked, refused] = ear.all("topic");
    assert.deepEqual([asked?.event, refused?.event, refused?.row], ["asked", "refused", "noperm"]);
    deaf.destroy();
  });

  it("on channels and in metrics: an overflow, of the subscription that is too slow", async () => {
    const channel = nameOf("h");
    const before = client.metrics().counters;
    const slow = await client.subscribe(channel, undefined, { maxQueued: 2 });
    for (let message = 0; message < 5; message++) await publish(channel);
    await eventually(() => assert.equal(client.metrics().counters.messages - before.messages, 5));
    const iteration = slow.events();
    const first = await iteration.next();
    await slow.close();
    assert.equal("reason" in (first.value as object), true);
    const told = ear.all("gap").map(({ topics, reason, to }) => [(topics as unknown[]).length, reason, to === null]);
    assert.deepEqual(told, [
      [1, "overflow", true],
      [1, "overflow", false],
    ]);
    assert.equal(client.metrics().counters.gaps.overflow, 1);
  });

  it("in metrics: how many subscriptions, topics and connections there are", async () => {
    const figures = () => client.metrics().subscriptions;
    await eventually(() => assert.deepEqual(figures(), { subscriptions: 0, topics: 0, connections: 0 }));
    const channels = [nameOf("i"), nameOf("j")];
    const all = [
      await client.subscribe(channels, () => {}),
      await client.with({ timeout: 4000 }).subscribe(channels, () => {}),
      await client.psubscribe(channels, () => {}),
      await client.keyspaceEvents("*", () => {}),
    ];
    assert.deepEqual(figures(), { subscriptions: 4, topics: 5, connections: 4 });
    for (const each of all) await each.close();
    await eventually(() => assert.deepEqual(figures(), { subscriptions: 0, topics: 0, connections: 0 }));
  });
});
