import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { type Cluster, connect } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

const real = { setTimeout, setImmediate, setInterval, clearTimeout, clearImmediate, clearInterval };
const { nextTick } = process;
const realNow = performance.now;
const realDate = Date;

/** What frameworks for tests do to the process. */
function replace(isTickReplaced: boolean): void {
  const never = () => ({ unref: () => never(), ref: () => never() }) as never;
  Object.assign(globalThis, { setTimeout: never, setImmediate: never, setInterval: never });
  Object.assign(globalThis, { clearTimeout: never, clearImmediate: never, clearInterval: never });
  performance.now = () => 0;
  Date.now = () => 0;
  if (isTickReplaced) process.nextTick = never;
}

function putBack(): void {
  Object.assign(globalThis, real);
  process.nextTick = nextTick;
  performance.now = realNow;
  Date.now = realDateNow;
}
const realDateNow = realDate.now;

describe("with fake timers", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
  });
  after(() => cluster?.stop());
  beforeEach(async () => {
    client = await connect({ ...cluster.connectOptions, commandTimeout: 500 });
  });
  afterEach(() => {
    putBack();
    client?.destroy();
  });

  /** Fails when a call has not settled long after its deadline. */
  const settled = (call: Promise<unknown>) =>
    Promise.race([
      call.catch((error: { code: string }) => error.code),
      new Promise((resolve) => real.setTimeout(resolve, 5000, "hangs")),
    ]);

  for (const isTickReplaced of [false, true]) {
    const what = isTickReplaced ? "setTimeout, setImmediate and nextTick" : "setTimeout and setImmediate";
    it(`of ${what}: calls are answered and have their deadlines, alone and behind many`, async () => {
      replace(isTickReplaced);
      assert.equal(await settled(client.command("SET", "a", 1)), "OK");
      const many = Array.from({ length: 12 }, (_, index) => client.command("SET", "a", index));
      await new Promise<void>((resolve) => nextTick.call(process, resolve));
      assert.equal(await settled(client.command("SET", "a", 2)), "OK");
      assert.deepEqual(await Promise.all(many.map(settled)), Array(12).fill("OK"));
      await cluster.nodes.map((address) => cluster.pause(address));
      assert.equal(await settled(client.command("SET", "a", 3)), "DEADLINE");
      for (const address of cluster.nodes) cluster.resume(address);
    });

    it(`of ${what}: nothing is broken when they are gone, whatever was written meanwhile`, async () => {
      replace(isTickReplaced);
      const large = client.with({ timeout: 5000 }).command("SET", "{b}", Buffer.alloc(5_000_000, 120));
      const small = Array.from({ length: 100 }, () => client.command("INCR", "{b}n"));
      await new Promise<void>((resolve) => nextTick.call(process, resolve));
      putBack();
      assert.equal(await large, "OK");
      assert.equal((await Promise.all(small)).at(-1), 100 * (isTickReplaced ? 2 : 1));
      assert.equal(await client.command("STRLEN", "{b}"), 5_000_000);
    });
  }
});
