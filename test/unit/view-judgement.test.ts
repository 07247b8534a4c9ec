import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Topology, type TopologyDescription } from "../../src/topology/topology.ts";
import { doubtOf, isForeign, type View, viewThatCounts } from "../../src/topology/view-judgement.ts";

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

/** The owner of the first and of the second half of the slots, by id; "-" for none. `missing` nodes are not listed. */
function described(halves: string, missing = ""): TopologyDescription {
  const nodes = ["a", "b", "c"]
    .filter((id) => !missing.includes(id))
    .map((id, index) => {
      const [role, health] = ["primary", "online"] as const;
      return { id, host: "10.0.0.1", port: 7000 + "abc".indexOf(id), role, primary: undefined, health, index };
    });
  const slots = [...halves].flatMap((id, half) => {
    const owner = nodes.findIndex((each) => each.id === id);
    return owner === -1 ? [] : [{ owner, start: half * 8192, end: half * 8192 + 8191 }];
  });
  return { nodes: nodes.map(({ index, ...entry }) => entry), slots };
}

const EVERY = { isPrimary: true, isFailing: false, epochs: new Map<string, number>() };
const seen = (halves: string, more: Partial<View> & { missing?: string } = {}): View => ({
  ...EVERY,
  from: "10.0.0.1:7000",
  id: "a",
  description: described(halves, more.missing),
  ...more,
});
const PRESENT = Topology.from(described("ab"));

describe("doubtOf", () => {
  const higher = new Map([
    ["a", 1],
    ["b", 2],
    ["c", 3],
  ]);
  const lower = new Map([
    ["a", 3],
    ["b", 2],
    ["c", 3],
  ]);
  const table: [string, View, ReturnType<typeof doubtOf>, { known?: Map<string, number>; wanted?: boolean }?][] = [
    ["the same", seen("ab"), undefined],
    ["a node is missing", seen("ab", { missing: "c" }), "node-missing"],
    ["an owner is missing", seen("a-", { missing: "b" }), "node-missing"],
    ["slots lose their owner", seen("a-"), "owner-lost"],
    ["another owner, of a higher epoch", seen("cb", { epochs: higher }), undefined],
    ["another owner, of the same epoch", seen("cb", { epochs: lower }), "owner-changed"],
    ["another owner, of an unknown epoch", seen("cb"), "owner-changed"],
    [
      "another owner, lower than was seen",
      seen("cb", { epochs: higher }),
      "owner-changed",
      { known: new Map([["a", 9]]) },
    ],
    [
      "another owner, by a node whose cluster is down",
      seen("cb", { epochs: higher, isFailing: true }),
      "owner-changed",
    ],
    ["the same, by a node whose cluster is down", seen("ab", { isFailing: true }), undefined],
  ];
  for (const [name, view, expected, { known = new Map(), wanted = false } = {}] of table) {
    it(`${name}: ${expected ?? "none"}`, () => assert.equal(doubtOf(PRESENT, view, known, wanted), expected));
  }

  it("is there where a slot has no owner and calls wait for one, and not otherwise", () => {
    const present = Topology.from(described("a-"));
    assert.equal(doubtOf(present, seen("a-"), new Map(), true), "owner-wanted");
    assert.equal(doubtOf(present, seen("a-"), new Map(), false), undefined);
    assert.equal(doubtOf(present, seen("ab"), new Map(), true), undefined);
  });

  it("is never there beside a single server", () => {
    const alone = Topology.from({
      nodes: [{ id: "", host: "h", port: 1, role: "primary", primary: undefined, health: "online" }],
      slots: [{ owner: 0, start: 0, end: 16383 }],
    });
    assert.equal(doubtOf(alone, seen("a-"), new Map(), true), undefined);
  });
});

describe("viewThatCounts", () => {
  const down = { isFailing: true };
  const table: [string, View[], boolean, string | undefined][] = [
    ["two that agree", [seen("a-"), seen("a-")], false, "a-"],
    ["two that agree, one of them down", [seen("a-", down), seen("a-")], false, "a-"],
    ["two that agree, both of them down", [seen("a-", down), seen("a-", down)], false, undefined],
    ["two that differ", [seen("a-"), seen("ab")], false, undefined],
    ["all, and most say one thing", [seen("a-"), seen("ab"), seen("ab")], true, "ab"],
    ["all, and as many say one thing as another", [seen("a-"), seen("ab")], true, undefined],
    ["all, and those that are down are not counted", [seen("a-", down), seen("a-", down), seen("ab")], true, "ab"],
    ["all, and all are down", [seen("a-", down), seen("a-", down), seen("ab", down)], true, "a-"],
    ["all, and replicas are not counted", [seen("a-", { isPrimary: false }), seen("ab")], true, "ab"],
    ["replicas alone", [seen("a-", { isPrimary: false })], true, "a-"],
    ["two that know other newcomers", [seen("ab"), { ...seen("ab"), description: withNewcomer() }], false, "ab"],
    ["nobody", [], true, undefined],
  ];
  for (const [name, views, isEveryone, expected] of table) {
    it(`${name}: ${expected ?? "none"}`, () => {
      const counts = viewThatCounts(PRESENT, views, isEveryone);
      const owners = counts && Topology.from(counts.description);
      const said = owners && [0, 16383].map((slot) => owners.primaryOf(slot)?.id ?? "-").join("");
      assert.equal(said, expected);
    });
  }

  function withNewcomer(): TopologyDescription {
    const { nodes, slots } = described("ab");
    const newcomer = { ...(nodes[0] as (typeof nodes)[number]), id: "d", port: 7009 };
    return { nodes: [...nodes, newcomer], slots };
  }
});
