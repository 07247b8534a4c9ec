import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Crowd } from "../../src/connection/crowd.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import type { ClusterNode } from "../../src/routing/cluster-node.ts";
import { NodeDirectory } from "../../src/routing/node-directory.ts";
import { ScriptRegistry } from "../../src/scripts/script-registry.ts";
import { Topology, type TopologyNode } from "../../src/topology/topology.ts";
import { differenceOf } from "../../src/topology/topology-difference.ts";
import { parseClusterNodes, parseClusterShards, withRolesOf } from "../../src/topology/topology-reply.ts";
import { changesOwners, doubtOf, isForeign, type View, viewThatCounts } from "../../src/topology/view-judgement.ts";

const ASKED = { host: "10.0.0.9", port: 7000 };
const idOf = (index: number) => index.toString(16).padStart(40, "0");
const hostOf = (index: number) => `10.0.${index >> 8}.${index & 255}`;

/** CLUSTER SHARDS of `count` nodes, every second of them a replica; one range for each primary. */
function shardsOf(count: number): Reply {
  const entry = (index: number, role: string): Reply[] => [
    ...["id", idOf(index), "port", 7000, "endpoint", hostOf(index), "role", role, "health", "online"],
  ];
  const shards = count / 2;
  return Array.from({ length: shards }, (_, index) => {
    const [start, end] = [index, index + 1].map((each) => Math.floor((each * 16_384) / shards));
    const slots = [start as number, (end as number) - 1];
    return ["slots", slots, "nodes", [entry(2 * index, "master"), entry(2 * index + 1, "replica")]];
  });
}

function nodesTextOf(count: number): string {
  return Array.from({ length: count }, (_, index) => {
    const [flags, primary] = index % 2 === 0 ? ["master", "-"] : ["slave", idOf(index - 1)];
    return `${idOf(index)} ${hostOf(index)}:7000@17000 ${flags} ${primary} 0 0 1 connected`;
  }).join("\n");
}

const viewOf = (description: View["description"]): View => ({
  description,
  from: "10.0.0.0:7000",
  id: undefined,
  isPrimary: true,
  isFailing: false,
  epochs: new Map(),
});

function directoryOf(): NodeDirectory {
  const open = (info: TopologyNode) => ({ address: info.address, info, pool: { ready: false } }) as ClusterNode;
  return new NodeDirectory({ open, onRemoved: () => {} });
}

const WORK: Readonly<Record<string, (count: number) => () => void>> = {
  "a description is read": (count) => {
    const reply = shardsOf(count);
    const text = nodesTextOf(count);
    return () => {
      const byShards = parseClusterShards(reply, ASKED, false);
      withRolesOf(parseClusterNodes(text, ASKED), byShards);
      Topology.from(byShards);
    };
  },
  "a view is judged": (count) => {
    const [present, other] = [count, count - 2].map((each) => parseClusterShards(shardsOf(each), ASKED, false));
    const topology = Topology.from(present as View["description"]);
    return () => {
      const next = parseClusterShards(shardsOf(count - 2), ASKED, false);
      isForeign(topology, next);
      changesOwners(topology, next);
      doubtOf(topology, viewOf(next), new Map(), true);
      viewThatCounts(topology, [viewOf(next), viewOf(other as View["description"])], true);
      topology.equals(Topology.from(next));
      differenceOf(Topology.from(next), topology);
    };
  },
  "the directory follows, and looks for owners that are down": (count) => {
    const [all, fewer] = [count, count - 2].map((each) =>
      Topology.from(parseClusterShards(shardsOf(each), ASKED, false)),
    );
    return () => {
      const directory = directoryOf();
      directory.follow(all as Topology);
      directory.follow(fewer as Topology);
      for (let look = 0; look < count; look++) directory.ownersDown().next();
    };
  },
  "slots are moved by MOVED, one for each node": (count) => {
    const topology = Topology.from(parseClusterShards(shardsOf(count), ASKED, false));
    return () => {
      const directory = directoryOf();
      directory.follow(topology);
      for (let slot = 0; slot < 10; slot++) directory.follow(topology.withSlotMoved(slot, `${hostOf(count - 2)}:7000`));
    };
  },
  "nodes follow the registry of scripts": (count) => {
    const holders = Array.from({ length: count }, () => ({ onEvicted: () => {} }));
    return () => {
      const registry = new ScriptRegistry();
      for (const holder of holders) registry.follow(holder as never);
    };
  },
};

