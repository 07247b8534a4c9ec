import type { Cluster } from "../../src/index.ts";
import { CACHED_SCRIPTS } from "./cached-scripts.ts";
import type { Chance } from "./random.ts";
import type { KeyGroup } from "./read-history.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimNode } from "./sim-node.ts";

/** Of the client's writes to a key that ended well, a read is compared with the last so many. */
const REMEMBERED = 4;
const PATIENCE_MS = 2000;
const LIVES_MS = [3, 30, 200, 1000] as const;

/** Who writes the keys that are read from memory: other clients, and the client itself. */
export class CacheWriters {
  readonly broken: string[] = [];
  readonly #groups: readonly KeyGroup[];
  readonly #cluster: SimCluster;
  readonly #chance: Chance;
  /** The client's writes by key: those that have ended well, and those that were called. */
  readonly #done = new Map<string, string[]>();
  readonly #called = new Map<string, string[]>();
  #others = 0;
  #own = 0;
  #isOver = false;

  constructor(groups: readonly KeyGroup[], cluster: SimCluster, chance: Chance) {
    this.#groups = groups;
    this.#cluster = cluster;
    this.#chance = chance;
  }

  stop(): void {
    this.#isOver = true;
  }

  /** The client's writes to these keys that have ended well. */
  doneTo(keys: readonly string[]): string[] {
    return keys.flatMap((key) => this.#done.get(key) ?? []);
  }

  /** The client's writes to these keys that were called, on the connection that reads of them go by. */
  calledFor(keys: readonly string[]): string[] {
    return keys.flatMap((key) => this.#called.get(key) ?? []);
  }

  /** Other clients write about every `everyMs` milliseconds, until `stop`. */
  startOthers(everyMs: number): void {
    const { loop } = this.#cluster;
    loop.inWorld(everyMs * this.#chance.between(0.3, 1.7), () => {
      if (this.#isOver) return;
      this.#writeAsOther();
      this.startOthers(everyMs);
    });
  }

  #writeAsOther(): void {
    const chance = this.#chance;
    const group = chance.pick(this.#groups);
    const keys = chance.of(0.3) ? group.keys : [chance.pick(group.keys)];
    const what = chance.weighted({ set: 6, expire: 2, del: 1, sweep: 1 });
    const lifeMs = chance.pick(LIVES_MS);
    if (what === "sweep") this.#sweep();
    const value = `o${this.#others++};`;
    for (const key of keys) {
      const node = this.#nodeFor(group, key);
      if (node === undefined) continue;
      this.#cluster.story.tell(() => `another client: ${what} ${key} ${value} ${lifeMs} at ${node.name}`);
      // Keys that scripts derive end when the server deletes them.
      if (what === "del") node.set(key, null);
      else if (what === "expire" && !key.startsWith("d:"))
        node.set(key, value, "set", this.#cluster.loop.time + lifeMs);
      else if (what !== "sweep") node.set(key, value);
    }
  }

  /** Servers delete some of the keys whose time is over. */
  #sweep(): void {
    for (const node of this.#cluster.running) {
      if (node.isPrimary) for (const key of [...node.expiries.keys()]) if (this.#chance.of(0.5)) node.read(key);
    }
  }

  /** Where redirections lead other clients. */
  #nodeFor({ slot }: KeyGroup, key: string): SimNode | undefined {
    const { nodes, loop } = this.#cluster;
    const owners = nodes.filter(
      (node) =>
        node.isAlive &&
        !node.isFrozen &&
        node.isPrimary &&
        !node.isPaused &&
        node.blockedUntil <= loop.time &&
        !node.view.servesNothing &&
        node.view.ownerOf(slot) === node.index,
    );
    if (owners.length === 0) return undefined;
    const owner = this.#chance.pick(owners);
    const to = owner.migrating.get(slot);
    if (to === undefined || owner.data.has(key)) return owner;
    const target = this.#cluster.node(to);
    return target.importing.has(slot) && target.isAlive && !target.isFrozen ? target : undefined;
  }

  /** The client writes. Resolves when the write has ended well; otherwise it never does. */
  writeOwn(cluster: Cluster, group: KeyGroup): Promise<void> {
    const chance = this.#chance;
    const { story } = this.#cluster;
    const value = `w${this.#own++};`;
    const named = group.keys.filter((key) => !key.startsWith("d:"));
    const [first = "", second = ""] = chance.of(0.5) ? named : [...named].reverse();
    const how = chance.weighted({ set: 4, px: 2, del: 1, script: 2, batch: 2, transaction: 1, watch: 1, node: 1 });
    const lifeMs = chance.pick(LIVES_MS);
    const keys = ["set", "px", "del", "node"].includes(how) ? [first] : [first, second];
    story.tell(() => `own write ${value} (${how}) of ${keys.join(" ")}`);
    if (["set", "px", "del", "script", "transaction"].includes(how)) this.#note(this.#called, keys, value);
    const wrote = this.#ask(cluster, how, { first, second, value, lifeMs });
    return new Promise((resolve) => {
      wrote.then(
        () => {
          story.tell(() => `own write ${value} has ended well`);
          this.#note(this.#done, keys, value);
          resolve();
        },
        (error: Error) => story.tell(() => `own write ${value} failed: ${error.message}`),
      );
    });
  }

  async #ask(cluster: Cluster, how: string, { first, second, value, lifeMs }: Own): Promise<void> {
    switch (how) {
      case "set":
        await cluster.command("SET", first, value);
        break;
      case "px":
        await cluster.command("SET", first, value, "PX", lifeMs);
        break;
      case "del":
        await cluster.command("DEL", first, value + first);
        break;
      case "script":
        await cluster.run(CACHED_SCRIPTS.assign, [first, second], [value]);
        break;
      case "batch": {
        const replies = await cluster.batch().command("SET", first, value).command("SET", second, value).exec();
        for (const reply of replies) if (reply instanceof Error) throw reply;
        break;
      }
      case "transaction":
        await cluster.transaction(first).command("SET", first, value).command("SET", second, value).exec();
        break;
      case "watch": {
        const replies = await cluster
          .with({ timeout: PATIENCE_MS })
          .transaction(first, { watch: [first] }, async (tx) =>
            tx.multi().command("SET", first, value).command("SET", second, value),
          );
        if (replies === null) throw new Error("a watched key has changed");
        break;
      }
      default: {
        const { slot } = this.#groups.find(({ keys }) => keys.includes(first)) as KeyGroup;
        const owner = cluster.topology.primaryOf(slot);
        if (owner === undefined) throw new Error("the slot has no owner");
        // While it is under way nothing is kept, and a node that has become another one is waited for until the deadline.
        await cluster.with({ timeout: PATIENCE_MS }).node(owner.address).command("SET", first, value);
      }
    }
  }

  #note(writes: Map<string, string[]>, keys: readonly string[], value: string): void {
    for (const key of keys) writes.set(key, [...(writes.get(key) ?? []), `${value} ${key}`].slice(-REMEMBERED));
  }
}

interface Own {
  readonly first: string;
  readonly second: string;
  readonly value: string;
  readonly lifeMs: number;
}
