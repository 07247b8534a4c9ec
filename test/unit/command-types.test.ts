import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  asEntries,
  asObject,
  asPairs,
  type Batch,
  type Cluster,
  type CommandReply,
  type Entry,
  type OneNode,
  type Reply,
  type SlotwireError,
  type Subscription,
  type Transaction,
} from "../../src/index.ts";

/** True only for the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<A>() {
  return <B>(_value: B, _isSame: Same<A, B> extends true ? "the same" : never) => {};
}

// As a user's module adds to the package: by its entry point's name.
declare module "../../src/index.ts" {
  interface CommandReplies {
    /** A command of a module. */
    "MY.CMD": number;
    /** A subcommand of a module. */
    "MY.CONTAINER GET": [string, number];
  }
}

// Never run: what counts is that the compiler takes it, or refuses it where it says so.
async function compiled(cluster: Cluster, name: string, keys: string[], either: boolean): Promise<unknown> {
  // The reply's type follows the name, in either case.
  is<string | null>()(await cluster.command("GET", "k"), "the same");
  is<string | null>()(await cluster.command("get", "k"), "the same");
  is<number>()(await cluster.command("INCR", "k"), "the same");
  is<string[]>()(await cluster.command("hGetAll", "k"), "the same");
  is<0 | 1>()(await cluster.command("EXPIRE", "k", 10), "the same");
  is<[id: string, fields: string[]][]>()(await cluster.command("XRANGE", "k", "-", "+"), "the same");
  is<string | null>()(await cluster.command("SET", "k", Buffer.from("v"), "PX", 10n), "the same");
  is<number | string | null>()(await cluster.command(either ? "GET" : "INCR", "k"), "the same");
  is<Reply>()(await cluster.command(name, "k"), "the same");
  is<Reply>()(await cluster.command("NO.SUCH", "k"), "the same");
  is<Reply>()(await cluster.command(`GET${name}`, "k"), "the same");
  is<Reply>()(await cluster.command("EVALSHA", "sha", 0), "the same");
  is<never>()(await cluster.command("MULTI"), "the same");

  // Subcommands are typed by the first argument.
  is<string[]>()(await cluster.command("CONFIG", "GET", "save"), "the same");
  is<string[]>()(await cluster.command("config", "get", "save"), "the same");
  is<string[]>()(await cluster.command("CONFIG", ["GET", "save"]), "the same");
  is<string[] | "OK">()(await cluster.command("CONFIG", name, "save"), "the same");
  is<string[] | "OK">()(await cluster.command("CONFIG", ...keys), "the same");
  is<Reply>()(await cluster.command("CONFIG", "NONE"), "the same");
  is<string>()(await cluster.command("CLIENT", "LIST"), "the same");
  is<number>()(await cluster.command("COMMAND", "COUNT"), "the same");

  // Users add their commands.
  is<number>()(await cluster.command("my.cmd", "k"), "the same");
  is<[string, number]>()(await cluster.command("MY.CONTAINER", "get"), "the same");

  // One array in place of the arguments.
  is<number>()(await cluster.command("DEL", keys), "the same");
  is<number>()(await cluster.command("DEL", ...keys), "the same");
  is<number>()(await cluster.command("RPUSH", ["k", ...keys] as const), "the same");
  // @ts-expect-error an array among other arguments
  await cluster.command("SADD", "k", keys);
  // @ts-expect-error two arrays
  await cluster.command("MSET", keys, keys);
  // @ts-expect-error no such kind of argument
  await cluster.command("SET", "k", { a: 1 });
  // @ts-expect-error no such kind of argument in an array
  await cluster.command("SET", ["k", null]);

  // The caller may say another type; nothing else says it.
  is<number>()(await cluster.command<number>("GET", "k"), "the same");
  is<bigint | number>()(await cluster.command<bigint | number>("INCR", "k"), "the same");
  is<unknown>()(await cluster.command<unknown>("GET", "k"), "the same");
  is<never>()(await cluster.command<never>("GET", "k"), "the same");
  // biome-ignore lint/suspicious/noExplicitAny: that any is any is what is shown
  const text: string = await cluster.command<any>("GET", "k");
  // @ts-expect-error a GET gives no number
  const number: number = await cluster.command("GET", "k");
  // @ts-expect-error nor does a name that nobody knows
  const unnamed: number = await cluster.command(name, "k");
  // @ts-expect-error null is to be thought of
  (await cluster.command("GET", "k")).length;

  // Views with Buffers.
  const buffers = cluster.with({ replies: "buffer" });
  is<Cluster<Buffer>>()(buffers, "the same");
  is<Buffer | null>()(await buffers.command("GET", "k"), "the same");
  is<Buffer>()(await buffers.command("FLUSHALL"), "the same");
  is<[id: Buffer, fields: Buffer[]][]>()(await buffers.command("XRANGE", "k", "-", "+"), "the same");
  is<(Buffer | number)[]>()(await buffers.command("PUBSUB", "NUMSUB"), "the same");
  is<number>()(await buffers.command("INCR", "k"), "the same");
  is<Reply>()(await buffers.command("EVAL", "return 1", 0), "the same");
  is<[Buffer, number]>()(await buffers.command("MY.CONTAINER", "GET"), "the same");
  is<Cluster<Buffer>>()(buffers.with({ timeout: 10 }), "the same");
  is<Cluster>()(buffers.with({ replies: "string" }), "the same");
  is<Cluster>()(cluster.with({ replies: undefined }), "the same");
  const both = cluster.with({ replies: either ? "buffer" : "string" });
  is<Cluster<string | Buffer>>()(both, "the same");
  is<string | Buffer | null>()(await both.command("GET", "k"), "the same");
  const one = either ? buffers : cluster;
  is<string | Buffer | null>()(await one.command("GET", "k"), "the same");
  const any: Cluster<string | Buffer> = one;
  // @ts-expect-error strings are not Buffers
  const wrong: Cluster<Buffer> = cluster;
  // @ts-expect-error Buffers are not strings
  const wrongToo: Cluster = buffers;
  // @ts-expect-error no such option, also where the type of the view follows an option
  cluster.with({ replies: "buffer", retries: 3 });
  is<Subscription<Buffer>>()(await buffers.subscribe("c"), "the same");
  is<AsyncGenerator<Buffer, void, undefined>>()(buffers.scan(), "the same");

  // Batches, transactions and single nodes.
  const [a, b, c] = await buffers
    .batch()
    .command("GET", "k")
    .command("INCR", ["k"])
    .command<"OK">("SET", "k", 1)
    .exec();
  is<Buffer | SlotwireError | null>()(a, "the same");
  is<number | SlotwireError>()(b, "the same");
  is<"OK" | SlotwireError>()(c, "the same");
  const [d] = await cluster.transaction("k").command("HGETALL", "k").exec();
  is<string[] | SlotwireError>()(d, "the same");
  const watched = await buffers.transaction("k", { watch: ["k"] }, async (tx) => {
    is<Buffer | null>()(await tx.command("GET", "k"), "the same");
    return tx.multi().command("APPEND", "k", "v").command("GET", "k");
  });
  is<[number | SlotwireError, Buffer | SlotwireError | null] | null>()(watched, "the same");
  is<OneNode>()(cluster.node("a:1"), "the same");
  is<string>()(await cluster.node("a:1").command("INFO"), "the same");
  is<[cursor: Buffer, keys: Buffer[]]>()(await buffers.node("a:1").command("SCAN", 0), "the same");
  const collect = (calls: Batch | Transaction) => calls.command("GET", "k").command("INCR", "k");

  // Helpers for flat replies.
  is<Record<string, string>>()(asObject(await cluster.command("HGETALL", "k")), "the same");
  is<Record<string, Buffer>>()(asObject(await buffers.command("HGETALL", "k")), "the same");
  is<[first: string, second: string][]>()(
    asPairs(await cluster.command("ZRANGE", "k", 0, -1, "WITHSCORES")),
    "the same",
  );
  is<Entry[]>()(asEntries(await cluster.command("XREVRANGE", "k", "+", "-")), "the same");
  is<Entry<Buffer>[]>()(asEntries(await buffers.command("XRANGE", "k", "-", "+")), "the same");
  for (const [stream, entries] of (await cluster.command("XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">")) ?? []) {
    is<string>()(stream, "the same");
    is<Entry[]>()(asEntries(entries), "the same");
  }
  // @ts-expect-error no array
  asObject(await cluster.command("GET", "k"));
  // @ts-expect-error no entries
  asEntries(await cluster.command("HGETALL", "k"));
  const reply: CommandReply<"MGET"> = ["a", null];
  return [text, number, unnamed, any, wrong, wrongToo, collect, reply];
}

describe("types of commands", () => {
  it("hold what the comments above say: the compiler checked them", () => {
    assert.equal(typeof compiled, "function");
  });
});
