import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { inspect } from "node:util";
import { type Cluster, type ClusterEvent, type ConnectOptions, connect, defineScript } from "../../src/index.ts";
import { Ear } from "../support/channels.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { error } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

const PASSWORD = "p4ss/w0rd";
const SECRET = "s3cret-argument";
const SPELLINGS = [PASSWORD, encodeURIComponent(PASSWORD), SECRET, Buffer.from(SECRET).toString("hex")];
const EVENTS: readonly ClusterEvent[] = ["topology", "redirection", "scriptMissing", "nodeUp", "nodeDown"];
const WRONG = error("WRONGPASS invalid username-password pair or user is disabled.");

const key = keyForSlot(0);
const parsed = defineScript({
  name: "parsed",
  source: `${setScript.source} -- parsed`,
  numberOfKeys: 1,
  parse: () => {
    throw new Error("no such reply");
  },
});

/** Fails when a password or an argument can be read in what people print or log. */
function assertTellsNothing(what: unknown, about: string): void {
  const texts = [
    inspect(what, { depth: 12, showHidden: true }),
    inspect(what, { depth: 12, getters: false }),
    JSON.stringify(what) ?? "",
    String(what),
    what instanceof Error ? `${what.stack}` : "",
  ];
  for (const text of texts) {
    for (const secret of SPELLINGS)
      assert.ok(!text.includes(secret), `${about} tells ${secret}: ${text.slice(0, 2000)}`);
  }
}

