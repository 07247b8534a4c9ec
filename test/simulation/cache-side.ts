import type { Cluster } from "../../src/index.ts";
import { CacheFaults } from "./cache-faults.ts";
import { CacheWriters } from "./cache-writers.ts";
import { CACHED_SCRIPTS } from "./cached-scripts.ts";
import type { Faults } from "./faults.ts";
import type { CachePlan, Plan } from "./plan.ts";
import type { Chance } from "./random.ts";
import type { KeyGroup, ReadHistory } from "./read-history.ts";
import { brokenReads, type CachedRead } from "./read-promises.ts";
import type { SimCluster } from "./sim-cluster.ts";

/** Keys of a slot that are read and written. */
const KEYS_PER_SLOT = 3;
/** By when replies come from memory again, everything mended: rights that were lacking are looked at once a minute. */
const CACHING_AGAIN_MS = 62_000;
const MOST_READS = 1200;

/** What is asked for, by the keys of a slot: those that it names, and how a reply is made of what they hold. */
interface Question {
  readonly what: string;
  readonly positions: readonly number[];
  ask(view: Cluster, keys: readonly string[]): Promise<unknown>;
  fits(values: readonly (string | null)[], reply: unknown): boolean;
}

/** Reads from memory in a run: what is read, who writes it, what goes wrong, and whether what was read was true. */
export class CacheSide {
  readonly broken: string[] = [];
  readonly #plan: Plan;
  readonly #cache: CachePlan;
  readonly #cluster: SimCluster;
  readonly #chance: Chance;
  readonly #history: ReadHistory;
  readonly #groups: readonly KeyGroup[];
  readonly #writers: CacheWriters;
  readonly #faults: CacheFaults;
  readonly #reads: CachedRead[] = [];
  readonly #isLedAstray: () => boolean;
  hits = 0;

