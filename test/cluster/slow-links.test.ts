import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, connect, slotOf } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { ByteProxy } from "../support/byte-proxy.ts";
import { Stopwatch } from "../support/stopwatch.ts";
import { ThrottledLink } from "../support/throttled-link.ts";

/** What the machine may take beside what is promised. */
const NOISE_MS = 1500;

describe("a connection over a slow link", () => {
  let cluster: LocalCluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
  });
  after(() => cluster?.stop());

  /** A key of each primary, by address. */
  const keysOf = (client: Cluster) => {
    const keys = new Map<string, string>();
    for (let index = 0; keys.size < 3; index++) {
      const key = `slow:${index}`;
      keys.set(client.topology.primaryOf(slotOf(key))?.address as string, key);
    }
    return [...keys];
  };

  for (const isShared of [false, true]) {
    for (const [size, rate] of [
      [3_000_000, 1_000_000],
      [10_000_000, 4_000_000],
    ] as const) {
      const link = isShared ? "shared by all connections" : "of its own";
      it(`keeps ${size / 1e6} MB over ${rate / 1e6} MB/s, on a link ${link}, and notices a half-open neighbour`, async () => {
        const slow = await ThrottledLink.to(cluster.nodes, rate, isShared);
        const options = { ...cluster.connectOptions, natMap: slow.natMap, commandTimeout: 60_000 };
        const client = await connect(options);
        try {
          const [[, key], [, other], [third, neighbour]] = keysOf(client) as [
            [string, string],
            [string, string],
            [string, string],
          ];
          const upload = client.command("SET", key, Buffer.alloc(size, 120));
          const beside = Array.from({ length: 5 }, () => client.command("INCR", other));
          const behind = client.command("STRLEN", key);
          // Replies are awaited on it while the link is full, and none comes.
          assert.equal(await client.command("SET", neighbour, 1), "OK");
          slow.breakHalf(third);
          using watch = new Stopwatch();
          await assert.rejects(client.command("INCR", neighbour), { code: "CONNECTION_LOST", outcome: "unknown" });
          const noticedMs = watch.ms;
          assert.equal(await upload, "OK");
          assert.equal(await behind, size);
          assert.equal((await Promise.all(beside)).length, 5);
          assert.ok(noticedMs < 1500 + NOISE_MS, `after ${noticedMs} ms`);
          const { counters } = client.metrics();
          assert.deepEqual([counters.errors, counters.reconnections], [{ CONNECTION_LOST: 1 }, 1]);
        } finally {
          client.destroy();
          await slow.stop();
        }
      });
    }
  }
});

describe("a half-open connection", () => {
  let cluster: LocalCluster;
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    for (const address of cluster.nodes) {
      await cluster.command(
        address,
        "ACL",
        "SETUSER",
        "plain",
        "on",
        ">plain",
        "~*",
        "+@all",
        "-@dangerous",
        "-@admin",
        "+cluster",
      );
    }
  });
  after(() => cluster?.stop());

  async function through(
    how: "swallow" | "swallowReplies",
    options: Partial<ConnectOptions>,
    body: (client: Cluster, key: string, breakIt: () => void) => Promise<void>,
  ): Promise<void> {
    const victim = cluster.nodes[0] as string;
    const proxy = await ByteProxy.start(victim);
    const natMap = { [victim]: { host: proxy.host, port: proxy.port } };
    const client = await connect({ ...cluster.connectOptions, natMap, ...options });
    try {
      const keys = Array.from({ length: 100 }, (_, index) => `half:${how}:${index}`);
      const key = keys.find((each) => client.topology.primaryOf(slotOf(each))?.address === victim) as string;
      await body(client, key, () => proxy[how]());
    } finally {
      client.destroy();
      await proxy.stop();
    }
  }

  for (const [how, ways] of [
    ["swallow", "both ways"],
    ["swallowReplies", "one way"],
  ] as const) {
    it(`${ways} is noticed: 1.5 s after the first unanswered call`, () =>
      through(how, {}, async (client, key, breakIt) => {
        assert.equal(await client.command("SET", key, 1), "OK");
        breakIt();
        using watch = new Stopwatch();
        await assert.rejects(client.command("INCR", key), { code: "CONNECTION_LOST", outcome: "unknown" });
        assert.ok(watch.ms < 1500 + NOISE_MS, `after ${watch.ms} ms`);
        assert.ok(Number(await client.command("GET", key)) >= 1);
      }));

    it(`${ways} is noticed where CLIENT LIST is denied: 3 s after the first unanswered call`, () =>
      through(how, { username: "plain", password: "plain" }, async (client, key, breakIt) => {
        assert.equal(await client.command("SET", key, 1), "OK");
        breakIt();
        using watch = new Stopwatch();
        await assert.rejects(client.command("INCR", key), { code: "CONNECTION_LOST", outcome: "unknown" });
        assert.ok(watch.ms < 3000 + NOISE_MS, `after ${watch.ms} ms`);
      }));

    it(`${ways} is noticed on which a command that blocks was never read, or its reply was lost`, (t) => {
      // Redis 6.0 cannot say what it has in hand, so that nothing proves such a connection dead.
      if (/ v=6\.0\./.test(cluster.version)) return t.skip("Redis 6.0");
      return through(how, { commandTimeout: 30_000 }, async (client, key, breakIt) => {
        // The connection is used again, so it is the one that breaks.
        const list = `{${key}}:list`;
        assert.equal(await client.command("BLPOP", list, 0.05), null);
        breakIt();
        const blocked = client.command("BLPOP", list, 0.3);
        using watch = new Stopwatch();
        await assert.rejects(blocked, { code: "CONNECTION_LOST", outcome: "unknown" });
        assert.ok(watch.ms < 2500 + NOISE_MS, `after ${watch.ms} ms`);
      });
    });

    it(`${ways} is noticed by a transaction that watches`, () =>
      through(how, { commandTimeout: 30_000 }, async (client, key, breakIt) => {
        const add = (onWatch: () => void) =>
          client.transaction(key, { watch: [key] }, async (tx) => {
            onWatch();
            const value = Number(await tx.command("GET", key));
            return tx.multi().command("SET", key, value + 1);
          });
        assert.deepEqual(await add(() => {}), ["OK"]);
        let times = 0;
        using watch = new Stopwatch();
        assert.deepEqual(
          await add(() => times++ === 0 && breakIt()),
          ["OK"],
          "it had written nothing, so it starts over",
        );
        // Redis 6.0 cannot say what it has in hand, so it takes longer to be sure.
        const limitMs = / v=6\.0\./.test(cluster.version) ? 3000 : 1500;
        assert.ok(watch.ms < limitMs + NOISE_MS, `after ${watch.ms} ms`);
        assert.equal(times, 2);
      }));
  }
});
