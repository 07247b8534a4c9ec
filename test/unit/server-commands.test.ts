import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LearnedCommands, parseCommands, specifiedKeys, spreadOfTips } from "../../src/commands/server-commands.ts";
import { traitsOf } from "../../src/commands/traits.ts";
import type { Reply } from "../../src/protocol/reply.ts";

type Range = [first: number, last: number, step: number];

const command = (
  name: string,
  flags: string[],
  [first, last, step]: Range,
  ...more: [tips?: Reply, specs?: Reply, subcommands?: Reply]
): Reply => [name, -2, flags, first, last, step, [], ...(more as Reply[])];

const index = (at: number) => ["begin_search", ["type", "index", "spec", ["index", at]]];
const keyword = (word: string, from: number) => [
  "begin_search",
  ["type", "keyword", "spec", ["keyword", word, "startfrom", from]],
];
const range = (lastkey: number, keystep: number, limit: number) => [
  "find_keys",
  ["type", "range", "spec", ["lastkey", lastkey, "keystep", keystep, "limit", limit]],
];
const keynum = (keynumidx: number, firstkey: number, keystep: number) => [
  "find_keys",
  ["type", "keynum", "spec", ["keynumidx", keynumidx, "firstkey", firstkey, "keystep", keystep]],
];
const spec = (begin: Reply[], find: Reply[], ...flags: string[]): Reply => ["flags", flags, ...begin, ...find];

const keysOf = (described: Reply, line: string): string | undefined => {
  const [name = "", ...args] = line.split(" ");
  const learned = new LearnedCommands();
  learned.known = parseCommands([described]);
  const found = learned.get(name, args);
  return (
    found &&
    specifiedKeys(found, args)
      ?.map((position) => args[position])
      ?.join(" ")
  );
};

describe("keys by a server's description", () => {
  const rows: [what: string, described: Reply, line: string, keys: string | undefined][] = [
    ["first, last and step before 7.0", command("x", [], [1, 1, 1]), "x a b", "a"],
    ["a last one counted from the end", command("x", [], [1, -2, 1]), "x a b c", "a b"],
    ["steps", command("x", [], [1, -1, 2]), "x a 1 b 2", "a b"],
    ["none", command("x", [], [0, 0, 0]), "x a b", ""],
    ["movable and not specified", command("x", ["movablekeys"], [0, 0, 0]), "x a b", undefined],
    ["a range", command("X", [], [1, 1, 1], [], [spec(index(1), range(0, 1, 0))]), "x a b", "a"],
    [
      "half of the rest",
      command("x", [], [0, 0, 0], [], [spec(keyword("STREAMS", 1), range(-1, 1, 2))]),
      "x y streams a b 0 0",
      "a b",
    ],
    [
      "a word from the end",
      command("x", [], [0, 0, 0], [], [spec(keyword("KEYS", -2), range(-1, 1, 0))]),
      "x y keys a b",
      "a b",
    ],
    [
      "a word that is not there",
      command("x", [], [0, 0, 0], [], [spec(keyword("KEYS", 1), range(-1, 1, 0))]),
      "x y a b",
      "",
    ],
    ["a number of keys", command("x", [], [0, 0, 0], [], [spec(index(2), keynum(0, 1, 1))]), "x y 2 a b c", "a b"],
    [
      "a number of keys with values",
      command("x", [], [0, 0, 0], [], [spec(index(1), keynum(0, 1, 2))]),
      "x 2 a 1 b 2",
      "a b",
    ],
    [
      "more keys than there are",
      command("x", [], [0, 0, 0], [], [spec(index(1), keynum(0, 1, 1))]),
      "x 4000000000 a",
      "",
    ],
    ["a number that is none", command("x", [], [0, 0, 0], [], [spec(index(1), keynum(0, 1, 1))]), "x many a", ""],
    [
      "two of them",
      command("x", [], [1, 1, 1], [], [spec(index(1), range(0, 1, 0)), spec(index(2), keynum(0, 1, 1))]),
      "x d 1 a",
      "d a",
    ],
    [
      "an incomplete one",
      command("x", [], [1, 1, 1], [], [spec(index(1), range(0, 1, 0), "RW", "incomplete")]),
      "x a",
      undefined,
    ],
    [
      "a kind that nobody knows",
      command("x", [], [1, 1, 1], [], [spec(["begin_search", ["type", "unknown", "spec", []]], range(0, 1, 0))]),
      "x a",
      undefined,
    ],
    ["a subcommand's", command("x", [], [0, 0, 0], [], [], [command("x|get", [], [2, 2, 1])]), "x GET a", "a"],
  ];
  for (const [what, described, line, keys] of rows) {
    it(`${what}: ${line} has ${keys ?? "what the server says"}`, () => assert.equal(keysOf(described, line), keys));
  }

  it("is nothing in what is no description", () => {
    for (const reply of [null, "OK", 5, [null, 5, "x"], [[5, 1]]]) assert.equal(parseCommands(reply as Reply).size, 0);
  });
});

describe("what is not said", () => {
  it("counts as not readonly, and the first argument as the key", () => {
    const learned = new LearnedCommands();
    assert.deepEqual(traitsOf("m.x", ["a", "b"], learned).keys, ["a"]);
    assert.equal(traitsOf("m.x", ["a"], learned).readOnly, false);
    learned.known = parseCommands([command("m.x", ["readonly"], [2, 2, 1]), command("m.y", ["write"], [1, 1, 1])]);
    assert.deepEqual(traitsOf("M.X", ["a", "b"], learned).keys, ["b"]);
    assert.equal(traitsOf("M.X", ["a", "b"], learned).readOnly, true);
    assert.equal(traitsOf("m.y", ["a"], learned).readOnly, false);
  });

  it("is no leave to send what harms a connection that others share", () => {
    assert.throws(() => traitsOf("SUBSCRIBE", ["a"], new LearnedCommands()), { code: "INVALID_ARGUMENT" });
  });
});

describe("policies as tips", () => {
  const rows: [tips: string[], spread: ReturnType<typeof spreadOfTips>][] = [
    [[], undefined],
    [["nondeterministic_output"], undefined],
    [["request_policy:all_nodes", "response_policy:agg_sum"], { nodes: "all", join: "sum" }],
    [["request_policy:all_shards"], { nodes: "primaries", join: "concatenated" }],
    [["request_policy:all_shards", "response_policy:one_succeeded"], { nodes: "primaries", join: "some" }],
    [["request_policy:all_shards", "response_policy:agg_max"], { nodes: "primaries", join: "most" }],
    [["request_policy:all_shards", "response_policy:agg_logical_or"], { nodes: "primaries", join: "any" }],
    [["request_policy:all_shards", "response_policy:special"], undefined],
    [["request_policy:all_shards", "response_policy:new"], undefined],
    [["request_policy:multi_shard", "response_policy:agg_sum"], undefined],
    [["request_policy:special"], undefined],
  ];
  for (const [tips, spread] of rows) {
    it(`${tips.join(", ") || "none"}`, () => assert.deepEqual(spreadOfTips(tips), spread));
  }
});
