import type { LocalCluster } from "../../src/testing/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { obtain, VERSIONS } from "../servers/versions.ts";
import { ByteProxy } from "../support/byte-proxy.ts";
import { CachedLoad, type CachedLoadOptions, type CachedReport } from "../support/cached-load.ts";
import { atOnce, byGossip, byMigrate, movesInOneStep } from "../support/slot-moves.ts";
import { type Fault, type Finding, finding, none } from "./fault.ts";
import { pause, promotion } from "./shards.ts";

const MAX_STALENESS_MS = 400;
/** Until the first replies are in memory. */
const WARM_MS = 1500;
const PLAIN_MS = 60_000;
const DEBUG = ["--enable-debug-command", "yes"];

interface CachedFault {
  readonly args?: readonly string[];
  readonly server?: string | undefined;
  readonly proxied?: boolean;
  readonly load?: Partial<CachedLoadOptions>;
  cause(at: Place): Promise<Readonly<Record<string, number>>>;
}

/** Where a fault takes place. */
interface Place {
  readonly cluster: LocalCluster;
  readonly load: CachedLoad;
  readonly proxies: ReadonlyMap<string, ByteProxy>;
}

async function underLoad(fault: CachedFault): Promise<Finding> {
  const { args = [], server, proxied = false } = fault;
  const version = VERSIONS.find(({ name }) => name === server);
  const path = version === undefined ? undefined : (await obtain(version)).path;
  const cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args, server: path });
  const proxies = new Map<string, ByteProxy>();
  try {
    if (proxied) for (const address of cluster.nodes) proxies.set(address, await ByteProxy.start(address));
    const natMap = Object.fromEntries([...proxies].map(([address, { host, port }]) => [address, { host, port }]));
    // Servers before 7.2 do not track keys that scripts derive.
    const [major = 0, minor = 0] = cluster.version.split(".").map(Number);
    const derives = major > 7 || (major === 7 && minor >= 2);
    const load = await CachedLoad.start(cluster, {
      maxStaleness: MAX_STALENESS_MS,
      derives,
      client: { natMap },
      ...fault.load,
    });
    let done: Readonly<Record<string, number>>;
    let report: CachedReport;
    try {
      await pause(WARM_MS);
      done = await fault.cause({ cluster, load, proxies });
      await pause(WARM_MS);
    } finally {
      report = await load.end();
    }
    return found(done, report);
  } finally {
    for (const proxy of proxies.values()) await proxy.stop();
    await cluster.stop();
  }
}

function found(done: Readonly<Record<string, number>>, report: CachedReport): Finding {
  const { reads, failedReads, hits, writes, ownWrites, stale, staleCount, unseen, oldestMs } = report;
  return finding({
    ...Object.fromEntries(Object.entries(done).map(([name, count]) => [name, [count, count > 0] as const])),
    reads: [reads, reads > 1000],
    "from memory": [`${((100 * hits) / Math.max(1, reads)).toFixed(0)} %`, hits > reads / 20],
    failed: [failedReads, failedReads < reads / 2],
    writes: [writes, writes > 100],
    "own writes": [ownWrites, ownWrites > 20],
    oldest: [`${oldestMs.toFixed(0)} ms`, oldestMs <= MAX_STALENESS_MS],
    "too old": none(staleCount),
    ...(stale.length > 0 && { first: [stale.slice(0, 3).join("; "), false] as const }),
    "own writes not seen": [unseen.length === 0 ? 0 : unseen.slice(0, 3).join("; "), unseen.length === 0],
  });
}

const PROMISE = `no reply older than ${MAX_STALENESS_MS} ms (maxStaleness), own writes always seen`;

function cached(name: string, what: string, fault: CachedFault): Fault {
  const must = `3+3 nodes, 50 writers, 200 keys, 20 read-only scripts and plain reads from memory, ${what}: ${PROMISE}`;
  return { name: name === "" ? "cached" : `cached-${name}`, must, cause: () => underLoad(fault) };
}

