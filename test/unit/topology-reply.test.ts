import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProtocolError, ReplyError } from "../../src/errors.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import { Topology } from "../../src/topology/topology.ts";
import {
  mayKeepSlotsBack,
  parseClusterNodes,
  parseClusterShards,
  singleNode,
  withRolesOf,
} from "../../src/topology/topology-reply.ts";

const ASKED = { host: "10.0.0.9", port: 7000 };
type Fields = Record<string, Reply>;

const flat = (fields: Fields): Reply[] => Object.entries(fields).flat();
const node = (port: number, role: "master" | "replica", more: Fields = {}): Reply =>
  flat({
    id: `id${port}`,
    port,
    ip: "10.0.0.1",
    endpoint: "10.0.0.1",
    role,
    "replication-offset": 7,
    health: "online",
    ...more,
  });
const shard = (slots: Reply, ...nodes: Reply[]): Reply => flat({ slots, nodes });
const parse = (reply: Reply, tls = false) => parseClusterShards(reply, ASKED, tls);
const addressesOf = (reply: Reply, tls = false) => parse(reply, tls).nodes.map(({ host, port }) => `${host} ${port}`);
const FULL = [0, 16383];

describe("an entry of CLUSTER SHARDS", () => {
  const hosts: [string, Reply][] = [
    ["a null byte", "\0"],
    ["a space", "a b"],
    ["a user's name", "user@127.0.0.1"],
    ["a path", "a/b"],
    ["a line break", "a\nb"],
    ["an escape", "\x1b[31m"],
    ["a bidirectional character", "a\u202eb"],
    ["half a surrogate pair", "a\ud800"],
    ["a C1 character", "a\x9b"],
    ["a name and a port", "h:7000"],
    ["brackets", "[::1]"],
    ["256 characters", "a".repeat(256)],
    ["300,000 characters", "a".repeat(300_000)],
    ["an array", ["127.0.0.1"]],
    ["an error", new ReplyError("ERR s3cret")],
    ["a number", 5],
    ["?, without an ip", "?"],
  ];
  for (const [what, endpoint] of hosts) {
    it(`is left out and told when its host is ${what}`, () => {
      const more = endpoint === "?" ? { ip: null } : {};
      const bad = node(7001, "master", { endpoint, ...more });
      const description = parse([shard([0, 99], node(7000, "master")), shard([100, 16383], bad)]);
      assert.deepEqual(
        description.nodes.map(({ port }) => port),
        [7000],
      );
      const topology = Topology.from(description);
      assert.deepEqual(
        topology.leftOut.map(({ entry }) => entry),
        ['"id7001"'],
      );
      assert.match(topology.leftOut[0]?.why ?? "", /host/);
      assert.doesNotMatch(JSON.stringify(topology.leftOut), /s3cret|\\u0000|user@/);
      assert.equal(topology.primaryOf(100), undefined, "its slots have no owner");
      assert.equal(topology.withSlotMoved(100, "10.0.0.1:7000").leftOut, topology.leftOut);
    });
  }

  for (const port of [
    0,
    -1,
    65_536,
    1.5,
    "1e3",
    "0x10",
    " 7000",
    "7000 ",
    "",
    "70000",
    null,
    true,
    ["7000"],
    new ReplyError("ERR"),
  ]) {
    it(`is left out and told when its port is ${JSON.stringify(port)}`, () => {
      const bad = node(7001, "replica", { port: port as Reply });
      const { nodes, leftOut } = parse([shard(FULL, node(7000, "master"), bad)]);
      assert.equal(nodes.length, 1);
      assert.match(leftOut?.[0]?.why ?? "", /port/);
    });
  }

  it("is left out and told when its id is no text, or a long one", () => {
    for (const id of [["a"], 5, new ReplyError("ERR"), "a".repeat(256)] as Reply[]) {
      const { nodes, leftOut } = parse([shard(FULL, node(7000, "master"), node(7001, "replica", { id }))]);
      assert.equal(nodes.length, 1);
      assert.match(leftOut?.[0]?.why ?? "", /id/);
      assert.ok((leftOut?.[0]?.entry.length ?? 0) < 100, "it is told shortly");
    }
  });

  it("is used when its port is text of digits, and its host has 255 characters", () => {
    const endpoint = "a".repeat(255);
    assert.deepEqual(addressesOf([shard(FULL, node(7000, "master", { endpoint, port: "7000" }))]), [
      `${endpoint} 7000`,
    ]);
  });

  it("is told among at most 100, and an only one refuses the whole", () => {
    const bad = Array.from({ length: 500 }, (_, index) => node(index + 1, "replica", { endpoint: "a b" }));
    assert.equal(parse([shard(FULL, node(7000, "master"), ...bad)]).leftOut?.length, 100);
    assert.throws(() => parse([shard(FULL, ...bad)]), /it has no usable node; "id1": the host, of 3 characters,/);
  });
});

