import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { inspect } from "node:util";
import { type Cluster, connect, defineScript, type SlotwireError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { seeded } from "../support/random-keys.ts";
import { setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const PASSWORD = "p4ssw0rd-of-the-cluster";
const SECRET = "s3cret-value";
const echo = defineScript({
  name: "echo",
  source: "redis.call('set', KEYS[1], ARGV[1]) return {KEYS[1], redis.call('get', KEYS[1])}",
  numberOfKeys: 1,
  replies: "buffer",
});

describe("with passwords and permissions", () => {
  let cluster: LocalCluster;
  const options = () => ({ ...cluster.connectOptions, nodes: cluster.nodes });
  before(async () => {
    cluster = await startCluster({ primaries: 3 });
    await onEveryNode("ACL", "SETUSER", "app", "on", `>${PASSWORD}`, "~*", "+@all");
    await onEveryNode("ACL", "SETUSER", "noscript", "on", `>${PASSWORD}`, "~*", "+@all", "-script");
    await onEveryNode("ACL", "SETUSER", "noeval", "on", `>${PASSWORD}`, "~*", "+@all", "-eval");
    await onEveryNode("ACL", "SETUSER", "nothing", "on", `>${PASSWORD}`, "~*", "+@all", "-@scripting");
    await onEveryNode("ACL", "SETUSER", "onekey", "on", `>${PASSWORD}`, "~allowed*", "+@all");
  });
  after(() => cluster?.stop());

  async function onEveryNode(...command: string[]): Promise<void> {
    await Promise.all(cluster.nodes.map((address) => cluster.command(address, ...command)));
  }

  async function as<T>(username: string, body: (client: Cluster) => Promise<T>): Promise<T> {
    const client = await connect({ ...options(), username, password: PASSWORD, scripts: [setScript] });
    try {
      return await body(client);
    } finally {
      client.destroy();
    }
  }

  const failing = async (call: Promise<unknown>): Promise<SlotwireError> =>
    call.then(
      () => assert.fail("it did not fail"),
      (error: SlotwireError) => error,
    );

  it("a wrong password rejects within a second, and no password is in the error", async () => {
    using watch = new Stopwatch();
    const error = await failing(connect({ ...options(), username: "app", password: `not ${PASSWORD}` }));
    assert.ok(watch.ms < 1000);
    assert.equal(error.code, "AUTH");
    assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error), new RegExp(PASSWORD));
  });

  it("neither passwords nor arguments are in any error, event, or in what inspect and JSON show of the client", async () => {
    await as("onekey", async (client) => {
      const seen: unknown[] = [client, client.topology, client.scripts()];
      for (const event of ["topology", "redirection", "scriptMissing", "nodeUp", "nodeDown"] as const) {
        client.on(event, (payload: unknown) => seen.push(payload));
      }
      await onEveryNode("SCRIPT", "FLUSH");
      await client.run(setScript, ["allowed"], [SECRET]);
      const list = defineScript({
        name: "lists",
        source: "return redis.call('lpush', KEYS[1], ARGV[1])",
        numberOfKeys: 1,
      });
      const errors = await Promise.all([
        failing(client.run(setScript, ["forbidden"], [SECRET])),
        failing(client.run(list, ["allowed"], [SECRET])),
        failing(client.command("SET", "forbidden", SECRET)),
        failing(
          client.run(setScript, ["allowed"], [SECRET], { timeout: 1 }).then(() => Promise.reject(new Error("in time"))),
        ),
        failing(client.command("NOSUCH", "allowed")),
        failing(client.run(setScript, ["allowed"], [{ secret: SECRET } as never])),
      ]);
      for (const each of [...seen, ...errors]) {
        const shown = inspect(each, { depth: 12, showHidden: true }) + (JSON.stringify(each) ?? "");
        assert.doesNotMatch(shown, new RegExp(`${PASSWORD}|${SECRET}`));
      }
    });
  });

  it("users who may not SCRIPT run by EVAL, users who may not EVAL run by EVALSHA, users who may neither hear NOPERM", async () => {
    assert.equal(await as("noscript", (client) => client.run(setScript, ["a"], [1])), "OK");
    await as("noeval", async (client) => {
      assert.equal(await client.run(setScript, ["a"], [1]), "OK");
      await onEveryNode("SCRIPT", "FLUSH");
      assert.equal(await client.run(setScript, ["a"], [1]), "OK");
    });
    await as("nothing", async (client) => {
      using watch = new Stopwatch();
      const error = await failing(client.run(setScript, ["a"], [1]));
      assert.ok(watch.ms < 200);
      assert.match(error.message, /^NOPERM /);
      assert.equal(error.outcome, "not-executed");
      assert.equal(await client.command("SET", "a", 1), "OK");
    });
  });

  it("keeps the order of a key's calls in a batch of new scripts, for users who may not SCRIPT", async () => {
    for (let round = 0; round < 10; round += 2) {
      const client = await connect({ ...options(), username: "noscript", password: PASSWORD });
      try {
        // In the first batch, the client does not know yet that it may not load.
        for (const batchOf of [round, round + 1]) {
          const key = `order:${batchOf}`;
          const push = defineScript({
            name: "push",
            source: `return redis.call('rpush', KEYS[1], ARGV[1]) -- ${batchOf}`,
            numberOfKeys: 1,
          });
          const batch = client.batch();
          for (let index = 0; index < 40; index += 2) batch.run(push, [key], [index]).command("RPUSH", key, index + 1);
          const lengths = await batch.exec();
          const inOrder = lengths.map((_, index) => String(index));
          assert.deepEqual(await client.command("LRANGE", key, 0, -1), inOrder);
          assert.deepEqual(
            lengths,
            inOrder.map((_, index) => index + 1),
          );
        }
      } finally {
        client.destroy();
      }
    }
  });

  it("credentials rotate: the provider is asked at new connections, and open ones renew theirs", async () => {
    let password = PASSWORD;
    const client = await connect({ ...options(), credentials: async () => ({ username: "app", password }) });
    password = "rotated";
    await onEveryNode("ACL", "SETUSER", "app", "resetpass", `>${password}`);
    await client.reauthenticate();
    await onEveryNode("CLIENT", "KILL", "USER", "app");
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await client.command("SET", "rotated", 1), "OK");
    password = "wrong";
    await assert.rejects(client.reauthenticate(), { code: "AUTH" });
    client.destroy();
  });

  it("keys and arguments of all bytes come back as sent: 10,000 cases", async () => {
    const client = await connect({ ...options(), scripts: [echo], commandTimeout: 60_000 });
    const random = seeded(2026);
    const special = ["", "\r\n", "\0", "$1\r\na\r\n", "*1\r\n", "-ERR x\r\n", "{}", "{", "}{"].map((text) =>
      Buffer.from(text),
    );
    const bytes = () => {
      if (random() < 0.05) return special[Math.floor(random() * special.length)] as Buffer;
      return Buffer.from(Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256)));
    };
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const cases = Array.from({ length: 10_000 }, (_, index) => {
      // One call for each key, so that no other call changes it.
      const key = Buffer.concat([Buffer.from(`${index}:`), index === 0 ? all : bytes()]);
      return [key, index === 0 ? all : bytes()] as const;
    });
    for (let start = 0; start < cases.length; start += 1000) {
      const part = cases.slice(start, start + 1000);
      const replies = await Promise.all(part.map(([key, value]) => client.run(echo, [key], [value])));
      assert.deepEqual(
        replies,
        part.map((each) => [...each]),
      );
    }
    client.destroy();
  });
});
