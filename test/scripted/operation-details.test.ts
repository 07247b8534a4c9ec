import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, describe, it } from "node:test";
import { CallFactory } from "../../src/calls/call-factory.ts";
import { Cluster, defineScript } from "../../src/index.ts";
import { bulk, error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { answerAll, replicate } from "../support/operations.ts";
import { setScript } from "../support/scripts.ts";
import { A_FEW_TURNS, Stage, watched } from "../support/stage.ts";
import { turns } from "../support/stepped-clock.ts";

const [here, there] = [keyForSlot(0), keyForSlot(16_000)] as [string, string];
const readScript = defineScript({ name: "read", source: "return 'r'", numberOfKeys: 1, readOnly: true });

/** What the table of operations has no column for. */
describe("an operation", () => {
  let stage: Stage;
  const set = async (prepare = answerAll, scripts = [setScript, readScript]) => {
    stage = await Stage.set({ scripts }, prepare);
    return stage.client;
  };
  afterEach(() => stage.clear());
  const node = (index: number) => stage.cluster.node(index);

  describe("WAIT", () => {
    const behind = (role: (looks: number) => string) => (cluster: Stage["cluster"]) => {
      for (const each of cluster.nodes) {
        const info = () => `role:${role(each.count("INFO"))}\r\nmaster_repl_offset:9\r\n`;
        each.always("INFO", () => bulk(info()));
      }
    };

    it("without a limit, but with a timeout of its view, is one that a closing client lets end", async () => {
      const client = await set(replicate);
      stage.silence([{ at: "INFO" }]);
      const waiting = watched(client.with({ timeout: 5000 }).command("WAIT", 1, 0));
      await stage.reach({ at: "INFO", on: 2 });
      const closing = client.close();
      await turns(A_FEW_TURNS);
      assert.equal(waiting.isSettled, false, "it goes on");
      stage.goOnForEver();
      await stage.until(() => waiting.isSettled, "it has ended");
      assert.equal(await waiting.promise, 1);
      await closing;
    });

    it("for more replicas than there are ends with the timeout of its view, however often it has looked", async () => {
      const client = await set(behind(() => "master"));
      const begun = stage.clock.time;
      const waiting = watched(client.with({ timeout: 200 }).command("WAIT", 9, 0));
      await stage.until(() => stage.count(["INFO"]) >= 8, "it has looked four times at each node");
      await stage.clock.pass(begun + 200 - stage.clock.time);
      await turns(A_FEW_TURNS);
      assert.equal(waiting.isSettled, true, "it has ended");
      await assert.rejects(waiting.promise, { code: "DEADLINE", outcome: "unknown", timeoutMs: 200 });
    });

    it("with a limit of its own says then how many replicas there are", async () => {
      const client = await set(behind(() => "master"));
      const begun = stage.clock.time;
      const waiting = watched(client.command("WAIT", 1, 50));
      await stage.until(() => waiting.isSettled, "it has ended");
      assert.equal(await waiting.promise, 0);
      assert.equal(stage.clock.time - begun, 50);
    });

    it("without a limit and without a timeout ends when the client closes", async () => {
      const client = await set(behind(() => "master"));
      const waiting = watched(client.with({ timeout: 0 }).command("WAIT", 9, 0));
      await stage.until(() => stage.count(["INFO"]) >= 8, "it has looked four times at each node");
      const closing = client.close();
      await turns(A_FEW_TURNS);
      assert.equal(waiting.isSettled, true, "it has ended");
      await assert.rejects(waiting.promise, { code: "CLOSED", outcome: "unknown" });
      await closing;
    });

    it("asks the primary of now where the topology is older than a failover", async () => {
      const client = await set(replicate);
      const { cluster } = stage;
      // The others have not noticed yet; a look at the topology will find the second node in charge of all slots.
      node(0).always("INFO", () => {
        cluster.primaryOf.set(0, 1);
        cluster.ranges = [[0, 16_383, 1]];
        return bulk("role:slave\r\nmaster_repl_offset:9\r\n");
      });
      const waiting = watched(client.command("WAIT", 1, 1000));
      await stage.until(() => waiting.isSettled, "it has ended");
      assert.equal(await waiting.promise, 1);
      assert.equal(node(0).count("INFO"), 1);
    });

    it("ends when its primary was demoted: nobody asks for its replicas any more", async () => {
      const client = await set(behind((looks) => (looks > 3 ? "slave" : "master")));
      const waiting = watched(client.command("WAIT", 1, 0));
      await stage.until(() => waiting.isSettled, "it has ended");
      await assert.rejects(waiting.promise, { code: "UNAVAILABLE", outcome: "unknown" });
      const looks = stage.count(["INFO"]);
      await stage.clock.pass(100);
      await stage.traffic();
      assert.equal(stage.count(["INFO"]), looks, "no question is asked any more");
    });
  });

  it("scan has its deadline and its signal while a key is asked for, and none between two of them", async () => {
    const client = await set();
    node(0).always("SCAN", (args) => `*2\r\n${bulk(args[1] === "0" ? "7" : "0")}*1\r\n${bulk(here)}`);
    const { signal } = new AbortController();
    const keys = client.with({ signal, timeout: 100 }).scan();
    for (let key = 0; key < 2; key++) {
      const next = watched(keys.next());
      await stage.until(() => next.isSettled, "there is a key");
      assert.deepEqual(await next.promise, { done: false, value: here });
      assert.equal(getEventListeners(signal, "abort").length, 0);
      await stage.clock.pass(1000);
    }
    await stage.verifyNothingIsLeft();
  });

  it("batch waits for a call of a key before the next one, unless it was told that no order is needed", async () => {
    const client = await set();
    stage.silence([{ at: "EVALSHA_RO" }]);
    const inOrder = client.batch().run(readScript, [here]).command("SET", here, 1).exec();
    await stage.reach({ at: "EVALSHA_RO" });
    await turns(A_FEW_TURNS);
    await client.command("SET", there, 1);
    assert.equal(stage.count(["SET"]), 1, "the batch's SET waits");
    const inNone = client.batch({ ordered: false }).run(readScript, [here]).command("SET", here, 1).exec();
    await stage.until(() => stage.count(["SET"]) === 2, "the other batch's SET is sent");
    assert.equal(stage.count(["EVALSHA_RO"]), 2);
    stage.goOnForEver();
    assert.deepEqual(await Promise.all([inOrder, inNone]), [
      ["r", "OK"],
      ["r", "OK"],
    ]);
  });

  it("SCAN by command() is refused and names what to call, in a batch as well", async () => {
    const client = await set();
    const expected = { code: "INVALID_ARGUMENT", message: /cluster\.scan\(/ };
    await assert.rejects(client.command("SCAN", 0), expected);
    await assert.rejects(client.command("scan", "0", "COUNT", 5), expected);
    assert.throws(() => client.batch().command("SCAN", 0), expected);
  });

  it("HOTKEYS by command() is refused and names what to call, in a batch as well", async () => {
    const client = await set();
    const expected = { code: "INVALID_ARGUMENT", message: /connect\(\{ nodes: \[address\], mode: "single" \}\)/ };
    await assert.rejects(client.command("HOTKEYS", "GET"), expected);
    await assert.rejects(client.command("hotkeys", "START", "METRICS", 1, "CPU"), expected);
    assert.throws(() => client.batch().command("HOTKEYS", "STOP"), expected);
  });

  it("CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT go to the owner of their slot, in a batch as well", async () => {
    const client = await set();
    for (const [index, slot] of [0, 16_000].entries()) {
      const before = stage.cluster.nodes.map((each) => each.received.length);
      await client.command("CLUSTER", "COUNTKEYSINSLOT", slot);
      await client.command("cluster", "getkeysinslot", slot, 10);
      await client.batch().command("CLUSTER", "COUNTKEYSINSLOT", String(slot)).exec();
      const sent = stage.cluster.nodes.map((each, at) => each.received.length - (before[at] as number));
      assert.deepEqual(sent, index === 0 ? [3, 0] : [0, 3]);
    }
  });

  it("past 512 MiB is an argument's fault, and nothing of it is sent", async () => {
    const client = await set();
    const before = await stage.traffic();
    // One string in memory, and many references to it.
    const large = Array<string>(2).fill("x".repeat(270_000_000));
    const expected = { code: "INVALID_ARGUMENT", outcome: "not-executed", message: /512 MiB/ };
    const rejected: readonly (() => Promise<unknown>)[] = [
      () => client.command("SADD", here, ...large),
      () => client.run(defineScript({ name: "large", source: "return 1" }), [here], large),
      () => client.command("EVALSHA", setScript.sha, 1, here, ...large),
      () => client.command("SCRIPT", "EXISTS", ...large),
      () => client.command("M.SET", here, ...large),
      () =>
        client.transaction(here, { watch: large.map(() => here) }, async (tx) =>
          tx.multi().command("SADD", here, ...large),
        ),
    ];
    for (const call of rejected) await assert.rejects(call, expected, String(call));
    for (const calls of [client.batch(), client.transaction(here)]) {
      assert.throws(() => calls.command("SADD", here, ...large), expected);
      assert.throws(() => calls.command("M.SET", here, ...large), expected);
      assert.throws(() => calls.run(setScript, [here], [...large]), expected);
    }
    assert.throws(() => client.batch().command("SCRIPT", "EXISTS", ...large), expected);
    const whole = client.transaction(here);
    for (const value of large) whole.command("SET", here, value);
    await assert.rejects(whole.exec(), expected);
    const [commands] = await stage.traffic();
    // The watching transaction has begun: its WATCH, and the PING, CLUSTER MYID, CLIENT INFO and two CLIENT SETINFO of its
    // connection.
    assert.equal(commands, before[0] + 2 + 6);
  });

  it("asks about an unlisted command again when it could ask nobody the first time", async () => {
    const client = await set();
    let down = 0;
    client.on("nodeDown", () => void down++);
    for (const each of stage.cluster.nodes) each.dropConnections();
    await stage.until(() => down === 2, "both nodes are down");
    const first = watched(client.command("M.SIZE"));
    await stage.until(() => first.isSettled, "it is answered when a node is back");
    assert.equal(await first.promise, 3, "nobody has said that it is for all nodes");
    await stage.clock.pass(6000);
    assert.equal(await client.command("M.SIZE"), 6);
  });

  it("notes an answer of one word in full", async () => {
    const client = Cluster.clientOf(await set());
    node(0).expect("GET", error("NOWORD"));
    const view = { timeoutMs: 0, signal: undefined, replies: undefined, readFrom: "primary" } as const;
    const rejected = new Promise((resolve) => {
      const call = new CallFactory(client, view).command("GET", [here], 0, resolve, () => resolve(call.history?.hops));
      client.door.send(call, undefined);
    });
    assert.deepEqual(await rejected, [{ address: node(0).address, answer: "NOWORD" }]);
  });
});
