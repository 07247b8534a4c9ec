import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect, SlotwireError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { getScript, setScript } from "../support/scripts.ts";
import { type Stranger, startAgain, startStranger } from "../support/stranger.ts";

const KEYS = [500, 6000, 12_000].map((slot) => keyForSlot(slot, "stranger"));
/** The handshake, which asks a stranger who it is. Redis 6.0 counts its parts as `client` and `cluster`. The test itself
 * asks for INFO and CONFIG. */
const HARMLESS = /^(ping|readonly|client(\|(info|setinfo))?|cluster(\|(myid|nodes))?|info|config(\|.*)?)$/;

describe("a server at the address of a dead node", { timeout: 60_000 }, () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let stranger: Stranger | undefined;
  let down: string[];
  beforeEach(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, tls: false });
    stranger = undefined;
    down = [];
  });
  afterEach(async () => {
    client?.destroy();
    await stranger?.stop();
    await cluster?.stop();
  });

  const open = async (options: object) => {
    client = await connect({ ...cluster.connectOptions, scripts: [setScript, getScript], ...options });
    client.on("nodeDown", ({ address, cause }) => down.push(`${address} ${cause.message}`));
    for (const key of KEYS) assert.equal(await client.run(setScript, [key], ["of the cluster"]), "OK");
  };

  /** One call for `slot`, whose owner is dead, within `ms`. Returns how it ended, if it did. */
  const useSlot = async (slot: number, ms: number) => {
    const settled: unknown[] = [];
    const call = client.with({ timeout: 30_000 }).command("GET", keyForSlot(slot, "stranger"));
    void call.then(String, String).then((how) => settled.push(how));
    await sleep(ms);
    return settled;
  };

  /** Reads and writes for `ms`, by every way. Each reply is the cluster's. */
  const useFor = async (ms: number) => {
    for (const end = Date.now() + ms; Date.now() < end; await sleep(20)) {
      for (const key of KEYS) {
        assert.equal(await client.run(getScript, [key]), "of the cluster");
        assert.equal(await client.command("GET", key), "of the cluster");
        assert.equal(await client.command("SET", key, "of the cluster"), "OK");
        assert.equal(await client.command("BLPOP", `{${key}}list`, 0.01), null);
      }
      await client.refreshTopology();
    }
  };

  for (const kind of ["plain", "other-cluster"] as const) {
    it(`gets no call and no script where a replica was (${kind}), and is no informant`, async () => {
      await open({ readFrom: "any" });
      const { address } = client.topology.nodes.find(({ role }) => role === "replica") as { address: string };
      await cluster.kill(address);
      stranger = await startStranger(address, kind);
      const wasAsked = async () => (await stranger?.received())?.some((name) => name.startsWith("cluster")) === true;
      await useFor(3000);
      // How soon it is asked depends on the back-off of the connection whose node has died.
      for (let more = 0; more < 40 && !(await wasAsked()); more++) await useFor(250);
      assert.deepEqual(
        (await stranger.received()).filter((name) => !HARMLESS.test(name)),
        [],
      );
      assert.equal(await wasAsked(), true, "it was asked who it is");
      const words = kind === "plain" ? "a server without cluster mode" : "another node";
      const told = down.filter((text) => text.includes(`${address} now belongs to ${words}`));
      assert.equal(told.length, 1, down.join("\n"));
      assert.ok(client.topology.nodes.length >= 5, `${client.topology.nodes.length} nodes`);
    });
  }

  for (const kind of ["plain", "other-cluster"] as const) {
    it(`gets no call and no script where a primary was (${kind}): calls wait for the promotion`, async () => {
      await open({ commandTimeout: 20_000 });
      const address = client.topology.primaryOf(500)?.address as string;
      await cluster.kill(address);
      const [replica] = client.topology.replicasOf(500);
      stranger = await startStranger(address, kind);
      // The others have forgotten the primary's address, and promote its replica only when they are told to. Valkey 9.1
      // promotes it by itself.
      if (kind === "other-cluster") {
        const settled = await useSlot(500, 1500);
        if (settled.length > 0) assert.deepEqual(settled, ["of the cluster"]);
        else await cluster.command(replica?.address as string, "CLUSTER", "FAILOVER", "TAKEOVER");
      }
      // The replica may copy the stranger's data before it is promoted. So only what is written from now on is certain.
      for (const key of KEYS) assert.equal(await client.run(setScript, [key], ["of the cluster"]), "OK");
      await useFor(2000);
      assert.notEqual(client.topology.primaryOf(500)?.address, address);
      const received = (await stranger.received()).filter((name) => !/^(psync|replconf)$/.test(name));
      assert.deepEqual(
        received.filter((name) => !HARMLESS.test(name)),
        [],
      );
    });
  }

  it("is found through natMap too: ids are compared by the announced address", async () => {
    const natMap = (announced: string) => {
      const port = Number(announced.split(":")[1]);
      return { host: "localhost", port };
    };
    await open({ natMap, readFrom: "any" });
    const { address } = client.topology.nodes.find(({ role }) => role === "replica") as { address: string };
    await cluster.kill(address);
    stranger = await startStranger(address, "plain");
    await useFor(1500);
    assert.deepEqual(
      (await stranger.received()).filter((name) => !HARMLESS.test(name)),
      [],
    );
    assert.equal(down.filter((text) => text.includes("now belongs to a server without cluster mode")).length, 1);
  });
});

