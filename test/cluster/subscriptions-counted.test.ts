import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type Cluster, connect, type Gap, type Message, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { heardAt, hearingConnections, totals } from "../support/heard-at.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { Monitor } from "../support/monitor.ts";

/*
 * The servers count what is heard. By their own words (PUBSUB, CLIENT LIST, MONITOR) no topic is asked for more often
 * than it must be, and none is left behind.
 */

/** Channels of so many slots, two of each. */
const SLOTS = 300;
const SHARDED = Array.from({ length: SLOTS }, (_, index) => keyForSlot(index * 54, "s")).flatMap((name) => [
  name,
  `{${name}}.2`,
]);
const PLAIN = ["a", "b", "c", "", "7", "ä"];
const MANY = 20_000;

describe("subscriptions, as the servers count them", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let monitors: Monitor[] = [];
  const gaps: Gap[] = [];
  const onGap = (gap: Gap) => void gaps.push(gap);

  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 0 });
    client = await connect(cluster.connectOptions);
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });
  afterEach(async () => {
    for (const monitor of monitors.splice(0)) monitor.stop();
    assert.deepEqual(gaps.splice(0), [], "there is no gap where nothing is disturbed");
    assert.deepEqual(await heard(), { channels: {}, sharded: {}, patterns: 0 });
    const { topics, subscriptions } = client.metrics().subscriptions;
    assert.deepEqual({ topics, subscriptions }, { topics: 0, subscriptions: 0 });
  });

  const heard = async () => totals(await heardAt(cluster, { channels: PLAIN, sharded: SHARDED }));
  const once = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 1]));
  const monitor = async () => {
    monitors = await Promise.all(cluster.nodes.map((address) => Monitor.at(address)));
  };
  const commands = (...names: string[]) =>
    monitors.flatMap((each) => each.commands).filter(([name = ""]) => names.includes(name.toUpperCase()));

  it("ask for sharded channels with one SSUBSCRIBE a slot, and half of them can be closed", async () => {
    await monitor();
    const payloads: string[] = [];
    const all = await client.ssubscribe([...SHARDED, ...SHARDED], ({ payload }) => payloads.push(payload), { onGap });
    // A proof that a channel is heard asks for one channel.
    const asked = commands("SSUBSCRIBE").filter(({ length }) => length > 2);
    assert.equal(asked.length, SLOTS);
    for (const [, ...names] of asked) assert.equal(new Set(names.map((name) => slotOf(name))).size, 1);
    assert.deepEqual(await heard(), { channels: {}, sharded: once(SHARDED), patterns: 0 });
    assert.deepEqual(await hearingConnections(cluster), [1, 1, 1]);
    for (const channel of SHARDED) await client.command("SPUBLISH", channel, channel);
    await eventually(() => assert.deepEqual(payloads.toSorted(), SHARDED.toSorted()));

    const [kept, closed] = [SHARDED.slice(0, SLOTS), SHARDED.slice(SLOTS)];
    const halves = await Promise.all([kept, closed].map((half) => client.ssubscribe(half, () => {}, { onGap })));
    assert.deepEqual(await heard(), { channels: {}, sharded: once(SHARDED), patterns: 0 });
    await all.close();
    assert.deepEqual(await heard(), { channels: {}, sharded: once(SHARDED), patterns: 0 });
    await halves[1]?.close();
    assert.deepEqual(await heard(), { channels: {}, sharded: once(kept), patterns: 0 });
    await halves[0]?.close();
  });

  it("share channels and patterns, and each subscription hears each message", async () => {
    const all = new Map<string, string[]>();
    const listener = (name: string) => (message: Message) => {
      const { pattern, channel, payload } = message;
      all.set(name, [...(all.get(name) ?? []), [pattern ?? "", channel, payload].join(" ").trim()]);
    };
    const subscriptions = await Promise.all([
      client.subscribe("a", listener("1"), { onGap }),
      client.subscribe(["a", "b", "a"], listener("2"), { onGap }),
      client.psubscribe(["a*", "*"], listener("3"), { onGap }),
      client.psubscribe("a*", listener("4"), { onGap }),
    ]);
    assert.deepEqual(await heard(), { channels: once(["a", "b"]), sharded: {}, patterns: 2 });
    assert.equal(
      (await hearingConnections(cluster)).reduce((sum, count) => sum + count),
      1,
    );
    const publish = async (payload: string) => {
      await client.command("PUBLISH", "a", payload);
      await client.command("PUBLISH", "b", payload);
    };
    await publish("x");
    const each = { 1: ["a x"], 2: ["a x", "b x"], 3: ["a* a x", "* a x", "* b x"], 4: ["a* a x"] };
    const sorted = () => Object.fromEntries([...all].map(([name, messages]) => [name, messages.toSorted()]));
    const expected = Object.fromEntries(Object.entries(each).map(([name, messages]) => [name, messages.toSorted()]));
    await eventually(() => assert.deepEqual(sorted(), expected));

    await Promise.all([subscriptions[1]?.close(), subscriptions[3]?.close()]);
    assert.deepEqual(await heard(), { channels: once(["a"]), sharded: {}, patterns: 2 });
    await publish("y");
    await eventually(() => assert.deepEqual(all.get("1"), ["a x", "a y"]));
    await eventually(() => assert.equal(all.get("3")?.length, 6));
    assert.deepEqual([all.get("2")?.length, all.get("4")?.length], [2, 1]);
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
  });

  it("are begun and closed in one tick, and begun again while the last close is under way", async () => {
    for (let round = 0; round < 30; round++) {
      const payloads: string[] = [];
      // A node that the bus reaches late can still send what was published in the round before.
      const listener = ({ payload }: Message) => payload.endsWith(`:${round}`) && payloads.push(payload);
      const kinds = ["subscribe", "psubscribe", "ssubscribe"] as const;
      const first = await Promise.all(kinds.map((kind) => client[kind](["a", "b"], () => {}, { onGap })));
      const closing = Promise.all(first.map((subscription) => subscription.close()));
      const again = kinds.map((kind) => client[kind](["a", "c"], listener, { onGap }));
      const controller = new AbortController();
      const { signal } = controller;
      const ended = kinds.map((kind) => client[kind](["b", "c"], listener, { onGap, signal }));
      if (round % 3 > 0)
        await new Promise((resolve) => (round % 3 === 1 ? setImmediate(resolve) : setTimeout(resolve, 1)));
      controller.abort();
      const results = await Promise.allSettled(ended);
      for (const result of results) {
        if (result.status === "rejected") assert.equal(result.reason.code, "ABORTED");
      }
      await closing;
      const last = await Promise.all(again);
      await eventually(async () => {
        const { channels, sharded, patterns } = totals(await heardAt(cluster, { channels: PLAIN, sharded: PLAIN }));
        assert.deepEqual(
          { channels, sharded, patterns },
          { channels: once(["a", "c"]), sharded: once(["a", "c"]), patterns: 2 },
        );
      });
      await client.command("PUBLISH", "a", `x:${round}`);
      await client.command("SPUBLISH", "c", `y:${round}`);
      await eventually(() => assert.deepEqual(payloads.toSorted(), [`x:${round}`, `x:${round}`, `y:${round}`]));
      await Promise.all(last.map((subscription) => subscription.close()));
    }
  });

  it("take names of every sort: Buffers, numbers, empty ones, and bytes that are no text beside text", async () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x0d, 0x0a, 0x00]);
    // As text, the bytes would read like this name.
    const alike = bytes.toString();
    const views = [client, client.with({ replies: "buffer" })] as const;
    for (const kind of ["subscribe", "ssubscribe"] as const) {
      const publish = kind === "subscribe" ? "PUBLISH" : "SPUBLISH";
      const texts: Message[] = [];
      const buffers: Message<Buffer>[] = [];
      const odd: Message[] = [];
      const names = [bytes, alike, "", 7, 8n, Buffer.from("ä"), new Uint8Array([0x61])];
      const subscriptions = [
        await views[0][kind](
          [alike, "", 7, 8n, Buffer.from("ä"), new Uint8Array([0x61])],
          (m: Message) => texts.push(m),
          { onGap },
        ),
        await views[1][kind](names, (message: Message<Buffer>) => buffers.push(message), { onGap }),
        await views[0][kind](bytes, (m: Message) => odd.push(m), { onGap }),
      ];
      const payload = Buffer.from([0x78, 0xff]);
      const send = async () => {
        for (const name of names) await client.command(publish, name, payload);
      };
      await send();
      await eventually(() => assert.equal(buffers.length, names.length));
      const asBytes = (name: (typeof names)[number]) =>
        name instanceof Uint8Array ? Buffer.from(name) : Buffer.from(String(name));
      const hex = (all: readonly Buffer[]) => all.map((each) => each.toString("hex")).toSorted();
      assert.deepEqual(hex(buffers.map(({ channel }) => channel)), hex(names.map(asBytes)));
      for (const message of buffers) assert.deepEqual(message.payload, payload);
      await eventually(() => assert.equal(texts.length, names.length - 1));
      assert.deepEqual(texts.map(({ channel }) => channel).toSorted(), [alike, "", "7", "8", "ä", "a"].toSorted());
      for (const message of [...texts, ...odd]) assert.equal(message.payload, "x\ufffd");
      assert.deepEqual(
        odd.map(({ channel }) => channel),
        [alike],
      );
      // Without those that need the bytes, the feed decodes text again.
      await subscriptions[1]?.close();
      await subscriptions[2]?.close();
      texts.length = 0;
      await send();
      await eventually(() => assert.equal(texts.length, names.length - 1));
      await subscriptions[0]?.close();
    }
  });

  it("give each listener Buffers of its own", async () => {
    const view = client.with({ replies: "buffer" });
    const heard: string[] = [];
    const spoiling = ({ channel, payload }: Message<Buffer>) => {
      heard.push(`${channel} ${payload}`);
      channel.fill(0);
      payload.fill(0);
    };
    const all = [
      await view.subscribe("a", spoiling, { onGap }),
      await view.subscribe("a", spoiling, { onGap }),
      await client.subscribe("a", ({ channel, payload }: Message) => heard.push(`${channel} ${payload}`), { onGap }),
    ];
    await client.command("PUBLISH", "a", "x");
    await eventually(() => assert.deepEqual(heard, ["a x", "a x", "a x"]));
    await Promise.all(all.map((subscription) => subscription.close()));
  });

  it(`take ${MANY} channels in one call, each at the price of one of few`, async () => {
    const names = Array.from({ length: MANY }, (_, index) => `many-${index}`);
    for (const kind of ["subscribe", "ssubscribe"] as const) {
      const publish = kind === "subscribe" ? "PUBLISH" : "SPUBLISH";
      const costs: number[] = [];
      const few = Array.from({ length: 6 }, () => names.slice(0, MANY / 20));
      // The first ones are slow because nothing is compiled yet.
      for (const some of [...few, names]) {
        const payloads: string[] = [];
        const listener = ({ payload }: Message) => payloads.push(payload);
        const before = process.cpuUsage();
        const subscription = await client[kind](some, listener, { onGap });
        const { user } = process.cpuUsage(before);
        costs.push(user / some.length);
        const asked = kind === "subscribe" ? { channels: some } : { sharded: some };
        const counts = totals(await heardAt(cluster, asked));
        assert.equal(Object.keys(kind === "subscribe" ? counts.channels : counts.sharded).length, some.length);
        await client.command(publish, some.at(-1) as string, "x");
        await eventually(() => assert.deepEqual(payloads, ["x"]));
        await subscription.close();
        assert.deepEqual(totals(await heardAt(cluster, asked)), { channels: {}, sharded: {}, patterns: 0 });
      }
      const many = costs.pop() as number;
      const [, ofFew] = costs.toSorted((one, other) => one - other) as [number, number];
      assert.equal(many < 3 * ofFew, true, `${kind}: ${ofFew} us each of few, ${many} us each of many`);
    }
  });

  it("leave no connection behind some seconds later", async () => {
    await eventually(async () => assert.deepEqual(await hearingConnections(cluster), [0, 0, 0]));
    await eventually(() => assert.equal(client.metrics().subscriptions.connections, 0));
    const lists = async () => {
      const all = await Promise.all(cluster.nodes.map((address) => cluster.command(address, "CLIENT", "LIST")));
      // Those of the servers among each other and the one that asks are not the client's.
      return all.map(
        (list) =>
          String(list)
            .split("\n")
            .filter((line) => line.includes("lib-name") || line !== "").length,
      );
    };
    const before = await lists();
    const all = await Promise.all([client.subscribe("a", () => {}), client.ssubscribe(SHARDED, () => {})]);
    await Promise.all(all.map((subscription) => subscription.close()));
    await eventually(async () => assert.deepEqual(await lists(), before));
  });
});
