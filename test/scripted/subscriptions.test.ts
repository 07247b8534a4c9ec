import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Cluster, Gap } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk, error, type FakeNode, ok } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { answerAll, confirmed } from "../support/operations.ts";

const HOME_KINDS = ["subscribe", "psubscribe"] as const;
const COMMAND = { subscribe: "SUBSCRIBE", psubscribe: "PSUBSCRIBE", ssubscribe: "SSUBSCRIBE" } as const;
const KINDS = [...HOME_KINDS, "ssubscribe"] as const;

describe("subscriptions at servers that do not do what they should", () => {
  let cluster: FakeCluster;
  let client: Cluster;
  afterEach(() => cluster.stop());
  const begin = async (nodes = 2) => {
    cluster = await FakeCluster.start(nodes);
    answerAll(cluster);
    client = await cluster.connect();
  };
  const name = keyForSlot(0);

  for (const kind of HOME_KINDS) {
    it(`${kind}: a node that confirms nothing is left for another one`, { timeout: 30_000 }, async () => {
      await begin();
      let first: FakeNode | undefined;
      for (const node of cluster.nodes) {
        node.always(COMMAND[kind], (args) => {
          first ??= node;
          return node === first ? "hang" : confirmed(args);
        });
      }
      const subscription = await client[kind](name, () => {});
      for (const node of cluster.nodes) assert.equal(node.count(COMMAND[kind]) > 0, true, "both were asked");
      await subscription.close();
    });
  }

  for (const kind of KINDS) {
    it(`${kind}: close() settles where the node does not confirm the end, and it can be begun again`, {
      timeout: 30_000,
    }, async () => {
      await begin(1);
      const un = `${COMMAND[kind].replace("SUBSCRIBE", "UNSUBSCRIBE")}`;
      const subscription = await client[kind](name, () => {});
      cluster.node(0).expect(un, "hang");
      const closing = subscription.close();
      const again = client[kind](name, () => {});
      await closing;
      await (await again).close();
      assert.equal(cluster.node(0).count(COMMAND[kind]), 2);
    });

    it(`${kind}: close() settles where the connection is lost before the end is confirmed`, async () => {
      await begin(1);
      const subscription = await client[kind](name, () => {});
      cluster.node(0).expect(COMMAND[kind].replace("SUBSCRIBE", "UNSUBSCRIBE"), "disconnect");
      await subscription.close();
      await (await client[kind](name, () => {})).close();
    });

    for (const [what, answer] of [
      ["OK", ok],
      ["nil", "$-1\r\n"],
      ["the confirmation of another name", array(bulk(COMMAND[kind].toLowerCase()), bulk("other"), ":1\r\n")],
      ["the confirmation of the end", array(bulk("unsubscribe"), bulk(name), ":1\r\n")],
    ] as const) {
      it(`${kind}: ${what} is no confirmation`, async () => {
        await begin(1);
        cluster.node(0).expect(COMMAND[kind], answer);
        const subscription = await client[kind](name, () => {});
        assert.equal(cluster.node(0).count(COMMAND[kind]), 2);
        await subscription.close();
      });
    }

    it(`${kind}: a server that does not let a name be left is left`, async () => {
      await begin(1);
      const gaps: Gap[] = [];
      const kept = await client[kind](["kept", name], () => {}, { onGap: (gap) => gaps.push(gap) });
      const subscription = await client[kind](`{${name}}2`, () => {});
      cluster.node(0).expect(COMMAND[kind].replace("SUBSCRIBE", "UNSUBSCRIBE"), error("NOPERM never"));
      await subscription.close();
      const told = () =>
        gaps.flatMap(({ channels, to, reason }) => channels.map((channel) => `${channel} ${reason} ${to !== null}`));
      const each = ["kept", name].flatMap((channel) => [
        `${channel} connection-lost false`,
        `${channel} connection-lost true`,
      ]);
      await eventually(() => assert.deepEqual(told().toSorted(), each.toSorted()));
      await kept.close();
    });
  }
});
