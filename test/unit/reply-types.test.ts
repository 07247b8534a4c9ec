import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { alternativesIn, Comparison, inWords, type ReplyType, replyTypes, typesIn } from "../support/reply-types.ts";

const source = `
/** Comments { are : passed over }; */
export interface Replies {
  GET: string | null; // as are these
  "CONFIG GET": string[];
  SLOTS: [from: number, to: number, ...nodes: Node[]][];
  SET: "OK" | 1;
}
type Node = [host: string | null, metadata?: (string | number)[]];
`;

describe("the types of replies, read from their sources", () => {
  const types = typesIn(source);
  const fits = (name: string, value: unknown, strings: "string" | "buffer" = "string") =>
    new Comparison(strings, new Set()).fits(types.get(name) as ReplyType, value);

  it("take what is of the type, and nothing else", () => {
    assert.deepEqual([...types.keys()], ["GET", "CONFIG GET", "SLOTS", "SET"]);
    assert.ok(fits("GET", "text") && fits("GET", null), "GET");
    assert.ok(!fits("GET", 1) && !fits("GET", ["text"]) && !fits("GET", undefined), "GET is no number");
    assert.ok(fits("CONFIG GET", []) && fits("CONFIG GET", ["a"]) && !fits("CONFIG GET", ["a", null]), "CONFIG GET");
    assert.ok(fits("SLOTS", [[0, 1, ["a", ["b", 1]], [null]]]) && fits("SLOTS", [[0, 1]]), "SLOTS");
    assert.ok(!fits("SLOTS", [[0]]) && !fits("SLOTS", [[0, 1, ["a", "b"]]]), "a tuple's elements");
    assert.ok(!fits("SLOTS", [[0, 1, ["a", ["b"], 1]]]), "a tuple's length");
    assert.ok(fits("SET", "OK") && fits("SET", 1) && !fits("SET", "ok") && !fits("SET", 2), "literals");
  });

  it("have Buffers in place of strings where these were asked for", () => {
    assert.ok(fits("SET", Buffer.from("OK"), "buffer") && !fits("SET", "OK", "buffer"), "SET");
    assert.ok(fits("CONFIG GET", [Buffer.from("a")], "buffer") && !fits("CONFIG GET", ["a"], "buffer"), "CONFIG GET");
  });

  it("tell which members of a union no reply has had", () => {
    const seen = new Set<ReplyType>();
    const type = types.get("SLOTS") as ReplyType;
    new Comparison("string", seen).note(type, [[0, 1, ["a", ["b"]]]]);
    const unseen = alternativesIn(type).filter(([, member]) => !seen.has(member));
    assert.deepEqual(
      unseen.map(([text]) => text),
      ["null of string | null", "number of string | number"],
    );
  });

  it("are understood in all of the tables, and say nothing that is not in the grammar", () => {
    const all = replyTypes();
    assert.ok(all.size > 400, `${all.size} types`);
    assert.equal(inWords(all.get("MGET") as ReplyType), "(string | null)[]");
    for (const wrong of ["Map<string, string>", "unknown", "{ a: string }", "string[", '"OK" |']) {
      assert.throws(() => typesIn(`export interface Replies {\n  GET: ${wrong};\n}`), Error, wrong);
    }
  });
});