  constructor(
    plan: Plan,
    tags: readonly string[],
    cluster: SimCluster,
    faults: Faults,
    history: ReadHistory,
    isLedAstray: () => boolean,
    chance: Chance,
  ) {
    this.#plan = plan;
    this.#cache = plan.cache as CachePlan;
    this.#cluster = cluster;
    this.#history = history;
    this.#chance = chance;
    this.#isLedAstray = isLedAstray;
    const numbers = Array.from({ length: KEYS_PER_SLOT }, (_, index) => index + 1);
    this.#groups = tags.slice(0, this.#cache.tags).map((tag) => {
      const keys = numbers.map((number) => `c${number}:${tag}`);
      // Servers before 7.2 track no key that a script derives.
      const derived = plan.shape.version === 8 ? [`d:${keys[0]}`] : [];
      return history.watch(cluster.nodes, [...keys, ...derived]);
    });
    cluster.loop.onWorld = () => history.look();
    this.#writers = new CacheWriters(this.#groups, cluster, chance.fork());
    const keys = this.#groups.flatMap((group) => group.keys);
    this.#faults = new CacheFaults(cluster, faults, keys, chance.fork());
  }

  schedule(cluster: Cluster): void {
    const { loop } = this.#cluster;
    const chance = this.#chance;
    const { everyMs, writeEveryMs, ownEveryMs, faults, clockFaults } = this.#cache;
    const { durationMs } = this.#plan;
    const view = this.#viewOf(cluster);
    this.#writers.startOthers(writeEveryMs);
    const [reads, writes] = [durationMs / everyMs, durationMs / ownEveryMs].map((count) => Math.min(MOST_READS, count));
    for (let left = reads as number; left > 0; left--) {
      loop.setTimer(() => this.#readSome(view), chance.between(0, durationMs));
    }
    for (let left = writes as number; left > 0; left--) {
      loop.setTimer(() => this.#write(cluster, view), chance.between(0, durationMs));
    }
    for (const kind of faults) loop.inWorld(chance.between(0, durationMs), () => this.#faults.strike(kind));
    for (const kind of clockFaults) loop.inWorld(chance.between(0, durationMs), () => this.#faults.strikeClock(kind));
  }

  #viewOf(cluster: Cluster, timeout?: number): Cluster {
    const { hedge } = this.#plan;
    const ordinary = this.#cache.readsAnywhere ? { ...(hedge && { hedge }) } : { readFrom: "primary" as const };
    return cluster.with({ ...ordinary, cached: true, ...(timeout !== undefined && { timeout }) });
  }

  heal(): void {
    this.#faults.heal();
  }

  /** Everything is mended: replies come from memory again. */
  async settle(cluster: Cluster): Promise<void> {
    const { loop } = this.#cluster;
    this.#writers.stop();
    const view = this.#viewOf(cluster, 12_000);
    const until = loop.time + CACHING_AGAIN_MS;
    for (const group of this.#groups) {
      const before = hitsOf(cluster);
      while (hitsOf(cluster) === before && loop.time < until) {
        const read = this.#read(view, group, QUESTIONS.get);
        await loop.run(loop.time + 20);
        await loop.run(until, () => read.settledAt !== undefined);
      }
      if (hitsOf(cluster) === before && this.#cache.maxBytes > 10_000) {
        this.broken.push(`nothing of slot ${group.slot} came from memory, ${CACHING_AGAIN_MS} ms after all was mended`);
      }
    }
    this.hits = hitsOf(cluster);
    for (const { number, failure, madeAt } of this.#reads) {
      if (failure !== undefined && madeAt > until - CACHING_AGAIN_MS)
        this.broken.push(`read r${number} failed when all was mended: ${failure}`);
    }
  }

  /**
   * The client has ended.
   * @param isPrompt  No server was busy for long, and nothing went wrong.
   */
  judge(isPrompt: boolean): void {
    this.#writers.stop();
    this.broken.push(...this.#writers.broken);
    const isPlain = isPrompt && this.#cache.faults.length === 0 && this.#plan.preloads;
    const { splits, isTorn, isReplaced, moves } = this.#cluster;
    const isLossy = splits > 0 || isTorn || isReplaced;
    const rules = {
      maxStaleness: this.#cache.maxStaleness,
      isPlain,
      isLossy,
      hasMoved: (slot: number) => moves.has(slot),
    };
    this.broken.push(...brokenReads(this.#reads, rules, (write) => this.#history.ran(write)).slice(0, 5));
  }

  #readSome(view: Cluster): void {
    const chance = this.#chance;
    const group = chance.pick(this.#groups);
    for (let left = chance.pick([1, 1, 2, 5]); left > 0; left--) this.#read(view, group, this.#question());
  }

  #question(): Question {
    const { get, exists, mget, peek1, peek2, peek3, derive } = QUESTIONS;
    const some = [get, get, exists, mget, peek1, peek2, peek3];
    return this.#chance.pick(this.#plan.shape.version === 8 ? [...some, derive] : some);
  }

  /** A write, and sometimes a read of the same keys behind it, in the same turn or as soon as it is done. */
  #write(cluster: Cluster, view: Cluster): void {
    const chance = this.#chance;
    const group = chance.pick(this.#groups);
    const done = this.#writers.writeOwn(chance.of(0.2) ? view : cluster, group);
    if (chance.of(0.5)) this.#read(view, group, this.#question());
    if (chance.of(0.7)) done.then(() => this.#read(view, group, this.#question()));
  }

  #read(view: Cluster, group: KeyGroup, { what, positions, ask, fits }: Question): CachedRead {
    const { loop, story } = this.#cluster;
    const keys = positions.map((position) => group.keys[position] as string);
    const read: CachedRead = {
      number: this.#reads.length,
      what: `${what} ${keys.join(" ")}`,
      group,
      madeAt: loop.time,
      writesDone: this.#writers.doneTo(keys),
      writesCalled: this.#writers.calledFor(keys),
      fits,
      keys: positions,
      // Replicas may answer what does not come from memory.
      mayLag: this.#cache.readsAnywhere && this.#plan.options.readFrom !== "primary",
      settledAt: undefined,
      reply: undefined,
      failure: undefined,
    };
    this.#reads.push(read);
    const wasLedAstray = this.#isLedAstray();
    ask(view, keys).then(
      (reply) => {
        read.settledAt = loop.time;
        read.reply = reply;
        if (wasLedAstray || this.#isLedAstray()) read.failure = "of a stranger";
        story.tell(() => `read r${read.number} of ${read.madeAt.toFixed(2)} (${read.what}): ${JSON.stringify(reply)}`);
        if (Array.isArray(reply) && !Object.isFrozen(reply))
          this.broken.push(`the reply to r${read.number} is not frozen`);
      },
      (error: Error) => {
        read.settledAt = loop.time;
        read.failure = error.message;
        story.tell(() => `read r${read.number} (${read.what}) failed: ${error.message}`);
      },
    );
    return read;
  }
}

const peek = (positions: readonly number[]): Question => ({
  what: "peek",
  positions,
  ask: (view, keys) => view.run(CACHED_SCRIPTS.peek, keys),
  fits: (values, reply) =>
    isList(
      reply,
      positions.map((position) => values[position] ?? ""),
    ),
});

const QUESTIONS = {
  get: {
    what: "GET",
    positions: [0],
    ask: (view, [key = ""]) => view.command("GET", key),
    fits: ([value], reply) => reply === value,
  },
  exists: {
    what: "EXISTS",
    positions: [1],
    ask: (view, [key = ""]) => view.command("EXISTS", key),
    fits: (values, reply) => reply === (values[1] === null ? 0 : 1),
  },
  mget: {
    what: "MGET",
    positions: [0, 1],
    ask: (view, keys) => view.command("MGET", ...keys),
    fits: (values, reply) => isList(reply, values.slice(0, 2)),
  },
  peek1: peek([0]),
  peek2: peek([0, 2]),
  peek3: peek([0, 1, 2]),
  derive: {
    what: "derive",
    positions: [0],
    ask: (view, [key = ""]) => view.run(CACHED_SCRIPTS.derive, [key]),
    fits: (values, reply) => isList(reply, [values[0] ?? "", values[KEYS_PER_SLOT] ?? ""]),
  },
} satisfies Readonly<Record<string, Question>>;

function isList(reply: unknown, expected: readonly (string | null)[]): boolean {
  return (
    Array.isArray(reply) && reply.length === expected.length && reply.every((each, index) => each === expected[index])
  );
}

function hitsOf(cluster: Cluster): number {
  const { cache } = cluster.metrics() as unknown as { readonly cache?: { readonly hits: number } };
  return cache?.hits ?? 0;
}
