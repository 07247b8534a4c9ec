import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Cluster, type ConnectOptions, defineScript, SlotwireError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { array, error, ok } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const script = defineScript({ name: "transfer", source: "return 1" });
const SECRET = "s3cret-argument";
const key = keyForSlot(7);

async function errorOf(call: Promise<unknown>): Promise<SlotwireError> {
  const thrown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(thrown instanceof SlotwireError)) throw new Error("it was not refused", { cause: thrown });
  return thrown;
}

describe("the error of a call on its way", () => {
  let cluster: FakeCluster;
  let address: string;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
    address = cluster.node(0).address;
  });
  afterEach(() => cluster.stop());

  /** The error has these particulars as properties and in its text, and holds no argument. */
  function check(thrown: SlotwireError, code: string, command: string, slot: number | null = 7) {
    assert.deepEqual(
      [thrown.code, thrown.command, thrown.slot, thrown.address],
      [code, command, slot ?? undefined, address],
    );
    for (const part of [command, slot === null ? "" : `slot ${slot}`, address]) {
      assert.equal(thrown.message.includes(part), true, `${part} in: ${thrown.message}`);
    }
    assert.equal(`${thrown.message}${thrown.stack}`.includes(SECRET), false, thrown.message);
  }

  const connected = (options: Partial<ConnectOptions> = {}): Promise<Cluster> => cluster.connect(options);

  it("names it when the server refuses: a command, a script, a script by its SHA-1", async () => {
    const client = await connected({ scripts: [script] });
    for (const name of ["SET", "EVALSHA"]) cluster.node(0).expect(name, error("WRONGTYPE no"));
    check(await errorOf(client.command("set", key, SECRET)), "REPLY", "SET");
    check(await errorOf(client.run(script, [key], [SECRET])), "REPLY", "transfer");
    cluster.node(0).expect("EVALSHA", error("WRONGTYPE no"));
    check(await errorOf(client.command("EVALSHA", script.sha, 1, key, SECRET)), "REPLY", "EVALSHA");
  });

  it("names it when the time is up, when it is aborted, and when the client is closed", async () => {
    cluster.node(0).expect("SET", "hang");
    const client = await connected();
    const aborter = new AbortController();
    const late = errorOf(client.with({ timeout: 50 }).command("SET", key, SECRET));
    const aborted = errorOf(client.with({ signal: aborter.signal }).command("SET", key, SECRET));
    const closed = errorOf(client.command("SET", key, SECRET));
    check(await late, "DEADLINE", "SET");
    aborter.abort();
    check(await aborted, "ABORTED", "SET");
    client.destroy();
    check(await closed, "CLOSED", "SET");
    const refused = await errorOf(client.run(script, [key], [SECRET]));
    assert.deepEqual([refused.code, refused.command], ["CLOSED", "transfer"]);
  });

  it("names it in each of the errors of one lost connection", async () => {
    cluster.node(0).expect("INCR", "disconnect");
    const client = await connected();
    const lost = ["INCR", "DECR"].map((name) => errorOf(client.command(name, key)));
    check(await (lost[0] as Promise<SlotwireError>), "CONNECTION_LOST", "INCR");
    check(await (lost[1] as Promise<SlotwireError>), "CONNECTION_LOST", "DECR");
  });

  it("names it when there is no room, and when the redirections end", async () => {
    const client = await connected({ maxPendingPerNode: 1, maxRedirections: 0 });
    cluster.node(0).expect("SET", error(`MOVED 7 ${address}`));
    const [moved, full] = await Promise.all([
      errorOf(client.command("SET", key, SECRET)),
      errorOf(client.command("SET", key, SECRET)),
    ]);
    check(moved as SlotwireError, "REDIRECTIONS", "SET");
    check(full as SlotwireError, "QUEUE_FULL", "SET");
  });

  it("names it before anything is sent", async () => {
    const client = await connected();
    const { command, code } = await errorOf(client.command("GET", null as never));
    assert.deepEqual([command, code], ["GET", "INVALID_ARGUMENT"]);
    const scan = await errorOf(client.command("SCAN", 0));
    assert.deepEqual([scan.command, scan.code], ["SCAN", "INVALID_ARGUMENT"]);
    const parts = await errorOf(client.command("MSET", "a", SECRET, "b", undefined as never));
    assert.deepEqual([parts.command, parts.code], ["MSET", "INVALID_ARGUMENT"]);
    assert.throws(() => client.batch().command("SINTER", "a", "b"), { code: "CROSSSLOT", command: "SINTER" });
    assert.throws(() => client.transaction("a").run(script, ["a", "b"]), { code: "CROSSSLOT", command: "transfer" });
  });

  it("names each failed call of a batch, and of a transaction", async () => {
    const client = await connected({ scripts: [script] });
    cluster.node(0).expect("SET", error("WRONGTYPE no"));
    const [failed] = await client.batch().command("SET", key, SECRET).command("GET", key).exec();
    check(failed as SlotwireError, "REPLY", "SET");
    for (const name of ["MULTI", "SCRIPT LOAD", "EVALSHA", "SET"]) cluster.node(0).expect(name, ok);
    cluster.node(0).expect("EXEC", array("$1\r\nx\r\n", error("ERR boom"), error("WRONGTYPE no")));
    const results = await client.transaction(key).run(script, [key], [SECRET]).command("SET", key, SECRET).exec();
    check(results[0] as SlotwireError, "REPLY", "transfer");
    check(results[1] as SlotwireError, "REPLY", "SET");
    cluster.node(0).expect("MULTI", "disconnect");
    check(await errorOf(client.transaction(key).command("SET", key, SECRET).exec()), "CONNECTION_LOST", "MULTI");
  });

  it("names the commands of a transaction that watches", async () => {
    const client = await connected();
    cluster.node(0).expect("WATCH", ok);
    cluster.node(0).expect("SET", error("WRONGTYPE no"));
    const watching = client.transaction(key, { watch: [key] }, async (tx) => {
      await tx.command("SET", key, SECRET);
      return tx.multi();
    });
    check(await errorOf(watching), "REPLY", "SET");
  });

  it("names a command of several steps or nodes, and a scan", async () => {
    const client = await connected();
    cluster.node(0).always("CONFIG", () => error("ERR no"));
    check(await errorOf(client.command("CONFIG", "SET", "maxmemory", SECRET)), "REPLY", "CONFIG", null);
    cluster.node(0).always("CLUSTER NODES", () => error("ERR no"));
    cluster.node(0).always("INFO", () => error("ERR no"));
    cluster.node(0).always("SCAN", () => error("ERR no"));
    check(await errorOf(client.scan().next()), "REPLY", "SCAN", null);
    const late = await errorOf(client.with({ timeout: 20 }).command("WAIT", 1, 0));
    assert.equal(late.command, "WAIT");
  });
});