/** The least CPU time of some runs, in milliseconds. */
function cpuMsOf(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 3; run++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

describe("with many nodes", () => {
  const [few, many] = [1000, 8000];
  for (const [what, prepare] of Object.entries(WORK)) {
    it(`the time in which ${what} grows as their number does`, () => {
      const [base, time] = [few, many].map((count) => cpuMsOf(prepare(count))) as [number, number];
      // Eight times the nodes: 8 if it is linear, 64 if it is quadratic. Less than 2 ms cannot be measured well.
      assert.ok(
        time < 24 * Math.max(base, 2),
        `${base.toFixed(1)} ms for ${few} nodes, ${time.toFixed(1)} ms for ${many}`,
      );
    });
  }
});

describe("a crowd of connections", () => {
  const turns: (() => void)[] = [];
  const clock = {
    now: () => 0,
    setTimer: () => ({ cancel() {} }),
    nextTick: () => {},
    afterReads: (next: () => void) => void turns.push(next),
    isBehind: () => false,
    afterArrivals: (next: () => void) => void turns.push(next),
  };

  it("begins 16 connections in a turn, in order, and the others in later ones", () => {
    const crowd = new Crowd(clock);
    const begun: number[] = [];
    for (let index = 0; index < 40; index++) crowd.begin(() => begun.push(index));
    const counts = [begun.length];
    while (turns.length > 0) {
      turns.shift()?.();
      counts.push(begun.length);
    }
    assert.deepEqual(counts, [16, 32, 40]);
    assert.deepEqual(
      begun,
      begun.toSorted((a, b) => a - b),
    );
  });

  it("tries each of few that fail at once, of many once a second, and all of very many 200 times a second", () => {
    const crowd = new Crowd(clock);
    const waits = [0, 1, 25, 50, 200, 1000, 5000].map((failing) => {
      crowd.failing = failing;
      return crowd.leastWaitMs;
    });
    assert.deepEqual(waits, [0, 20, 500, 1000, 1000, 5000, 25_000]);
  });

  describe("whose tries failed", () => {
    interface Pending {
      readonly at: number;
      readonly fire: () => void;
    }
    let now = 0;
    let pending: Pending[] = [];
    const timed = {
      ...clock,
      now: () => now,
      setTimer: (fire: () => void, delayMs: number) => {
        const timer = { at: now + delayMs, fire };
        pending.push(timer);
        const cancel = () => {
          pending = pending.filter((each) => each !== timer);
        };
        return { cancel };
      },
    };
    const crowdOf = (failing: number) => {
      [now, pending] = [1_000_130, []];
      const crowd = new Crowd(timed);
      crowd.failing = failing;
      return crowd;
    };
    /** Between 750 and 1,000 ms, as chance has it. */
    const waits = Array.from({ length: 59 }, (_, index) => 750 + (index * 250) / 58);

    it("makes the next ones in common turns if there are many, each within its second", () => {
      const crowd = crowdOf(59);
      let begun = 0;
      for (const wait of waits) crowd.beginAfter(wait, () => begun++);
      assert.ok(pending.length <= 2, `${pending.length} timers`);
      for (const { at } of pending) assert.ok(at - now >= 500 && at - now <= 1000, `after ${at - now} ms`);
      for (const { fire } of [...pending]) fire();
      assert.equal(begun, 59);
    });

    it("makes the next ones at their own times if there are few", () => {
      const crowd = crowdOf(3);
      for (const wait of [20, 47, 51]) crowd.beginAfter(wait, () => {});
      assert.deepEqual(
        pending.map(({ at }) => at - now),
        [20, 47, 51],
      );
    });

    it("leaves out those that were cancelled, and leaves no timer when all were", () => {
      const crowd = crowdOf(59);
      const begun: number[] = [];
      const timers = waits.map((wait, index) => crowd.beginAfter(wait, () => begun.push(index)));
      timers[0]?.cancel();
      const fired = pending;
      pending = [];
      for (const { fire } of fired) fire();
      assert.equal(begun.length, 58);
      assert.equal(begun.includes(0), false);
      for (const timer of waits.map((wait) => crowd.beginAfter(wait, () => begun.push(-1)))) timer.cancel();
      assert.equal(pending.length, 0);
    });
  });
});
