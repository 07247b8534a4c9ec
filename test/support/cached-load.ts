import { setTimeout as sleep } from "node:timers/promises";
import { connectIn } from "../../src/cluster/connect.ts";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Environment } from "../../src/environment.ts";
import { type Cluster, type ConnectOptions, connect, defineScript, type Reply, slotOf } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { ReadOracle } from "./read-oracle.ts";

/** Keys of one slot, which one writer writes. */
const KEYS_PER_TAG = 4;
/** At the end of the keys that a script derives. */
const DERIVED = ":derived";
const MOST_KEPT = 20;

/** Twenty scripts that read one to three keys, each with a source of its own. */
export const READING_SCRIPTS = Array.from({ length: 20 }, (_, index) => {
  const source = `local r = {} for i = 1, #KEYS do r[i] = redis.call('get', KEYS[i]) or false end return r -- ${index}`;
  return defineScript({ name: `read ${index}`, source, numberOfKeys: 1 + (index % 3), readOnly: true });
});

/** Reads a key that it derives from the one that is named. */
const derivingScript = defineScript({
  name: "derive",
  source: `return {redis.call('get', KEYS[1] .. '${DERIVED}') or false, redis.call('exists', KEYS[1])}`,
  numberOfKeys: 1,
  readOnly: true,
});

const writingScript = defineScript({
  name: "write",
  source: "redis.call('set', KEYS[1], ARGV[1]) return 1",
  numberOfKeys: 1,
});

export interface CachedLoadOptions {
  readonly maxStaleness: number;
  /**
   * Writers that are no part of the client that reads; each has four keys.
   * @default 50
   */
  readonly writers?: number;
  /**
   * Writers of the client that reads: each has a key.
   * @default 10
   */
  readonly ownWriters?: number;
  /** Reads in each millisecond, as far as the process gets to it. Default: 3. */
  readonly readsPerMs?: number;
  /** Milliseconds between two writes of a writer, at most. Default: 60. */
  readonly pauseMs?: number;
  /**
   * Slots move key by key. A new owner that is asked by ASK answers null for a key that a script derives and that is still
   * at the old one, so what nodes say of these is not judged.
   */
  readonly keysAreOnTheirWay?: boolean;
  /** Options of the client that reads. */
  readonly client?: Partial<ConnectOptions>;
  /** Time and sockets of the client that reads. */
  readonly environment?: Environment;
}

/** What a load with a cache came to. */
export interface CachedReport {
  readonly reads: number;
  readonly failedReads: number;
  /** Their codes. */
  readonly failures: readonly string[];
  /** How long the slowest read took that was answered, in milliseconds. */
  readonly slowestMs: number;
  readonly hits: number;
  readonly writes: number;
  readonly ownWrites: number;
  /** Replies that were older than they may be, each in words; the first few. */
  readonly stale: readonly string[];
  readonly staleCount: number;
  /** For how long the oldest reply from memory was over, in milliseconds. */
  readonly oldestMs: number;
  /** The same of the replies that nodes gave just then. */
  readonly oldestOfNodesMs: number;
  readonly unseen: readonly string[];
  readonly cache: unknown;
}

/** Writers, readers from memory, and an oracle that compares the one with the other. */
export class CachedLoad {
  readonly cluster: LocalCluster;
  readonly client: Cluster;
  readonly oracle = new ReadOracle();
  readonly tags: readonly string[];
  readonly #others: Cluster;
  readonly #options: Required<Omit<CachedLoadOptions, "client" | "environment">>;
  readonly #work: Promise<void>[] = [];
  readonly #stale: string[] = [];
  readonly #unseen: string[] = [];
  readonly #open = new Set<Promise<void>>();
  #isOver = false;
  #version = 0;
  #reads = 0;
  #failedReads = 0;
  readonly #failures = new Set<string>();
  #slowestMs = 0;
  #writes = 0;
  #ownWrites = 0;
  #staleCount = 0;
  #oldestMs = 0;
  #oldestOfNodesMs = 0;
  /** How often something was done that takes acknowledged writes back, and how much of that is going on. */
  #doubts = 0;
  #emptying = 0;

  private constructor(cluster: LocalCluster, client: Cluster, others: Cluster, options: CachedLoadOptions) {
    this.cluster = cluster;
    this.client = client;
    this.#others = others;
    const {
      writers = 50,
      ownWriters = 10,
      readsPerMs = 3,
      pauseMs = 60,
      maxStaleness,
      keysAreOnTheirWay = false,
    } = options;
    this.#options = { writers, ownWriters, readsPerMs, pauseMs, maxStaleness, keysAreOnTheirWay };
    this.tags = Array.from({ length: writers }, (_, index) => `{cached:${index}}`);
    for (const tag of this.tags) this.#work.push(this.#write(tag));
    for (let own = 0; own < ownWriters; own++) this.#work.push(this.#writeOwn(`{own:${own}}:key`, own));
    this.#work.push(this.#read());
  }

