import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NodeNames } from "../../src/cli/study/node-names.ts";
import { type Account, statesOf } from "../../src/cli/study/server-states.ts";
import { readInfo, readNodes, viewOfDescription } from "../../src/cli/study/server-view.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);
const C = "c".repeat(40);
const A1 = "d".repeat(40);
const at = { host: "10.0.0.9", port: 7000 };

/** The lines of a healthy cluster as `self` says them, changed by `change`. */
function nodesText(self: string, change: (line: string) => string = (line) => line): string {
  return [
    `${A} 10.0.0.1:7000@17000 master - 0 1 1 connected 0-5460`,
    `${B} 10.0.0.2:7000@17000 master - 0 1 2 connected 5461-10922`,
    `${C} 10.0.0.3:7000@17000 master - 0 1 3 connected 10923-16383`,
    `${A1} 10.0.0.4:7000@17000 slave ${A} 0 1 1 connected`,
  ]
    .map((line) => (line.startsWith(self) ? line.replace(/master|slave/, "myself,$&") : line))
    .map(change)
    .join("\n");
}

function account(id: string, text: string | undefined, more: Partial<Account> = {}): Account {
  const place = [A, B, C, A1].indexOf(id) + 1;
  return {
    id,
    address: `10.0.0.${place}:7000`,
    view: text === undefined ? undefined : readNodes(text, at),
    error: text === undefined ? "connect ECONNREFUSED" : null,
    state: text === undefined ? null : "ok",
    currentEpoch: text === undefined ? null : 3,
    keys: 0,
    keysBySlot: undefined,
    scripts: {},
    health: new Map(),
    ...more,
  };
}

const healthy = () => [A, B, C, A1].map((id) => account(id, nodesText(id)));
const states = (accounts: readonly Account[]) => statesOf(accounts, new NodeNames());
const named = (accounts: readonly Account[], name: string) => {
  const found = states(accounts).find((each) => each.name === name);
  assert.ok(found, name);
  return found;
};

describe("reading CLUSTER NODES", () => {
  it("of Redis 7.0: names behind addresses, no host of its own, IPv6, open slots", () => {
    const view = readNodes(
      [
        `${A} :7000@17000,node-a.example myself,master - 0 0 12 connected 0-5460 6000 [5->-${B}] [9-<-${B}]`,
        `${B} fe80::2:7001@17001,node-b.example master - 0 1700000000000 2 connected 5461-5999`,
        `${C} 127.0.0.1:7002@17002 master,fail? - 1700000000000 1700000000000 3 connected`,
        `${A1} 127.0.0.1:7003@17003 slave,fail,nofailover ${A} 0 0 12 disconnected`,
        "",
      ].join("\n"),
      at,
    );
    assert.equal(view.self, A);
    assert.deepEqual(view.open, [
      { slot: 5, kind: "migrating", peer: B },
      { slot: 9, kind: "importing", peer: B },
    ]);
    const [a, b, c, a1] = [...view.entries.values()];
    assert.deepEqual(a?.at, { host: "10.0.0.9", port: 7000 });
    assert.deepEqual(a?.slots, [
      { start: 0, end: 5460 },
      { start: 6000, end: 6000 },
    ]);
    assert.deepEqual([b?.at, b?.epoch], [{ host: "fe80::2", port: 7001 }, 2]);
    assert.deepEqual([a?.down, b?.down, c?.down, a1?.down], [null, null, "fail?", "fail"]);
    assert.deepEqual([a1?.isPrimary, a1?.primary, a?.primary], [false, A, null]);
  });

  it("of Redis 8 and Valkey 9: auxiliary fields, carriage returns, a replica with its primary's open slots", () => {
    const view = readNodes(
      [
        `${A1} 127.0.0.1:7003@17003,,shard-id=69bc080733d1355567173199cff4a6a039a2f024 myself,slave ${A} 0 0 1 connected [5->-${B}]`,
        `${A} 127.0.0.1:7000@17000,,shard-id=69bc080733d1355567173199cff4a6a039a2f024 master - 0 1 1 connected 0-100`,
        "",
      ].join("\r\n"),
      at,
    );
    assert.deepEqual([...view.entries.keys()], [A1, A]);
    assert.deepEqual(view.entries.get(A)?.slots, [{ start: 0, end: 100 }]);
    assert.deepEqual(view.open, [{ slot: 5, kind: "migrating", peer: B }]);
  });

  it("tells nodes in a handshake, nodes without an address, and hosts that nobody knows", () => {
    const view = readNodes(
      [
        `${A} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-16383`,
        `${B} 127.0.0.1:7009@17009 handshake - 0 0 0 disconnected`,
        `${C} :0@0 master,fail,noaddr - 1 1 3 disconnected`,
        `${A1} ?:7003@17003 slave ${A} 0 0 1 connected`,
      ].join("\n"),
      at,
    );
    assert.deepEqual(view.meeting, ["127.0.0.1:7009"]);
    assert.deepEqual([...view.entries.keys()], [A, C, A1]);
    assert.deepEqual([view.entries.get(C)?.at, view.entries.get(A1)?.at], [undefined, undefined]);
  });

  it("passes over what makes no sense", () => {
    const view = readNodes(`nonsense\n${A} 1.2.3.4:7 myself,master - 0 0 x connected 9-3 99999 [7] [x->-y] 5\n\n`, at);
    assert.deepEqual(view.entries.get(A)?.slots, [{ start: 5, end: 5 }]);
    assert.deepEqual([view.entries.get(A)?.epoch, view.open, view.entries.size], [null, [], 1]);
    assert.deepEqual(readNodes("", at).entries.size, 0);
  });

  it("reads the state and the epoch of CLUSTER INFO", () => {
    const info = "cluster_state:fail\r\ncluster_slots_assigned:1\r\ncluster_current_epoch:17\r\n";
    assert.deepEqual(readInfo(info), { state: "fail", currentEpoch: 17 });
    assert.deepEqual(readInfo("# nothing"), { state: null, currentEpoch: null });
  });
});

