import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, type ConnectOptions, connect, SlotwireError, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { incrScript } from "../support/scripts.ts";

const LIMIT_MS = 600;
/** Far beyond the limit, so that a test tells the two apart on a busy machine. */
const DEADLINE_MS = 20_000;
const KEY = keyForSlot(0);
const OTHER = keyForSlot(16_000);

/** How a call ended, and after how long. */
async function endOf(
  call: Promise<unknown>,
): Promise<{ readonly how: string; readonly ms: number; readonly error: unknown }> {
  const start = performance.now();
  let error: unknown;
  const how = await call.then(
    () => "served",
    (cause: unknown) => {
      error = cause;
      return cause instanceof SlotwireError ? `${cause.code} ${cause.outcome}` : String(cause);
    },
  );
  return { how, ms: performance.now() - start, error };
}

const until = async (what: string, isSo: () => boolean | Promise<boolean>) => {
  const start = performance.now();
  while (!(await isSo())) {
    assert.equal(performance.now() - start < 30_000, true, `${what} within 30 s`);
    await sleep(20);
  }
};

describe("unavailableAfter", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  const open = async (options: Partial<ConnectOptions> = {}) =>
    connect({
      ...cluster.connectOptions,
      unavailableAfter: LIMIT_MS,
      commandTimeout: DEADLINE_MS,
      scripts: [incrScript],
      ...options,
    });
  const owner = (key = KEY) => client.topology.primaryOf(slotOf(key))?.address as string;

  describe("of a primary without replica", () => {
    before(async () => {
      cluster = await startCluster({ primaries: 3, args: ["--cluster-require-full-coverage", "no"] });
    });
    after(() => cluster?.stop());
    beforeEach(async () => {
      client = await open();
    });
    afterEach(() => client?.destroy());

    it("that is frozen: calls in flight keep their deadlines, others are refused until it answers", async () => {
      const address = owner();
      await cluster.pause(address);
      try {
        const inFlight = endOf(client.command("INCR", KEY));
        await sleep(10);
        const { how, ms, error } = await firstRefused(() =>
          endOf(client.run(incrScript, [KEY], [], { timeout: 8000 })),
        );
        assert.equal(how, "UNAVAILABLE not-executed", String(error));
        assert.equal(ms < 4000, true, `refused after ${ms} ms`);
        assert.match(String(error), new RegExp(`${address} has given no sign of life for ${LIMIT_MS} ms`));
        for (const call of everyKind()) {
          const refused = await endOf(call);
          assert.equal(refused.how, "UNAVAILABLE not-executed", String(refused.error));
          assert.equal(refused.ms < 4000, true, `refused after ${refused.ms} ms`);
        }
        assert.equal((await endOf(client.command("GET", OTHER))).how, "served");
        const results = (await client.batch().command("GET", OTHER).command("GET", KEY).exec()) as unknown[];
        assert.deepEqual([results[0] instanceof Error, (results[1] as SlotwireError).code], [false, "UNAVAILABLE"]);
        await cluster.resume(address);
        assert.equal((await inFlight).how, "served", "it kept its deadline");
        await until("it is served again", async () => (await endOf(client.command("GET", KEY))).how === "served");
      } finally {
        await cluster.resume(address);
      }
    });

    it("that is gone: calls that wait for a connection are refused when the time has come", async () => {
      const address = owner();
      // A call that was in flight when the connection was lost would be in doubt.
      const down = new Promise<void>((resolve) => {
        client.on("nodeDown", (event) => event.address === address && resolve());
      });
      await cluster.kill(address);
      await down;
      const queued = await Promise.all([
        ...Array.from({ length: 100 }, () => endOf(client.command("INCR", KEY))),
        endOf(client.command("SCRIPT", "KILL")),
      ]);
      for (const { how, ms } of queued) {
        assert.equal(how, "UNAVAILABLE not-executed");
        assert.equal(ms < 8000, true, `refused after ${ms} ms`);
      }
      assert.equal(
        queued.some(({ ms }) => ms > LIMIT_MS / 3),
        true,
        "they waited before",
      );
      const { how, error } = await endOf(client.command("INCR", KEY));
      assert.equal(how, "UNAVAILABLE not-executed");
      assert.match(String(error), /ECONNREFUSED/);
      const { decisions } = client.metrics().counters;
      assert.equal((decisions["node-unavailable"] ?? 0) >= 101, true, JSON.stringify(decisions));
    });

    function everyKind(): Promise<unknown>[] {
      const node = client.topology.primaryOf(0);
      assert.ok(node, "the slot has an owner");
      return [
        client.command("GET", KEY),
        client.command("BLPOP", KEY, 10),
        client.transaction(KEY).command("INCR", KEY).exec(),
        client.transaction(KEY, { watch: [KEY] }, async (tx) => tx.multi().command("INCR", KEY)),
      ];
    }

    /** The first call that the node does not keep: those before it are in flight, and end by their own deadline. */
    async function firstRefused(make: () => ReturnType<typeof endOf>) {
      for (let time = 0; time < 400; time++) {
        const made = make();
        const first = await Promise.race([made, sleep(50, undefined)]);
        if (first !== undefined) return first;
        if (time === 0) await sleep(LIMIT_MS);
      }
      throw new Error("no call was refused");
    }
  });

  describe("of a shard with a replica", () => {
    beforeEach(async () => {
      cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
      client = await open();
    });
    afterEach(async () => {
      client?.destroy();
      await cluster?.stop();
    });

    it("refuses while nobody owns the slot's data, and serves as soon as the replica is promoted", async () => {
      const address = owner();
      await cluster.kill(address);
      await until("a call is refused", async () => (await endOf(client.command("SET", KEY, 1))).how.startsWith("UNAV"));
      await until("another node is the owner", () => owner() !== address);
      const { how, error } = await endOf(client.command("SET", KEY, 2));
      assert.equal(how, "served", String(error));
    });

    it("passes over a replica, and refuses no read for it", async () => {
      const [replica] = client.topology.replicasOf(slotOf(KEY));
      assert.ok(replica, "the shard has a replica");
      const reads = client.with({ readFrom: "replica" });
      assert.equal((await endOf(reads.command("GET", KEY))).how, "served");
      await cluster.pause(replica.address);
      try {
        for (let time = 0; time < 30; time++) {
          const { how, ms } = await endOf(reads.command("GET", KEY));
          assert.equal(how, "served");
          assert.equal(ms < 8000, true, `served after ${ms} ms`);
          await sleep(50);
        }
      } finally {
        await cluster.resume(replica.address);
      }
    });
  });

  it("is off by default: calls wait for their deadlines", async () => {
    cluster = await startCluster({ primaries: 3, args: ["--cluster-require-full-coverage", "no"] });
    try {
      client = await open({ unavailableAfter: 0 });
      const address = owner();
      await cluster.kill(address);
      await endOf(client.command("INCR", KEY));
      const { how, ms } = await endOf(client.with({ timeout: 1500 }).command("INCR", KEY));
      assert.equal(how, "UNAVAILABLE not-executed");
      assert.equal(ms >= 1490, true, `refused after ${ms} ms`);
    } finally {
      client?.destroy();
      await cluster.stop();
    }
  });
});
