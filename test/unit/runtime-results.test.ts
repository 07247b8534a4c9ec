import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stepsOf } from "../runtimes/results.ts";

describe("the results of a runtime", () => {
  const output = "ok 1 - connect\n# 3 ms\nnot ok 2 - scan: every key\n# Error: not ok 9\nok 3 - close\n1..3\n";

  it("count the suite's steps, and the two of its process's end", () => {
    const { passed, failed } = stepsOf({ output, code: 0, leftServersEnded: true });
    assert.deepEqual([passed, failed], [4, ["scan: every key"]]);
  });

  const ends = "the process ends by itself";
  for (const [name, changed] of [
    ["a process that was killed", { output, code: undefined }],
    ["a process that failed", { output, code: 1 }],
    ["a suite that stopped halfway", { output: "ok 1 - connect\n", code: 0 }],
    ["a suite that printed nothing", { output: "", code: 0 }],
  ] as const) {
    it(`tell of ${name}`, () => {
      const { failed } = stepsOf({ leftServersEnded: true, ...changed });
      assert.equal(failed.includes(ends), true);
    });
  }

  it("tell of servers that outlive the process", () => {
    const { failed } = stepsOf({ output, code: 0, leftServersEnded: false });
    assert.deepEqual(failed, ["scan: every key", "servers that were not stopped end with the process"]);
  });
});
