import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isForeign } from "../../src/topology/view-judgement.ts";

type Entry = { id: string; host: string; port: number };
const node = (id: string, port: number): Entry => ({ id, host: "10.0.0.1", port });
const view = (...nodes: Entry[]) => ({ nodes });

const [A, B, C] = [node("a", 7000), node("b", 7001), node("c", 7002)];
const single = view(node("", 7000));

describe("isForeign", () => {
  const table: [string, { nodes: Entry[] }, { nodes: Entry[] }, ReturnType<typeof isForeign>][] = [
    ["the same nodes", view(A, B), view(A, B), undefined],
    ["one node in common", view(A, B), view(B, C), undefined],
    ["no id in common, other addresses", view(A), view(B, C), "other-cluster"],
    ["no id in common, the same addresses", view(A, B), view(node("x", 7000), node("y", 7001)), "other-cluster"],
    ["an id in common, at another address", view(A, B), view(node("a", 9000)), undefined],
    ["a view without ids, an address in common", view(A, B), view(node("", 7001), node("", 9000)), undefined],
    ["a view without ids, no address in common", view(A, B), view(node("", 1), node("", 2)), "other-cluster"],
    ["a present topology without ids", view(node("", 7000), node("", 7001)), view(A), undefined],
    ["a server without cluster mode, at a known address", view(A, B), single, "no-cluster"],
    ["anything, where a single server is known", single, view(B, C), undefined],
    ["a single server, where one is known", single, view(node("", 9000)), undefined],
  ];
  for (const [name, present, seen, expected] of table) {
    it(`${name}: ${expected ?? "of this cluster"}`, () => assert.equal(isForeign(present, seen), expected));
  }
});
