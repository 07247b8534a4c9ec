import { execFileSync } from "node:child_process";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Environment } from "../../src/environment.ts";
import { encodeCommand } from "../../src/protocol/encode.ts";
import { atOnce, byGossip, byMigrate, movesInOneStep } from "../support/slot-moves.ts";
import { type CachedFault, cached, onVersions, type Place, QUIET } from "./cached-place.ts";
import { cachedWays } from "./cached-ways.ts";
import type { Fault } from "./fault.ts";
import { pause, promotion } from "./shards.ts";

const PLAIN_MS = 60_000;
const DEBUG = ["--enable-debug-command", "yes"];

const plain: CachedFault = {
  cause: async () => {
    await pause(PLAIN_MS);
    return {};
  },
};

/** Servers before 7.2 track no keys that a script derives. Later ones say when they change, but not when they end. */
const derived: CachedFault = {
  load: QUIET,
  cause: async () => {
    await pause(20_000);
    return {};
  },
};

/** The owner of a tag's slot, and another primary. */
function ends({ load }: Place, slot: number): { readonly owner: string; readonly to: string } {
  const { topology } = load.client;
  const owner = topology.primaryOf(slot)?.address as string;
  const to = topology.nodes.find(({ role, address }) => role === "primary" && address !== owner)?.address as string;
  return { owner, to };
}

/** Slots that writers write, each moved to another primary, one after the other. */
const moved: CachedFault = {
  load: { keysAreOnTheirWay: true },
  cause: async (at) => {
    const { cluster, load } = at;
    const ways = [byMigrate, byGossip, ...((await movesInOneStep(cluster)) ? [atOnce] : [])];
    const done = Object.fromEntries(ways.map(({ name }) => [name, 0]));
    for (const [index, tag] of load.tags.slice(0, 8 * ways.length).entries()) {
      const way = ways[index % ways.length] as (typeof ways)[number];
      const slot = load.slotOf(tag);
      const { owner, to } = ends(at, slot);
      const begun = performance.now();
      if (way === byGossip) {
        // The keys stay behind, and what is written to the old owner until it knows is lost.
        await load.empty(async () => {
          await way.move(cluster, slot, owner, to);
          await pause(1000);
        }, slot);
        load.doubt(begun, slot);
      } else await way.move(cluster, slot, owner, to);
      done[way.name] = (done[way.name] ?? 0) + 1;
      await pause(300);
    }
    return done;
  },
};

/** Keys of a slot that is on its way for seconds: each new key is made at the new owner, and the old one never hears. */
const movedSlowly: CachedFault = {
  load: { ...QUIET, keysAreOnTheirWay: true },
  cause: async (at) => {
    const { cluster, load } = at;
    const done = { moved: 0 };
    for (const tag of load.tags.slice(0, 6)) {
      const slot = load.slotOf(tag);
      const { owner, to } = ends(at, slot);
      await cluster.beginMove(slot, { from: owner, to });
      await pause(4000);
      await byMigrate.move(cluster, slot, owner, to);
      done.moved++;
    }
    return done;
  },
};

/** A slot with many keys moves in one step: servers tell of them late. */
const movedFull: CachedFault = {
  cause: async (at) => {
    const { cluster, load } = at;
    const done = { moved: 0 };
    for (const tag of load.tags.slice(0, 3)) {
      const slot = load.slotOf(tag);
      const { owner, to } = ends(at, slot);
      const fill = "for i = 1, 60000 do redis.call('set', KEYS[1] .. ARGV[1] .. i, i) end";
      for (let part = 0; part < 5; part++) await cluster.command(owner, "EVAL", fill, 1, `${tag}:many`, `:${part}:`);
      const keys = Number(await cluster.command(owner, "CLUSTER", "COUNTKEYSINSLOT", slot));
      if (keys < 300_000) throw new Error(`the slot has ${keys} keys`);
      await atOnce.move(cluster, slot, owner, to);
      done.moved++;
      await pause(8000);
    }
    return done;
  },
};

