import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { before, describe, it } from "node:test";
import { columnsOf } from "../../src/cli/draw-text.ts";
import { ROOT } from "../support/built-package.ts";

// What npm start prints to a terminal of 80 columns, or into a file.
describe("the tour", () => {
  let lines: readonly string[];
  before(async () => {
    const tour = spawn("npm", ["start", "--silent"], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [tour.stdout, tour.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    const [status] = await once(tour, "close");
    assert.equal(status, 0, output);
    lines = output.trimEnd().split("\n");
  });

  it("fits 80 columns", () => {
    assert.deepEqual(
      lines.filter((line) => columnsOf(line) > 80),
      [],
    );
    assert.ok(lines.length > 80, `${lines.length} lines`);
  });

  it("has an empty line in front of each step", () => {
    const steps = lines.flatMap((line, index) => (/^\[[\d.]+ s\] /.test(line) && index > 0 ? [index] : []));
    assert.ok(steps.length > 10, `${steps.length} steps`);
    assert.deepEqual(
      steps.filter((index) => lines[index - 1] !== "").map((index) => lines[index]),
      [],
    );
  });

  it("shows a hop of each kind, explained by its row of the decision", () => {
    const hops = [
      [/^ *[\d.]+ ms {2}1 ← 3$/, null],
      [/ 1 ← MOVED 9546 127\.0\.0\.1:\d+$/, "moved-known"],
      [/ 1 ← ASK 9546 127\.0\.0\.1:\d+$/, "ask-known"],
      [/ 1 ← TRYAGAIN /, "tryagain"],
      [/ 1 ← NOSCRIPT /, "noscript-load"],
      [/ 1 ← the connection was lost$/, "lost"],
    ] as const;
    for (const [hop, row] of hops) {
      const at = lines.findIndex((line) => hop.test(line));
      assert.ok(at > 0, `no line is as ${hop}:\n${lines.join("\n")}`);
      if (row !== null) assert.match(lines[at + 1] ?? "", new RegExp(`^ {15}${row}: `));
    }
    const sent = lines.filter((line) => / \d → /.test(line)).map((line) => line.replace(/^.*?:\d+ {2}| \(.*?\)/g, ""));
    assert.ok(sent.includes("ASKING, EVALSHA"), sent.join("\n"));
    assert.ok(sent.includes("SCRIPT LOAD, EVALSHA"), sent.join("\n"));
  });

  it("says what each refusal means, each in a sentence", () => {
    const text = lines.join(" ").replaceAll(/ +/g, " ");
    for (const word of ["MOVED", "ASK", "TRYAGAIN", "NOSCRIPT"])
      assert.match(text, new RegExp(`${word} means: [^.]+\\.`));
    assert.match(text, /hash tag/);
    assert.match(text, /16,384 slots/);
    assert.match(text, /CONNECTION_LOST, unknown/);
  });

  it("ends with the next thing to try", () => {
    assert.match(lines.at(-3) ?? "", /Done\. Every call ended as it should\./);
    assert.match(lines.at(-1) ?? "", /npx slotwire cluster --web$/);
  });
});
