import assert from "node:assert/strict";
import { type EventEmitter, getEventListeners, once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, it, type TestContext } from "node:test";
import { inspect } from "node:util";
import { AuthError, ClosedError, connect, InvalidArgumentError, UnavailableError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, bulk, error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";
import { Stopwatch } from "../support/stopwatch.ts";

const key = keyForSlot(0);

/** A server that takes connections and says nothing. Its port. */
async function silentServer(t: TestContext, onChange: (change: number) => void = () => {}): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    onChange(1);
    socket.resume();
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      onChange(-1);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 2000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "it did not come about");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("connect", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
  });
  afterEach(() => cluster.stop());

  it("rejects when no seed answers, naming each with its own cause", async (t) => {
    const nobody = createServer();
    await new Promise<void>((resolve) => nobody.listen(0, "127.0.0.1", resolve));
    const { port } = nobody.address() as { port: number };
    await new Promise((resolve) => nobody.close(resolve));
    const silentPort = await silentServer(t);
    const seeds = [`127.0.0.1:${port}`, `127.0.0.1:${silentPort}`];
    await assert.rejects(connect({ nodes: seeds, connectTimeout: 300 }), (thrown: unknown) => {
      assert.ok(thrown instanceof UnavailableError);
      assert.deepEqual([...thrown.causes.keys()], seeds);
      assert.match(String(thrown.causes.get(seeds[0] as string)), /ECONNREFUSED/);
      assert.match(String(thrown.causes.get(seeds[1] as string)), /no answer to the handshake within 300 ms/);
      return true;
    });
  });

  it("uses the next seed when one is dead or silent, and keeps no connection to it", async (t) => {
    let open = 0;
    const silentPort = await silentServer(t, (change) => {
      open += change;
    });
    using watch = new Stopwatch();
    const client = await cluster.connect({
      nodes: [`127.0.0.1:1`, `127.0.0.1:${silentPort}`, cluster.node(0).address],
    });
    assert.ok(watch.ms < 1000);
    assert.equal(client.topology.nodes.length, 2);
    await until(() => open === 0);
  });

  it("does not believe a node that knows of no slots while another knows more", async () => {
    const client = await cluster.connect();
    const [first] = cluster.nodes;
    const known = client.topology;
    // What a node answers that was removed from the cluster and reset.
    for (const node of cluster.nodes) {
      const fields = ["id", "alone", "endpoint", "127.0.0.1", "role", "master", "health", "online"];
      const entry = array(...fields.map(bulk), bulk("port"), `:${node.port}\r\n`);
      const alone = array(array(bulk("slots"), array(), bulk("nodes"), array(entry)));
      const others = first === node ? alone : node.shards();
      node.shards = () => others;
    }
    for (let time = 0; time < 6; time++) await client.refreshTopology();
    assert.deepEqual(client.topology.ranges, known.ranges);
    assert.equal(client.topology.nodes.length, 2);
  });

  it("keeps what it knows while no node knows of any slot", async () => {
    const client = await cluster.connect();
    const known = client.topology;
    cluster.ranges = [];
    await client.refreshTopology();
    assert.deepEqual(client.topology.ranges, known.ranges);
    assert.equal(await client.command("GET", key), "OK");
  });

  it("refuses a natMap that does not work before it opens anything", async () => {
    const before = cluster.nodes.map((node) => node.connections);
    const broken = () => {
      throw new Error("no such table");
    };
    await assert.rejects(cluster.connect({ natMap: broken }), { code: "INVALID_ARGUMENT", message: /no such table/ });
    await assert.rejects(cluster.connect({ natMap: () => "10.0.0.1" as never }), { code: "INVALID_ARGUMENT" });
    assert.deepEqual(
      cluster.nodes.map((node) => node.connections),
      [(before[0] as number) + 2, before[1]],
      "the seed was asked, nobody else",
    );
  });

  it("reauthenticate names the node that does not confirm, within connectTimeout", async () => {
    const client = await cluster.connect({ password: "p", connectTimeout: 200 });
    cluster.node(1).expect("AUTH", "hang");
    await assert.rejects(client.reauthenticate(), (thrown: unknown) => {
      assert.ok(thrown instanceof UnavailableError);
      assert.deepEqual([...thrown.causes.keys()], [cluster.node(1).address]);
      return true;
    });
  });

  it("says so when a provider of credentials fails or is silent, within connectTimeout, and ends with the client", async () => {
    let provider = (): Promise<{ password: string }> => Promise.resolve({ password: "p" });
    const credentials = () => provider();
    const client = await cluster.connect({ credentials, connectTimeout: 200 });
    const failed = (message: RegExp) => (thrown: unknown) => {
      assert.ok(thrown instanceof UnavailableError);
      assert.equal(thrown.outcome, "not-executed");
      assert.equal(thrown.causes.size, 2);
      const { cause } = thrown.cause as Error;
      assert.match(String(cause), message);
      return true;
    };
    provider = () => new Promise(() => {});
    await assert.rejects(client.reauthenticate(), failed(/no answer within 200 ms/));
    await assert.rejects(cluster.connect({ credentials, connectTimeout: 200 }), {
      code: "UNAVAILABLE",
      message: /no credentials from their provider within 200 ms/,
    });
    const waiting = client.reauthenticate();
    provider = () => Promise.reject(new Error("vault is sealed"));
    await assert.rejects(client.reauthenticate(), failed(/vault is sealed/));
    const thrown = () => {
      throw Object.assign(new Error("s3cret"), { code: "EVAULT" });
    };
    for (const given of [thrown, () => Promise.reject(new TypeError("s3cret")), () => "s3cret"]) {
      provider = given as never;
      await assert.rejects(cluster.connect({ credentials }), (error: Error) => {
        assert.match(
          error.message,
          /the provider of credentials failed: (`credentials` threw (EVAULT|TypeError)|credentials returned no \{)/,
        );
        assert.equal(error.message.includes("s3cret"), false);
        return true;
      });
    }
    provider = () => new Promise(() => {});
    client.destroy();
    await assert.rejects(waiting, { code: "CLOSED" });
  });

  it("rejects a refresh as closed when the client is destroyed meanwhile", async () => {
    const client = await cluster.connect();
    for (const node of cluster.nodes) node.always("CLUSTER SHARDS", () => "hang");
    const refreshing = client.refreshTopology();
    while (cluster.queries < 2) await new Promise((resolve) => setImmediate(resolve));
    client.destroy();
    await assert.rejects(refreshing, { code: "CLOSED" });
  });

  it("asks a provider of credentials that fails only now and then", async () => {
    let asked = 0;
    let broken = false;
    const credentials = async () => {
      asked++;
      if (broken) throw new Error("vault is sealed");
      return { password: "p" };
    };
    const client = await cluster.connect({ credentials });
    broken = true;
    asked = 0;
    const down = new Promise<void>((resolve) => client.on("nodeDown", () => resolve()));
    for (const node of cluster.nodes) node.dropConnections();
    await down;
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.ok(asked <= 2, `asked ${asked} times`);
  });

  it("is not ready by a connection that ended while it was prepared", async () => {
    cluster.node(0).expect("PING", "+PONG\r\n");
    cluster.node(0).expect("PING", "+PONG\r\n+extra\r\n");
    const client = await cluster.connect({ scripts: [] });
    assert.equal(await client.command("SET", key, "v"), "OK");
  });

  it("rejects with AUTH when the password is wrong, within a second, and does not hammer", async () => {
    for (const node of cluster.nodes) {
      node.always("AUTH", () => error("WRONGPASS invalid username-password pair or user is disabled."));
    }
    using watch = new Stopwatch();
    await assert.rejects(cluster.connect({ password: "s3cret" }), (thrown: unknown) => {
      assert.ok(thrown instanceof AuthError);
      assert.doesNotMatch(inspect(thrown, { depth: 9 }), /s3cret/);
      return true;
    });
    assert.ok(watch.ms < 1000);
    assert.equal(cluster.node(0).count("AUTH"), 1);
  });

  it("says AUTH when a password is needed and none was given", async () => {
    cluster.node(0).always("PING", () => error("NOAUTH Authentication required."));
    await assert.rejects(cluster.connect(), { code: "AUTH" });
  });

  it("logs in and names every connection, asks the provider at each, and reauthenticates", async () => {
    let asked = 0;
    const credentials = async () => ({ username: "app", password: `p${++asked}` });
    const client = await cluster.connect({ credentials, connectionName: "shop" });
    for (const node of cluster.nodes) {
      const first = node.received.slice(0, 3).map(({ args }) => args.slice(0, 3).join(" "));
      assert.match(first[0] as string, /^AUTH app p\d$/);
      assert.deepEqual(first.slice(1), ["CLIENT SETNAME shop", "PING"]);
    }
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    for (const node of cluster.nodes) {
      const said = node.received.filter(({ args }) => args[1] === "SETINFO").map(({ args }) => args.slice(2));
      assert.deepEqual(said.slice(0, 2), [
        ["LIB-NAME", "slotwire"],
        ["LIB-VER", version],
      ]);
    }
    assert.equal(asked, 3, "the seed's connection, and one for each node");
    await client.reauthenticate();
    assert.equal(asked, 4);
    for (const node of cluster.nodes) assert.deepEqual(node.received.at(-1)?.args, ["AUTH", "app", "p4"]);
  });

  it("resolves although one node is silent, reports it, and serves the others", async () => {
    cluster.node(1).always("SCRIPT EXISTS", () => "hang");
    using watch = new Stopwatch();
    const client = await cluster.connect({ scripts: [setScript], connectTimeout: 300 });
    assert.ok(watch.ms < 800);
    const [healthy, sick] = cluster.nodes.map((node) =>
      client.scripts().find(({ address }) => address === node.address),
    );
    assert.deepEqual(healthy?.failed, []);
    assert.equal(sick?.failed.length, 1);
    assert.equal(await client.run(setScript, [key], [1]), "OK");
  });

  it("uses natMap for connections, and announced addresses for everything else", async () => {
    const announced = [cluster.node(0), cluster.node(1)].map(({ port }) => `10.9.9.9:${port}`);
    cluster.hostOf = () => "10.9.9.9";
    const natMap = Object.fromEntries(
      announced.map((from, index) => [from, { host: "127.0.0.1", port: cluster.node(index).port }]),
    );
    const client = await cluster.connect({ scripts: [setScript], natMap });
    assert.deepEqual(client.topology.nodes.map(({ address }) => address).sort(), announced.sort());
    cluster.node(0).expect("EVALSHA", error(`MOVED 0 10.9.9.9:${cluster.node(1).port}`));
    assert.equal(await client.run(setScript, [key], [1]), "OK");
    assert.equal(cluster.node(1).count("EVALSHA"), 1);
  });

  it("takes an empty host in the topology for the host that answered", async () => {
    cluster.hostOf = () => "";
    const client = await cluster.connect({ scripts: [setScript] });
    assert.equal(client.topology.primaryOf(0)?.address, cluster.node(0).address);
  });

  it("works with a server before 7.0, by CLUSTER NODES", async () => {
    const [first, second] = [cluster.node(0), cluster.node(1)];
    first.shards = () => error("ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER HELP.");
    const lines = [
      `aaa :${first.port}@1 myself,master - 0 0 1 connected 0-8191 [8191->-bbb]`,
      `bbb 127.0.0.1:${second.port}@1 master - 0 0 2 connected 8192-16383`,
    ].join("\n");
    first.always("CLUSTER NODES", () => `$${lines.length}\r\n${lines}\r\n`);
    const client = await cluster.connect({ scripts: [setScript] });
    assert.deepEqual(
      client.topology.ranges.map(({ start, end, primary }) => [start, end, primary.port]),
      [
        [0, 8191, first.port],
        [8192, 16383, second.port],
      ],
    );
  });
});

