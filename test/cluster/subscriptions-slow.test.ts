import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Cluster, connect, type Gap, type Message, type Subscription } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";

const MANY = 100_000;
const IN_ONE_SCRIPT = 5000;
const KIB = 1024;
const MIB = 1024 * KIB;
/** A clock of the system may be set a little meanwhile. */
const SLACK_MS = 50;
/** Publishes numbered messages, each filled up to a size. */
const PUBLISH = `for number = ARGV[2], ARGV[3] do
  local text = number .. ' '
  redis.call('PUBLISH', ARGV[1], text .. string.rep('x', ARGV[4] - #text))
end`;

const numberOf = ({ payload }: Message) => Number.parseInt(payload, 10);
const isGap = (event: Message | Gap): event is Gap => "reason" in event;
const isMessage = (event: Message | Gap): event is Message => !isGap(event);

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
function used(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe("a consumer that iterates slowly", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 0 });
    client = await connect({ ...cluster.connectOptions, commandTimeout: 60_000 });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const publish = (channel: string, from: number, to: number, bytes = 16) =>
    cluster.command(cluster.nodes[0] as string, "EVAL", PUBLISH, 0, channel, from, to, bytes);
  /** Takes what waits, up to an event of which `isLast` holds. */
  async function takeUntil(subscription: Subscription, isLast: (event: Message | Gap) => boolean) {
    const events: (Message | Gap)[] = [];
    for await (const event of subscription.events()) {
      events.push(event);
      if (isLast(event)) break;
    }
    return events;
  }

  it(`loses the oldest of ${MANY} messages of 1 KiB, is told which, and harms nobody`, async () => {
    const told: Gap[] = [];
    const others: Gap[] = [];
    const onGap = (gap: Gap) => void others.push(gap);
    const arrived: number[] = [];
    const listener = (message: Message) => {
      assert.equal(numberOf(message), arrived.length);
      arrived.push(Date.now());
    };
    const slow = await client.subscribe(["slow", "idle"], undefined, { onGap: (gap) => told.push(gap) });
    const fast = await client.subscribe("slow", listener, { onGap });
    const beside = await client.subscribe("slow", undefined, {
      onGap,
      maxQueued: MANY,
      maxQueuedBytes: 2 * MANY * KIB,
    });
    const taken: number[] = [];
    const taking = (async () => {
      for await (const message of beside) if (taken.push(numberOf(message)) === MANY) break;
    })();
    const events: (Message | Gap)[] = [];
    const consuming = (async () => {
      for await (const event of slow.events()) {
        events.push(event);
        if (!isGap(event) && numberOf(event) === MANY - 1) break;
        if (arrived.length < MANY && !isGap(event)) await sleep(5);
      }
    })();

    const before = used();
    let most = 0;
    for (let number = 0; number < MANY; number += IN_ONE_SCRIPT) {
      await publish("slow", number, number + IN_ONE_SCRIPT - 1, KIB);
      await eventually(() => assert.equal(arrived.length, number + IN_ONE_SCRIPT), 30_000);
      most = Math.max(most, used() - before);
    }
    await Promise.all([consuming, taking]);
    // 10,000 messages of 1 KiB, and what their objects take.
    assert.equal(most < 24 * MIB, true, `${most} bytes more than before`);
    assert.deepEqual(
      taken,
      Array.from({ length: MANY }, (_, number) => number),
    );
    assert.deepEqual(others, [], "the other subscriptions have no gap");

    const messages = events.filter(isMessage).map(numberOf);
    assert.equal(messages.length < MANY / 2, true, `${messages.length} were taken`);
    let next = 0;
    let open: Gap | undefined;
    let closed: Gap | undefined;
    const inEvents: Gap[] = [];
    for (const event of events) {
      if (isGap(event)) {
        inEvents.push(event);
        assert.deepEqual([event.channels, event.reason], [["slow"], "overflow"]);
        if (open === undefined) {
          assert.equal(event.to, null);
          open = event;
        } else {
          assert.notEqual(event.to, null);
          assert.equal(event.from, open.from);
          [open, closed] = [undefined, event];
        }
        continue;
      }
      const number = numberOf(event);
      assert.equal(open, undefined, "a gap ends before the next message");
      if (number === next) assert.equal(closed, undefined, "where nothing is missing there is no gap");
      else {
        // The times of the first and of the last message that were dropped.
        assert.ok(closed !== undefined, `${next} to ${number - 1} are missing without a gap`);
        const { from, to } = closed as { from: number; to: number };
        const [first, last] = [arrived[next] as number, arrived[number - 1] as number];
        assert.equal(Math.abs(from - first) <= SLACK_MS, true, `from ${from - first} ms after the first dropped one`);
        assert.equal(Math.abs(to - last) <= SLACK_MS, true, `to ${to - last} ms after the last dropped one`);
      }
      closed = undefined;
      next = number + 1;
    }
    assert.equal(inEvents.length > 0, true, "there was a gap");
    // Told at once when it begins. What is dropped until the next message is taken is one gap.
    assert.equal(told.length, inEvents.length);
    assert.deepEqual(
      told.map(({ to }) => to),
      inEvents.map(({ to }) => to),
    );
    await Promise.all([slow.close(), fast.close(), beside.close()]);
  });

  it("is told of each channel by itself, and goes on after the gap", async () => {
    const told: Gap[] = [];
    const subscription = await client.subscribe(["one", "two", "three"], undefined, {
      maxQueued: 10,
      onGap: (gap) => void told.push(gap),
    });
    await publish("one", 0, 9);
    assert.deepEqual(told, []);
    await publish("one", 10, 10);
    await eventually(() => assert.equal(told.length, 1));
    assert.deepEqual(
      told.map(({ channels, to, reason }) => [channels, to, reason]),
      [[["one"], null, "overflow"]],
    );
    await publish("two", 0, 14);
    await eventually(() => assert.equal(told.length, 2));
    await publish("three", 0, 0);
    await eventually(() => assert.equal(client.metrics().subscriptions.subscriptions, 1));
    await sleep(100);
    const events = await takeUntil(subscription, (event) => !isGap(event) && event.channel === "three");
    const shape = (event: Message | Gap) =>
      isGap(event)
        ? `${event.channels} ${event.to === null ? "begins" : "ends"}`
        : `${event.channel} ${numberOf(event)}`;
    assert.deepEqual(events.map(shape), [
      "one begins",
      "one ends",
      "two begins",
      "two ends",
      ...Array.from({ length: 9 }, (_, index) => `two ${index + 6}`),
      "three 0",
    ]);
    assert.deepEqual(told.map(shape), ["one begins", "two begins", "one ends", "two ends"]);
    await publish("one", 11, 12);
    const more = await takeUntil(subscription, (event) => !isGap(event) && numberOf(event) === 12);
    assert.deepEqual(more.map(shape), ["one 11", "one 12"]);
    await subscription.close();
  });

  it("keeps within maxQueuedBytes, and one message however large it is", async () => {
    const subscription = await client.subscribe("large", undefined, { maxQueuedBytes: 10 * KIB });
    const both = async (last: number) => {
      await sleep(100);
      return (await takeUntil(subscription, (event) => !isGap(event) && numberOf(event) === last))
        .filter(isMessage)
        .map(numberOf);
    };
    await publish("large", 0, 19, KIB);
    assert.deepEqual(await both(19), [11, 12, 13, 14, 15, 16, 17, 18, 19]);
    await publish("large", 20, 22, KIB);
    await publish("large", 23, 23, 100 * KIB);
    assert.deepEqual(await both(23), [23]);
    await subscription.close();
  });

  it("may leave a loop and come back, also while it waits, and loses nothing", async () => {
    const subscription = await client.subscribe("loop");
    const numbers: number[] = [];
    for (let round = 0; round < 5; round++) {
      await publish("loop", 3 * round, 3 * round + 2);
      for await (const message of subscription) {
        numbers.push(numberOf(message));
        if (numbers.length === 3 * round + 2) break;
      }
      for await (const message of subscription) {
        numbers.push(numberOf(message));
        break;
      }
      // An iteration that waits and is left takes nothing with it: a stream that is destroyed, for example.
      const iterator = subscription[Symbol.asyncIterator]();
      const waiting = iterator.next();
      await nextTurn();
      await iterator.return?.();
      assert.deepEqual(await waiting, { done: true, value: undefined });
      assert.deepEqual(await iterator.next(), { done: true, value: undefined });
      const stream = Readable.from(subscription);
      stream.on("data", () => {});
      await sleep(10);
      const gone = new Promise((resolve) => stream.once("close", resolve));
      stream.destroy();
      await gone;
    }
    assert.deepEqual(
      numbers,
      Array.from({ length: 15 }, (_, number) => number),
    );
    await subscription.close();
  });

  it("may be two that share the messages", async () => {
    const subscription = await client.subscribe("shared");
    const taken: number[][] = [[], []];
    const loops = taken.map(async (numbers) => {
      for await (const message of subscription) {
        numbers.push(numberOf(message));
        await nextTurn();
      }
    });
    await publish("shared", 0, 999);
    await eventually(() => assert.equal(taken.flat().length, 1000));
    assert.deepEqual(
      taken.flat().toSorted((one, other) => one - other),
      Array.from({ length: 1000 }, (_, n) => n),
    );
    for (const numbers of taken) {
      assert.equal(numbers.length > 100, true, `${numbers.length} of 1000`);
      assert.deepEqual(
        numbers,
        numbers.toSorted((one, other) => one - other),
      );
    }
    await subscription.close();
    await Promise.all(loops);
  });

  it("takes what waits after the close, by whomever, and then ends", async () => {
    const own = await connect(cluster.connectOptions);
    const controller = new AbortController();
    const closed = await client.subscribe("end");
    const ofClient = await own.subscribe("end");
    const aborted = await client.subscribe("end", undefined, { signal: controller.signal });
    const all = [closed, ofClient, aborted];
    await publish("end", 0, 2);
    const first = await Promise.all(all.map((subscription) => subscription[Symbol.asyncIterator]().next()));
    assert.deepEqual(
      first.map(({ value }) => numberOf(value as Message)),
      [0, 0, 0],
    );
    await sleep(100);
    controller.abort(new Error("enough"));
    await Promise.all([closed.close(), own.close()]);
    await publish("end", 3, 3);
    for (const subscription of all) {
      const numbers: number[] = [];
      const loop = (async () => {
        for await (const event of subscription.events()) numbers.push(numberOf(event as Message));
      })();
      if (subscription === aborted) await assert.rejects(loop, { code: "ABORTED", cause: new Error("enough") });
      else await loop;
      assert.deepEqual(numbers, [1, 2]);
    }
    const waiting = await client.subscribe("end");
    const loop = (async () => {
      for await (const _ of waiting) assert.fail("nothing is published");
    })();
    await waiting.close();
    await loop;
  });
});