describe("absurd counts", () => {
  it("of nodes are refused", () => {
    const nodes = Array.from({ length: 16_385 }, (_, index) => node(1 + index, "replica"));
    assert.throws(() => parse([shard(FULL, node(65_535, "master"), ...nodes)]), ProtocolError);
    parse([shard(FULL, node(65_535, "master"), ...nodes.slice(2))]);
  });

  it("of ranges are refused before they are filled in", () => {
    const everything = Array.from({ length: 100_000 }, () => FULL as Reply[]).flat();
    assert.throws(() => parse([shard(everything, node(7000, "master"))]), ProtocolError);
  });
});

describe("CLUSTER SHARDS", () => {
  it("becomes nodes with their roles, and the slots of each primary", () => {
    const reply = [
      shard([0, 99, 200, 299], node(7000, "master"), node(7001, "replica", { health: "loading" })),
      shard([100, 199, 300, 16383], node(7003, "replica"), node(7002, "master")),
    ];
    const online = { host: "10.0.0.1", health: "online" };
    assert.deepEqual(parse(reply), {
      nodes: [
        { ...online, id: "id7000", port: 7000, role: "primary", primary: undefined },
        { ...online, id: "id7001", port: 7001, role: "replica", primary: "10.0.0.1:7000", health: "loading" },
        { ...online, id: "id7003", port: 7003, role: "replica", primary: "10.0.0.1:7002" },
        { ...online, id: "id7002", port: 7002, role: "primary", primary: undefined },
      ],
      slots: [
        { owner: 0, start: 0, end: 99 },
        { owner: 0, start: 200, end: 299 },
        { owner: 3, start: 100, end: 199 },
        { owner: 3, start: 300, end: 16383 },
      ],
    });
  });

  it("is in doubt where a shard has two living primaries: CLUSTER NODES tells who owns its slots", () => {
    const named = (port: number) => ({ endpoint: `n${port}.example.org` });
    const other = shard([8192, 16383], node(7002, "master", named(7002)), node(7003, "replica", named(7003)));
    const failover = [shard([], node(7000, "master", named(7000)), node(7001, "master", named(7001))), other];
    const isInDoubt = (reply: Reply) => mayKeepSlotsBack(reply, parse(reply));
    assert.equal(isInDoubt(failover), true);
    assert.equal(isInDoubt([other, shard([], node(7000, "master"))]), false);
    assert.equal(isInDoubt([shard(FULL, node(7000, "master", { health: "fail" }), node(7001, "master"))]), false);
    const lines = [
      "id7000 10.0.0.1:7000@17000 slave id7001 0 0 4 connected",
      "id7001 10.0.0.1:7001@17001 master - 0 0 4 connected 0-8191",
      "id7002 10.0.0.1:7002@17002 master - 0 0 4 connected 8192-16383",
      "id7003 10.0.0.1:7003@17003 slave id7002 0 0 4 connected",
      "id7009 10.0.0.1:7009@17009 master - 0 0 4 connected",
    ];
    const { nodes, slots } = withRolesOf(parseClusterNodes(lines.join("\n"), ASKED), parse(failover));
    assert.deepEqual(
      nodes.map(({ host, role, primary }) => [host, role, primary]),
      [
        ["n7000.example.org", "replica", "n7001.example.org:7001"],
        ["n7001.example.org", "primary", undefined],
        ["n7002.example.org", "primary", undefined],
        ["n7003.example.org", "replica", "n7002.example.org:7002"],
      ],
    );
    assert.deepEqual(slots, [
      { owner: 1, start: 0, end: 8191 },
      { owner: 2, start: 8192, end: 16383 },
    ]);
  });

  it("is in doubt where all nodes of a shard have failed, and some slot has no owner", () => {
    const failed = { health: "fail" };
    const rest = shard([8192, 16383], node(7002, "master"));
    const replica = (health: string) => node(7001, "replica", { health });
    const rows: [why: string, reply: Reply[], isInDoubt: boolean][] = [
      ["its slots are kept back", [shard([], node(7000, "master", failed)), rest], true],
      ["with a replica", [shard([], node(7000, "master", failed), replica("fail")), rest], true],
      [
        "a living replica makes them shown",
        [shard([0, 8191], node(7000, "master", failed), replica("online")), rest],
        false,
      ],
      ["they are shown", [shard([0, 8191], node(7000, "master", failed)), rest], false],
      ["no slot is missing", [shard([], node(7000, "master", failed)), shard(FULL, node(7002, "master"))], false],
      ["slots are missing, and nobody has failed", [shard([], node(7000, "master")), rest], false],
    ];
    for (const [why, reply, isInDoubt] of rows) assert.equal(mayKeepSlotsBack(reply, parse(reply)), isInDoubt, why);
  });

  it("lists primaries without slots, too", () => {
    const { nodes, slots } = parse([shard(FULL, node(7000, "master")), shard([], node(7001, "master"))]);
    assert.deepEqual(
      nodes.map(({ port, role }) => [port, role]),
      [
        [7000, "primary"],
        [7001, "primary"],
      ],
    );
    assert.equal(slots.length, 1);
  });

  it("means the entry's ip by ?, and an empty ip is that of the host that answered", () => {
    const reply = [
      shard([0, 8191], node(7000, "master", { endpoint: "?", ip: "10.0.0.1" })),
      shard(
        [8192, 16383],
        node(7000, "master", { endpoint: "?", ip: "10.0.0.2" }),
        node(7000, "replica", { endpoint: "?", ip: "" }),
      ),
    ];
    assert.deepEqual(addressesOf(reply), ["10.0.0.1 7000", "10.0.0.2 7000", "10.0.0.9 7000"]);
  });

  it("means no host by ? where there is no ip: the entry is left out", () => {
    const unknown = shard([8192, 16383], flat({ id: "b", port: 7001, endpoint: "?", role: "master" }));
    const { nodes, slots } = parse([shard([0, 8191], node(7000, "master")), unknown]);
    assert.deepEqual([nodes.length, slots.length], [1, 1]);
  });

  for (const endpoint of [null, ""]) {
    it(`means the host that answered by ${JSON.stringify(endpoint)}`, () => {
      assert.deepEqual(addressesOf([shard(FULL, node(7001, "master", { endpoint }))]), ["10.0.0.9 7001"]);
    });
  }

  it("means the host that answered where there is no endpoint at all", () => {
    assert.deepEqual(addressesOf([shard(FULL, flat({ id: "a", port: 7001, role: "master" }))]), ["10.0.0.9 7001"]);
  });

  it("is believed about the endpoint that it prefers, be it a name or an IPv6 address", () => {
    const reply = [
      shard(
        FULL,
        node(7000, "master", { endpoint: "a.example.org", hostname: "a.example.org" }),
        node(7001, "replica", { endpoint: "2001:db8::7", hostname: "b.example.org" }),
      ),
    ];
    assert.deepEqual(addressesOf(reply), ["a.example.org 7000", "2001:db8::7 7001"]);
    const { nodes } = Topology.from(parse(reply));
    assert.deepEqual(
      nodes.map(({ address }) => address),
      ["[2001:db8::7]:7001", "a.example.org:7000"],
    );
    assert.equal(parse(reply).nodes[1]?.primary, "a.example.org:7000");
  });

  it("names the primary of a replica by its known address, also where that means the host that answered", () => {
    const reply = [shard(FULL, node(7001, "replica"), node(7000, "master", { endpoint: null }))];
    assert.equal(parse(reply).nodes[0]?.primary, "10.0.0.9:7000");
  });

  it("has the TLS port where TLS is used, and the other where it is not", () => {
    const both = [shard(FULL, node(7000, "master", { "tls-port": 17000 }))];
    assert.deepEqual(addressesOf(both, true), ["10.0.0.1 17000"]);
    assert.deepEqual(addressesOf(both, false), ["10.0.0.1 7000"]);
    const onlyTls = [shard(FULL, flat({ id: "a", "tls-port": 17000, endpoint: "h", role: "master" }))];
    assert.deepEqual(addressesOf(onlyTls, true), ["h 17000"]);
    const onlyPlain = [shard(FULL, node(7000, "master"))];
    assert.deepEqual(addressesOf(onlyPlain, true), ["10.0.0.1 7000"]);
  });

  it("leaves out nodes that cannot be reached by their entry", () => {
    for (const port of [0, -1, 65536, 1.5, "x", null]) {
      const reply = [shard(FULL, node(7000, "master"), node(7001, "replica", { port }))];
      assert.deepEqual(addressesOf(reply), ["10.0.0.1 7000"], String(port));
    }
  });

  it("gives the slots to the living primary when a dead one is listed beside it", () => {
    const dead = node(7000, "master", { health: "fail" });
    for (const nodes of [
      [dead, node(7001, "master")],
      [node(7001, "master"), dead],
    ]) {
      const topology = Topology.from(parse([shard(FULL, ...nodes, node(7002, "replica"))]));
      assert.equal(topology.primaryOf(5)?.address, "10.0.0.1:7001");
      assert.deepEqual(
        topology.replicasOf(5).map(({ port }) => port),
        [7002],
      );
      assert.equal(topology.nodes[0]?.health, "fail");
    }
  });

  it("leaves the slots with a dead primary that has no heir yet", () => {
    const reply = [shard(FULL, node(7000, "master", { health: "fail" }), node(7001, "replica"))];
    assert.equal(Topology.from(parse(reply)).primaryOf(5)?.address, "10.0.0.1:7000");
  });

  it("takes health that it does not know for online", () => {
    const { nodes } = parse([shard(FULL, node(7000, "master", { health: "splendid" }))]);
    assert.equal(nodes[0]?.health, "online");
  });

  it("counts an address that two entries share once: the living one, with the slots of both", () => {
    const dead = shard([0, 9], node(7000, "master", { id: "old", health: "fail" }));
    const living = shard([10, 19], node(7000, "master", { id: "new" }));
    const other = shard([20, 29], node(7001, "master"));
    for (const reply of [
      [dead, living, other],
      [other, living, dead],
      [living, other, dead],
    ]) {
      const topology = Topology.from(parse(reply));
      assert.deepEqual(
        topology.nodes.map(({ id }) => id),
        ["new", "id7001"],
      );
      assert.deepEqual(
        topology.ranges.map(({ start, end, primary }) => [start, end, primary.port]),
        [
          [0, 19, 7000],
          [20, 29, 7001],
        ],
      );
    }
  });

  it("does not mind fields that it does not know, nor slots as text", () => {
    const reply = [[...(shard(["0", "16383"], node(7000, "master", { shape: ["new"] })) as Reply[]), "colour", "blue"]];
    assert.deepEqual(parse(reply).slots, [{ owner: 0, start: 0, end: 16383 }]);
  });

  const nonsense: [string, Reply][] = [
    ["no array", "OK"],
    ["null", null],
    ["a number", 7],
    ["an error", new Error("s3cret")],
    ["no shards", []],
    ["a shard that is no map", ["x"]],
    ["a shard without nodes", [flat({ slots: FULL })]],
    ["a shard without slots", [flat({ nodes: [node(7000, "master")] })]],
    ["nodes that are no array", [flat({ slots: FULL, nodes: "x" })]],
    ["a node that is no map", [shard(FULL, "x")]],
    ["slots that are no array", [shard("0-16383", node(7000, "master"))]],
    ["half a slot range", [shard([0, 5, 6], node(7000, "master"))]],
    ["a slot past the last", [shard([0, 16384], node(7000, "master"))]],
    ["a negative slot", [shard([-1, 5], node(7000, "master"))]],
    ["a slot that is a fraction", [shard([0, 1.5], node(7000, "master"))]],
    ["a slot that is a word", [shard([0, "s3cret"], node(7000, "master"))]],
    ["a slot that is null", [shard([0, null], node(7000, "master"))]],
    ["a slot that is a bigint", [shard([0, 2n ** 60n], node(7000, "master"))]],
    ["a range from high to low", [shard([9, 5], node(7000, "master"))]],
    ["nodes none of which can be reached", [shard(FULL, node(0, "master"))]],
  ];
  for (const [what, reply] of nonsense) {
    it(`is refused when it is ${what}, without quoting it`, () => {
      assert.throws(
        () => parse(reply),
        (error: unknown) => {
          assert.ok(error instanceof ProtocolError, String(error));
          assert.doesNotMatch(error.message, /s3cret/);
          return true;
        },
      );
    });
  }
});

describe("a server without cluster mode", () => {
  it("owns every slot", () => {
    const topology = Topology.from(singleNode(ASKED));
    assert.deepEqual(
      topology.ranges.map(({ start, end, primary }) => [start, end, primary.address]),
      [[0, 16383, "10.0.0.9:7000"]],
    );
  });
});