describe("a call", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  it("with a bad key, argument or count is refused before a byte is sent", async () => {
    const client = await cluster.connect();
    const before = cluster.node(0).received.length;
    const bad = [
      () => client.run(setScript, [] as never),
      () => client.run(setScript, [null] as never),
      () => client.run(setScript, [key], [undefined as never]),
      () => client.run(setScript, [key], [{} as never]),
      () => client.run(setScript, [key], [Number.NaN]),
      () => client.run(setScript, key as never),
      () => client.run({ ...setScript } as never, [key]),
      () => client.run(setScript, [key], ["v"], { timeout: -1 }),
      () => client.run(setScript, [key], ["v"], { signal: {} as never }),
      () => client.command(""),
      () => client.command("GET", [[key]] as never),
      () => client.command("GET", key, [] as never),
      () => client.command("SUBSCRIBE", "channel"),
      () => client.command("multi"),
      () => client.command("WAIT", 1),
      () => client.command("WAITAOF", 1, 1, 0),
      () => client.command("EVAL", "return 1", 1e9, key),
      () => client.command("EVAL", "return 1", -1, key),
      () => client.command("ZUNION", 3, key),
      () => client.command("GET", Object.create(null)),
      () => client.run(setScript, [key], ["v"], null as never),
      () => client.run(setScript, [key], ["v"], { retries: 3 } as never),
    ];
    for (const call of bad) {
      await assert.rejects(call, (thrown: unknown) => {
        assert.ok(thrown instanceof InvalidArgumentError, inspect(thrown));
        assert.equal(thrown.outcome, "not-executed");
        return true;
      });
    }
    assert.equal(cluster.node(0).received.length, before);
    assert.deepEqual(client.scripts()[0]?.loaded, []);
  });

  it("whose keys are in two slots is refused with their names and slots, and nothing is sent", async () => {
    const client = await cluster.connect();
    const before = cluster.node(0).received.length;
    await assert.rejects(client.command("SINTER", "foo", "bar"), {
      code: "CROSSSLOT",
      keys: [
        { key: "foo", slot: 12182 },
        { key: "bar", slot: 5061 },
      ],
    });
    assert.equal(cluster.node(0).received.length, before);
  });

  it("that is aborted rejects at once; its late reply is dropped and its neighbours are served", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const abort = new AbortController();
    const node = cluster.node(0);
    let answer: (text: string) => void = () => {};
    const first = new Promise<string>((resolve) => {
      answer = resolve;
    });
    node.expect("EVALSHA", first);
    node.expect("EVALSHA", "+two\r\n");
    node.expect("EVALSHA", "+three\r\n");
    const calls = [
      client.run(setScript, [key], [1]),
      client.run(setScript, [key], [2], { signal: abort.signal }),
      client.run(setScript, [key], [3]),
    ];
    while (node.count("EVALSHA") === 0) await new Promise((resolve) => setImmediate(resolve));
    abort.abort(new Error("enough"));
    answer("+one\r\n");
    const [one, two, three] = await Promise.allSettled(calls);
    assert.deepEqual(one, { status: "fulfilled", value: "one" });
    assert.deepEqual(three, { status: "fulfilled", value: "three" });
    assert.equal(two?.status, "rejected");
    assert.equal(two?.reason.code, "ABORTED");
    assert.equal(two?.reason.outcome, "unknown");
    assert.equal(two?.reason.cause.message, "enough");
  });

  it("that is aborted before it is written is never written", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const abort = new AbortController();
    const call = client.run(setScript, [key], [1], { signal: abort.signal });
    abort.abort();
    await assert.rejects(call, { code: "ABORTED", outcome: "not-executed" });
    await assert.rejects(client.run(setScript, [key], [1], { signal: abort.signal }), {
      code: "ABORTED",
      outcome: "not-executed",
    });
    await client.run(setScript, [key], [2]);
    assert.equal(cluster.node(0).count("EVALSHA"), 1);
  });

  it("leaves no listener on its signal; 1,000 calls share one", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const { signal } = new AbortController();
    const calls = Array.from({ length: 1000 }, () => client.run(setScript, [key], [1], { signal }));
    assert.equal(getEventListeners(signal, "abort").length, 1);
    await Promise.all(calls);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("past its deadline rejects; with({ timeout }) and run's own timeout say when", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", "hang");
    using watch = new Stopwatch();
    const short = client.run(setScript, [key], [1], { timeout: 60 });
    const longer = client.with({ timeout: 120 }).run(setScript, [key], [1]);
    await assert.rejects(short, { code: "DEADLINE", outcome: "unknown", timeoutMs: 60 });
    assert.ok(watch.ms < 110);
    await assert.rejects(longer, { code: "DEADLINE", outcome: "unknown", timeoutMs: 120 });
    assert.ok(watch.ms < 170);
  });

  it("gets the reply that has arrived although its deadline passed while the event loop was busy", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const call = client.run(setScript, [key], [1], { timeout: 50 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const again = client.run(setScript, [key], [2], { timeout: 30 });
    // The server is in this process, so it has to get its turn before we are busy.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const busyUntil = performance.now() + 120;
    while (performance.now() < busyUntil);
    assert.deepEqual(await Promise.all([call, again]), ["OK", "OK"]);
  });

  it("gives Buffers where the view or the script asks for them", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const bytes = "\x00\xff\r\n";
    cluster.node(0).expect("GET", `$4\r\n${bytes}\r\n`, 2);
    const [raw] = await Promise.all([
      client.with({ replies: "buffer" }).command("GET", key),
      client.command("GET", key),
    ]);
    assert.deepEqual(raw, Buffer.from(bytes, "latin1"));
  });
});

