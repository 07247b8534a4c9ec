import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Gap, type Message, ReplyError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk } from "../support/fake-node.ts";
import { type SubscriberRules, takeSubscriptions } from "../support/fake-subscribers.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { SteppedClock } from "../support/stepped-clock.ts";

/** In the slots of the first node, and of the second. */
const [HERE, THERE] = [keyForSlot(7), keyForSlot(16_000)];

describe("a subscription that is refused, or moved", () => {
  let cluster: FakeCluster;
  let nodes: readonly SubscriberRules[];
  let heard: string[];
  let gaps: Gap[];
  const hear = ({ channel, payload }: Message) => heard.push(`${channel} ${payload}`);
  const onGap = (gap: Gap) => gaps.push(gap);
  const node = (index: number) => nodes[index] as SubscriberRules;
  const asked = (index: number) => cluster.node(index).count("SSUBSCRIBE");

  beforeEach(async () => {
    cluster = await FakeCluster.start(2, 1);
    nodes = cluster.nodes.slice(0, 2).map(takeSubscriptions);
    heard = [];
    gaps = [];
  });
  afterEach(() => cluster.stop());

  /** A refusal of SSUBSCRIBE, `times` times over. */
  function refuse(index: number, text: string, times = Number.POSITIVE_INFINITY): void {
    let left = times;
    node(index).refuse = (command) => (command === "SSUBSCRIBE" && left-- > 0 ? text : undefined);
  }

  for (const [row, text] of [
    ["tryagain", "TRYAGAIN Multiple keys request during rehashing of slot"],
    ["loading", "LOADING Redis is loading the dataset in memory"],
    ["clusterdown", "CLUSTERDOWN The cluster is down"],
    ["masterdown", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."],
    ["busy", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."],
  ] as const) {
    it(`is asked again after ${row}, by the decision for calls`, async () => {
      const client = await cluster.connect();
      refuse(0, text, 3);
      await client.ssubscribe(HERE, hear, { onGap });
      assert.equal(asked(0), 4);
      assert.equal(client.metrics().counters.decisions[row], 3);
      node(0).spublish(HERE, "m");
      await until(() => heard.length > 0);
      assert.deepEqual([heard, gaps], [[`${HERE} m`], []]);
    });
  }

  it("has the server's last words in the error at its deadline", async () => {
    const client = await cluster.connect({ commandTimeout: 200 });
    refuse(0, "CLUSTERDOWN The cluster is down");
    await assert.rejects(client.ssubscribe(HERE, hear), {
      code: "DEADLINE",
      message: /CLUSTERDOWN The cluster is down/,
    });
    const times = asked(0);
    await sleep(300);
    assert.equal(asked(0), times, "nobody asks for it any more");
  });

  it("follows MOVED at once, and its messages come from the node that was named", async () => {
    const client = await cluster.connect();
    refuse(0, `MOVED 7 ${cluster.node(1).address}`);
    await client.ssubscribe(HERE, hear, { onGap });
    assert.deepEqual([asked(0), asked(1)], [1, 1]);
    assert.equal(client.metrics().counters.decisions["moved-known"], 1);
    assert.equal(client.topology.primaryOf(7)?.address, cluster.node(1).address);
    node(0).spublish(HERE, "wrong");
    node(1).spublish(HERE, "right");
    await until(() => heard.length > 0);
    assert.deepEqual([heard, gaps], [[`${HERE} right`], []]);
  });

  it("follows a MOVED once: it does not leave the node that confirmed later", async () => {
    const clock = new SteppedClock();
    const client = await cluster.connect({}, clock.environment);
    await client.ssubscribe(HERE, hear, { onGap });
    // There and back before the pause after a refusal is over.
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      cluster.ranges = [[0, 16_383, to]];
      refuse(from, `MOVED 7 ${cluster.node(to).address}`);
      refuse(to, "", 0);
      const before = gaps.length;
      node(from).sunsubscribe(HERE);
      await until(() => gaps.length === before + 2);
    }
    assert.equal(asked(1), 2, "it was asked, and asked again when it ended the subscription");
    await clock.pass(500);
    assert.deepEqual([asked(1), gaps.length], [2, 4], "nobody asks it any more");
    node(0).spublish(HERE, "m");
    await until(() => heard.length > 0);
  });

  it("follows a MOVED although older views deny it, and the next one back", async () => {
    const clock = new SteppedClock();
    const client = await cluster.connect({}, clock.environment);
    await client.ssubscribe(HERE, hear, { onGap });
    refuse(0, `MOVED 7 ${cluster.node(1).address}`);
    node(0).sunsubscribe(HERE);
    await until(() => gaps.length === 2);
    // Both nodes still say what was before, and that is not believed so soon.
    const refreshed = client.refreshTopology();
    for (let ms = 0; ms < 150; ms += 50) await clock.pass(50);
    await refreshed;
    assert.equal(client.topology.primaryOf(7)?.address, cluster.node(1).address);
    assert.deepEqual(node(1).subscribed(), [`SSUBSCRIBE ${HERE}`], "the topic stays");
    // By now the slot is back.
    refuse(0, "", 0);
    refuse(1, `MOVED 7 ${cluster.node(0).address}`);
    node(1).sunsubscribe(HERE);
    await until(() => gaps.length === 4);
    assert.deepEqual(node(0).subscribed(), [`SSUBSCRIBE ${HERE}`]);
  });

  it("stays at the owner that has confirmed, although an older view denies it", async () => {
    const clock = new SteppedClock();
    const client = await cluster.connect({}, clock.environment);
    const refresh = async () => {
      const refreshed = client.refreshTopology();
      for (let ms = 0; ms < 150; ms += 50) await clock.pass(50);
      await refreshed;
    };
    await client.ssubscribe(HERE, hear, { onGap });
    const before = cluster.ranges;
    cluster.ranges = [
      [0, 6, 0],
      [7, 7, 1],
      ...before.map(([start, end, owner]) => [Math.max(start, 8), end, owner] as const),
    ] as typeof before;
    await refresh();
    await until(() => gaps.length === 2);
    assert.deepEqual(node(1).subscribed(), [`SSUBSCRIBE ${HERE}`]);
    cluster.ranges = before;
    await refresh();
    assert.equal(client.topology.primaryOf(7)?.address, cluster.node(1).address);
    assert.deepEqual(node(1).subscribed(), [`SSUBSCRIBE ${HERE}`], "the topic stays");
    // What all say for longer is so.
    for (let ms = 0; ms < 1100; ms += 50) await clock.pass(50);
    await refresh();
    await until(() => gaps.length === 4);
    assert.deepEqual(node(0).subscribed(), [`SSUBSCRIBE ${HERE}`]);
  });

  it("is over where NOPERM says so, with the server's words, and others of the same write are not harmed", async () => {
    const client = await cluster.connect();
    const secret = `{${HERE}}secret`;
    const words = "NOPERM this user has no permissions to access one of the channels used as arguments";
    node(0).refuse = (_, names) => (names.includes(secret) ? words : undefined);
    const [first, second, third] = await Promise.allSettled([
      client.ssubscribe(HERE, hear),
      client.ssubscribe(secret, hear),
      client.ssubscribe([THERE, secret], hear),
    ]);
    assert.deepEqual([first?.status, second?.status, third?.status], ["fulfilled", "rejected", "rejected"]);
    for (const each of [second, third] as PromiseRejectedResult[]) {
      assert.equal(
        each.reason instanceof ReplyError && each.reason.message.startsWith(words),
        true,
        String(each.reason),
      );
      assert.equal(each.reason.outcome, "not-executed");
    }
    node(0).spublish(HERE, "m");
    await until(() => heard.length > 0);
    await until(() => node(1).subscribed().length === 0);
    assert.deepEqual(node(0).subscribed(), [`SSUBSCRIBE ${HERE}`], "nothing is left behind");
  });

  it("ends a subscription that the servers permit no more, with an error", async () => {
    const client = await cluster.connect();
    const subscription = await client.ssubscribe(HERE, hear, { onGap });
    const other = await client.ssubscribe(THERE, hear);
    refuse(0, "NOPERM this user has no permissions to access one of the channels used as arguments");
    node(0).dropSubscribers();
    await assert.rejects(subscription.ended, (error) => error instanceof ReplyError && /^NOPERM/.test(error.message));
    assert.equal(gaps[0]?.reason, "connection-lost");
    node(1).spublish(THERE, "m");
    await until(() => heard.length > 0);
    await other.close();
    await other.ended;
  });

  it("has a clear error where the server does not know SSUBSCRIBE", async () => {
    const client = await cluster.connect();
    refuse(0, "ERR unknown command `SSUBSCRIBE`, with args beginning with: `k`, ");
    await assert.rejects(client.ssubscribe(HERE, hear), {
      outcome: "not-executed",
      message: /sharded channels need Redis 7\.0/,
    });
    assert.equal(asked(0), 1);
    await client.subscribe("c", hear);
  });

  it("was ended by a server that keeps its slot: a gap is told, and the server is asked again", async () => {
    const client = await cluster.connect();
    await client.ssubscribe([HERE, THERE], hear, { onGap });
    node(0).sunsubscribe(HERE);
    await until(() => gaps.length === 2);
    assert.deepEqual(
      gaps.map(({ channels, reason, to }) => [channels, reason, to === null]),
      [
        [[HERE], "slot-moved", true],
        [[HERE], "slot-moved", false],
      ],
    );
    node(0).spublish(HERE, "m");
    await until(() => heard.length > 0);
    assert.equal(asked(1) >= 1, true);
  });

  it("is left at the old owner before the new one is asked", async () => {
    const client = await cluster.connect();
    await client.ssubscribe(HERE, hear, { onGap });
    // The old owner does not know yet that its slot has moved, and is slow to let go.
    let letGo: () => void = () => {};
    cluster.node(0).expect(
      "SUNSUBSCRIBE",
      new Promise((resolve) => {
        letGo = () => resolve(array(bulk("sunsubscribe"), bulk(HERE), ":0\r\n"));
      }),
    );
    cluster.ranges = [[0, 16_383, 1]];
    await client.refreshTopology();
    await until(() => cluster.node(0).count("SUNSUBSCRIBE") > 0);
    await sleep(200);
    assert.equal(asked(1), 0, "the new owner waits for its turn");
    letGo();
    await until(() => gaps.length === 2);
    assert.deepEqual(node(1).subscribed(), [`SSUBSCRIBE ${HERE}`]);
    node(1).spublish(HERE, "m");
    await until(() => heard.length > 0);
    assert.deepEqual(heard, [`${HERE} m`]);
  });

  it("goes on at the replica that was promoted, which is asked for its role meanwhile", async () => {
    const heir = cluster.node(2);
    const rules = takeSubscriptions(heir);
    let isPromoted = false;
    heir.always("ROLE", () => array(bulk(isPromoted ? "master" : "slave"), ":0\r\n", array()));
    cluster.announced = 3;
    cluster.primaryOf.set(2, 0);
    cluster.ranges = [
      [0, 8191, 0],
      [8192, 16_383, 1],
    ];
    const client = await cluster.connect();
    await client.ssubscribe(HERE, hear, { onGap });
    assert.equal(heir.count("ROLE"), 0, "nobody asks while nothing is lost");
    refuse(0, "CLUSTERDOWN The cluster is down");
    node(0).dropSubscribers();
    await until(() => heir.count("ROLE") >= 5);
    isPromoted = true;
    cluster.primaryOf.clear();
    cluster.primaryOf.set(0, 2);
    cluster.ranges = [
      [0, 8191, 2],
      [8192, 16_383, 1],
    ];
    await until(() => gaps.length === 2);
    rules.spublish(HERE, "m");
    await until(() => heard.length > 0);
    const asked = heir.count("ROLE");
    await sleep(300);
    assert.equal(heir.count("ROLE") <= asked + 1, true, "nobody asks any more");
  });

  it("of a channel goes to another node than the one that loads its data", async () => {
    const client = await cluster.connect();
    for (const index of [0, 1]) {
      let isFirst = true;
      node(index).refuse = () => {
        const text = isFirst ? "LOADING Redis is loading the dataset in memory" : undefined;
        isFirst = false;
        return text;
      };
    }
    await client.subscribe("c", hear, { onGap });
    for (const each of nodes) each.publish("c", "m");
    await until(() => heard.length > 0);
    assert.deepEqual([heard, gaps], [["c m"], []]);
  });
});

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    assert.equal(Date.now() < deadline, true, String(holds));
    await sleep(5);
  }
}
