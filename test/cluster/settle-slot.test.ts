import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { connect, slotOf } from "../../src/index.ts";
import { type LocalCluster, type SettleStep, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const SLOT = 1000;
const OTHER_SLOT = 1001;

/** What the nodes themselves say of a slot. */
interface Told {
  /** Who each node says owns the slot, by id. */
  readonly owners: readonly (string | undefined)[];
  readonly marks: readonly string[];
  /** The number of the slot's keys at each primary that has any, by address. */
  readonly keys: Readonly<Record<string, number>>;
}

async function told(cluster: LocalCluster, slot: number): Promise<Told> {
  const owners: (string | undefined)[] = [];
  const marks: string[] = [];
  const keys: Record<string, number> = {};
  for (const address of cluster.nodes) {
    const lines = String(await cluster.command(address, "CLUSTER", "NODES")).split("\n");
    const owner = lines.find((line) => {
      return line.split(" ").some((text) => {
        const [, start, end = start] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
        return start !== undefined && Number(start) <= slot && slot <= Number(end);
      });
    });
    owners.push(owner?.split(" ")[0]);
    const own = lines.find((line) => line.includes("myself"));
    marks.push(...(own?.match(/\[\d+-[<>]-\w+\]/g) ?? []));
    if (!own?.includes("master")) continue;
    const count = Number(await cluster.command(address, "CLUSTER", "COUNTKEYSINSLOT", slot));
    if (count > 0) keys[address] = count;
  }
  return { owners, marks, keys };
}

async function checkWhole(cluster: LocalCluster, owner: string, keys: number, slot = SLOT): Promise<void> {
  const id = String(await cluster.command(owner, "CLUSTER", "MYID"));
  assert.deepEqual(await told(cluster, slot), {
    owners: cluster.nodes.map(() => id),
    marks: [],
    keys: keys === 0 ? {} : { [owner]: keys },
  });
}

const didOf = (steps: readonly SettleStep[]) => steps.map(({ did }) => did);

describe("a slot that is half-way", () => {
  let cluster: LocalCluster;
  let a: string;
  let b: string;
  let c: string;
  const keys = ["x", "y", "z"].map((prefix) => keyForSlot(SLOT, prefix));
  const [x, y, z] = keys as [string, string, string];
  const id = async (address: string) => String(await cluster.command(address, "CLUSTER", "MYID"));
  const mark = async (at: string, how: "MIGRATING" | "IMPORTING", peer: string) => {
    await cluster.command(at, "CLUSTER", "SETSLOT", SLOT, how, await id(peer));
  };
  const values = async () => {
    const client = await connect(cluster.connectOptions);
    try {
      return await Promise.all(keys.map((key) => client.command("GET", key)));
    } finally {
      await client.close();
    }
  };
  /** The key goes to the importing end, and the owner forgets the move. */
  const strand = async (key: string, at: string) => {
    await cluster.beginMove(SLOT, { from: a, to: at });
    await cluster.moveKey(key, { from: a, to: at });
    await cluster.command(a, "CLUSTER", "SETSLOT", SLOT, "STABLE");
  };

  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    [a, b, c] = cluster.nodes as [string, string, string];
  });
  after(() => cluster.stop());
  beforeEach(async () => {
    await cluster.moveSlots({ slots: [SLOT], to: a });
    for (const address of [a, b, c]) await cluster.command(address, "FLUSHALL");
    for (const key of keys) await cluster.command(a, "SET", key, `of ${key}`);
  });

  it("that is whole is left as it is", async () => {
    assert.deepEqual(await cluster.settleSlot(SLOT), { slot: SLOT, owner: a, steps: [] });
    await checkWhole(cluster, a, 3);
  });

  it("without a moved key loses its marks, and no key moves", async () => {
    await cluster.beginMove(SLOT, { from: a, to: b });
    assert.deepEqual((await cluster.settleSlot(SLOT)).steps, [
      { did: "closed", at: a, was: "migrating", peer: b },
      { did: "closed", at: b, was: "importing", peer: a },
    ]);
    await checkWhole(cluster, a, 3);
  });

  it("with keys at both ends is whole at its owner again", async () => {
    await cluster.beginMove(SLOT, { from: a, to: b });
    await cluster.moveKey(x, { from: a, to: b });
    assert.deepEqual((await cluster.settleSlot(SLOT)).steps, [
      { did: "moved-keys", from: a, to: b, keys: 2 },
      { did: "handed-over", from: a, to: b },
      { did: "moved-keys", from: b, to: a, keys: 3 },
      { did: "handed-over", from: b, to: a },
    ]);
    await checkWhole(cluster, a, 3);
    assert.deepEqual(await values(), [`of ${x}`, `of ${y}`, `of ${z}`]);
  });

  it("with all keys at the other end, too", async () => {
    await cluster.beginMove(SLOT, { from: a, to: b });
    for (const key of keys) await cluster.moveKey(key, { from: a, to: b });
    await cluster.settleSlot(SLOT);
    await checkWhole(cluster, a, 3);
    assert.deepEqual(await values(), [`of ${x}`, `of ${y}`, `of ${z}`]);
  });

  it("at the importing end alone", async () => {
    await mark(b, "IMPORTING", a);
    assert.deepEqual((await cluster.settleSlot(SLOT)).steps, [{ did: "closed", at: b, was: "importing", peer: a }]);
    await checkWhole(cluster, a, 3);

    await strand(x, b);
    const { steps } = await cluster.settleSlot(SLOT);
    assert.deepEqual(steps, [
      { did: "moved-keys", from: b, to: a, keys: 1 },
      { did: "closed", at: b, was: "importing", peer: a },
    ]);
    await checkWhole(cluster, a, 3);
  });
  it("at the migrating end alone", async () => {
    await mark(a, "MIGRATING", b);
    const { steps } = await cluster.settleSlot(SLOT);
    assert.deepEqual(steps, [{ did: "closed", at: a, was: "migrating", peer: b }]);
    await checkWhole(cluster, a, 3);

    // The target has a key, and has forgotten the move.
    await cluster.beginMove(SLOT, { from: a, to: b });
    await cluster.moveKey(x, { from: a, to: b });
    await cluster.command(b, "CLUSTER", "SETSLOT", SLOT, "STABLE");
    await cluster.settleSlot(SLOT);
    await checkWhole(cluster, a, 3);
    assert.deepEqual(await values(), [`of ${x}`, `of ${y}`, `of ${z}`]);
  });

  it("that was interrupted twice, with keys at three nodes", async () => {
    await cluster.beginMove(SLOT, { from: a, to: b });
    await cluster.moveKey(x, { from: a, to: b });
    await cluster.beginMove(SLOT, { from: a, to: c });
    await cluster.moveKey(y, { from: a, to: c });
    await cluster.settleSlot(SLOT);
    await checkWhole(cluster, a, 3);
    assert.deepEqual(await values(), [`of ${x}`, `of ${y}`, `of ${z}`]);
  });

  it("with keys at a node that nothing points to any more", async () => {
    await strand(x, b);
    await cluster.command(b, "CLUSTER", "SETSLOT", SLOT, "STABLE");
    assert.equal(await cluster.command(a, "GET", x), null);
    assert.deepEqual(didOf((await cluster.settleSlot(SLOT)).steps), ["moved-keys"]);
    await checkWhole(cluster, a, 3);
    assert.deepEqual(await values(), [`of ${x}`, `of ${y}`, `of ${z}`]);
  });

  it("with two values of a key keeps the one that calls are answered with, and says so", async () => {
    await strand(x, b);
    await strand(y, b);
    await cluster.command(a, "SET", x, "newer");
    await cluster.command(a, "SET", y, `of ${y}`);
    const { steps } = await cluster.settleSlot(SLOT);
    const kept = steps.filter(({ did }) => did === "kept");
    assert.deepEqual(kept, [{ did: "kept", key: x, of: a, not: b }]);
    await checkWhole(cluster, a, 3);
    assert.deepEqual(await values(), ["newer", `of ${y}`, `of ${z}`]);

    // The same where the owner still redirects.
    await strand(x, b);
    await cluster.command(a, "SET", x, "newest");
    await mark(a, "MIGRATING", b);
    assert.deepEqual((await cluster.settleSlot(SLOT)).steps[1], { did: "kept", key: x, of: a, not: b });
    assert.deepEqual(await values(), ["newest", `of ${y}`, `of ${z}`]);
  });

  it("with keys that are no text", async () => {
    const binary = Array.from({ length: 256 }, (_, byte) => Buffer.from([0x7b, ...Buffer.from(z), 0x7d, byte, 0xff]));
    for (const key of binary) {
      assert.equal(slotOf(key), SLOT);
      await cluster.command(a, "SET", key, "1");
    }
    await cluster.beginMove(SLOT, { from: a, to: b });
    for (const key of binary.slice(0, 100)) await cluster.moveKey(key, { from: a, to: b });
    await cluster.settleSlot(SLOT);
    await checkWhole(cluster, a, 3 + binary.length);
  });

  it("whose owner has no other slot", async () => {
    const [only] = cluster.nodes as [string];
    const lone = await cluster.addNode();
    try {
      await cluster.moveSlots({ slots: [SLOT], to: lone });
      await cluster.beginMove(SLOT, { from: lone, to: only });
      await cluster.moveKey(x, { from: lone, to: only });
      await cluster.settleSlot(SLOT);
      await checkWhole(cluster, lone, 3);
      assert.deepEqual(await values(), [`of ${x}`, `of ${y}`, `of ${z}`]);
    } finally {
      await cluster.moveSlots({ slots: [SLOT], to: a });
      await cluster.kill(lone);
      await eventually(async () => {
        const nodes = String(await cluster.command(a, "CLUSTER", "NODES"));
        assert.match(nodes.split("\n").find((line) => line.includes(lone)) ?? "", /\bfail\b/);
      });
    }
  });

  describe("and is moved by moveSlots is settled at the new owner", () => {
    for (const [name, to] of [
      ["its owner", () => a],
      ["the node that imports it", () => b],
      ["a third node", () => c],
    ] as const) {
      it(name, async () => {
        await cluster.beginMove(SLOT, { from: a, to: b });
        await cluster.moveKey(x, { from: a, to: b });
        await cluster.moveSlots({ slots: [SLOT, OTHER_SLOT], to: to() });
        await checkWhole(cluster, to(), 3);
        await checkWhole(cluster, to(), 0, OTHER_SLOT);
        assert.deepEqual(await values(), [`of ${x}`, `of ${y}`, `of ${z}`]);
        await cluster.moveSlots({ slots: [OTHER_SLOT], to: a });
      });
    }
  });

  it("while clients write: no call fails and no write is lost", async () => {
    const client = await connect(cluster.connectOptions);
    const counts = new Map<string, number>();
    const errors: unknown[] = [];
    let going = true;
    const names = Array.from({ length: 40 }, (_, index) => `{${x}}:${index}`);
    const write = async (key: string) => {
      while (going) {
        try {
          await client.command("INCR", key);
          counts.set(key, (counts.get(key) ?? 0) + 1);
        } catch (error) {
          errors.push(error);
        }
      }
    };
    try {
      const writers = names.slice(0, 10).map(write);
      for (let round = 0; round < 4; round++) {
        await cluster.beginMove(SLOT, { from: a, to: b });
        // New keys are made at the importing end, because the owner redirects.
        const late = names.slice(10 + round * 5, 15 + round * 5);
        for (const key of late) counts.set(key, Number(await client.command("INCR", key)));
        if (round % 2 === 0) await cluster.moveKey(names[round] as string, { from: a, to: b });
        await cluster.settleSlot(SLOT);
      }
      going = false;
      await Promise.all(writers);
      assert.deepEqual(errors, []);
      for (const [key, count] of counts) assert.equal(await client.command("GET", key), String(count), key);
      await checkWhole(cluster, a, 3 + counts.size);
    } finally {
      going = false;
      await client.close();
    }
  });

  it("with a frozen end is not touched, and the error says what to do", async () => {
    await cluster.beginMove(SLOT, { from: a, to: b });
    await cluster.moveKey(x, { from: a, to: b });
    cluster.pause(b);
    try {
      await assert.rejects(
        cluster.settleSlot(SLOT),
        new RegExp(`${b} is frozen, and slot 1000 cannot be settled .* resume`),
      );
    } finally {
      cluster.resume(b);
    }
    await eventually(async () => assert.equal((await cluster.settleSlot(SLOT)).owner, a));
    assert.deepEqual(await values(), [`of ${x}`, `of ${y}`, `of ${z}`]);
  });

  it("is not moved to a node that cannot have it", async () => {
    await assert.rejects(cluster.moveSlots({ slots: [16384], to: b }), /16384 is no slot/);
    cluster.pause(b);
    await assert.rejects(cluster.moveSlots({ slots: [SLOT], to: b }), /is frozen; resume it first/);
    cluster.resume(b);
  });
});

