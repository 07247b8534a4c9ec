import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { defineScript, ReplyError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error, noScript, ok } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

const DENIED = error("NOPERM this user has no permissions to run the 'script|load' command");

describe("NOSCRIPT", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  const key = keyForSlot(0);
  const loadsAndRuns = () => cluster.node(0).got("SCRIPT LOAD", "EVALSHA", "EVAL");

  it("is no news of SCRIPT LOAD that has ended when another caller loads the same script in the same read", async () => {
    const client = await cluster.connect();
    const load = () => client.command("SCRIPT", "LOAD", setScript.source);
    const first = load();
    // Its reply comes in the same read as that of the load.
    const second = client.command("GET", key).then(load);
    assert.deepEqual(await Promise.all([first, second]), [setScript.sha, setScript.sha]);
    assert.equal(cluster.node(0).count("SCRIPT LOAD"), 2);
  });

  it("is mended by one SCRIPT LOAD however many calls wait, in one write with the replays, in their order", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    node.scripts.clear();
    node.received.length = 0;
    const calls = Array.from({ length: 100 }, (_, index) => client.run(setScript, [key], [index]));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(["OK"]));
    const runs = Array.from({ length: 100 }, (_, index) => `EVALSHA ${key} ${index}`);
    assert.deepEqual(loadsAndRuns(), [...runs, "SCRIPT LOAD", ...runs]);
    const replayed = node.received.filter(({ args }) => args[1] !== "EXISTS").slice(100);
    assert.equal(new Set(replayed.map(({ write }) => write)).size, 1);
  });

  it("to a call written before the newest load needs no further load", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    node.expect("EVALSHA", noScript, 2);
    const first = client.run(setScript, [key], [1]);
    const second = client.run(setScript, [key], [2]);
    await Promise.all([first, second]);
    assert.equal(node.count("SCRIPT LOAD"), 2, "the preload, and one for both calls");
  });

  it("again after the load (a flush in between) loads again, until it holds", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", noScript, 5);
    assert.equal(await client.run(setScript, [key], [1]), "OK");
    assert.equal(cluster.node(0).count("EVALSHA"), 6);
    // The preload, and one in front of each replay. The audit after 50 ms may find out in place of one of them.
    const loads = cluster.node(0).count("SCRIPT LOAD");
    assert.equal(loads === 6 || loads === 5, true, `${loads} loads`);
  });

  it("each time, to one call: at most one load in 10 ms, and calls of other scripts go on", async () => {
    const other = defineScript({ name: "other", source: "return 2" });
    const client = await cluster.connect({ scripts: [setScript, other], commandTimeout: 1500 });
    const node = cluster.node(0);
    node.always("EVALSHA", ([, sha]) => (sha === setScript.sha ? noScript : ok));
    const loadsOfSet = () => node.received.filter(({ args }) => args[1] === "LOAD" && args[2] === setScript.source);
    const before = loadsOfSet().length;
    const start = performance.now();
    const ends = Array.from({ length: 3 }, () => client.run(setScript, [key], [1]).catch((cause: unknown) => cause));
    const ended = Promise.all(ends);
    let others = 0;
    for (let isOver = false; !isOver; others++) {
      assert.equal(await client.run(other, [key]), "OK");
      isOver = await Promise.race([ended.then(() => true), new Promise<false>((next) => setImmediate(next, false))]);
    }
    const hundredths = (performance.now() - start) / 10;
    for (const error of await ended) assert.equal((error as { code?: string }).code, "DEADLINE", String(error));
    const loads = loadsOfSet().length - before;
    // One a second comes from the audit.
    assert.equal(loads <= hundredths + 3, true, `${loads} loads in ${hundredths * 10} ms`);
    assert.equal(loads > 10, true, `only ${loads} loads`);
    assert.equal(others > 3 * loads, true, `${others} calls of the other script, ${loads} loads`);
    assert.equal(client.metrics().counters.decisions["noscript-rest"] !== undefined, true);
  });

  it("leaves it known why a script could not be loaded, while it is loaded again", async () => {
    const client = await cluster.connect();
    const node = cluster.node(0);
    node.expect("SCRIPT LOAD", error("ERR Error compiling script"));
    node.expect("SCRIPT LOAD", "hang");
    await client.preload(setScript);
    const reason = () => client.scripts()[0]?.failed[0]?.cause.message;
    assert.match(reason() ?? "", /^ERR Error compiling script/);
    const call = client.run(setScript, [key], [1]).catch(() => {});
    while (node.count("SCRIPT LOAD") < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.match(reason() ?? "", /^ERR Error compiling script/);
    client.destroy();
    await call;
  });

  it("a script that was not preloaded goes ahead of its first call in the same write, and stays registered", async () => {
    const client = await cluster.connect();
    const node = cluster.node(0);
    node.received.length = 0;
    await Promise.all([client.run(setScript, [key], [1]), client.run(setScript, [key], [2])]);
    assert.deepEqual(loadsAndRuns(), ["SCRIPT LOAD", `EVALSHA ${key} 1`, `EVALSHA ${key} 2`]);
    assert.equal(new Set(node.received.map(({ write }) => write)).size, 1);
    assert.deepEqual(client.scripts()[0]?.loaded, [{ name: "set", sha: setScript.sha }]);
  });

  it("does not come to a script that is run again and again while thousands of others pass", async (t) => {
    t.mock.method(process, "emitWarning", () => {});
    const client = await cluster.connect();
    const node = cluster.node(0);
    for (let round = 0; round < 60; round++) {
      const others = Array.from({ length: 50 }, (_, index) =>
        defineScript({ name: "other", source: `return ${round * 50 + index}`, numberOfKeys: 1 }),
      );
      await Promise.all([client.run(setScript, [key], [round]), ...others.map((other) => client.run(other, [key]))]);
    }
    const loads = node.received.filter(({ args }) => args[1] === "LOAD").map(({ args }) => args[2]);
    assert.equal(new Set(loads).size, 3001);
    assert.equal(loads.filter((source) => source === setScript.source).length, 1);
    assert.equal(
      client.scripts()[0]?.loaded.some(({ name }) => name === "set"),
      true,
    );
  });

  it("where SCRIPT LOAD is forbidden, the first waiting call brings the source by EVAL and the others follow by SHA-1", async () => {
    const node = cluster.node(0);
    node.always("SCRIPT LOAD", () => DENIED);
    node.always("EVAL", (args) => {
      if (args[1] === setScript.source) node.scripts.add(setScript.sha);
      return ok;
    });
    const client = await cluster.connect({ scripts: [setScript] });
    const [report] = client.scripts();
    assert.match(String(report?.failed[0]?.cause.message), /NOPERM/);
    const calls = Array.from({ length: 5 }, (_, index) => client.run(setScript, [key], [index]));
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(["OK"]));
    assert.equal(node.count("EVAL"), 1);
  });

  it("where EVAL is forbidden as well, the call rejects with NOPERM, not executed", async () => {
    const node = cluster.node(0);
    node.always("SCRIPT LOAD", () => DENIED);
    node.always("EVAL", () => error("NOPERM this user has no permissions to run the 'eval' command"));
    const client = await cluster.connect({ scripts: [setScript] });
    await assert.rejects(client.run(setScript, [key], [1]), (thrown: unknown) => {
      assert.ok(thrown instanceof ReplyError);
      assert.match(thrown.reply, /NOPERM.*'eval'/);
      assert.equal(thrown.outcome, "not-executed");
      return true;
    });
    const calls = Array.from({ length: 200 }, () => client.run(setScript, [key], [1]));
    for (const result of await Promise.allSettled(calls)) assert.equal(result.status, "rejected");
    assert.equal(node.count("EVAL"), 1);
    assert.equal(node.count("EVALSHA"), 201);
    assert.match(String(client.scripts()[0]?.failed[0]?.cause.message), /'eval'/);
  });

  it("of a script that does not compile rejects with the compiler's words", async () => {
    const words = "ERR Error compiling script (new function): user_script:1: unexpected symbol near 'this'";
    cluster.node(0).always("SCRIPT LOAD", () => error(words));
    const broken = defineScript({ name: "broken", source: "this is no Lua", numberOfKeys: 1 });
    const client = await cluster.connect();
    await client.preload(broken);
    assert.match(String(client.scripts()[0]?.failed[0]?.cause.message), /compiling/);
    await assert.rejects(client.run(broken, [key]), (thrown: unknown) => {
      assert.ok(thrown instanceof ReplyError);
      assert.equal(thrown.reply, words);
      assert.equal(thrown.outcome, "not-executed");
      assert.equal(thrown.script, "broken");
      return true;
    });
    const node = cluster.node(0);
    node.received.length = 0;
    const calls = Array.from({ length: 200 }, () => client.run(broken, [key]));
    for (const result of await Promise.allSettled(calls)) assert.equal(result.status, "rejected");
    assert.ok(node.count("SCRIPT LOAD") <= 2, `${node.count("SCRIPT LOAD")} loads`);
    assert.ok(node.count("EVALSHA") <= 600, `${node.count("EVALSHA")} attempts for 200 calls`);
  });

  it("that a script made up is not mended: it ran, once", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", error("NOSCRIPT x"));
    await assert.rejects(client.run(setScript, [key], [1]), { code: "REPLY", outcome: "executed" });
    assert.equal(cluster.node(0).count("EVALSHA"), 1);
  });

  it("on one node makes the client look at the others, and load what was flushed there", async () => {
    const pair = await FakeCluster.start(2);
    try {
      const client = await pair.connect({ scripts: [setScript] });
      for (const node of pair.nodes) node.scripts.clear();
      await client.run(setScript, [key], [1]);
      const deadline = Date.now() + 2000;
      while (!pair.node(1).scripts.has(setScript.sha) && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.ok(pair.node(1).scripts.has(setScript.sha));
      assert.equal(pair.node(1).count("EVALSHA"), 0);
      assert.equal(pair.node(0).count("SCRIPT LOAD"), 2);
    } finally {
      await pair.stop();
    }
  });
});