const failovers: CachedFault = {
  cause: async ({ cluster, load }) => {
    const { client } = load;
    const done = { failovers: 0 };
    for (const start of [0, 6000, 12_000, 6000]) {
      const heir = client.topology.replicasOf(start)[0]?.address as string;
      await cluster.failover(heir);
      done.failovers++;
      await pause(2000);
    }
    const victim = client.topology.primaryOf(0)?.address as string;
    const heir = client.topology.replicasOf(0)[0]?.address as string;
    const begun = performance.now() - 1000;
    await Promise.all([cluster.kill(victim), promotion(cluster, heir)]);
    await pause(500);
    load.doubt(begun);
    await pause(4000);
    return done;
  },
};

const frozen: CachedFault = {
  cause: async ({ cluster, load }) => {
    const done = { frozen: 0 };
    for (const start of [0, 8000]) {
      const victim = load.client.topology.primaryOf(start)?.address as string;
      const heir = load.client.topology.replicasOf(start)[0]?.address as string;
      const begun = performance.now() - 1000;
      cluster.pause(victim);
      await promotion(cluster, heir);
      await pause(500);
      load.doubt(begun);
      await pause(2000);
      cluster.resume(victim);
      await pause(3000);
      done.frozen++;
    }
    return done;
  },
};

const minority: CachedFault = {
  args: DEBUG,
  cause: async ({ cluster, load }) => {
    const done = { "in the minority": 0, demoted: 0 };
    for (const start of [0, 8000]) {
      const victim = load.client.topology.primaryOf(start)?.address as string;
      const heir = load.client.topology.replicasOf(start)[0]?.address as string;
      const begun = performance.now() - 1000;
      await cluster.command(victim, "DEBUG", "DROP-CLUSTER-PACKET-FILTER", -2);
      await promotion(cluster, heir);
      await pause(500);
      load.doubt(begun);
      await pause(3000);
      const info = String(await cluster.command(victim, "CLUSTER", "INFO"));
      if (info.includes("cluster_state:fail")) done["in the minority"]++;
      await cluster.command(victim, "DEBUG", "DROP-CLUSTER-PACKET-FILTER", -1);
      await pause(3000);
      const [role] = (await cluster.command(victim, "ROLE")) as string[];
      if (role === "slave") done.demoted++;
    }
    return done;
  },
};

/** Two of three primaries hang, so the third one may serve nobody, and goes on answering PING. Its replica takes over. */
const majorityFrozen: CachedFault = {
  fails: "most",
  cause: async (at) => {
    const { cluster, load } = at;
    const done = { "times CLUSTERDOWN": 0, demoted: 0 };
    for (const start of [0, 8000]) {
      const left = load.client.topology.primaryOf(start)?.address as string;
      const others = primariesOf(at).filter((address) => address !== left);
      for (const address of others) cluster.pause(address);
      await pause(6000);
      const info = String(await cluster.command(left, "CLUSTER", "INFO"));
      if (info.includes("cluster_state:fail")) done["times CLUSTERDOWN"]++;
      const heir = load.client.topology.replicasOf(start)[0]?.address as string;
      await cluster.command(heir, "CLUSTER", "FAILOVER", "TAKEOVER");
      await promotion(cluster, heir);
      await pause(1000);
      const [role] = (await cluster.command(left, "ROLE")) as string[];
      if (role === "slave") done.demoted++;
      for (const address of others) cluster.resume(address);
      await pause(4000);
    }
    return done;
  },
};

function primariesOf({ load }: Place): readonly string[] {
  return load.client.topology.nodes.filter(({ role }) => role === "primary").map(({ address }) => address);
}

const flushed: CachedFault = {
  cause: async (at) => {
    const { cluster, load } = at;
    const done = { FLUSHALL: 0, "SCRIPT FLUSH": 0 };
    for (let time = 0; time < 10; time++) {
      await load.empty(() => Promise.all(primariesOf(at).map((address) => cluster.command(address, "FLUSHALL"))));
      done.FLUSHALL++;
      await pause(500);
      await cluster.flushScripts();
      done["SCRIPT FLUSH"]++;
      await pause(500);
    }
    return done;
  },
};

