import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { type Cluster, connect } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";

/** All that a cache needs besides what the calls need. */
const ALL = ["reset", "on", ">p", "~*", "+@all", "resetchannels", "&__redis__:invalidate", "&__slotwire__:*"];

describe("a cache on a single server, and what its user may do", () => {
  let server: SingleServer;
  let isOld = false;
  const clients: Cluster[] = [];
  before(async () => {
    server = await startSingle();
    isOld = /redis_version:6\./.test(String(await server.command("INFO", "server")));
  });
  after(async () => {
    for (const client of clients) client.destroy();
    await server?.stop();
  });

  const kept = (name: string, body: (test: TestContext) => unknown) =>
    it(name, async (test) => {
      if (isOld) test.diagnostic("left out: this server has no sharded channels");
      else await body(test);
    });
  const grant = (user: string, ...rules: string[]) => server.command("ACL", "SETUSER", user, ...rules);
  const as = async (username: string) => {
    const to = { nodes: [server.address], cache: { maxStaleness: 400 } };
    const client = await connect({ ...to, username, password: "p" });
    clients.push(client);
    return client;
  };
  const figures = (client: Cluster) => {
    const { cache } = client.metrics();
    assert.ok(cache, "the client has a cache");
    return cache;
  };
  const reasonOf = (client: Cluster) => figures(client).unavailable[0]?.reason ?? "none";
  const get = (client: Cluster, key = "k") => client.with({ cached: true }).command("GET", key);
  const inMemory = (client: Cluster, key = "k") =>
    eventually(async () => {
      const { hits } = figures(client);
      await get(client, key);
      assert.equal(figures(client).hits > hits, true, `memory does not answer: ${reasonOf(client)}`);
    }, 15_000);

  /** By the user who lacks it: the right, and what the metrics say. */
  const RIGHTS: Record<string, { rule: string; lacks: string[]; says: RegExp }> = {
    tracking: { rule: "+client|tracking", lacks: ["-client|tracking"], says: /^CLIENT TRACKING: NOPERM / },
    id: { rule: "+client|id", lacks: ["-client|id"], says: /^CLIENT ID: NOPERM / },
    subscribe: { rule: "+subscribe", lacks: ["-subscribe"], says: /^SUBSCRIBE __redis__:invalidate: NOPERM / },
    ssubscribe: { rule: "+ssubscribe", lacks: ["-ssubscribe"], says: /^SSUBSCRIBE: NOPERM / },
    channel: {
      rule: "&__redis__:invalidate",
      lacks: ["resetchannels", "&__slotwire__:*"],
      says: /^SUBSCRIBE __redis__:invalidate: NOPERM /,
    },
    canaries: {
      rule: "&__slotwire__:*",
      lacks: ["resetchannels", "&__redis__:invalidate"],
      says: /^SSUBSCRIBE: NOPERM /,
    },
    pttl: { rule: "+pttl", lacks: ["-pttl"], says: /NOPERM .*'pttl'/ },
    exists: { rule: "+exists", lacks: ["-exists"], says: /NOPERM .*'exists'/ },
  };

  kept("keeps nothing without any one of the rights, says which, and begins when it is given", async () => {
    await server.command("SET", "k", "1");
    await Promise.all(
      Object.entries(RIGHTS).map(async ([user, { rule, lacks, says }]) => {
        await grant(user, ...ALL, ...lacks);
        const client = await as(user);
        for (let time = 0; time < 3; time++) assert.equal(await get(client), "1");
        const { hits, passed } = figures(client);
        assert.deepEqual([hits, passed], [0, { "not-ready": 3 }], user);
        assert.match(reasonOf(client), says);
        await grant(user, rule);
        await inMemory(client);
        client.destroy();
      }),
    );
  });

  kept("gives up what it keeps when a right is taken away, and says which", async () => {
    // Of the others the server takes note at the next login only.
    const lost = Object.entries(RIGHTS).filter(([user]) => /channel|canaries|pttl|exists/.test(user));
    await Promise.all(
      lost.map(async ([right, { lacks, says }]) => {
        const user = `former-${right}`;
        await grant(user, ...ALL);
        const client = await as(user);
        await inMemory(client);
        await grant(user, ...lacks);
        await eventually(async () => {
          // A read of another key needs the time to live.
          assert.equal(await get(client), "1");
          assert.equal(await get(client, `other ${Math.random()}`), null);
          assert.match(reasonOf(client), says);
        });
        assert.equal(figures(client).entries, 0);
        client.destroy();
      }),
    );
  });

  kept("goes on beside calls for keys that the user may not read", async () => {
    await grant("patterned", ...ALL, "resetkeys", "~k*");
    const client = await as("patterned");
    await inMemory(client);
    for (let time = 0; time < 3; time++) await assert.rejects(get(client, "forbidden"), { code: "REPLY" });
    assert.deepEqual([figures(client).entries, figures(client).unavailable, figures(client).dropped], [1, [], {}]);
    client.destroy();
  });

  kept("sees what its own client writes, and what others do", async () => {
    await grant("all", ...ALL);
    const client = await as("all");
    await inMemory(client);
    await client.command("SET", "k", "2");
    assert.equal(await get(client), "2");
    await inMemory(client);
    await server.command("SET", "k", "3");
    await eventually(async () => assert.equal(await get(client), "3"));
    client.destroy();
  });
});
