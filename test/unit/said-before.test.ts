import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeTheSame } from "../../src/topology/said-before.ts";

const node = (offset: string, name = "a") => `$2\r\nid\r\n$1\r\n${name}\r\n$18\r\nreplication-offset\r\n:${offset}\r\n`;

describe("two descriptions say the same", () => {
  const pairs: [what: string, a: string, b: string, isSame: boolean][] = [
    ["byte by byte", node("1") + node("2", "b"), node("1") + node("2", "b"), true],
    ["with other offsets", node("1") + node("2", "b"), node("3") + node("4", "b"), true],
    ["with longer offsets", `${node("9")}:1\r\n`, `${node("12345")}:1\r\n`, true],
    ["with a negative offset", `${node("-1")}:1\r\n`, `${node("7")}:1\r\n`, true],
    ["with another name", node("1") + node("2", "b"), node("1") + node("2", "c"), false],
    ["with another name in front", node("1") + node("2", "b"), node("1", "c") + node("2", "b"), false],
    ["with another number behind an offset", `${node("1")}:1\r\n`, `${node("1")}:2\r\n`, false],
    ["with a node more", node("1"), node("1") + node("2", "b"), false],
    ["with a node less", node("1") + node("2", "b"), node("1"), false],
    ["without offsets", ":1\r\n", ":1\r\n", true],
    ["without offsets, with another number", ":1\r\n", ":2\r\n", false],
  ];
  for (const [what, a, b, isSame] of pairs) {
    it(`${what}: ${isSame}`, () => assert.equal(describeTheSame(Buffer.from(a), Buffer.from(b)), isSame));
  }
});
