import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { defineScript } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk, error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { incrScript, setScript } from "../support/scripts.ts";

const QUEUED = "+QUEUED\r\n";
const ABORTED = error("EXECABORT Transaction discarded because of previous errors.");

describe("a transaction", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    for (const node of cluster.nodes) node.always("EXEC", () => array(bulk(setScript.sha), ":1\r\n", "+OK\r\n"));
  });
  afterEach(() => cluster.stop());

  const key = keyForSlot(0);
  const names = (index: number) => cluster.node(index).received.map(({ args }) => args[0]?.toUpperCase());
  const since = (index: number, command: string) => names(index).slice(names(index).indexOf(command));

  it("is one write: MULTI, each distinct source once, the calls, EXEC", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EXEC", array(bulk(setScript.sha), bulk(incrScript.sha), "+OK\r\n", ":1\r\n", "+OK\r\n"));
    const call = client.transaction(key).run(setScript, [key], [1]).run(incrScript, [key]).run(setScript, [key], [2]);
    assert.deepEqual(await call.exec(), ["OK", 1, "OK"]);
    const wanted = ["MULTI", "SCRIPT", "SCRIPT", "EVALSHA", "EVALSHA", "EVALSHA", "EXEC"];
    assert.deepEqual(since(0, "MULTI").slice(0, wanted.length), wanted);
    const writes = cluster.node(0).received.filter(({ args }) => ["MULTI", "EXEC"].includes(args[0] as string));
    assert.equal(new Set(writes.map(({ write }) => write)).size, 1);
  });

  it("that was lost behind EXEC is unknown and never sent again", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EXEC", "disconnect");
    const call = client.transaction(key).run(setScript, [key], [1]).command("GET", key).exec();
    await assert.rejects(call, { code: "CONNECTION_LOST", outcome: "unknown" });
    assert.equal(cluster.node(0).count("EXEC"), 1);
  });

  it("whose slot has moved is discarded whole and follows", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("GET", error(`MOVED 0 ${cluster.node(1).address}`));
    cluster.node(0).expect("EXEC", ABORTED);
    cluster.node(1).expect("EXEC", array(bulk(setScript.sha), "+OK\r\n", "$-1\r\n"));
    const call = client.transaction(key).run(setScript, [key], [1]).command("GET", key);
    assert.deepEqual(await call.exec(), ["OK", null]);
  });

  it("whose slot is moving goes behind one ASKING", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", error(`ASK 0 ${cluster.node(1).address}`));
    cluster.node(0).expect("EXEC", ABORTED);
    cluster.node(1).expect("EXEC", array(bulk(setScript.sha), "+OK\r\n"));
    assert.deepEqual(await client.transaction(key).run(setScript, [key], [1]).exec(), ["OK"]);
    assert.deepEqual(since(1, "ASKING"), ["ASKING", "MULTI", "SCRIPT", "EVALSHA", "EXEC"]);
  });

  it("that finds some keys here and some there is tried again", async () => {
    const client = await cluster.connect({ scripts: [] });
    cluster.node(0).expect("MSET", error("TRYAGAIN Multiple keys request during rehashing of slot"));
    cluster.node(0).expect("EXEC", ABORTED);
    cluster.node(0).expect("EXEC", array("+OK\r\n"));
    assert.deepEqual(await client.transaction(key).command("MSET", key, 1, `{${key}}`, 2).exec(), ["OK"]);
  });

  it("that was refused for good did not run; the first refusal is told", async () => {
    const client = await cluster.connect({ scripts: [] });
    cluster.node(0).expect("NOSUCH", error("ERR unknown command 'NOSUCH'"));
    cluster.node(0).expect("SET", error("OOM command not allowed when used memory > 'maxmemory'."));
    cluster.node(0).expect("EXEC", ABORTED);
    const call = client.transaction(key).command("NOSUCH", key).command("SET", key, 1).exec();
    await assert.rejects(call, { code: "REPLY", outcome: "not-executed", reply: "ERR unknown command 'NOSUCH'" });
  });

  it("without MULTI would have run call by call: nobody knows", async () => {
    const client = await cluster.connect({ scripts: [] });
    cluster.node(0).expect("MULTI", error("NOPERM User x has no permissions to run the 'multi' command"));
    cluster.node(0).expect("EXEC", error("ERR EXEC without MULTI"));
    const call = client.transaction(key).command("SET", key, 1).exec();
    await assert.rejects(call, { code: "REPLY", outcome: "unknown", reply: /^NOPERM/ });
  });

  it("where SCRIPT LOAD is forbidden brings the source by EVAL", async () => {
    const denied = error("NOPERM User x has no permissions to run the 'script|load' command");
    for (const node of cluster.nodes) node.always("SCRIPT LOAD", () => denied);
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EXEC", array("+OK\r\n"));
    assert.deepEqual(await client.transaction(key).run(setScript, [key], [1]).exec(), ["OK"]);
    assert.deepEqual(since(0, "MULTI"), ["MULTI", "EVAL", "EXEC"]);
  });

  it("brings the source by EVAL also where the node held the script, so that nobody had tried to load it", async () => {
    const denied = error("NOPERM User x has no permissions to run the 'script|load' command");
    for (const node of cluster.nodes) {
      node.scripts.add(setScript.sha);
      node.always("SCRIPT LOAD", () => denied);
    }
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    // Two at once: neither fails because the other one has found out.
    node.expect("EXEC", ABORTED, 2);
    node.expect("EXEC", array("+OK\r\n"), 3);
    const call = () => client.transaction(key).run(setScript, [key], [1]).exec();
    assert.deepEqual(await Promise.all([call(), call()]), [["OK"], ["OK"]]);
    assert.deepEqual([node.count("SCRIPT LOAD"), node.count("EVAL")], [2, 2]);
    // A script that is held again, by an audit's word, may be loaded as little as before.
    await client.refreshTopology();
    assert.deepEqual(await call(), ["OK"]);
    assert.equal(node.count("SCRIPT LOAD"), 2);
  });

  it("whose sources are too large to be brought by EVAL is refused, and its neighbours are answered", async () => {
    const client = await cluster.connect();
    const node = cluster.node(0);
    node.always("SCRIPT LOAD", () => error("NOPERM User x has no permissions to run the 'script|load' command"));
    node.expect("EXEC", ABORTED);
    node.always("INCR", () => ":1\r\n");
    // As one source it is small. 260 of them are more than one string can hold.
    const large = defineScript({ name: "large", source: `return 1 --${"x".repeat(2 ** 21)}`, numberOfKeys: 1 });
    const transaction = client.transaction(key);
    for (let call = 0; call < 260; call++) transaction.run(large, [key]);
    const refused = assert.rejects(transaction.exec(), {
      code: "INVALID_ARGUMENT",
      outcome: "not-executed",
      message: /^The call is too large/,
    });
    const neighbours = [client.command("INCR", key), client.command("INCR", key)];
    await refused;
    assert.deepEqual(await Promise.all(neighbours), [1, 1]);
    assert.equal(await client.command("INCR", key), 1);
    const ofCalls = node.received.filter(({ args }) => ["MULTI", "INCR"].includes(args[0] as string));
    assert.equal(new Set(ofCalls.map(({ connection }) => connection)).size, 1, "the connection was not lost");
  });

  it("has its replies read in step: neighbours get their own", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    node.expect("GET", "$1\r\na\r\n");
    node.expect("GET", QUEUED);
    node.expect("EXEC", array(bulk(setScript.sha), "$1\r\nb\r\n", "+OK\r\n"));
    node.expect("GET", "$1\r\nc\r\n");
    const before = client.command("GET", key);
    const within = client.transaction(key).command("GET", key).run(setScript, [key], [1]).exec();
    const after = client.command("GET", key);
    assert.deepEqual(await Promise.all([before, within, after]), ["a", ["b", "OK"], "c"]);
  });
});
