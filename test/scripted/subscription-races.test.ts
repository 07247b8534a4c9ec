import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Gap, Message } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk, error } from "../support/fake-node.ts";
import { type SubscriberRules, takeSubscriptions } from "../support/fake-subscribers.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

/** In slots of the first node. */
const [LEAVING, STAYING, NEW] = [keyForSlot(7), keyForSlot(8), keyForSlot(9)];

describe("a subscription to a sharded channel, when", () => {
  let cluster: FakeCluster;
  let nodes: readonly SubscriberRules[];
  let heard: string[];
  let gaps: Gap[];
  const hear = ({ channel, payload }: Message) => heard.push(`${channel} ${payload}`);
  const onGap = (gap: Gap) => gaps.push(gap);
  const node = (index: number) => nodes[index] as SubscriberRules;

  beforeEach(async () => {
    cluster = await FakeCluster.start(2, 1);
    nodes = cluster.nodes.slice(0, 2).map(takeSubscriptions);
    heard = [];
    gaps = [];
  });
  afterEach(() => cluster.stop());

  it("a slot leaves while one of its channels is being left: others of the connection are not harmed", async () => {
    const client = await cluster.connect();
    const leaving = await client.ssubscribe(LEAVING, hear, { onGap });
    await client.ssubscribe(STAYING, hear, { onGap });
    // As servers do it: the word about the slot was on its way already, and the answer to SUNSUBSCRIBE is MOVED.
    cluster
      .node(0)
      .always("SUNSUBSCRIBE", () =>
        [array(bulk("sunsubscribe"), bulk(LEAVING), ":1\r\n"), error(`MOVED 7 ${cluster.node(1).address}`)].join(""),
      );
    const closing = leaving.close();
    await client.ssubscribe(NEW, hear, { onGap });
    await closing;
    for (const channel of [STAYING, NEW]) node(0).spublish(channel, "m");
    await until(() => heard.length === 2);
    assert.deepEqual([heard, gaps], [[`${STAYING} m`, `${NEW} m`], []]);
    // With no request in flight, too.
    const last = await client.ssubscribe(LEAVING, hear, { onGap });
    await last.close();
    await sleep(100);
    assert.deepEqual(gaps, []);
  });

  const REFUSALS = [
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "LOADING Redis is loading the dataset in memory",
    "CLUSTERDOWN The cluster is down",
  ];
  for (const refusal of REFUSALS) {
    it(`SUNSUBSCRIBE is answered with ${refusal.split(" ", 1)}: it is asked again, and others are not harmed`, async () => {
      const client = await cluster.connect();
      const leaving = await client.ssubscribe(LEAVING, hear, { onGap });
      await client.ssubscribe(STAYING, hear, { onGap });
      for (let time = 0; time < 2; time++) cluster.node(0).expect("SUNSUBSCRIBE", error(refusal));
      await leaving.close();
      assert.deepEqual(node(0).subscribed(), [`SSUBSCRIBE ${STAYING}`]);
      assert.equal(cluster.node(0).count("SUNSUBSCRIBE"), 3);
      node(0).spublish(STAYING, "m");
      await until(() => heard.length === 1);
      assert.deepEqual(gaps, []);
      const { decisions } = client.metrics().counters;
      assert.equal(decisions[(refusal.split(" ", 1)[0] as string).toLowerCase()], 2);
    });
  }

  it("a slot comes back at once, and others subscribe meanwhile: all follow it", async () => {
    const client = await cluster.connect();
    const second = `{${LEAVING}}second`;
    await client.ssubscribe(LEAVING, hear, { onGap });
    const moved = (from: number, to: number) => {
      node(from).refuse = () => `MOVED 7 ${cluster.node(to).address}`;
      node(to).refuse = () => undefined;
      node(from).sunsubscribe(LEAVING);
    };
    moved(0, 1);
    await until(() => gaps.at(-1)?.to != null);
    // The nodes say that the slot is where it was: an old view, or a new one. It is not believed so soon.
    await client.refreshTopology();
    assert.equal(client.topology.primaryOf(7)?.address, cluster.node(1).address);
    node(0).refuse = () => undefined;
    await client.ssubscribe(second, hear, { onGap });
    moved(1, 0);
    await until(() => node(0).subscribed().length === 2);
    await until(() => gaps.at(-1)?.to != null);
    for (const channel of [LEAVING, second]) node(0).spublish(channel, "m");
    await until(() => heard.length === 2);
  });
});

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    assert.equal(Date.now() < deadline, true, String(holds));
    await sleep(5);
  }
}