const plain = cached("", `${PLAIN_MS / 1000} s`, {
  cause: async () => {
    await pause(PLAIN_MS);
    return {};
  },
});

/** Slots that writers write, each moved to the next primary, one after the other. */
async function moveSlots({ cluster, load }: Place): Promise<Record<string, number>> {
  const ways = [byMigrate, byGossip, ...((await movesInOneStep(cluster)) ? [atOnce] : [])];
  const done = { moved: 0 };
  for (const [index, tag] of load.tags.slice(0, 8 * ways.length).entries()) {
    const way = ways[index % ways.length] as (typeof ways)[number];
    const slot = load.slotOf(tag);
    const owner = load.client.topology.primaryOf(slot)?.address;
    const primaries = load.client.topology.nodes.filter(({ role }) => role === "primary");
    const to = primaries.find(({ address }) => address !== owner)?.address;
    if (owner === undefined || to === undefined) continue;
    const begun = performance.now();
    if (way === byGossip) {
      // The keys stay behind, and what is written to the old owner until it knows is lost.
      await load.empty(async () => {
        await way.move(cluster, slot, owner, to);
        await pause(1000);
      }, slot);
      load.doubt(begun, slot);
    } else await way.move(cluster, slot, owner, to);
    done.moved++;
    await pause(300);
  }
  return done;
}

const moved = (server?: string): Fault =>
  cached(
    `moved${server === undefined ? "" : `@${server}`}`,
    "slots moved by MIGRATE, by SETSLOT alone, and in one step",
    {
      server,
      cause: moveSlots,
    },
  );

/** A slot with many keys moves in one step: servers tell of them late. */
const movedFull = (server: string): Fault =>
  cached(`moved-full@${server}`, `slots with 300,000 keys moved in one step, ${server}`, {
    server,
    cause: async ({ cluster, load }) => {
      const done = { moved: 0 };
      for (const tag of load.tags.slice(0, 3)) {
        const slot = load.slotOf(tag);
        const owner = load.client.topology.primaryOf(slot)?.address as string;
        const to = load.client.topology.nodes.find(({ role, address }) => role === "primary" && address !== owner);
        const fill = "for i = 1, 60000 do redis.call('set', KEYS[1] .. ARGV[1] .. i, i) end";
        for (let part = 0; part < 5; part++) await cluster.command(owner, "EVAL", fill, 1, `${tag}:many`, `:${part}:`);
        await atOnce.move(cluster, slot, owner, to?.address as string);
        done.moved++;
        await pause(8000);
      }
      return done;
    },
  });

const failovers = cached("failover", "4 failovers on command, one primary killed for good", {
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
});

/** The ports of the cache's connections at one node, as the node sees them. */
async function portsAt(cluster: LocalCluster, address: string): Promise<{ readers: number[]; hearers: number[] }> {
  const lines = String(await cluster.command(address, "CLIENT", "LIST")).split("\n");
  const portOf = (line: string) => Number(/ addr=\S+:(\d+) /.exec(line)?.[1]);
  return {
    readers: lines.filter((line) => / flags=\w*t/.test(line)).map(portOf),
    hearers: lines.filter((line) => / sub=[1-9]/.test(line)).map(portOf),
  };
}

type Hurt = (at: Place, address: string, ports: readonly number[]) => Promise<void>;

/** Hurts the connection that reads and the one that hears, at every primary, several times. */
function hurting(times: number, restMs: number, hurt: Hurt): CachedFault["cause"] {
  return async (at) => {
    const done = { readers: 0, hearers: 0 };
    for (let time = 0; time < times; time++) {
      for (const kind of ["readers", "hearers"] as const) {
        for (const { address, role } of at.load.client.topology.nodes) {
          if (role !== "primary") continue;
          const { [kind]: ports } = await portsAt(at.cluster, address);
          await hurt(at, address, ports);
          done[kind] += ports.length;
        }
        await pause(restMs);
      }
    }
    return done;
  };
}