describe("a half-moved slot, when an end dies or is replaced", { concurrency: false }, () => {
  let cluster: LocalCluster;
  const keys = ["x", "y", "z"].map((prefix) => keyForSlot(SLOT, prefix));
  const [x, y] = keys as [string, string, string];
  const begin = async () => {
    const nodes = cluster.nodes;
    const roles = await Promise.all(nodes.map(async (each) => ((await cluster.command(each, "ROLE")) as string[])[0]));
    const ownerId = (await told(cluster, SLOT)).owners[0];
    const ids = await Promise.all(nodes.map(async (each) => String(await cluster.command(each, "CLUSTER", "MYID"))));
    const owner = nodes[ids.indexOf(ownerId as string)] as string;
    const target = nodes.find((each, index) => roles[index] === "master" && each !== owner) as string;
    for (const key of keys) await cluster.command(owner, "SET", key, `of ${key}`);
    await cluster.beginMove(SLOT, { from: owner, to: target });
    await cluster.moveKey(x, { from: owner, to: target });
    await cluster.command(target, "WAIT", 1, 5000);
    await cluster.command(owner, "WAIT", 1, 5000);
    return { owner, target };
  };
  const replicaOf = async (primary: string) => {
    const id = String(await cluster.command(primary, "CLUSTER", "MYID"));
    const lines = String(await cluster.command(primary, "CLUSTER", "NODES")).split("\n");
    const line = lines.find((each) => each.includes(` ${id} `) && each.includes("slave"));
    return line?.split(" ")[1]?.split("@")[0] as string;
  };
  const values = async () => {
    const client = await connect(cluster.connectOptions);
    try {
      return await Promise.all(keys.map((key) => client.command("GET", key)));
    } finally {
      await client.close();
    }
  };
  // An end that was killed is missed by what comes later.
  beforeEach(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
  });
  afterEach(() => cluster.stop());

  it("a failover of the owner does not wait for what cannot come, and leaves a slot that can be settled", async () => {
    const { owner } = await begin();
    const replica = await replicaOf(owner);
    await cluster.failover(replica);
    assert.equal((await cluster.settleSlot(SLOT)).owner, replica);
    await checkWhole(cluster, replica, 3);
    assert.deepEqual(
      await values(),
      keys.map((key) => `of ${key}`),
    );
    const client = await connect(cluster.connectOptions);
    assert.equal(await client.command("SET", keyForSlot(16000), "1"), "OK");
    await client.close();
  });

  it("the target is replaced by its replica", async () => {
    const { owner, target } = await begin();
    await cluster.failover(await replicaOf(target));
    await cluster.settleSlot(SLOT);
    await checkWhole(cluster, owner, 3);
    assert.deepEqual(
      await values(),
      keys.map((key) => `of ${key}`),
    );
  });

  it("the target is killed: its replica's keys are brought back", async () => {
    const { owner, target } = await begin();
    const replica = await replicaOf(target);
    await cluster.kill(target);
    const { steps } = await cluster.settleSlot(SLOT);
    assert.ok(
      steps.some((step) => step.did === "moved-keys" && step.from === replica),
      JSON.stringify(steps),
    );
    await checkWhole(cluster, owner, 3);
    assert.deepEqual(
      await values(),
      keys.map((key) => `of ${key}`),
    );
  });

  it("the target is killed, and the owner's replica, which knows of no move, is promoted", async () => {
    const { owner, target } = await begin();
    const replica = await replicaOf(owner);
    const heir = await replicaOf(target);
    await cluster.kill(target);
    await cluster.failover(replica);
    const { steps } = await cluster.settleSlot(SLOT);
    assert.ok(
      steps.some((step) => step.did === "moved-keys" && step.from === heir && step.to === replica),
      JSON.stringify(steps),
    );
    await checkWhole(cluster, replica, 3);
  });

  it("the owner is killed: its replica gets the slot, with all keys", async () => {
    const { owner } = await begin();
    const replica = await replicaOf(owner);
    await cluster.kill(owner);
    assert.equal((await cluster.settleSlot(SLOT)).owner, replica);
    await checkWhole(cluster, replica, 3);
    assert.equal((await values())[1], `of ${y}`);
  });
});

