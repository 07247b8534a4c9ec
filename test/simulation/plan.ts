import type { ConnectOptions, HedgeOptions } from "../../src/index.ts";
import { CACHE_FAULTS, type CacheFaultKind, type ClockFaultKind } from "./cache-faults.ts";
import { FEED_FAULTS, type FeedFaultKind } from "./feed-faults.ts";
import { Chance } from "./random.ts";
import type { ClusterShape } from "./sim-cluster.ts";
import type { NetworkProfile } from "./sim-network.ts";
import { WORLDS, type WorldKind } from "./worlds.ts";

/** What goes wrong in a run. */
export type FaultKind =
  | "cut"
  | "cut-all"
  | "half-open"
  | "flush"
  | "flush-all"
  | "migrate"
  | "failover"
  | "kill"
  | "restart"
  | "freeze"
  | "partition"
  | "deny"
  | "stall";

/** A run, as drawn from its seed. */
export interface Plan {
  readonly seed: number;
  readonly network: NetworkProfile;
  readonly shape: ClusterShape;
  readonly options: Omit<ConnectOptions, "nodes" | "scripts">;
  readonly calls: number;
  /** How long calls are made and things go wrong. */
  readonly durationMs: number;
  /** Hash tags of the keys that are used. */
  readonly tags: number;
  readonly faults: readonly FaultKind[];
  /** What is odd beside the faults. */
  readonly worlds: readonly WorldKind[];
  /** Some calls have less time than others. */
  readonly hurried: number;
  readonly aborted: number;
  readonly grouped: number;
  /** Of values; 0 where all are short. */
  readonly largestBytes: number;
  /** Some block, or scan. */
  readonly patient: number;
  /** How the client is ended, and whether that is in the middle of it all. */
  readonly ending: "close" | "destroy";
  readonly endsEarly: boolean;
  readonly preloads: boolean;
  /** Reads that have no answer for long are sent once more. */
  readonly hedge: HedgeOptions | undefined;
  /** Undefined: nobody subscribes to anything. */
  readonly subscriptions: SubscriptionPlan | undefined;
  /** Undefined: the client has no cache. */
  readonly cache: CachePlan | undefined;
}

/** What is read from memory in a run, and what goes wrong with it. */
export interface CachePlan {
  readonly maxStaleness: number;
  readonly maxAge: number;
  readonly maxBytes: number;
  /** Hash tags whose keys are read. */
  readonly tags: number;
  /** Reads, writes of others, and the client's own come about every so many milliseconds. */
  readonly everyMs: number;
  readonly writeEveryMs: number;
  readonly ownEveryMs: number;
  readonly faults: readonly CacheFaultKind[];
  readonly clockFaults: readonly ClockFaultKind[];
  /** What is not in memory is read as the client reads, of replicas and with hedges too. */
  readonly readsAnywhere: boolean;
}

/** What is subscribed to in a run, and what goes wrong with it. */
export interface SubscriptionPlan {
  /** Subscriptions from the beginning on, and later ones. */
  readonly early: number;
  readonly late: number;
  readonly everyMs: number;
  readonly faults: readonly FeedFaultKind[];
}

const FAULTS: Readonly<Record<FaultKind, number>> = {
  cut: 4,
  "cut-all": 2,
  "half-open": 2,
  flush: 4,
  "flush-all": 3,
  migrate: 6,
  failover: 2,
  kill: 2,
  restart: 2,
  freeze: 3,
  partition: 1,
  deny: 1,
  stall: 2,
};

