import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Cluster, connect } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { incrScript } from "../support/scripts.ts";

/** The process does something else, and reads no socket. */
function compute(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

describe("the first call after a stall, when the server has closed the idle connections", () => {
  let cluster: LocalCluster;
  let client: Cluster | undefined;
  before(async () => {
    cluster = await startCluster({ primaries: 1, args: ["--timeout", "1"] });
  });
  afterEach(() => client?.destroy());
  after(() => cluster?.stop());

  it("succeeds each time, and runs once: in the tick of the stall, in a later one, and on a timer", async () => {
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript] });
    let count = 0;
    for (const later of [
      async () => {},
      () => new Promise((resolve) => process.nextTick(resolve)),
      () => new Promise((resolve) => setTimeout(resolve, 0)),
    ]) {
      compute(3500);
      await later();
      assert.equal(await client.run(incrScript, ["stalled"]), ++count);
    }
    assert.deepEqual(client.metrics().counters.errors, {});
    assert.equal(client.metrics().counters.reconnections, 3, "the server had closed the connection");
  });

  it("succeeds when the stall begins in the continuation of a reply", async () => {
    client = await connect({ ...cluster.connectOptions, scripts: [incrScript] });
    const first = Number(await client.run(incrScript, ["continued"]));
    compute(3500);
    assert.equal(await client.run(incrScript, ["continued"]), first + 1);
    assert.equal(client.metrics().counters.reconnections, 1);
  });

  it("succeeds as well where it blocks, or watches", async () => {
    client = await connect(cluster.connectOptions);
    assert.equal(await client.command("BLPOP", "{s}list", 0.01), null);
    await client.transaction("{s}", { watch: ["{s}"] }, async (tx) => tx.multi().command("INCR", "{s}"));
    compute(3500);
    const pushed = client.command("RPUSH", "{s}list", "v");
    assert.deepEqual(await client.command("BLPOP", "{s}list", 5), ["{s}list", "v"]);
    assert.equal(await pushed, 1);
    compute(3500);
    let times = 0;
    const result = await client.transaction("{s}", { watch: ["{s}"] }, async (tx) => {
      times++;
      return tx.multi().command("INCR", "{s}");
    });
    assert.deepEqual([result, times], [[2], 1]);
    assert.deepEqual(client.metrics().counters.errors, {});
  });

  it("succeeds when the process was stopped", async () => {
    const program = fileURLToPath(new URL("../support/frozen-caller.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", program, JSON.stringify(cluster.connectOptions)]);
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      assert.equal((await lines.next()).value, "ready");
      child.kill("SIGSTOP");
      await sleep(3500);
      child.kill("SIGCONT");
      assert.equal((await lines.next()).value, "2");
    } finally {
      child.kill("SIGKILL");
    }
  });
});

describe("a stall longer than connectTimeout, while the client connects", () => {
  let cluster: LocalCluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
  });
  after(() => cluster?.stop());

  /** The turns of the event loop in which a connection is opened, greeted, asked and prepared. */
  const positions = Array.from({ length: 16 }, (_, position) => position);

  for (const position of positions) {
    it(`changes nothing: position ${position}`, async () => {
      const connecting = connect({ ...cluster.connectOptions, scripts: [incrScript], connectTimeout: 400 });
      for (let turn = 0; turn < position; turn++) await new Promise((resolve) => setImmediate(resolve));
      compute(700);
      const client = await connecting;
      try {
        assert.deepEqual(
          client.scripts().map(({ loaded, failed }) => [loaded.length, failed.length]),
          [
            [1, 0],
            [1, 0],
            [1, 0],
          ],
        );
        const { connectionFailures, reconnections } = client.metrics().counters;
        assert.deepEqual([connectionFailures, reconnections], [0, 0]);
      } finally {
        client.destroy();
      }
    });
  }

  it("changes nothing after some milliseconds either", async () => {
    for (let delay = 1; delay <= 8; delay++) {
      const connecting = connect({ ...cluster.connectOptions, scripts: [incrScript], connectTimeout: 400 });
      await sleep(delay);
      compute(700);
      const client = await connecting;
      const loaded = client.scripts().map((each) => each.loaded.length);
      client.destroy();
      assert.deepEqual(loaded, [1, 1, 1], `after ${delay} ms`);
    }
  });
});