describe("a half-moved slot in a cluster without replicas", () => {
  it("whose target was killed is the owner's, and whose owner was killed is the target's", async () => {
    await using cluster = await startCluster({ primaries: 4, args: ["--cluster-require-full-coverage", "no"] });
    const [a, b, c, d] = cluster.nodes as [string, string, string, string];
    const [x, y] = [keyForSlot(SLOT, "x"), keyForSlot(SLOT, "y")];
    for (const key of [x, y]) await cluster.command(a, "SET", key, `of ${key}`);
    await cluster.beginMove(SLOT, { from: a, to: d });
    await cluster.kill(d);
    const { owner, steps } = await cluster.settleSlot(SLOT);
    assert.deepEqual([owner, didOf(steps)], [a, ["closed"]]);
    await checkWhole(cluster, a, 2);

    await cluster.beginMove(SLOT, { from: a, to: b });
    await cluster.moveKey(x, { from: a, to: b });
    await cluster.kill(a);
    assert.deepEqual(await cluster.settleSlot(SLOT), {
      slot: SLOT,
      owner: b,
      steps: [{ did: "handed-over", from: null, to: b }],
    });
    await checkWhole(cluster, b, 1);
    assert.equal(await cluster.command(b, "GET", x), `of ${x}`);
    await assert.rejects(cluster.settleSlot(OTHER_SLOT), /Nobody has slot 1001: its owner does not run, and no node/);
    await cluster.command(c, "CLUSTER", "DELSLOTS", 12_000);
    await assert.rejects(cluster.settleSlot(12_000), (error: Error) => {
      const said = `Nobody has slot 12000: ${c} has given it up, and no node imports it. CLUSTER ADDSLOTS 12000 gives it to`;
      return error.message.startsWith(said);
    });
  });
});
