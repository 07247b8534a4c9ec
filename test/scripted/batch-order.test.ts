import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { defineScript } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { noScript, ok } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const key = keyForSlot(0);
const CALLS = 40;

/** A script of so many bytes. */
const scriptOf = (name: string, bytes: number) =>
  defineScript({ name, source: `return '${name}' --${"x".repeat(bytes)}`, numberOfKeys: 1 });
const long = scriptOf("long", 20_000);
const longer = scriptOf("longer", 100_000);

describe("a batch with long scripts in one slot", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  const orders = {
    "take turns": (index: number) => index % 2 === 0,
    "come in two runs": (index: number) => index < CALLS / 2,
    "come in runs of four": (index: number) => index % 8 < 4,
  };
  for (const [name, isFirst] of Object.entries(orders)) {
    it(`runs them in call order where two ${name}, and scripts are flushed behind the first load`, async () => {
      const client = await cluster.connect();
      const node = cluster.node(0);
      const { scripts } = node;
      // A source of several reads can end where a read ends, and then another client has its turn.
      let isFlushed = false;
      scripts.add = (sha) => {
        Set.prototype.add.call(scripts, sha);
        if (!isFlushed) scripts.clear();
        isFlushed = true;
        return scripts;
      };
      const ran: number[] = [];
      node.always("EVALSHA", ([, sha = "", , , argument]) => {
        if (!scripts.has(sha)) return noScript;
        ran.push(Number(argument));
        return ok;
      });
      const batch = client.batch();
      const inOrder = Array.from({ length: CALLS }, (_, index) => index);
      for (const index of inOrder) batch.run(isFirst(index) ? long : longer, [key], [index]);
      assert.deepEqual(new Set(await batch.exec()), new Set(["OK"]));
      assert.equal(isFlushed, true);
      assert.deepEqual(ran, inOrder);
    });
  }

  it("sends no source of one that the node holds, where plain commands come between its calls", async () => {
    const client = await cluster.connect({ scripts: [long] });
    const node = cluster.node(0);
    assert.equal(node.count("SCRIPT LOAD"), 1, "the preload");
    node.received.length = 0;
    const batch = client.batch();
    for (let index = 0; index < CALLS; index += 2) batch.run(long, [key], [index]).command("INCR", key);
    assert.deepEqual(new Set(await batch.exec()), new Set(["OK"]));
    assert.deepEqual([node.count("EVALSHA"), node.count("SCRIPT LOAD")], [CALLS / 2, 0]);
    const sent = node.received.flatMap(({ args }) => args).join("").length;
    assert.equal(sent < long.source.length, true, `${sent} bytes`);
  });
});