  static async start(cluster: LocalCluster, options: CachedLoadOptions): Promise<CachedLoad> {
    const { maxStaleness } = options;
    const scripts = [...READING_SCRIPTS, derivingScript, writingScript];
    const to = { ...cluster.connectOptions, commandTimeout: 3000 };
    const cached = { ...to, scripts, cache: { maxStaleness }, ...options.client };
    const environment = options.environment ?? nodeEnvironment;
    const [client, others] = await Promise.all([connectIn(environment, cached), connect(to)]);
    return new CachedLoad(cluster, client, others, options);
  }

  /** Keys of the writers by slot, for those who move slots. */
  slotOf(tag: string): number {
    return slotOf(tag);
  }

  /** Keys, of a slot or of all, may lose what was written to them from `from` on until now. */
  doubt(from: number, slot?: number): void {
    this.#doubts++;
    const now = performance.now();
    for (const key of this.oracle.keys)
      if (slot === undefined || slotOf(key) === slot) this.oracle.doubt(key, from, now);
  }

  /** Something that empties keys, of a slot or all: they are gone at some moment while it is done. */
  async empty(work: () => Promise<unknown>, slot?: number): Promise<void> {
    this.#emptying++;
    const keys = this.oracle.keys.filter((key) => slot === undefined || slotOf(key) === slot);
    const changes = keys.map((key) => this.oracle.begin(key, null));
    await work();
    for (const change of changes) change.by = performance.now();
    this.#doubts++;
    this.#emptying--;
  }