describe("the states of servers", () => {
  it("of a healthy cluster agree", () => {
    const all = states(healthy());
    assert.deepEqual(
      all.map(({ name, role, primary, slots }) => [name, role, primary, slots[0]?.start]),
      [
        ["A", "primary", null, 0],
        ["A1", "replica", "A", undefined],
        ["B", "primary", null, 5461],
        ["C", "primary", null, 10923],
      ],
    );
    for (const { disagrees, unknown, suspects, error } of all) {
      assert.deepEqual([disagrees, unknown, suspects, error], [[], [], {}, null]);
    }
  });

  it("tell of an open slot with the names of both ends, and the keys in it", () => {
    const accounts = [
      account(
        A,
        nodesText(A, (line) => (line.includes("myself") ? `${line} [5->-${B}] [6->-${"e".repeat(40)}]` : line)),
        {
          keysBySlot: new Map([
            [5, 3],
            [6, 0],
          ]),
        },
      ),
      ...healthy().slice(1),
    ];
    const { open, keysBySlot } = named(accounts, "A");
    assert.deepEqual(open, [
      { slot: 5, kind: "migrating", peer: "B" },
      { slot: 6, kind: "migrating", peer: "e".repeat(40) },
    ]);
    assert.deepEqual(keysBySlot, { 5: 3 });
  });

  it("believe the owner of a slot about itself, and of two owners the one with the higher epoch", () => {
    const without42 = (line: string) => line.replace("0-5460", "0-41 43-5460");
    const deleted = [account(A, nodesText(A, without42)), ...healthy().slice(1)];
    assert.deepEqual(named(deleted, "A").disagrees, []);
    assert.deepEqual(named(deleted, "B").disagrees, [{ slots: { start: 42, end: 42 }, says: "A", is: null }]);
    const takes42 = (line: string) => (line.startsWith(C) ? `${line} 42` : without42(line));
    const twice = [account(A, nodesText(A)), account(C, nodesText(C, takes42)), account(B, nodesText(B))];
    assert.deepEqual(named(twice, "C").disagrees, []);
    for (const name of ["A", "B"]) {
      assert.deepEqual(named(twice, name).disagrees, [{ slots: { start: 42, end: 42 }, says: "A", is: "C" }], name);
    }
    assert.deepEqual(states([...twice].reverse()), states(twice));
    const handed = (line: string) => (line.startsWith(C) ? `${line} 42-43` : line.replace("0-5460", "0-41 44-5460"));
    const byB = [account(A, nodesText(A)), account(B, nodesText(B, handed)), account(C, nodesText(C))];
    assert.deepEqual(named(byB, "B").disagrees, [{ slots: { start: 42, end: 43 }, says: "C", is: "A" }]);
  });

  it("leave a silent server what the others say is its, and no more", () => {
    const dead = (line: string) => (line.startsWith(A) ? line.replace("master", "master,fail") : line);
    const gone = [account(A, undefined), ...[B, C, A1].map((id) => account(id, nodesText(id, dead)))];
    const a = named(gone, "A");
    assert.deepEqual([a.role, a.error, a.health, a.configEpoch], [null, "connect ECONNREFUSED", "fail", 1]);
    assert.deepEqual(a.slots, [{ start: 0, end: 5460 }]);
    assert.deepEqual(named(gone, "B").suspects, { A: "fail" });
    assert.deepEqual(named(gone, "B").disagrees, []);
    // Its replica was promoted, and C has not heard of it.
    const promoted = (line: string) => {
      if (line.startsWith(A)) return dead(line).replace(" 0-5460", "");
      return line.startsWith(A1) ? line.replace(`slave ${A} 0 1 1 connected`, "master - 0 1 4 connected 0-5460") : line;
    };
    const failedOver = [
      account(A, undefined),
      account(
        A1,
        nodesText(A1, (line) =>
          promoted(line.replace("myself,", "")).replace("master - 0 1 4", "myself,master - 0 1 4"),
        ),
      ),
      account(B, nodesText(B, promoted)),
      account(C, nodesText(C, dead)),
    ];
    const all = states(failedOver);
    const byId = (id: string) => all.find((each) => each.id === id);
    assert.deepEqual([byId(A)?.slots, byId(A1)?.slots], [[], [{ start: 0, end: 5460 }]]);
    assert.deepEqual(byId(B)?.disagrees, []);
    assert.deepEqual(byId(C)?.disagrees, [{ slots: { start: 0, end: 5460 }, says: byId(A)?.name, is: byId(A1)?.name }]);
  });

  it("tell which server does not know which, and of nodes that have no address", () => {
    const without = (id: string) => (line: string) => (line.startsWith(id) ? "" : line);
    const forgotten = [account(A, nodesText(A, without(C))), ...healthy().slice(1)];
    assert.deepEqual(named(forgotten, "A").unknown, ["C"]);
    assert.deepEqual(named(forgotten, "C").unknown, []);
    const byAll = [A, B, A1].map((id) => account(id, nodesText(id, without(C))));
    assert.deepEqual(named([...byAll, account(C, nodesText(C))], "B").unknown, ["C"]);
    const lost = (line: string) =>
      line.startsWith(A1) ? line.replace("10.0.0.4:7000@17000 slave", ":0@0 slave,noaddr") : line;
    const [, , , ...nobody] = states([A, B, C].map((id) => account(id, nodesText(id, lost))));
    assert.deepEqual(
      nobody.map(({ role }) => role),
      ["primary"],
    );
    const a1 = named(
      [A, B, C].map((id) => account(id, nodesText(id, lost))),
      "A1",
    );
    assert.deepEqual([a1.role, a1.address, a1.error], [null, "", "no node knows its address"]);
  });

  it("keep names while the cluster changes", () => {
    const names = new NodeNames();
    statesOf(healthy(), names);
    const moved = (line: string) => {
      return line.startsWith(C) ? `${line} 0-5460` : line.replace(/(1|myself) connected 0-5460/, "$1 connected");
    };
    const after = statesOf(
      [A, B, C, A1].map((id) => account(id, nodesText(id, moved))),
      names,
    );
    assert.deepEqual(
      after.map(({ name, id, slots }) => [name, id, slots.length]),
      [
        ["A", A, 0],
        ["A1", A1, 0],
        ["B", B, 1],
        ["C", C, 2],
      ],
    );
  });

  it("know slots by SHARDS where NODES is refused, and no epochs", () => {
    const description = {
      nodes: [
        { id: A, host: "h", port: 1, role: "primary", primary: undefined, health: "online" },
        { id: A1, host: "h", port: 2, role: "replica", primary: "h:1", health: "loading" },
      ],
      slots: [{ owner: 0, start: 0, end: 16383 }],
    } as const;
    const denied = account(A, undefined, {
      view: viewOfDescription(description, A),
      error: "CLUSTER NODES is refused",
      health: new Map([[A1, "loading"]]),
    });
    const [a, a1] = states([denied]);
    assert.deepEqual([a?.role, a?.error, a?.configEpoch], ["primary", "CLUSTER NODES is refused", null]);
    assert.deepEqual(a?.slots, [{ start: 0, end: 16383 }]);
    assert.deepEqual([a1?.primary, a1?.health], ["A", "loading"]);
  });
});