describe("a node of another cluster at the address of a dead primary that has no replica", { timeout: 120_000 }, () => {
  it("gets no call: calls wait for their deadlines, and are served when the real node is back", async () => {
    const cluster = await startCluster({ primaries: 3, tls: false });
    const client = await connect({ ...cluster.connectOptions, scripts: [setScript], commandTimeout: 20_000 });
    let [stranger, end]: [Stranger | undefined, (() => Promise<void>) | undefined] = [undefined, undefined];
    try {
      const [key, other] = KEYS as [string, string];
      assert.equal(await client.run(setScript, [key], ["before"]), "OK");
      const address = client.topology.primaryOf(500)?.address as string;
      const [, folder] = (await cluster.command(address, "CONFIG", "GET", "dir")) as [string, string];
      await cluster.kill(address);
      stranger = await startStranger(address, "other-cluster");
      // Long enough for the other nodes to call the dead one failed, and for the client to ask the stranger who it is.
      const hurried = client.with({ timeout: 4000 });
      const start = performance.now();
      for (const call of [hurried.run(setScript, [key], [1]), hurried.command("GET", key)]) {
        const error = await call.catch((cause: unknown) => cause);
        assert.ok(error instanceof SlotwireError, String(error));
        assert.match(error.code, /^(UNAVAILABLE|DEADLINE|CONNECTION_LOST)$/);
        assert.doesNotMatch(error.message, /No node serves slot/);
        if (error.code === "CONNECTION_LOST") assert.equal(error.outcome, "unknown");
        else assert.equal(performance.now() - start > 3900, true, `${error} after ${performance.now() - start} ms`);
      }
      assert.deepEqual(
        (await stranger.received()).filter((name) => !HARMLESS.test(name)),
        [],
      );
      assert.equal(client.topology.primaryOf(500)?.address, address, "the topology stays");
      await stranger.stop();
      end = await startAgain(address, folder);
      for (const each of [key, other]) assert.equal(await client.run(setScript, [each], ["after"]), "OK");
    } finally {
      client.destroy();
      await end?.();
      await stranger?.stop();
      await cluster.stop();
    }
  });
});

describe("a cluster that was replaced at its addresses, by CLUSTER RESET HARD on every node", {
  timeout: 60_000,
}, () => {
  it("comes back by itself, under its new ids", async () => {
    const cluster = await startCluster({ primaries: 3, tls: false });
    const client = await connect({ ...cluster.connectOptions, scripts: [setScript], connectTimeout: 1000 });
    try {
      const [key] = KEYS as [string];
      assert.equal(await client.run(setScript, [key], ["v"]), "OK");
      const before = client.topology.nodes.map(({ id }) => id);
      const all = async (...args: string[]) => {
        for (const address of cluster.nodes) await cluster.command(address, ...args);
      };
      await all("FLUSHALL");
      await all("CLUSTER", "RESET", "HARD");
      const parts = [[], [], []] as string[][];
      for (let slot = 0; slot < 16_384; slot++) parts[slot % 3]?.push(String(slot));
      for (const [index, address] of cluster.nodes.entries()) {
        await cluster.command(address, "CLUSTER", "SET-CONFIG-EPOCH", index + 1);
        await cluster.command(address, "CLUSTER", "ADDSLOTS", ...(parts[index] as string[]));
      }
      for (const address of cluster.nodes.slice(1)) {
        await cluster.command(cluster.nodes[0] as string, "CLUSTER", "MEET", ...address.split(":"));
      }
      // Until the nodes have met, the seeds know owners of a part of the slots only.
      const served = () => Promise.all(KEYS.map((each) => client.run(setScript, [each], ["new"])));
      for (const end = Date.now() + 15_000; ; await sleep(50)) {
        const replies = await served().catch((error: unknown) => error);
        if (Array.isArray(replies)) break;
        assert.ok(Date.now() < end, `still: ${replies}`);
      }
      assert.ok(
        client.topology.nodes.every(({ id }) => !before.includes(id)),
        "all have other ids",
      );
    } finally {
      client.destroy();
      await cluster.stop();
    }
  });
});