  async end(): Promise<CachedReport> {
    this.#isOver = true;
    await Promise.all(this.#work);
    await Promise.all(this.#open);
    const { cache } = this.client.metrics() as unknown as { readonly cache?: { readonly hits: number } };
    await Promise.all([this.client.close(), this.#others.close()]);
    return {
      reads: this.#reads,
      failedReads: this.#failedReads,
      failures: [...this.#failures],
      slowestMs: this.#slowestMs,
      hits: cache?.hits ?? 0,
      writes: this.#writes,
      ownWrites: this.#ownWrites,
      stale: this.#stale,
      staleCount: this.#staleCount,
      oldestMs: this.#oldestMs,
      oldestOfNodesMs: this.#oldestOfNodesMs,
      unseen: this.#unseen,
      cache,
    };
  }

  /** One client among others: a key at a time, and mostly plain values. */
  async #write(tag: string): Promise<void> {
    const { pauseMs } = this.#options;
    while (!this.#isOver) {
      await sleep(Math.random() * pauseMs);
      const named = `${tag}:${Math.floor(Math.random() * KEYS_PER_TAG)}`;
      // One that scripts derive is away more often, because its creation is told of least.
      const isDerived = Math.random() < 0.2;
      const key = isDerived ? `${named}${DERIVED}` : named;
      const dice = isDerived ? Math.random() / 4 : Math.random();
      if (dice < 0.05) await this.#change(key, null, "DEL", key);
      else if (dice < 0.1) await this.#expire(key);
      else await this.#set(key);
    }
  }

  async #set(key: string): Promise<void> {
    const value = String(++this.#version);
    await this.#change(key, value, "SET", key, value);
  }

  /** The key ends by itself, and nobody writes it meanwhile. */
  async #expire(key: string): Promise<void> {
    const value = String(++this.#version);
    const lifeMs = Math.ceil(Math.random() * 400);
    // It is known before it may be read.
    const end = this.oracle.begin(key, null, performance.now() + lifeMs);
    if (await this.#change(key, value, "SET", key, value, "PX", lifeMs)) end.by = performance.now() + lifeMs;
    else end.isCertain = false;
    await sleep(lifeMs + 50);
  }

  async #change(
    key: string,
    value: string | null,
    name: string,
    ...args: readonly (string | number)[]
  ): Promise<boolean> {
    const change = this.oracle.begin(key, value);
    const doubts = this.#doubts;
    try {
      await this.#others.command<Reply>(name, ...args);
      change.by = performance.now();
      // It may have come in front of what empties the key, or behind it.
      if (doubts !== this.#doubts || this.#emptying > 0) change.isCertain = false;
      this.#writes++;
      return true;
    } catch {
      return false;
    }
  }

  /** The client that reads writes, in every way there is, and must see what it wrote. */
  async #writeOwn(key: string, own: number): Promise<void> {
    const view = this.client.with({ cached: true, readFrom: "primary" });
    for (let turn = own; !this.#isOver; turn++) {
      await sleep(Math.random() * this.#options.pauseMs);
      const value = String(++this.#version);
      const doubts = this.#doubts;
      const change = this.oracle.begin(key, value);
      const way = OWN_WAYS[turn % OWN_WAYS.length] as (typeof OWN_WAYS)[number];
      // What is kept from before must not be served behind the write.
      await view.command("GET", key).catch(() => {});
      try {
        await way.write(this.client, key, value);
      } catch {
        continue;
      }
      change.by = performance.now();
      this.#ownWrites++;
      const script = READING_SCRIPTS[0] as (typeof READING_SCRIPTS)[number];
      const reads = [view.command("GET", key), view.run(script, [key]), view.command("MGET", key)];
      const replies = await Promise.allSettled(reads as Promise<unknown>[]);
      if (doubts !== this.#doubts || this.#emptying > 0) continue;
      for (const reply of replies) {
        if (reply.status === "rejected") continue;
        const seen = Array.isArray(reply.value) ? reply.value[0] : reply.value;
        if (seen === value || this.#unseen.length >= MOST_KEPT) continue;
        this.#unseen.push(`${key}: written ${value} by ${way.name}, read ${String(seen)}`);
      }
    }
  }

  /** Reads, each compared with the oracle when it settles. */
  async #read(): Promise<void> {
    const view = this.client.with({ cached: true, readFrom: "primary" });
    for (let last = performance.now(); !this.#isOver; ) {
      await sleep(1);
      const now = performance.now();
      const due = Math.min(60, Math.ceil((now - last) * this.#options.readsPerMs));
      last = now;
      // A client that does not get its answers is not asked for more and more.
      if (this.#open.size > 2000) continue;
      for (let left = due; left > 0; left--) this.#readOne(view);
    }
  }

  #readOne(view: Cluster): void {
    const tag = this.tags[Math.floor(Math.random() * this.tags.length)] as string;
    const first = Math.floor(Math.random() * KEYS_PER_TAG);
    const keyAt = (offset: number) => `${tag}:${(first + offset) % KEYS_PER_TAG}`;
    const dice = Math.random();
    if (dice < 0.3) this.#compare([keyAt(0)], (keys) => view.command("GET", keys[0] as string));
    else if (dice < 0.4) this.#compare([keyAt(0), keyAt(1)], (keys) => view.command("MGET", ...keys));
    else if (dice < 0.5) {
      this.#compare([`${keyAt(0)}${DERIVED}`], () => view.run(derivingScript, [keyAt(0)]));
    } else {
      const script = READING_SCRIPTS[Math.floor(Math.random() * READING_SCRIPTS.length)];
      if (script === undefined) return;
      const keys = Array.from({ length: script.numberOfKeys ?? 1 }, (_, offset) => keyAt(offset));
      this.#compare(keys, () => view.run(script, keys));
    }
  }

  #compare(keys: readonly string[], ask: (keys: readonly string[]) => Promise<unknown>): void {
    const madeAt = performance.now();
    // What comes from memory comes before a socket can have been read. This runs behind the promise jobs of this turn.
    let isFromMemory = true;
    process.nextTick(() => {
      isFromMemory = false;
    });
    const read = ask(keys).then(
      (reply) => {
        this.#reads++;
        this.#slowestMs = Math.max(this.#slowestMs, performance.now() - madeAt);
        const values = (Array.isArray(reply) ? reply : [reply]) as readonly (string | null)[];
        for (const [index, key] of keys.entries()) this.#judge(key, values[index] ?? null, madeAt, isFromMemory);
      },
      (error: { readonly code?: string }) => {
        this.#failedReads++;
        this.#failures.add(error.code ?? String(error));
      },
    );
    this.#open.add(read);
    void read.finally(() => this.#open.delete(read));
  }

  #judge(key: string, value: string | null, madeAt: number, isFromMemory: boolean): void {
    const staleMs = this.oracle.staleFor(key, value, madeAt);
    if (isFromMemory) this.#oldestMs = Math.max(this.#oldestMs, staleMs);
    else this.#oldestOfNodesMs = Math.max(this.#oldestOfNodesMs, staleMs);
    if (staleMs <= this.#options.maxStaleness) return;
    if (!isFromMemory && this.#options.keysAreOnTheirWay && key.endsWith(DERIVED)) return;
    this.#staleCount++;
    if (this.#stale.length < MOST_KEPT)
      this.#stale.push(
        `${key} was ${value} ${isFromMemory ? "from memory" : "from a node"}, over for ${staleMs.toFixed(0)} ms`,
      );
  }
}

/** All ways in which a client writes one key. */
const OWN_WAYS: readonly {
  readonly name: string;
  write(client: Cluster, key: string, value: string): Promise<unknown>;
}[] = [
  { name: "command", write: (client, key, value) => client.command("SET", key, value) },
  { name: "run", write: (client, key, value) => client.run(writingScript, [key], [value]) },
  {
    name: "batch",
    write: async (client, key, value) => {
      const [reply] = await client.batch().command("SET", key, value).exec();
      if (reply instanceof Error) throw reply;
    },
  },
  { name: "transaction", write: (client, key, value) => client.transaction(key).command("SET", key, value).exec() },
  {
    name: "watch",
    write: async (client, key, value) => {
      const replies = await client.transaction(key, { watch: [key] }, async (tx) =>
        tx.multi().command("SET", key, value),
      );
      if (replies === null) throw new Error("the watched key has changed");
    },
  },
  { name: "EVAL", write: (client, key, value) => client.command("EVAL", writingScript.source, 1, key, value) },
  { name: "cached view", write: (client, key, value) => client.with({ cached: true }).command("SET", key, value) },
];
