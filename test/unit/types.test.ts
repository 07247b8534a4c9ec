import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Cluster, defineScript, type Reply } from "../../src/index.ts";

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

// Never run: what counts is that the compiler takes it, or refuses it where it says so.
async function compiled(cluster: Cluster): Promise<void> {
  const locked = await cluster.run(lock, ["a", "b"], [10]);
  holds<Same<typeof locked, boolean>>();
  const reply = await cluster.run(two, ["a", "b"]);
  holds<Same<typeof reply, Reply>>();
  await cluster.run(two, ["a", "b"], ["any", "number"], { timeout: 100 });
  await cluster.run(any, []);
  await cluster.run(any, ["a", Buffer.from("b"), 3, 4n], [new Uint8Array(1)]);
  const call = lock.call(["a", "b"], [10]);
  holds<Same<typeof call.script.parse, ((reply: Reply) => boolean) | undefined>>();
  const typed = await cluster.command<number>("DBSIZE");
  holds<Same<typeof typed, number>>();

  // @ts-expect-error one key too few
  await cluster.run(two, ["a"]);
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
}

describe("types", () => {
  it("hold what the comments above say: the compiler checked them", () => {
    assert.equal(typeof compiled, "function");
  });
});