describe("close and destroy", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  it("close lets calls in flight finish and refuses new ones", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const call = client.run(setScript, [key], [1]);
    const closing = client.close();
    await assert.rejects(client.run(setScript, [key], [2]), (thrown: unknown) => {
      assert.ok(thrown instanceof ClosedError);
      assert.equal(thrown.outcome, "not-executed");
      return true;
    });
    assert.equal(await call, "OK");
    await closing;
    await client.close();
  });

  it("close with a timeout rejects what is still in flight then, with its outcome", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", "hang");
    const call = client.run(setScript, [key], [1]);
    await Promise.all([assert.rejects(call, { code: "CLOSED", outcome: "unknown" }), client.close({ timeout: 50 })]);
  });

  it("close can be called twice, also while a call is in flight", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const call = client.run(setScript, [key], [1]);
    await Promise.all([client.close(), client.close(), client.close({ timeout: 1000 }), call]);
  });

  for (const event of ["redirection", "scriptMissing"] as const) {
    it(`destroy inside a ${event} listener rejects the call`, async () => {
      const client = await cluster.connect({ scripts: [setScript] });
      client.on(event, () => client.destroy());
      if (event === "scriptMissing") cluster.node(0).scripts.clear();
      else cluster.node(0).expect("EVALSHA", error(`MOVED 0 127.0.0.1:${cluster.node(0).port}`));
      await assert.rejects(client.run(setScript, [key], [1]), { code: "CLOSED", outcome: "not-executed" });
    });
  }

  it("destroy rejects every call at once: in flight, queued and waiting", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    node.always("EVALSHA", () => error("CLUSTERDOWN The cluster is down"));
    const waiting = client.run(setScript, [key], [1]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    node.always("EVALSHA", () => "hang");
    const inFlight = client.run(setScript, [keyForSlot(1)], [2]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const queued = client.run(setScript, [keyForSlot(2)], [3]);
    client.destroy();
    client.destroy();
    await assert.rejects(waiting, { code: "CLOSED" });
    await assert.rejects(inFlight, { code: "CLOSED", outcome: "unknown" });
    await assert.rejects(queued, { code: "CLOSED", outcome: "not-executed" });
  });

  it("destroy closes the connection that a watching transaction is opening", async () => {
    const client = await cluster.connect({ connectTimeout: 5000 });
    for (const node of cluster.nodes) node.always("PING", () => "hang");
    const before = cluster.nodes.map((node) => node.connections);
    const watching = client.transaction(key, { watch: [key] }, async (tx) => tx.multi());
    await until(() => cluster.nodes.some((node, index) => node.connections > (before[index] as number)));
    client.destroy();
    await assert.rejects(watching, { code: "CLOSED", outcome: "not-executed" });
    await until(() => cluster.nodes.every((node) => node.openConnections === 0));
  });

  it("a listener that throws harms nobody, and the function that on() returns removes it", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    const seen: string[] = [];
    client.on("scriptMissing", () => {
      throw new Error("from a listener");
    });
    client.on("scriptMissing", async () => {
      throw new Error("from an async listener");
    });
    client.on("scriptMissing", () => {
      throw Symbol("odd");
    });
    const off = client.on("scriptMissing", ({ script }) => seen.push(script));
    cluster.node(0).scripts.clear();
    assert.equal(await client.run(setScript, [key], [1]), "OK");
    off();
    cluster.node(0).scripts.clear();
    assert.equal(await client.run(setScript, [key], [1]), "OK");
    assert.deepEqual(seen, ["set"]);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    const messages = warnings.map(({ message }) => message).join("\n");
    assert.match(messages, /from a listener/);
    assert.match(messages, /from an async listener/);
  });

  it("can be waited for by events.once, and taken off again", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    // The types of Node 20 ask for a whole EventEmitter; `once`, `off` and `removeListener` are what it uses.
    const emitter = client as unknown as EventEmitter;
    const waiting = once(emitter, "scriptMissing", { signal: AbortSignal.timeout(10_000) });
    const calls: string[] = [];
    const listener = () => calls.push("on");
    client.once("scriptMissing", () => calls.push("once"));
    client.on("scriptMissing", listener);
    client.off("scriptMissing", listener);
    client.on("scriptMissing", listener);
    for (let time = 0; time < 2; time++) {
      cluster.node(0).scripts.clear();
      await client.run(setScript, [key], [1]);
    }
    assert.equal((await waiting)[0].script, setScript.name);
    assert.deepEqual(calls, ["once", "on", "on"]);
    assert.throws(() => client.once("ready" as never, () => {}), InvalidArgumentError);
    const aborted = once(emitter, "nodeDown", { signal: AbortSignal.abort() });
    await assert.rejects(aborted, { name: "AbortError" });
  });

  it("an event of other clients is refused with what there is instead", async () => {
    const client = await cluster.connect();
    const on = client.on.bind(client) as (event: unknown, listener: unknown) => void;
    for (const [event, instead] of [
      [
        "error",
        'no error is lost without a listener: a call that fails rejects, and "nodeDown" tells why a node is down',
      ],
      ["ready", "the promise of `connect` resolves when the cluster can be used"],
      ["+node", '"topology" tells of every change of the nodes'],
      ["smessage", "the listener that `ssubscribe` was given gets the messages"],
    ] as const) {
      assert.throws(() => on(event, () => {}), {
        code: "INVALID_ARGUMENT",
        message: `on: the event is "${event}"; accepted are topology, redirection, scriptMissing, nodeUp, nodeDown, listenerError. In place of "${event}": ${instead}.`,
      });
    }
  });

  it("an event that there is not, or a listener that is no function, is refused", async () => {
    const client = await cluster.connect();
    const on = client.on.bind(client) as (event: unknown, listener: unknown) => void;
    for (const [event, said] of [
      ["nodeup", '"nodeup"'],
      ["toString", '"toString"'],
      [undefined, "undefined"],
    ] as const) {
      assert.throws(() => on(event, () => {}), {
        code: "INVALID_ARGUMENT",
        message: `on: the event is ${said}; accepted are topology, redirection, scriptMissing, nodeUp, nodeDown, listenerError.`,
      });
    }
    assert.throws(() => on("topology", 5), { code: "INVALID_ARGUMENT" });
  });
});
