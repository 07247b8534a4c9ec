import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Cluster, connect, type Message } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { heardAt, totals } from "../support/heard-at.ts";

const PROGRAM = fileURLToPath(new URL("../support/ending-subscriptions.ts", import.meta.url));

describe("the end of subscriptions", () => {
  let cluster: LocalCluster;
  const clients: Cluster[] = [];
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 0, args: ["--notify-keyspace-events", "KA"] });
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  after(async () => {
    await cluster?.stop();
  });
  const open = async () => {
    const client = await connect(cluster.connectOptions);
    clients.push(client);
    return client;
  };

  it("comes in every way, at any moment, and then the process exits", { timeout: 120_000 }, async () => {
    const nodes = [...cluster.pids].map(([address, pid]) => `${address}=${pid}`);
    const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, ...nodes], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (text) => {
      output += text;
    });
    try {
      await eventually(() => assert.match(output, /^done: /m, output), 90_000);
      await eventually(() => assert.equal(child.exitCode, 0), 10_000);
    } finally {
      child.kill("SIGKILL");
      for (const node of cluster.nodes) cluster.resume(node);
    }
    const lines = output.trimEnd().split("\n");
    assert.deepEqual(
      lines.slice(0, -1).filter((line) => !line.startsWith("ok | ")),
      [],
    );
    assert.equal(lines.at(-1), `done: ${lines.length - 1}`);
    assert.equal(lines.length > 40, true, "all ways were gone");
    const left = totals(await heardAt(cluster, { channels: ["{n}*"], sharded: ["{n}*"] }));
    assert.deepEqual(left, { channels: {}, sharded: {}, patterns: 0 });
  });

  it("is not brought by a listener that throws, which is told", async () => {
    const client = await open();
    const told: [unknown, string][] = [];
    client.on("listenerError", ({ error, event }) => told.push([error, event]));
    const payloads: string[] = [];
    const note = ({ payload }: Message) => payloads.push(payload);
    await client.subscribe("c", () => {
      throw new Error("thrown");
    });
    await client.subscribe("c", note);
    await client.subscribe("c", () => Promise.reject(new Error("rejected")));
    await client.subscribe("c", note);
    for (const payload of ["1", "2"]) await client.command("PUBLISH", "c", payload);
    await eventually(() => assert.deepEqual(payloads, ["1", "1", "2", "2"]));
    await eventually(() => assert.equal(told.length, 4));
    assert.deepEqual(told.map(([error, event]) => [(error as Error).message, event]).toSorted(), [
      ["rejected", "message"],
      ["rejected", "message"],
      ["thrown", "message"],
      ["thrown", "message"],
    ]);
  });

  it("without a listener for listenerError, a listener that throws warns the process", async () => {
    const client = await open();
    const warnings: Error[] = [];
    // Other parts of the process may warn as well.
    const note = (warning: Error) => {
      if (warning.name === "SlotwireWarning" && warning.message.includes('"message"')) warnings.push(warning);
    };
    process.on("warning", note);
    try {
      // What the test before has published may still be on its way between the nodes.
      await client.subscribe("other", () => {
        throw new Error("thrown");
      });
      await client.command("PUBLISH", "other", "1");
      await eventually(() => assert.equal(warnings.length, 1));
      assert.equal(warnings[0]?.name, "SlotwireWarning");
      assert.match(String(warnings[0]?.message), /"message" threw \(Error: thrown\)/);
    } finally {
      process.off("warning", note);
    }
  });

  it("an onGap that throws, at an outage, is told and harms nobody", async () => {
    const client = await open();
    const told: string[] = [];
    client.on("listenerError", ({ event }) => told.push(event));
    const gaps: (number | null)[] = [];
    await client.subscribe("c", () => {}, {
      onGap: () => {
        throw new Error("thrown");
      },
    });
    const payloads: string[] = [];
    await client.subscribe("c", ({ payload }) => payloads.push(payload), { onGap: ({ to }) => gaps.push(to) });
    // Only where it is heard: the next home is not to be killed as well.
    const heard = await heardAt(cluster, { channels: ["c"] });
    const home = cluster.nodes[heard.findIndex(({ channels }) => channels.c === 1)] as string;
    await cluster.command(home, "CLIENT", "KILL", "TYPE", "pubsub");
    await eventually(() => assert.equal(gaps.length, 2));
    assert.deepEqual([gaps[0], typeof gaps[1]], [null, "number"]);
    await eventually(() => assert.deepEqual(told, ["gap", "gap"]));
    await client.command("PUBLISH", "c", "1");
    await eventually(() => assert.deepEqual(payloads, ["1"]));
  });

  it("delivers nothing after close() was called, and close() may be called twice", async () => {
    const client = await open();
    const payloads: string[] = [];
    const subscription = await client.subscribe("c", ({ payload }) => {
      payloads.push(payload);
      if (payload === "2") void subscription.close();
    });
    await cluster.command(cluster.nodes[0] as string, "EVAL", "for n = 1, 9 do redis.call('PUBLISH', 'c', n) end", 0);
    await subscription.ended;
    assert.equal(subscription.close(), subscription.close());
    await subscription.close();
    await sleep(50);
    assert.deepEqual(payloads, ["1", "2"]);
    {
      await using again = await client.subscribe("c");
      assert.deepEqual(totals(await heardAt(cluster, { channels: ["c"] })).channels, { c: 1 });
      assert.equal(typeof again.close, "function");
    }
    assert.deepEqual(totals(await heardAt(cluster, { channels: ["c"] })).channels, {});
  });
});
