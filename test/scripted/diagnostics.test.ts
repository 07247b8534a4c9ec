import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { tracingChannel } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, it } from "node:test";
import { inspect } from "node:util";
import { DeadlineError, defineScript, ReplyError } from "../../src/index.ts";
import { Ear } from "../support/channels.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

const script = { name: setScript.name, sha: setScript.sha };

const ABOUT_NO_CALL = new Set(["topology", "refresh", "audit", "load"]);

describe("diagnostics channels", () => {
  let cluster: FakeCluster;
  let ear: Ear;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2, 1);
    ear = new Ear();
  });
  afterEach(async () => {
    ear.stop();
    await cluster.stop();
  });
  const node = (index: number) => cluster.node(index).address;

  it("tell of a call: its beginning, its attempt, its end", async () => {
    const client = await cluster.connect({ scripts: [setScript], connectionName: "me" });
    ear.take();
    await client.run(setScript, [keyForSlot(5)], ["v"]);
    assert.deepEqual(ear.names, [
      "command:start",
      "command:end",
      "attempt",
      "written",
      "wait",
      "answer",
      "command:asyncStart",
      "command:asyncEnd",
    ]);
    const [start] = ear.all("command:start");
    const { id } = (start?.client ?? {}) as { readonly id?: number };
    const who = { id, seeds: [node(0)], name: "me", database: 0 };
    const call = { client: who, command: "EVALSHA", script, slot: 5, batch: undefined, operation: undefined };
    assert.deepEqual({ ...start, seq: 0 }, { ...call, seq: 0, id: 1, attempts: 0, address: undefined });
    assert.deepEqual(
      ear.all("command:asyncEnd").map((end) => ({ ...end, seq: 0 })),
      [{ ...call, seq: 0, id: 1, attempts: 1, address: node(0) }],
    );
    const [{ call: context, bytes, seq, ...attempt } = {}] = ear.all("attempt");
    assert.equal(typeof seq, "number");
    assert.equal(context, ear.heard[0]?.original);
    assert.equal(
      bytes,
      `*5\r\n$7\r\nEVALSHA\r\n$40\r\n${setScript.sha}\r\n$1\r\n1\r\n$3\r\n${keyForSlot(5)}\r\n$1\r\nv\r\n`.length,
    );
    const rest = { command: "EVALSHA", script, slot: 5, asking: false, loads: false, loadBytes: 0 };
    assert.deepEqual(attempt, { ...rest, attempt: 1, address: node(0) });
  });

  it("number all messages in the order in which they come, whatever client and channel they are of", async () => {
    const [one, other] = [await cluster.connect({ scripts: [setScript] }), await cluster.connect()];
    cluster.node(0).expect("EVALSHA", error(`MOVED 7 ${node(1)}`));
    await Promise.all([one.run(setScript, [keyForSlot(7)], ["v"]), other.command("GET", keyForSlot(7))]);
    await one.refreshTopology();
    await other.close();
    const numbers = ear.heard.map(({ message }) => message.seq as number);
    assert.ok(numbers.length > 40, `${numbers.length} messages`);
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => (numbers[0] as number) + index),
    );
    const ids = new Set(ear.all("command:start").map(({ client }) => (client as { id: number }).id));
    assert.equal(ids.size, 2);
  });

  it("tell the topology in front of an attempt that follows from it, and a decision in front of both", async () => {
    const client = await cluster.connect();
    ear.take();
    cluster.node(0).expect("GET", error(`MOVED 7 ${node(1)}`));
    await client.command("GET", keyForSlot(7));
    const names = ear.names.filter((name) => !name.startsWith("command"));
    assert.deepEqual(names.slice(names.indexOf("answer"), names.lastIndexOf("attempt") + 1), [
      "answer",
      "decision",
      "redirection",
      "topology",
      "attempt",
    ]);
    const [{ moved, reason } = {}] = ear.all("topology");
    assert.deepEqual([reason, moved], ["moved", [{ start: 7, end: 7, from: node(0), to: node(1) }]]);
  });

  it("tell of every decision: of retries and rejections, pauses and what no node refused", async () => {
    const client = await cluster.connect({ scripts: [setScript], maxRedirections: 1 });
    ear.take();
    cluster.node(0).expect("GET", error("TRYAGAIN Multiple keys request during rehashing of slot"));
    cluster.node(0).expect("GET", error(`MOVED 0 127.0.0.1:1`));
    cluster.node(0).expect("GET", error(`MOVED 0 ${node(1)}`));
    await assert.rejects(client.command("GET", keyForSlot(0)), { code: "REDIRECTIONS" });
    const told = ear.all("decision").map((decision) => {
      const { attempt, failure, row, verdict, when, backoffMs, spends, outcome, redirections, retries } = decision;
      const isPaused = typeof backoffMs === "number";
      return [attempt, failure, row, verdict, when, isPaused, spends, outcome, redirections, retries];
    });
    assert.deepEqual(told, [
      [1, "TRYAGAIN", "tryagain", "retry", "after-backoff", true, "retry", undefined, 0, 1],
      [2, "MOVED", "moved-unlisted", "retry", "after-refresh", false, "redirection", undefined, 1, 1],
      [2, "looked-up", "redirection-unlisted", "retry", "after-backoff", true, "nothing", undefined, 1, 1],
      [3, "MOVED", "redirections-spent", "reject", undefined, false, undefined, "not-executed", 1, 1],
    ]);
    assert.deepEqual(
      ear
        .all("refresh")
        .map(({ state, reason }) => [state, reason])
        .slice(0, 2),
      [
        ["begun", "unknown-node"],
        ["ended", "unknown-node"],
      ],
    );
  });

  it("tell what is written apart from what waits for a connection, and why a connection ended", async () => {
    const client = await cluster.connect({ commandTimeout: 300 });
    ear.take();
    await cluster.node(0).stop();
    await until(() => ear.all("disconnect").length > 0);
    await Promise.allSettled([1, 2, 3].map(() => client.command("SET", keyForSlot(0), "v")));
    const ends = ear.all("disconnect").map(({ address, reason, awaiting }) => [address, reason, awaiting]);
    assert.ok(ends.length > 0 && ends.every(([address]) => address === node(0)), JSON.stringify(ends));
    const written = ear.all("written").filter(({ address }) => address === node(0));
    const meant = ear.all("attempt").filter(({ address }) => address === node(0));
    assert.ok(
      meant.length >= 3 && written.length === 0,
      `${meant.length} were meant for it, ${written.length} written`,
    );
    await client.close();
    const last = ear.all("disconnect").at(-1);
    assert.deepEqual([last?.reason, last?.awaiting], ["client-closed", 0]);
  });

  it("tell of every hop, joined by the call", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    ear.take();
    cluster.node(0).expect("EVALSHA", error(`ASK 7 ${node(1)}`));
    cluster.node(1).expect("EVALSHA", error("NOSCRIPT No matching script."));
    cluster.node(1).expect("EVALSHA", error(`MOVED 7 ${node(0)}`));
    await client.run(setScript, [keyForSlot(7)], ["v"]);
    const contexts = new Set(
      ear.heard
        .filter(({ on }) => !ABOUT_NO_CALL.has(on))
        .map(({ original, on }) => (on.startsWith("command") ? original : (original as { call: object }).call)),
    );
    assert.equal(contexts.size, 1);
    const told = ear.heard
      .filter(({ on }) => ["attempt", "script-missing", "redirection"].includes(on))
      .map(({ on, message }) => {
        const { attempt, address, kind, to, asking, loads, loadBytes } = message;
        if (on === "attempt") return [on, attempt, address, asking, loads, loadBytes];
        return on === "redirection" ? [on, attempt, address, kind, to] : [on, attempt, address];
      });
    const load = `*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$${setScript.source.length}\r\n${setScript.source}\r\n`.length;
    assert.deepEqual(told, [
      ["attempt", 1, node(0), false, false, 0],
      ["redirection", 1, node(0), "ASK", node(1)],
      ["attempt", 2, node(1), true, false, 0],
      ["script-missing", 2, node(1)],
      ["redirection", 2, node(1), "NOSCRIPT", undefined],
      ["attempt", 3, node(1), true, true, load],
      ["redirection", 3, node(1), "MOVED", node(0)],
      ["attempt", 4, node(0), false, false, 0],
    ]);
    const [plain, asking] = ear.all("attempt").map(({ bytes }) => bytes as number);
    assert.equal((asking as number) - (plain as number), "*1\r\n$6\r\nASKING\r\n".length);
    assert.deepEqual(
      ear.all("command:asyncEnd").map(({ attempts, address }) => [attempts, address]),
      [[4, node(0)]],
    );
  });

  it("tell of an error once, in front of the end, and the caller gets it too", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    ear.take();
    cluster.node(0).expect("GET", error("WRONGTYPE Operation against a key holding the wrong kind of value"));
    await assert.rejects(client.command("GET", keyForSlot(0)), ReplyError);
    cluster.node(0).expect("GET", "hang");
    await assert.rejects(client.with({ timeout: 30 }).command("GET", keyForSlot(0)), DeadlineError);
    const ends = ["command:error", "command:asyncStart", "command:asyncEnd"];
    assert.deepEqual(
      ear.names.filter((name) => ends.includes(name)),
      [...ends, ...ends],
    );
    const [refused, late] = ear.all("command:error").map(({ error }) => error);
    assert.ok(refused instanceof ReplyError);
    assert.deepEqual([refused.reply, refused.code, refused.outcome], ["WRONGTYPE", "REPLY", "executed"]);
    assert.ok(late instanceof DeadlineError);
  });

  it("show no key, argument, reply or source, whatever servers and scripts quote", async () => {
    const secret = "s3cret";
    const tell = defineScript({ name: "tell", source: `return '${secret}'`, numberOfKeys: 1, readOnly: true });
    const client = await cluster.connect({ scripts: [tell], username: "u", password: secret });
    const key = `{${keyForSlot(0)}}${secret}`;
    const quoting = (name: string) => error(`ERR unknown command '${name}', with args beginning with: '${secret}' `);
    cluster.node(0).expect("EVALSHA_RO", quoting("EVALSHA_RO"));
    cluster.node(0).expect("EVALSHA", error("NOSCRIPT No matching script."));
    await client.run(tell, [key], [secret]);
    cluster.node(0).expect("NOSUCH", quoting("NOSUCH"));
    await client.command("NOSUCH", key, secret).catch(() => {});
    cluster.node(0).expect("EVALSHA", error(`${secret} is not what I wanted`));
    await client.run(tell, [key], [secret]).catch(() => {});
    cluster.node(0).always("EVALSHA", () => error("TRYAGAIN Multiple keys request during rehashing of slot"));
    await client
      .with({ timeout: 30 })
      .run(tell, [key], [secret])
      .catch(() => {});
    await client.with({ timeout: 30 }).batch([tell.call([key], [secret])]);
    cluster.node(0).always("GET", () => `$${secret.length}\r\n${secret}\r\n`);
    assert.equal(await client.command("GET", key), secret);
    cluster.node(1).always("SCRIPT LOAD", () => error(`${secret} does not compile`));
    await client.preload(defineScript({ name: "broken", source: `${secret}`, numberOfKeys: 1 }));
    assert.deepEqual(
      ear.all("load").flatMap(({ state, error }) => (state === "refused" ? [error] : [])),
      ["ERR"],
    );
    assert.ok(
      ear.all("command:error").length >= 3 &&
        ear.all("redirection").length >= 3 &&
        ear.all("batch:asyncEnd").length === 1,
    );
    for (const on of ["written", "answer", "decision", "load", "audit"]) assert.ok(ear.all(on).length > 0, on);
    // Errors hold their cause and their stack as well.
    const shown = inspect(ear.heard, {
      depth: Number.POSITIVE_INFINITY,
      showHidden: true,
      maxArrayLength: null,
      maxStringLength: null,
    });
    assert.ok(
      !shown.includes(secret),
      shown.slice(Math.max(0, shown.indexOf(secret) - 600), shown.indexOf(secret) + 50),
    );
  });

  it("give handlers the stores that were bound when the call began, and the caller its own", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const store = new AsyncLocalStorage<string>();
    const command = tracingChannel("slotwire:command");
    const seen: unknown[] = [];
    const look = (context: unknown) => void seen.push([(context as { slot: number }).slot, store.getStore()]);
    command.start.bindStore(store, (context) => `span of ${(context as { slot: number }).slot}`);
    command.asyncStart.subscribe(look);
    command.asyncEnd.subscribe(look);
    try {
      const call = (slot: number) =>
        store.run(`caller of ${slot}`, async () => {
          await client.run(setScript, [keyForSlot(slot)], ["v"]);
          return store.getStore();
        });
      assert.deepEqual(await Promise.all([call(1), call(2)]), ["caller of 1", "caller of 2"]);
      assert.deepEqual(
        seen,
        [1, 1, 2, 2].map((slot) => [slot, `span of ${slot}`]),
      );
    } finally {
      command.start.unbindStore(store);
      command.asyncStart.unsubscribe(look);
      command.asyncEnd.unsubscribe(look);
    }
  });

  it("tell of calls to who only wants to know of attempts", async () => {
    ear.stop();
    ear = new Ear("attempt");
    const client = await cluster.connect();
    await client.command("GET", keyForSlot(3));
    assert.deepEqual(
      ear.all("attempt").map(({ slot, command }) => [slot, command]),
      [[3, "GET"]],
    );
  });

  it("tell of a batch, and of its calls as part of it", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    ear.take();
    await client.batch([setScript.call([keyForSlot(1)], ["a"]), setScript.call([keyForSlot(9000)], ["b"])]);
    const [batch] = ear.all("batch:start");
    assert.deepEqual(
      { ...batch, client: undefined, seq: 0 },
      {
        seq: 0,
        id: 1,
        client: undefined,
        operation: "batch",
        size: 2,
        commands: ["EVALSHA"],
        script,
        slot: undefined,
        address: undefined,
      },
    );
    const original = ear.heard.find(({ on }) => on === "batch:start")?.original;
    assert.deepEqual(
      ear.all("command:start").map((call) => call.batch === original),
      [true, true],
    );
    assert.deepEqual(ear.names.at(-1), "batch:asyncEnd");
    assert.ok(!("result" in (original ?? {})));
  });

  it("tell of connections that cannot be opened, with the number of the try", async () => {
    await cluster.connect();
    ear.take();
    await cluster.node(1).stop();
    await until(() => ear.all("connect:error").length >= 2);
    const failures = ear.all("connect:error").filter(({ address }) => address === node(1));
    assert.deepEqual(
      failures.slice(0, 2).map(({ attempt, readOnly }) => [attempt, readOnly]),
      [
        [1, false],
        [2, false],
      ],
    );
    assert.ok(failures[0]?.error instanceof Error);
  });

  it("leave everything as it is when a listener throws", async () => {
    const client = await cluster.connect();
    const thrown: unknown[] = [];
    const command = tracingChannel("slotwire:command");
    const fail = () => {
      throw new Error("listener");
    };
    process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
    command.asyncEnd.subscribe(fail);
    try {
      assert.equal(await client.command("GET", keyForSlot(3)), "OK");
      await until(() => thrown.length > 0);
    } finally {
      command.asyncEnd.unsubscribe(fail);
      process.setUncaughtExceptionCaptureCallback(null);
    }
    assert.deepEqual(thrown, ["listener"]);
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
