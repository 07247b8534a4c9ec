import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { divide, type Join, joinReplies, joinResults, spreadOf } from "../../src/commands/spread.ts";
import { ConnectionLostError, DeadlineError, ReplyError, SlotwireError, UnavailableError } from "../../src/errors.ts";
import type { Argument, Reply } from "../../src/protocol/reply.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const [a, b, c] = [1, 2, 3].map((slot) => keyForSlot(slot)) as [string, string, string];
const fulfilled = (value: Reply): PromiseSettledResult<Reply> => ({ status: "fulfilled", value });
const rejected = (reason: unknown): PromiseSettledResult<Reply> => ({ status: "rejected", reason });

describe("replies are joined", () => {
  const rows: [join: Join, replies: Reply[], joined: Reply][] = [
    ["first", ["OK", "OK"], "OK"],
    ["sum", [1, 2, 3], 6],
    ["sum", ["x", 1], "x"],
    ["least", [3, 1, 2], 1],
    [
      "least",
      [
        [1, 5],
        [2, 3],
      ],
      [1, 3],
    ],
    ["most", [3, 1, 2], 3],
    [
      "every",
      [
        [1, 1, 0],
        [1, 0, 0],
      ],
      [1, 0, 0],
    ],
    ["every", [1, 0], 0],
    [
      "any",
      [
        [1, 0],
        [0, 0],
      ],
      [1, 0],
    ],
    ["concatenated", [["a"], [], ["b", "c"]], ["a", "b", "c"]],
    ["concatenated", ["x", ["a"]], "x"],
    ["some", ["OK"], "OK"],
    ["first", [], null],
  ];
  for (const [join, replies, joined] of rows) {
    it(`${join}: ${JSON.stringify(replies)} is ${JSON.stringify(joined)}`, () => {
      assert.deepEqual(joinReplies(join, replies), joined);
    });
  }
});

describe("the outcome of the whole", () => {
  const refused = new ReplyError("NOPERM no", "not-executed");
  const late = new DeadlineError(5, "unknown");
  const unsent = new UnavailableError("nobody");
  const rows: [what: string, results: PromiseSettledResult<Reply>[], error: SlotwireError, outcome: string][] = [
    ["nothing ran", [rejected(refused), rejected(unsent)], refused, "not-executed"],
    ["a part ran", [rejected(unsent), fulfilled("OK")], unsent, "executed"],
    ["a part may have run", [rejected(unsent), rejected(late)], unsent, "unknown"],
    ["a part ran and failed", [rejected(late), rejected(new ReplyError("WRONGTYPE x"))], late, "executed"],
    [
      "all may have run",
      [rejected(new ConnectionLostError("h:1", "unknown"))],
      new ConnectionLostError("h:1", "unknown"),
      "unknown",
    ],
  ];
  for (const [what, results, error, outcome] of rows) {
    it(`${what}: ${outcome}, with the first error`, () => {
      assert.throws(
        () => joinResults("sum", results),
        (thrown: unknown) => {
          assert.ok(thrown instanceof SlotwireError && thrown instanceof error.constructor && thrown instanceof Error);
          assert.deepEqual([thrown.code, thrown.outcome], [error.code, outcome]);
          assert.ok(thrown.message.startsWith(error.message));
          assert.ok(thrown.stack);
          return true;
        },
      );
    });
  }

  it("leaves the error of others alone: connections share theirs", () => {
    assert.throws(() => joinResults("sum", [rejected(unsent), fulfilled(1)]), { outcome: "executed" });
    assert.equal(unsent.outcome, "not-executed");
  });

  it("for one that is enough, is that one's", () => {
    assert.equal(joinResults("some", [rejected(refused), fulfilled("OK")]), "OK");
    assert.throws(() => joinResults("some", [rejected(refused)]), refused);
  });

  it("for one that is enough, counts a node that runs no script least", () => {
    const idle = rejected(new ReplyError("NOTBUSY No scripts in execution right now.", "not-executed"));
    const unkillable = rejected(new ReplyError("UNKILLABLE Sorry", "not-executed"));
    const rows: [results: PromiseSettledResult<Reply>[], code: string, outcome: string][] = [
      [[idle, idle], "REPLY", "not-executed"],
      [[idle, rejected(late), idle], "DEADLINE", "unknown"],
      [[idle, rejected(unsent)], "UNAVAILABLE", "not-executed"],
      [[idle, rejected(late), unkillable], "REPLY", "unknown"],
    ];
    for (const [results, code, outcome] of rows) assert.throws(() => joinResults("some", results), { code, outcome });
    assert.throws(() => joinResults("some", [idle, rejected(late), unkillable]), /UNKILLABLE/);
  });
});

describe("what is divided", () => {
  const parts = (name: string, ...args: Argument[]) => divide(name, args)?.parts;

  it("goes by slot, in the order of the keys", () => {
    assert.deepEqual(parts("mget", a, b, a, c), [[a, a], [b], [c]]);
    assert.deepEqual(parts("mset", a, 1, b, 2, a, 3), [
      [a, 1, a, 3],
      [b, 2],
    ]);
  });

  it("is nothing of one slot, without keys, or that has to be atomic", () => {
    for (const [name, ...args] of [
      ["mget", a, a],
      ["mget"],
      ["del", a],
      ["msetnx", a, 1, b, 2],
      ["set", a, b],
    ] as const) {
      assert.equal(divide(name, args), undefined, name);
    }
  });

  it("is refused when a key has no value; of one slot it is the server's to refuse", () => {
    assert.equal(divide("mset", [a, 1, a]), undefined);
    assert.throws(() => divide("mset", [a, 1, b]), { code: "INVALID_ARGUMENT", message: /^MSET: the last key/ });
  });

  it("gives each key its value", () => {
    const division = divide("mget", [a, b, a, c]);
    assert.deepEqual(division?.join([["1", "1"], ["2"], [null]].map(fulfilled)), ["1", "2", "1", null]);
  });
});

describe("what is for many nodes", () => {
  it("goes by its name or its subcommand, of whatever kind and case", () => {
    assert.equal(spreadOf("dbsize", [])?.join, "sum");
    for (const word of ["FLUSH", "flush", Buffer.from("Flush"), new Uint8Array(Buffer.from("flush"))]) {
      assert.equal(spreadOf("script", [word])?.nodes, "all");
    }
    for (const name of ["script", "function"]) {
      assert.deepEqual(spreadOf(name, ["KILL"]), { nodes: "all", join: "some", endsScripts: true });
    }
    for (const args of [[], ["SHOW"], [5]] as Argument[][]) assert.equal(spreadOf("script", args), undefined);
    assert.equal(spreadOf("get", ["flush"]), undefined);
  });
});