export function planOf(seed: number, chance: Chance): Plan {
  const replicasPerShard = chance.pick([0, 1, 1, 2]);
  // Many plain runs: what they find is easier to read.
  const howMany = chance.pick([0, 1, 1, 1, 2, 2, 3, 5]);
  const commandTimeout = chance.pick([40, 250, 1000, 1000, 5000, 0]);
  const ordinary = {
    network: {
      latencyMs: chance.pick([0.02, 0.1, 0.5, 3]),
      jitterMs: chance.pick([0, 0.1, 1, 5]),
      pieceBytes: chance.pick([7, 40, 1000, 65_536, 65_536]),
      kernelBytes: chance.pick([300, 4000, 1_000_000, 1_000_000]),
      highWaterMark: chance.pick([200, 16_384, 16_384]),
    },
    shape: {
      shards: chance.pick([1, 2, 3, 3]),
      replicasPerShard,
      spares: chance.pick([0, 0, 1]),
      password: chance.of(0.3) ? "secret" : undefined,
      busyAfterMs: chance.pick([100, 600]),
      replicationLagMs: chance.pick([0, 1, 20]),
      gossipMs: chance.pick([0, 2, 50, 200]),
    },
    options: {
      commandTimeout,
      connectTimeout: chance.pick([300, 1000, 2000]),
      connectionsPerNode: chance.pick([1, 1, 1, 2, 3]),
      maxPendingPerNode: chance.pick([5, 30, 10_000, 10_000]),
      maxPendingBytesPerNode: chance.pick([2000, 16_777_216, 16_777_216]),
      maxRedirections: chance.pick([3, 16, 16]),
      topologyRefreshInterval: chance.pick([0, 0, 400, 30_000]),
      readFrom: chance.pick(["primary", "primary", "replica", "any"] as const),
    },
    calls: chance.pick([20, 30, 50, 100]),
    durationMs: chance.pick([5, 50, 300, 1500]),
    tags: chance.pick([1, 3, 8]),
    faults: Array.from({ length: howMany }, () => chance.weighted(FAULTS)),
    hurried: chance.pick([0, 0, 0.1, 0.4]),
    aborted: chance.pick([0, 0, 0.1, 0.3]),
    grouped: chance.pick([0, 0, 0.2, 0.5]),
    ending: chance.pick(["close", "close", "destroy"] as const),
    endsEarly: chance.of(0.12),
    preloads: chance.of(0.7),
  };
  const worlds = Array.from({ length: chance.pick([0, 0, 1, 1, 2]) }, () => chance.weighted(WORLDS));
  const needsAllSlots = chance.of(0.7);
  const patient = chance.pick([0, 0, 0, 0.1, 0.3]);
  const spares = worlds.includes("join") ? 1 : ordinary.shape.spares;
  const bytesPerMs = worlds.includes("slow-network") ? chance.pick([5, 10, 20]) : Number.POSITIVE_INFINITY;
  // The largest value takes a second.
  const largestBytes = worlds.includes("slow-network") ? bytesPerMs * 1000 : 0;
  const kernelBytes = Math.min(ordinary.network.kernelBytes, worlds.includes("slow-network") ? 4000 : 1_000_000);
  const network = { ...ordinary.network, bytesPerMs, kernelBytes };
  const { subscriptions, durationMs, version } = subscriptionsOf(seed);
  const { hedge, unavailableAfter, zone } = patienceOf(seed);
  const cache = cacheOf(seed);
  const isLong = cache !== undefined || subscriptions !== undefined;
  const { readFrom } = ordinary.options;
  return {
    ...ordinary,
    options: {
      ...ordinary.options,
      ...(cache && { cache: { maxStaleness: cache.maxStaleness, maxAge: cache.maxAge, maxBytes: cache.maxBytes } }),
      unavailableAfter,
      readFrom: readFrom === "any" && zone !== undefined ? { zone } : readFrom,
    },
    hedge: readFrom === "primary" ? undefined : hedge,
    cache,
    subscriptions: cache === undefined ? subscriptions : undefined,
    // Timers of calls that are never made must have run out when the client has ended.
    durationMs: !isLong || ordinary.endsEarly ? ordinary.durationMs : durationMs,
    seed,
    worlds,
    patient,
    largestBytes,
    network,
    shape: { ...ordinary.shape, spares, needsAllSlots, version, hasZones: readFrom === "any" && zone !== undefined },
  };
}

/**
 * A wall clock that is set back by as much as the machine is then suspended for shows nothing of it, so the two never come
 * together.
 */
const CLOCK_FAULTS: readonly (readonly ClockFaultKind[])[] = [
  [],
  [],
  [],
  ["suspend"],
  ["suspend", "suspend"],
  ["suspend", "set-forward"],
  ["set-back"],
  ["set-back", "set-forward", "set-back"],
];

/** Some runs read from memory. */
export function cacheOf(seed: number): CachePlan | undefined {
  const chance = new Chance(seed ^ 0x3d0cac4e);
  if (!chance.of(0.08)) return undefined;
  return {
    maxStaleness: chance.pick([60, 200, 200, 1000]),
    maxAge: chance.pick([150, 60_000, 60_000]),
    maxBytes: chance.pick([2000, 33_554_432, 33_554_432]),
    tags: chance.pick([1, 2, 3, 3]),
    everyMs: chance.pick([2, 8, 30]),
    writeEveryMs: chance.pick([5, 25, 120]),
    ownEveryMs: chance.pick([15, 80, 400, 3000]),
    faults: Array.from({ length: chance.pick([0, 1, 1, 2, 3, 5]) }, () => chance.weighted(CACHE_FAULTS)),
    clockFaults: chance.pick(CLOCK_FAULTS),
    readsAnywhere: chance.of(0.5),
  };
}

/** Some runs subscribe, drawn by a chance of its own: the others stay what they are. They take longer. */
function subscriptionsOf(seed: number): Pick<Plan, "subscriptions" | "durationMs"> & { readonly version: 7 | 8 } {
  const chance = new Chance(seed ^ 0x5ab5c21b);
  const isDrawn = chance.of(0.1);
  const faults = Array.from({ length: chance.pick([0, 0, 1, 1, 2, 3]) }, () => chance.weighted(FEED_FAULTS));
  const subscriptions = { early: chance.pick([1, 2, 4]), late: chance.pick([0, 0, 2]), everyMs: chance.pick([20, 80]) };
  return {
    version: chance.pick([7, 8] as const),
    durationMs: chance.pick([300, 1500, 3000, 6000]),
    subscriptions: isDrawn ? { ...subscriptions, faults } : undefined,
  };
}

/** In some runs nobody waits for the dead and the slow, drawn by a chance of its own: the others stay what they are. */
function patienceOf(seed: number) {
  const chance = new Chance(seed ^ 0x1b873593);
  const hedge = { after: chance.pick([1, 1, 5, 30]), budget: chance.pick([0.05, 0.5, 1]) };
  return {
    hedge: chance.of(0.5) ? hedge : undefined,
    unavailableAfter: chance.pick([0, 0, 0, 50, 400]),
    zone: chance.pick([undefined, "a", "b"]),
  };
}