describe("passwords and arguments", () => {
  let cluster: FakeCluster;
  let told: [about: string, what: unknown][];
  let ear: Ear;
  const onWarning = (warning: Error) => told.push(["a warning", warning]);
  beforeEach(async () => {
    cluster = await FakeCluster.start(2);
    told = [];
    ear = new Ear();
    process.on("warning", onWarning);
  });
  afterEach(async () => {
    await cluster.stop();
    process.off("warning", onWarning);
    ear.stop();
    for (const { on, original } of ear.heard) told.push([`the channel ${on}`, original]);
    for (const [about, what] of told) assertTellsNothing(what, about);
  });

  async function client(options: Partial<ConnectOptions> = {}): Promise<Cluster> {
    const connected = await cluster.connect({ username: "app", password: PASSWORD, scripts: [setScript], ...options });
    for (const event of EVENTS) connected.on(event, (payload: unknown) => told.push([event, payload]));
    return connected;
  }

  /** Notes the error of a call, which has to be of this code. */
  async function fails(call: Promise<unknown>, code: string): Promise<void> {
    const thrown = await call.then(
      (reply) => assert.fail(`${code} was expected, not ${inspect(reply)}`),
      (reason: { code?: string }) => reason,
    );
    assert.equal(thrown.code, code, inspect(thrown));
    told.push([code, thrown]);
  }

  const run = (on: Cluster, options = {}) => on.run(setScript, [key], [SECRET], options);

  it("are in no error of a call: refused, lost, late, aborted, one too many, redirected, broken, ended", async () => {
    const node = cluster.node(0);
    const connected = await client({ maxPendingPerNode: 3, maxRedirections: 1 });
    const answers: readonly (readonly [code: string, answer: string])[] = [
      ["REPLY", "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"],
      ["REPLY", "-ERR of the script\r\n"],
      ["CONNECTION_LOST", "disconnect"],
      ["PROTOCOL", `$3\r\n${SECRET}\r\n`],
      ["PROTOCOL", `?${SECRET}\r\n`],
      ["PROTOCOL", `${"*1\r\n".repeat(2000)}$${SECRET.length}\r\n${SECRET}\r\n`],
    ];
    for (const [code, answer] of answers) {
      node.expect("EVALSHA", answer);
      await fails(run(connected), code);
    }
    // The caller's error has the words of the server, or of a script. The channels do not.
    node.expect("EVALSHA", `-WRONG ${SECRET} was given, ${SECRET}\r\n`);
    await assert.rejects(run(connected), /WRONG/);
    // The lost connections have made the client ask for the topology. A call that is not written yet follows its answer.
    for (let queries = -1; queries !== cluster.queries; await setTimeout(300)) queries = cluster.queries;
    for (const index of [0, 1]) {
      cluster.node(index).expect("EVALSHA", error(`MOVED 0 127.0.0.1:${cluster.node(1 - index).port}`));
    }
    await fails(run(connected), "REDIRECTIONS");
    // What the nodes said by MOVED is held against their views for a while.
    await setTimeout(1100);
    await connected.refreshTopology();
    await fails(connected.run(parsed, [key], [SECRET]), "REPLY");
    node.always("EVALSHA", () => error("CLUSTERDOWN The cluster is down"));
    await fails(run(connected, { timeout: 30 }), "DEADLINE");
    // On a slow machine its last refusal is still to come, and counts until then.
    while (connected.metrics().nodes.some(({ pending }) => pending > 0)) await setTimeout(1);
    node.always("EVALSHA", () => "hang");
    const late = fails(run(connected, { timeout: 30 }), "DEADLINE");
    const abort = new AbortController();
    const aborted = fails(run(connected, { signal: abort.signal }), "ABORTED");
    const ended = fails(run(connected), "CLOSED");
    await fails(run(connected), "QUEUE_FULL");
    await late;
    abort.abort();
    await aborted;
    connected.destroy();
    await ended;
    await fails(run(connected), "CLOSED");
  });

  it("are in no error about what was given", async () => {
    const connected = await client();
    await fails(connected.run(setScript, [key], [{ secret: SECRET } as never]), "INVALID_ARGUMENT");
    await fails(connected.run(setScript, [key], [[SECRET] as never]), "INVALID_ARGUMENT");
    await fails(connected.run(setScript, [] as never, [SECRET]), "INVALID_ARGUMENT");
    await fails(connected.run(setScript, [key], SECRET as never), "INVALID_ARGUMENT");
    await fails(connected.command("SUBSCRIBE", SECRET), "INVALID_ARGUMENT");
    await fails(connected.command("AUTH", "app", PASSWORD), "INVALID_ARGUMENT");
    await fails(connected.command("MSETNX", "a", SECRET, "b", SECRET), "CROSSSLOT");
    const given: readonly Partial<ConnectOptions>[] = [
      { nodes: [`redis://app:${PASSWORD}@`] },
      { nodes: [`http://app:${encodeURIComponent(PASSWORD)}@127.0.0.1:7000`] },
      { nodes: [`redis://app:${encodeURIComponent(PASSWORD)}@127.0.0.1:99999`] },
      { nodes: [`redis://app:${encodeURIComponent(PASSWORD)}%zz@127.0.0.1:7000`] },
      {
        nodes: [`redis://app:${encodeURIComponent(PASSWORD)}@127.0.0.1:7000`],
        username: "other",
        password: [PASSWORD] as never,
      },
      { password: { secret: PASSWORD } as never },
      { username: PASSWORD },
      { credentials: PASSWORD as never },
      { credentials: async () => ({ password: PASSWORD }), password: PASSWORD },
    ];
    for (const options of given) await fails(connect({ nodes: ["127.0.0.1:1"], ...options }), "INVALID_ARGUMENT");
  });

  it("are not in what is refused at the door, by either end", async () => {
    const url = (port: number) => `redis://app:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`;
    await fails(connect({ nodes: [url(1)] }), "UNAVAILABLE");
    cluster.node(0).expect("AUTH", WRONG);
    await fails(connect({ nodes: [url(cluster.node(0).port)] }), "AUTH");
    cluster.node(0).always("AUTH", () => "disconnect");
    await fails(connect({ nodes: [url(cluster.node(0).port)] }), "UNAVAILABLE");
    cluster.node(0).always("AUTH", () => `+${PASSWORD}\r\n$x\r\n`);
    await fails(connect({ nodes: [url(cluster.node(0).port)] }), "UNAVAILABLE");
  });

  it("are not in what renewing the credentials says, also where the server quotes what it was sent", async () => {
    const connected = await client();
    for (const [answer, code] of [
      [WRONG, "AUTH"],
      [error(`ERR unknown command 'AUTH', with args beginning with: 'app' '${PASSWORD}' `), "UNAVAILABLE"],
    ] as const) {
      cluster.node(0).expect("AUTH", answer);
      await fails(connected.reauthenticate(), code);
    }
  });

  it("are not in what inspect and JSON show of what there is: client, view, batch, transaction, call, report", async () => {
    const connected = await client();
    told.push(
      ["client", connected],
      ["view", connected.with({ timeout: 100 })],
      ["batch", connected.batch().run(setScript, [key], [SECRET]).command("SET", key, SECRET)],
      ["transaction", connected.transaction(key).run(setScript, [key], [SECRET]).command("SET", key, SECRET)],
      ["call", setScript.call([key], [SECRET])],
      ["topology", connected.topology],
      ["scripts", connected.scripts()],
      ["report", await connected.preload(parsed)],
    );
    const promise = run(connected);
    told.push(["promise", promise]);
    await promise;
  });

  it("are in no event while nodes come and go", async () => {
    const connected = await client();
    cluster.node(0).always("AUTH", () => WRONG);
    const down = new Promise((resolve) => connected.on("nodeDown", resolve));
    for (const node of cluster.nodes) node.dropConnections();
    await down;
    await fails(run(connected), "AUTH").catch(() => {});
    await connected.run(setScript, [keyForSlot(16_000)], [SECRET]);
    cluster.node(1).scripts.clear();
    await connected.run(setScript, [keyForSlot(16_000)], [SECRET]);
    assert.ok(told.some(([event]) => event === "nodeDown") && told.some(([event]) => event === "scriptMissing"));
  });
});
