import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Environment } from "../../src/environment.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const KEY = keyForSlot(0);

describe("credentials that are to be renewed", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
  });
  afterEach(() => cluster.stop());

  /** The passwords that a node was given, by connection. */
  const given = (index: number, connection: number) =>
    cluster
      .node(index)
      .received.filter(({ args, connection: at }) => args[0] === "AUTH" && at === connection)
      .map(({ args }) => args[1]);
  const until = async (holds: () => boolean) => {
    for (let looks = 0; !holds(); looks++) {
      assert.ok(looks < 2000, "it never came to be");
      await sleep(5);
    }
  };

  it("are asked for again after that time, and the open connections log in again", async () => {
    let asked = 0;
    const credentials = async () => ({ password: `p${++asked}`, renewAfter: 150 });
    await cluster.connect({ nodes: cluster.nodes.map(({ address }) => address), credentials, connectionsPerNode: 2 });
    const open = () => [0, 1].map((index) => cluster.node(index).openConnections);
    await until(() => open().every((count) => count >= 2));
    // The last connections of a node are its lanes: what asked for the topology is closed.
    const lanes = [0, 1].flatMap((index) => {
      const { connections } = cluster.node(index);
      return [connections - 1, connections].map((connection) => [index, connection] as const);
    });
    await until(() => lanes.every(([index, connection]) => given(index, connection).length >= 4));
    for (const [index, connection] of lanes) {
      const passwords = given(index, connection);
      assert.equal(new Set(passwords).size, passwords.length, `${passwords} holds a password twice`);
    }
    assert.deepEqual(open(), [2, 2]);
  });

  it("are asked for once, however many connections got an answer", async () => {
    const askedAt: number[] = [];
    const credentials = async () => {
      askedAt.push(performance.now());
      return { password: "p", renewAfter: askedAt.length > 20 ? 60_000 : 400 };
    };
    await cluster.connect({ credentials, connectionsPerNode: 4 });
    const atConnect = askedAt.length;
    assert.ok(atConnect >= 9, `${atConnect} connections`);
    await sleep(900);
    const later = askedAt.length - atConnect;
    assert.ok(later >= 1 && later <= 3, `asked ${later} times in 900 ms`);
  });

  it("are renewed in time on old connections, also while new ones are opened again and again", async () => {
    let asked = 0;
    const credentials = async () => ({ password: `p${++asked}`, renewAfter: 600 });
    await cluster.connect({ credentials });
    const lane = cluster.node(0).connections;
    const dropping = setInterval(() => cluster.node(1).dropConnections(), 100);
    try {
      await sleep(2000);
    } finally {
      clearInterval(dropping);
    }
    const renewals = given(0, lane).length - 1;
    assert.ok(renewals >= 2, `${renewals} renewals in 2 s`);
  });

  it("are asked for again where the provider or a node failed", async () => {
    let asked = 0;
    let isBroken = false;
    let renewAfter = 200;
    const credentials = async () => {
      asked++;
      if (isBroken) throw new Error("no secrets today");
      return { password: `p${asked}`, renewAfter };
    };
    const client = await cluster.connect({ credentials });
    isBroken = true;
    const before = asked;
    await until(() => asked > before);
    await sleep(300);
    const whileBroken = asked - before;
    assert.ok(whileBroken <= 2, `asked ${whileBroken} times`);
    isBroken = false;
    // There is time for a call before the next renewal.
    renewAfter = 1000;
    const ofNode = cluster.node(0).count("AUTH");
    await until(() => cluster.node(0).count("AUTH") > ofNode);
    await client.command("BLPOP", KEY, 1);
    cluster.node(0).always("AUTH", () => error("WRONGPASS invalid username-password pair or user is disabled."));
    const refused = cluster.node(0).count("AUTH");
    await until(() => cluster.node(0).count("AUTH") > refused + 1);
    assert.equal(await client.command("BLPOP", KEY, 1), "OK", "on a connection that had logged in before");
    renewAfter = 200;
    cluster.node(0).always("AUTH", () => "+OK\r\n");
    const healed = cluster.node(0).count("AUTH");
    await until(() => cluster.node(0).count("AUTH") > healed + 1);
  });

  it("are not asked for after the end of the client", async () => {
    let asked = 0;
    const client = await cluster.connect({ credentials: async () => ({ password: `p${++asked}`, renewAfter: 150 }) });
    client.destroy();
    const before = asked;
    await sleep(500);
    assert.equal(asked, before);
  });
});

describe("clients that were started together", () => {
  it("do not renew their credentials together, and none later than asked for", async () => {
    const cluster = await FakeCluster.start(1);
    try {
      const took = await Promise.all(
        [0, 0.5, 1 - Number.EPSILON].map(async (drawn) => {
          const asked: number[] = [];
          const credentials = async () => {
            asked.push(performance.now());
            return { password: "p", renewAfter: 2000 };
          };
          const environment: Environment = { ...nodeEnvironment, random: () => drawn };
          await cluster.connect({ credentials }, environment);
          const [first] = asked as [number];
          // The questions of the first connections are over.
          await sleep(500);
          const before = asked.length;
          while (asked.length === before) await sleep(5);
          return (asked[before] ?? 0) - first;
        }),
      );
      const [latest = 0, middle = 0, earliest = 0] = took;
      assert.equal(earliest < middle && middle < latest, true, `${took}`);
      assert.equal(latest - earliest > 100, true, `${took}`);
      assert.equal(earliest >= 1790, true, `${took}`);
    } finally {
      await cluster.stop();
    }
  });
});
