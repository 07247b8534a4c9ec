import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProtocolError } from "../../src/errors.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import { Topology } from "../../src/topology/topology.ts";
import { parseClusterNodes } from "../../src/topology/topology-reply.ts";

const ASKED = { host: "10.0.0.9", port: 7000 };
const parse = (...lines: string[]) => parseClusterNodes(`${lines.join("\n")}\n`, ASKED);

const line = (id: string, at: string, flags: string, ...rest: string[]) => {
  const [primaryId = "-", ...slots] = rest;
  return [id, at, flags, primaryId, "0", "1426238317239", "4", "connected", ...slots].join(" ");
};
const master = (id: string, at: string, ...slots: string[]) => line(id, at, "master", "-", ...slots);

describe("CLUSTER NODES", () => {
  it("becomes nodes with their roles, and the slots of each primary", () => {
    const description = parse(
      line("a", "10.0.0.1:7000@17000", "myself,master", "-", "0-99", "200", "300-16383"),
      line("b", "10.0.0.2:7000@17000", "slave", "a"),
      master("c", "10.0.0.3:7000@17000,c.example.org", "100-199"),
    );
    assert.deepEqual(description, {
      nodes: [
        { id: "a", host: "10.0.0.1", port: 7000, role: "primary", primary: undefined, health: "online" },
        { id: "b", host: "10.0.0.2", port: 7000, role: "replica", primary: "10.0.0.1:7000", health: "online" },
        { id: "c", host: "10.0.0.3", port: 7000, role: "primary", primary: undefined, health: "online" },
      ],
      slots: [
        { owner: 0, start: 0, end: 99 },
        { owner: 0, start: 200, end: 200 },
        { owner: 0, start: 300, end: 16383 },
        { owner: 2, start: 100, end: 199 },
      ],
    });
  });

  it("finds a replica's primary wherever it is listed, and does without one that is not", () => {
    const { nodes } = parse(
      line("b", "h:2@3", "slave", "a"),
      master("a", "h:1@2", "0-16383"),
      line("c", "h:3@4", "slave", "gone"),
      line("d", "h:4@5", "slave", "-"),
    );
    assert.deepEqual(
      nodes.map(({ primary }) => primary),
      ["h:1", undefined, undefined, undefined],
    );
  });

  it("leaves slots on the move with the node that lists them without brackets", () => {
    const topology = Topology.from(
      parse(master("a", "h:1@2", "0-99", "[50->-b]", "[7-<-c]"), master("b", "h:2@3", "100-199", "[50-<-a]")),
    );
    assert.deepEqual(
      topology.ranges.map(({ start, end, primary }) => [start, end, primary.port]),
      [
        [0, 99, 1],
        [100, 199, 2],
      ],
    );
  });

  it("marks a node that has failed, and not one that is only suspected", () => {
    const { nodes } = parse(
      line("a", "h:1@2", "master,fail", "-"),
      line("b", "h:2@3", "master,fail?", "-", "0-16383"),
      line("c", "h:3@4", "slave,fail", "b"),
    );
    assert.deepEqual(
      nodes.map(({ health }) => health),
      ["fail", "online", "fail"],
    );
  });

  it("leaves out nodes without an address, and those that have not shaken hands", () => {
    const { nodes } = parse(
      master("a", "h:1@2", "0-16383"),
      line("b", ":0@0", "master,fail,noaddr", "-"),
      line("c", "h:3@4", "handshake", "-"),
      line("d", "h:4@5", "slave,noaddr", "a"),
      line("e", "h:0@10000", "master", "-"),
    );
    assert.deepEqual(
      nodes.map(({ id }) => id),
      ["a"],
    );
  });

  it("gives the slots to the right node when others before it are left out", () => {
    const topology = Topology.from(
      parse(
        line("x", ":0@0", "noaddr", "-"),
        line("y", "h:9@10", "handshake", "-"),
        master("a", "h:1@2", "0-9"),
        master("b", "h:2@3", "10-19"),
      ),
    );
    assert.equal(topology.primaryOf(5)?.id, "a");
    assert.equal(topology.primaryOf(15)?.id, "b");
  });

  it("means the host that answered where it names none, and nobody by ?", () => {
    const { nodes } = parse(
      line("a", ":7000@17000", "myself,master", "-", "0-16383"),
      line("b", ":7001@17001", "slave", "a"),
      line("c", "?:7002@17002", "slave", "a"),
    );
    assert.deepEqual(
      nodes.map(({ host, port }) => `${host} ${port}`),
      ["10.0.0.9 7000", "10.0.0.9 7001"],
    );
    assert.equal(nodes[1]?.primary, "10.0.0.9:7000");
  });

  it("reads IPv6 addresses, and addresses without a bus port", () => {
    const { nodes } = parse(
      master("a", "2001:db8::7:7000@17000,a.example.org", "0-16383"),
      master("b", "::1:7001@17001"),
      master("c", "10.0.0.1:7002"),
    );
    assert.deepEqual(
      nodes.map(({ host, port }) => `${host} ${port}`),
      ["2001:db8::7 7000", "::1 7001", "10.0.0.1 7002"],
    );
  });

  it("gives no slots to a replica that lists some", () => {
    assert.deepEqual(parse(master("a", "h:1@2", "0-9"), line("b", "h:2@3", "slave", "a", "0-9")).slots, [
      { owner: 0, start: 0, end: 9 },
    ]);
  });

  it("counts an address that two entries share once: the living one", () => {
    const dead = line("old", "h:1@2", "master,fail", "-", "0-9");
    const living = master("new", "h:1@2", "10-19");
    for (const lines of [
      [dead, living],
      [living, dead],
    ]) {
      const topology = Topology.from(parse(...lines));
      assert.deepEqual(
        topology.nodes.map(({ id }) => id),
        ["new"],
      );
      assert.equal(topology.primaryOf(5)?.id, "new");
      assert.equal(topology.primaryOf(15)?.id, "new");
    }
  });

  it("leaves out and tells entries without a usable address, as CLUSTER SHARDS does", () => {
    for (const at of [
      "\0:1@2",
      "user@h:1@2",
      "h:1e3@2",
      "h:0@2",
      "h:65536@2",
      `${"h".repeat(256)}:1@2`,
      "h@2",
      "?:1@2",
      "a/b:1@2",
    ]) {
      const { nodes, leftOut, slots } = parseClusterNodes(
        `${master("a", "h:1@2", "0-9")}\n${master("b", at, "10-19")}`,
        ASKED,
      );
      assert.deepEqual([nodes.length, slots.length], [1, 1], at);
      assert.equal(leftOut?.[0]?.entry, '"b"');
    }
  });

  it("does not mind blank lines and carriage returns", () => {
    assert.equal(parseClusterNodes(`\r\n${master("a", "h:1@2", "0-9")}\r\n\r\n`, ASKED).nodes.length, 1);
  });

  const nonsense: [string, Reply][] = [
    ["null", null],
    ["an array", []],
    ["empty", ""],
    ["one word", "s3cret"],
    ["two words", "s3cret h:1@2"],
    ["without any node that can be reached", line("a", ":0@0", "master,noaddr", "-")],
    ["with an address that is none", master("a", "s3cret")],
    ["with a slot past the last", master("a", "h:1@2", "0-16384")],
    ["with a slot that is a word", master("a", "h:1@2", "s3cret")],
    ["with half a range", master("a", "h:1@2", "5-")],
    ["with a negative slot", master("a", "h:1@2", "-5")],
    ["with a fraction of a slot", master("a", "h:1@2", "1.5-2")],
  ];
  for (const [what, reply] of nonsense) {
    it(`is refused when it is ${what}, without quoting it`, () => {
      assert.throws(
        () => parseClusterNodes(reply, ASKED),
        (error: unknown) => {
          assert.ok(error instanceof ProtocolError, String(error));
          assert.doesNotMatch(error.message, /s3cret/);
          return true;
        },
      );
    });
  }
});
