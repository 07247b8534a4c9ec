import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import * as ioredis from "ioredis";
import { slotOf } from "../../../src/index.ts";
import { Cluster, type ClusterOptions } from "../../../src/ioredis/index.ts";
import { type LocalCluster, startCluster } from "../../../src/testing/index.ts";

/** Milliseconds between two flushes of all nodes. */
const PAUSE_MS = 30;

/** A cluster of real servers that forget their scripts all the time. */
export class FlushedCluster {
  readonly cluster: LocalCluster;
  /** As `new Cluster` takes them. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly #clients: { disconnect(): void }[] = [];
  readonly #flushing: Promise<void>;
  #flushes = 0;
  #hasStopped = false;
  #isPaused = false;

  constructor(cluster: LocalCluster) {
    this.cluster = cluster;
    this.nodes = cluster.nodes.map((address) => {
      const [host = "", port = ""] = address.split(":");
      return { host, port: Number(port) };
    });
    this.#flushing = this.#flush();
  }

  static async start(options: Parameters<typeof startCluster>[0] = {}): Promise<FlushedCluster> {
    return new FlushedCluster(await startCluster({ primaries: 3, ...options }));
  }

  /** A client as packages want it: also by `instanceof`, and by ioredis's types. It ends with the cluster. */
  client(options: ClusterOptions = {}): ioredis.Cluster {
    return this.#ended(new Cluster(this.nodes, { compatible: ioredis, ...options }) as unknown as ioredis.Cluster);
  }

  /** A client of ioredis itself. It ends with the cluster. */
  ioredisClient(options: ioredis.ClusterOptions = {}): ioredis.Cluster {
    const client = new ioredis.Cluster([...this.nodes], options);
    client.on("error", () => {});
    return this.#ended(client);
  }

  /** The client, and what packages make of it by `duplicate`, end with the cluster. */
  #ended(client: ioredis.Cluster): ioredis.Cluster {
    this.#clients.push(client);
    const duplicate = client.duplicate.bind(client);
    client.duplicate = (...args) => this.#ended(duplicate(...args));
    return client;
  }

  /**
   * Kills the primary that owns the slot of a key.
   * @param onKill  Called in the moment of the kill, with the address of the node.
   */
  async killOwnerOf(key: string, onKill: (address: string) => void): Promise<void> {
    const slots = (await this.cluster.command(this.cluster.nodes[0] as string, "CLUSTER", "SLOTS")) as unknown as [
      number,
      number,
      [string, number],
    ][];
    const slot = slotOf(key);
    const owner = slots.find(([start, end]) => start <= slot && slot <= end)?.[2];
    const address = `${owner?.[0]}:${owner?.[1]}`;
    onKill(address);
    await this.cluster.kill(address);
  }

  /** Does something for whose figures the scripts must stay: ioredis fails where a transaction meets a flush. */
  async whileNotFlushed(body: () => Promise<void>): Promise<void> {
    this.#isPaused = true;
    try {
      await body();
    } finally {
      this.#isPaused = false;
    }
  }

  /** How often a node has answered NOSCRIPT so far: proof that the scripts were gone. */
  async refusals(): Promise<number> {
    const texts = await Promise.all(this.cluster.nodes.map((node) => this.cluster.command(node, "INFO", "errorstats")));
    return texts
      .map((text) => Number(/errorstat_NOSCRIPT:count=(\d+)/.exec(String(text))?.[1] ?? 0))
      .reduce((sum, count) => sum + count, 0);
  }

  async stop(): Promise<void> {
    this.#hasStopped = true;
    await this.#flushing;
    for (const client of this.#clients) client.disconnect();
    await this.cluster.stop();
    assert.equal(this.#flushes > 0, true, "the scripts were flushed");
  }

  async #flush(): Promise<void> {
    while (!this.#hasStopped) {
      await sleep(PAUSE_MS);
      if (this.#isPaused) continue;
      // A node may be down, because a test has killed it.
      const flushes = this.cluster.nodes.map((node) => this.cluster.command(node, "SCRIPT", "FLUSH").catch(() => {}));
      await Promise.all(flushes);
      this.#flushes++;
    }
  }
}

/** Waits until something is so. The test's own time limit ends the wait. */
export async function until(what: string, holds: () => unknown): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`not within 30 s: ${what}`);
    await sleep(20);
  }
}
