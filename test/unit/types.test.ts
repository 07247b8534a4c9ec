import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  type Cluster,
  connect,
  defineScript,
  type FileResult,
  loadScripts,
  type Reply,
  type Script,
} from "../../src/index.ts";
import { scriptFolder } from "../support/script-folder.ts";

/** True only for the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function holds<_T extends true>(): void {}

const source = "return 1";
const lock = defineScript({
  name: "lock",
  source,
  keys: ["lock", "owner"],
  args: ["ttl"],
  parse: (reply) => reply === "OK",
});
const two = defineScript({ name: "two", source, numberOfKeys: 2 });
const any = defineScript({ name: "any", source });
const none = defineScript({ name: "none", source, keys: [], args: [] });
const wide: Script = lock;
const folder = scriptFolder({ "acquire.lua": "-- @keys lock owner\n-- @args ttl\n-- @returns boolean\nreturn 1" });
const path = join(folder, "acquire.lua");
const fromFile = defineScript({ file: path });
const counted = defineScript({ file: path, numberOfKeys: 2, args: ["ttl"], parse: (reply) => reply === 1 });
const named = loadScripts(folder, { names: ["acquire"] });
const unnamed = loadScripts(folder);

// Never run: what counts is that the compiler takes it, or refuses it where it says so.
async function compiled(cluster: Cluster): Promise<unknown> {
  const locked = await cluster.run(lock, ["a", "b"], [10]);
  holds<Same<typeof locked, boolean>>();
  const reply = await cluster.run(two, ["a", "b"]);
  holds<Same<typeof reply, Reply>>();
  await cluster.run(two, ["a", "b"], ["any", "number"], { timeout: 100 });
  await cluster.run(any, []);
  await cluster.run(any, ["a", Buffer.from("b"), 3, 4n], [new Uint8Array(1)]);
  const { REDIS_USER: username, REDIS_PASSWORD: password } = process.env;
  await connect({ nodes: [], username, password, credentials: async () => ({ username, password }) });
  const maybe: { readonly timeout: number | undefined; readonly signal: AbortSignal | undefined } = {
    timeout: undefined,
    signal: undefined,
  };
  await cluster.with(maybe).run(any, [], [], maybe);
  cluster.scan({ match: username });
  await cluster.close({ timeout: maybe.timeout });
  const call = lock.call(["a", "b"], [10]);
  holds<Same<typeof call.script.parse, ((reply: Reply) => boolean) | undefined>>();
  const typed = await cluster.command<number>("DBSIZE");
  holds<Same<typeof typed, number>>();

  await cluster.run(none, []);
  await cluster.run(none, [], [], { timeout: 1 });
  await cluster.run(wide, ["a"], ["b", "c"]);
  const ofFile = await cluster.run(fromFile, ["any", "number", "compiles"], [1, 2]);
  holds<Same<typeof ofFile, FileResult>>();
  const ofCounted = await cluster.run(counted, ["a", "b"], [1]);
  holds<Same<typeof ofCounted, boolean>>();
  const ofNamed = await cluster.run(named.acquire, ["a", "b"], [1]);
  holds<Same<typeof ofNamed, FileResult>>();
  holds<Same<keyof typeof named, "acquire">>();
  const scripts: readonly Script[] = [lock, two, any, none, fromFile, counted, ...Object.values(unnamed)];
  const [first, second] = await cluster.batch([lock.call(["a", "b"], [1]), counted.call(["a", "b"], [1])] as const);
  holds<Same<Exclude<typeof first, Error>, boolean>>();

  // @ts-expect-error one key too few
  await cluster.run(two, ["a"]);
  // @ts-expect-error one key too few for the names
  await cluster.run(lock, ["a"], [1]);
  // @ts-expect-error one key too many for the names
  await cluster.run(lock, ["a", "b", "c"], [1]);
  // @ts-expect-error no key is taken
  await cluster.run(none, ["a"]);
  // @ts-expect-error no argument is taken
  await cluster.run(none, [], [1]);
  // @ts-expect-error an array whose length nobody knows
  await cluster.run(two, ["a", "b"].slice());
  // @ts-expect-error keys are counted where the definition says how many, also with a file
  await cluster.run(counted, ["a"], [1]);
  // @ts-expect-error the argument is missing, also with a file
  await cluster.run(counted, ["a", "b"]);
  // @ts-expect-error no such script was asked for
  await cluster.run(named.release, []);
  // @ts-expect-error it may not be there
  await cluster.run(unnamed.acquire, []);
  // @ts-expect-error source and file exclude each other
  defineScript({ name: "both", source, file: path });
  // @ts-expect-error a script without a file has a name
  defineScript({ source });
  // @ts-expect-error parse takes a reply
  defineScript({ name: "parse", source, parse: (reply: Date) => reply });
  // @ts-expect-error one key too many
  await cluster.run(two, ["a", "b", "c"]);
  // @ts-expect-error the argument is missing
  await cluster.run(lock, ["a", "b"]);
  // @ts-expect-error one argument too many
  await cluster.run(lock, ["a", "b"], [1, 2]);
  // @ts-expect-error no such kind of key
  await cluster.run(any, [{}]);
  // @ts-expect-error one key too few in a call, too
  lock.call(["a"], [1]);
  // @ts-expect-error no such option
  await cluster.run(any, [], [], { retries: 3 });
  // @ts-expect-error no such event
  cluster.on("error", () => {});
  return [scripts, second];
}

describe("types", () => {
  it("hold what the comments above say: the compiler checked them", () => {
    assert.equal(typeof compiled, "function");
  });
});
