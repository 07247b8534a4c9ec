import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, type ConnectOptions, connect, defineScript, type SlotwireError } from "../../src/index.ts";
import { OneName, type SingleServer, startSingle } from "../support/single-server.ts";

/** A write succeeds so long after the name leads to the new primary, at most. Checks are a second apart. */
const MOST_MS = 1500;

const push = defineScript({
  name: "push",
  source: "redis.call('RPUSH', KEYS[1], ARGV[1]) return 1",
  numberOfKeys: 1,
});

describe("single servers that swap roles behind one name", () => {
  let [one, two] = [] as unknown as [SingleServer, SingleServer];
  let name: OneName;
  let client: Cluster;
  let round = 0;
  before(async () => {
    [one, two] = await Promise.all([startSingle(), startSingle()]);
  });
  after(async () => {
    await Promise.all([one?.stop(), two?.stop()]);
  });
  beforeEach(async () => {
    round++;
    await one.command("REPLICAOF", "NO", "ONE");
    await two.command("REPLICAOF", "127.0.0.1", one.port);
    await until(async () => /master_link_status:up/.test(String(await two.command("INFO", "replication"))));
    name = await OneName.leadingTo(one.port);
  });
  afterEach(async () => {
    client?.destroy();
    await name?.stop();
  });

  const open = async (options: Partial<ConnectOptions> = {}) => {
    client = await connect({ nodes: [name.address], topologyRefreshInterval: 500, ...options });
    return client;
  };
  /** The roles change, and nobody closes a connection. */
  const swapRoles = async () => {
    await two.command("REPLICAOF", "NO", "ONE");
    await one.command("REPLICAOF", "127.0.0.1", two.port);
  };
  /** The name leads to the new primary. Returns when. */
  const lead = async (afterMs: number) => {
    await sleep(afterMs);
    name.target = two.port;
    return performance.now();
  };

  for (const mode of ["auto", "single"] as const) {
    it(`are followed by plain commands, which lose nothing (mode "${mode}")`, async () => {
      await open({ mode });
      assert.equal(await client.command("SET", `k${round}`, "before"), "OK");
      await swapRoles();
      const since = await lead(0);
      assert.equal(await client.command("SET", `k${round}`, "after"), "OK");
      assert.ok(performance.now() - since < MOST_MS, `took ${performance.now() - since} ms`);
      assert.equal(await two.command("GET", `k${round}`), "after");
    });

    it(`are followed by scripts, none of which runs twice (mode "${mode}")`, async () => {
      await open({ mode, scripts: [push] });
      const key = `list${round}`;
      await client.run(push, [key], ["before"]);
      let since = Number.POSITIVE_INFINITY;
      await swapRoles();
      const swapped = lead(1700).then((at) => {
        since = at;
      });
      const done: string[] = [];
      let refused = 0;
      let firstAt = 0;
      for (let call = 0; firstAt === 0; call++) {
        const begun = performance.now();
        assert.ok(begun - since < 10_000, "no script ever succeeded");
        try {
          await client.run(push, [key], [`call ${call}`]);
          if (begun > since) firstAt = performance.now();
          done.push(`call ${call}`);
        } catch (error) {
          refused++;
          const { code, outcome, reply } = error as SlotwireError & { reply: string };
          assert.match(`${code} ${outcome} ${reply}`, /^REPLY executed .*READONLY/);
        }
        await sleep(20);
      }
      await swapped;
      assert.ok(refused > 10, `the replica refused ${refused} scripts`);
      assert.ok(firstAt - since < MOST_MS, `took ${firstAt - since} ms`);
      // A script that ran twice, or that ran although it was refused, would be in the list.
      assert.deepEqual(((await two.command("LRANGE", key, 0, -1)) as string[]).slice(-done.length), done);
      assert.equal(await two.command("LLEN", key), 1 + done.length);
    });
  }

  it("are asked by name at most once a second, also while nobody writes any more", async () => {
    await open({ scripts: [push] });
    const before = name.opened.length;
    await swapRoles();
    const begun = performance.now();
    const refusals = await Promise.allSettled(Array.from({ length: 50 }, () => client.run(push, [`l${round}`], ["x"])));
    const since = await lead(2500);
    // The name check goes on: the first call after a while succeeds, though no other call told that the name has moved.
    await sleep(MOST_MS);
    assert.equal(await client.run(push, [`m${round}`], ["x"]), 1);
    assert.ok(
      refusals.every(({ status }) => status === "rejected"),
      "the replica refused too little",
    );
    const checks = name.opened.slice(before).filter((at) => at < since);
    const most = 1 + Math.ceil((since - begun) / 1000);
    assert.ok(checks.length <= most, `${checks.length} checks in ${since - begun} ms`);
    assert.ok(checks.length >= 2, `${checks.length} checks`);
  });

  it("keep a connection that serves reads for as long as the name leads nowhere else", async () => {
    await open();
    const id = await client.command("CLIENT", "ID");
    await one.command("REPLICAOF", "127.0.0.1", two.port);
    await assert.rejects(client.with({ timeout: 2500 }).command("SET", `k${round}`, 1), { code: "DEADLINE" });
    assert.equal(await client.command("CLIENT", "ID"), id);
  });

  it("are followed by transactions, watching ones, batches, and calls that block", async () => {
    await open({ scripts: [push], connectionsPerNode: 2 });
    const key = `t${round}`;
    const blocked = client.with({ timeout: 20_000 }).command("BLPOP", `b${round}`, 0);
    await until(async () => /blocked_clients:1/.test(String(await one.command("INFO", "clients"))));
    await swapRoles();
    await lead(0);
    assert.deepEqual(await client.transaction(key).command("INCR", key).exec(), [1]);
    const watching = client.transaction(key, { watch: [key] }, async (tx) => {
      await tx.command("GET", key);
      return tx.multi().command("INCR", key);
    });
    assert.deepEqual(await watching, [2]);
    assert.deepEqual(await client.batch([push.call([`${key}l`], ["x"])] as const), [1]);
    await client.command("RPUSH", `b${round}`, "news");
    assert.deepEqual(await blocked, [`b${round}`, "news"]);
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let looks = 0; !(await holds()); looks++) {
    assert.ok(looks < 1000, "it never came to be");
    await sleep(20);
  }
}