const killed = cached("killed", "reading and hearing connections killed at the server", {
  cause: hurting(5, 1000, async ({ cluster, load }, address, ports) => {
    const host = "127.0.0.1";
    for (const port of ports)
      await cluster.command(address, "CLIENT", "KILL", "ADDR", `${host}:${port}`).catch(() => {});
    void load;
  }),
});

const cut = cached("cut", "reading and hearing connections cut", {
  proxied: true,
  cause: hurting(5, 1000, async ({ proxies }, address, ports) => proxies.get(address)?.cut(ports)),
});

const halfOpen = cached(
  "half-open",
  "reading and hearing connections half-open (bytes vanish, no close), one way and both",
  {
    proxied: true,
    cause: hurting(4, 2500, async ({ proxies }, address, ports) => {
      const proxy = proxies.get(address);
      if (Math.random() < 0.5) proxy?.swallow(ports);
      else proxy?.swallowReplies(ports);
    }),
  },
);

const endedUnheard = cached(
  "ended-unheard",
  "the server ends reading and hearing connections, and no byte tells the client",
  {
    proxied: true,
    cause: hurting(4, 2500, async ({ cluster, proxies }, address, ports) => {
      proxies.get(address)?.swallow(ports);
      for (const port of ports) {
        await cluster.command(address, "CLIENT", "KILL", "ADDR", `127.0.0.1:${port}`).catch(() => {});
      }
    }),
  },
);

const frozen = cached("frozen", "a primary frozen until its replica is promoted, thawed and demoted", {
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
});

const minority = cached("minority", "a primary that hears nothing of the others (CLUSTERDOWN), and is demoted later", {
  args: DEBUG,
  cause: async ({ cluster, load }) => {
    const done = { "in the minority": 0 };
    for (const start of [0, 8000]) {
      const victim = load.client.topology.primaryOf(start)?.address as string;
      const heir = load.client.topology.replicasOf(start)[0]?.address as string;
      const begun = performance.now() - 1000;
      await cluster.command(victim, "DEBUG", "DROP-CLUSTER-PACKET-FILTER", -2);
      await promotion(cluster, heir);
      await pause(500);
      load.doubt(begun);
      await pause(3000);
      await cluster.command(victim, "DEBUG", "DROP-CLUSTER-PACKET-FILTER", -1);
      await pause(3000);
      done["in the minority"]++;
    }
    return done;
  },
});

const flushed = cached("flush", "FLUSHALL, SCRIPT FLUSH, a tracking table of 20 keys, keys that expire untouched", {
  cause: async ({ cluster, load }) => {
    const primaries = load.client.topology.nodes.filter(({ role }) => role === "primary");
    const done = { FLUSHALL: 0, "SCRIPT FLUSH": 0, "keys thrown out": 0 };
    for (let time = 0; time < 5; time++) {
      await load.empty(() => Promise.all(primaries.map(({ address }) => cluster.command(address, "FLUSHALL"))));
      done.FLUSHALL++;
      await pause(1000);
      await cluster.flushScripts();
      done["SCRIPT FLUSH"]++;
      await pause(500);
    }
    for (const { address } of primaries) await cluster.command(address, "CONFIG", "SET", "tracking-table-max-keys", 20);
    await pause(5000);
    for (const { address } of primaries) {
      const stats = String(await cluster.command(address, "INFO", "stats"));
      done["keys thrown out"] += Number(/tracking_total_keys:(\d+)/.exec(stats)?.[1] ?? 0);
    }
    return done;
  },
});

export const cachedReads: readonly Fault[] = [
  plain,
  moved(),
  moved("valkey-9.1"),
  moved("redis-8.6"),
  movedFull("valkey-9.1"),
  movedFull("redis-8.6"),
  failovers,
  killed,
  cut,
  halfOpen,
  endedUnheard,
  frozen,
  minority,
  flushed,
];