/** Servers that may track few keys tell that the others have changed, whether they have or not. */
const evicted: CachedFault = {
  cause: async (at) => {
    const { cluster } = at;
    const done = { "seconds with a full table": 0 };
    for (const address of primariesOf(at)) {
      await cluster.command(address, "CONFIG", "SET", "tracking-table-max-keys", 5);
    }
    for (let second = 0; second < 10; second++) {
      await pause(1000);
      for (const address of primariesOf(at)) {
        const stats = String(await cluster.command(address, "INFO", "stats"));
        if (Number(/tracking_total_keys:(\d+)/.exec(stats)?.[1] ?? 0) >= 5) done["seconds with a full table"]++;
      }
    }
    return done;
  },
};

/** How far the clocks of the client are off. */
const off = { mono: 0, wall: 0 };
const jumping: Environment = {
  ...nodeEnvironment,
  clock: { ...nodeEnvironment.clock, now: () => nodeEnvironment.clock.now() - off.mono },
  wallNow: () => Date.now() + off.wall,
};

/** Writes keys from another process, while this one does not run. */
const WRITER = `
for (const [port, frames] of JSON.parse(process.argv[1])) {
  const socket = require("node:net").connect(port, "127.0.0.1");
  socket.write(frames.join(""));
  let left = frames.length;
  socket.on("data", (bytes) => {
    left -= String(bytes).split("+OK").length - 1;
    if (left === 0) socket.destroy();
  });
}
`;

/** The machine of the client is suspended, and its monotonic clock does not show it; its wall clock is set back, and forward. */
const suspended: CachedFault = {
  load: { environment: jumping },
  cause: async ({ load }) => {
    const done = { suspended: 0, "wall clock set": 0 };
    for (let time = 0; time < 6; time++) {
      const begun = performance.now();
      const frames = new Map<number, string[]>();
      const changes = load.tags.slice(0, 30).map((tag) => {
        const [key, value] = [`${tag}:0`, `suspended ${time}`];
        const owner = load.client.topology.primaryOf(load.slotOf(tag)) as { readonly port: number };
        const all = frames.get(owner.port) ?? [];
        frames.set(owner.port, all);
        all.push(encodeCommand(["SET", key, value]));
        return load.oracle.begin(key, value);
      });
      execFileSync(process.execPath, ["-e", WRITER, JSON.stringify([...frames])], { stdio: "ignore" });
      for (const change of changes) change.by = performance.now();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
      off.mono += performance.now() - begun;
      done.suspended++;
      await pause(1000);
      off.wall += time % 2 === 0 ? -3_600_000 : 3_600_000;
      done["wall clock set"]++;
      await pause(1000);
    }
    return done;
  },
};

export const cachedReads: readonly Fault[] = [
  ...onVersions("", `${PLAIN_MS / 1000} s`, plain),
  ...onVersions("derived", "keys that scripts derive, and few writes", derived),
  ...onVersions("moved", "slots moved by MIGRATE, by SETSLOT alone, and in one step", moved),
  ...onVersions("moved-slowly", "slots that are on their way for seconds", movedSlowly),
  ...["redis-8.6", "valkey-9.1"].map((server) =>
    cached("moved-full", "slots with 300,000 keys moved in one step", movedFull, server),
  ),
  ...onVersions("failover", "4 failovers on command, one primary killed for good", failovers),
  ...onVersions("frozen", "a primary frozen until its replica is promoted, thawed and demoted", frozen),
  // Servers of Redis cannot be told to hear nothing.
  cached("minority", "a primary hears nothing of the others (CLUSTERDOWN), demoted later", minority, "valkey-9.1"),
  ...onVersions(
    "majority-frozen",
    "two of three primaries frozen, so that the third is down, and is demoted",
    majorityFrozen,
  ),
  ...onVersions("flush", "FLUSHALL and SCRIPT FLUSH, ten times each", flushed),
  ...onVersions("evicted", "tracking tables of 5 keys", evicted),
  cached("suspended", "the client's machine suspended, its wall clock set back and forward", suspended),
  ...cachedWays,
];
