import type { LocalCluster } from "../../src/testing/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { obtain, VERSIONS } from "../servers/versions.ts";
import { ByteProxy } from "../support/byte-proxy.ts";
import { CachedLoad, type CachedLoadOptions, type CachedReport } from "../support/cached-load.ts";
import { type Fault, type Finding, finding, none } from "./fault.ts";
import { pause } from "./shards.ts";

export const MAX_STALENESS_MS = 400;
/** Until the first replies are in memory. */
const WARM_MS = 1500;

/** So few writes that the replies of scripts which derive keys stay: any change that a node tells of ends all of them. */
export const QUIET = { writers: 12, ownWriters: 1, pauseMs: 2000 } as const;

/** A fault under a load of cached reads. */
export interface CachedFault {
  readonly args?: readonly string[];
  readonly proxied?: boolean;
  readonly load?: Partial<CachedLoadOptions>;
  /** How many reads may fail: none, because the nodes are well, or most, because they are all out of service. Default: half. */
  readonly fails?: "none" | "most";
  /** Causes it. Returns how often each thing was done: all counts must be above 0. */
  cause(at: Place): Promise<Readonly<Record<string, number>>>;
}

/** Where a fault takes place. */
export interface Place {
  readonly cluster: LocalCluster;
  readonly load: CachedLoad;
  readonly proxies: ReadonlyMap<string, ByteProxy>;
}

const PROMISE = `no reply older than ${MAX_STALENESS_MS} ms (maxStaleness), own writes always seen`;

/**
 * A row of the table.
 * @param name  Its name behind `cached-`. Empty: `cached`.
 * @param server  The version of the servers. Default: those that are found first.
 */
export function cached(name: string, what: string, fault: CachedFault, server?: string): Fault {
  const { writers } = { writers: 50, ...fault.load };
  const must = `3+3 nodes, ${writers} writers, ${4 * writers} keys, 20 read-only scripts and plain reads from memory, ${what}: ${PROMISE}`;
  const whole = `${name === "" ? "cached" : `cached-${name}`}${server === undefined ? "" : `@${server}`}`;
  return { name: whole, must, cause: () => underLoad(fault, server) };
}

/** The row for the servers that are found first, and for the newest of each kind. */
export function onVersions(name: string, what: string, fault: CachedFault): readonly Fault[] {
  return [undefined, "redis-8.6", "valkey-9.1"].map((server) => cached(name, what, fault, server));
}

async function underLoad(fault: CachedFault, server: string | undefined): Promise<Finding> {
  const { args = [], proxied = false } = fault;
  const version = VERSIONS.find(({ name }) => name === server);
  const path = version === undefined ? undefined : (await obtain(version)).path;
  const cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1, args, server: path });
  const proxies = new Map<string, ByteProxy>();
  try {
    if (proxied) for (const address of cluster.nodes) proxies.set(address, await ByteProxy.start(address));
    const natMap = Object.fromEntries([...proxies].map(([address, { host, port }]) => [address, { host, port }]));
    const load = await CachedLoad.start(cluster, {
      maxStaleness: MAX_STALENESS_MS,
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
    return found(done, report, fault);
  } finally {
    for (const proxy of proxies.values()) await proxy.stop();
    await cluster.stop();
  }
}

function found(done: Readonly<Record<string, number>>, report: CachedReport, { fails, load }: CachedFault): Finding {
  const mayFail = fails === "none" ? 0 : fails === "most" ? Number.POSITIVE_INFINITY : report.reads / 2;
  const isQuiet = load?.pauseMs === QUIET.pauseMs;
  const {
    reads,
    failedReads,
    failures,
    slowestMs,
    hits,
    writes,
    ownWrites,
    stale,
    staleCount,
    unseen,
    oldestMs,
    oldestOfNodesMs,
  } = report;
  return finding({
    ...Object.fromEntries(Object.entries(done).map(([name, count]) => [name, [count, count > 0] as const])),
    reads: [reads, reads > 1000],
    "from memory": [hits, hits > reads / 20],
    failed: [[failedReads, ...failures].join(" "), failedReads <= mayFail],
    slowest: [`${slowestMs.toFixed(0)} ms`, true],
    writes: [writes, writes > (isQuiet ? 20 : 100)],
    "own writes": [ownWrites, ownWrites > (isQuiet ? 0 : 20)],
    "oldest of nodes": [`${oldestOfNodesMs.toFixed(0)} ms`, true],
    oldest: [`${oldestMs.toFixed(0)} ms`, oldestMs <= MAX_STALENESS_MS],
    "too old": none(staleCount),
    ...(stale.length > 0 && { first: [stale.slice(0, 3).join("; "), false] as const }),
    "own writes not seen": [unseen.length === 0 ? 0 : unseen.slice(0, 3).join("; "), unseen.length === 0],
  });
}
