import { connectIn } from "../../src/cluster/connect.ts";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Environment } from "../../src/environment.ts";
import type { Cluster, ConnectOptions } from "../../src/index.ts";
import { type Answer, array, bulk, FakeNode } from "./fake-node.ts";

const SLOT_COUNT = 16384;

/** Scripted nodes that announce one slot table. */
export class FakeCluster {
  readonly nodes: readonly FakeNode[];
  /** Slot ranges by the index of their node; nodes without one are announced as empty primaries. */
  ranges: [start: number, end: number, owner: number][];
  /** Announced nodes that replicate another one, by index. */
  readonly primaryOf = new Map<number, number>();
  /** How many of `nodes` are announced. */
  announced: number;
  /** The ids by which nodes are announced. What a node itself says is its own `id`. */
  readonly ids: string[] = [];
  /** The availability zones of nodes, by index; those without one are announced without. */
  readonly zones: string[] = [];
  /** What nodes call the host of node `index`. */
  hostOf: (index: number) => string = () => "127.0.0.1";
  readonly #clients: Cluster[] = [];

  private constructor(nodes: readonly FakeNode[], announced: number) {
    this.nodes = nodes;
    this.announced = announced;
    this.ranges = Array.from({ length: announced }, (_, index): [number, number, number] => [
      Math.floor((index * SLOT_COUNT) / announced),
      Math.floor(((index + 1) * SLOT_COUNT) / announced) - 1,
      index,
    ]);
    for (const [index, node] of nodes.entries()) {
      node.id = String(index).padStart(40, "0");
      this.ids.push(node.id);
      node.shards = () => this.#shards();
    }
  }

  /** `spare` more nodes run, but are not announced. */
  static async start(count: number, spare = 0, tls?: { key: string; cert: string }): Promise<FakeCluster> {
    const nodes = await Promise.all(Array.from({ length: count + spare }, () => FakeNode.start(tls)));
    return new FakeCluster(nodes, count);
  }

  node(index: number): FakeNode {
    return this.nodes[index] as FakeNode;
  }

  /** A client that is destroyed by `stop`. */
  async connect(options: Partial<ConnectOptions> = {}, environment: Environment = nodeEnvironment): Promise<Cluster> {
    const all = { nodes: [this.node(0).address], topologyRefreshInterval: 0, ...options };
    const client = await connectIn(environment, all);
    this.#clients.push(client);
    return client;
  }

  /** Topology queries that all nodes got together. */
  get queries(): number {
    return this.nodes.reduce((sum, node) => sum + node.count("CLUSTER SHARDS"), 0);
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await Promise.all(this.nodes.map((node) => node.stop()));
    for (const node of this.nodes) node.verify();
  }

  #shards(): Answer {
    const announced = Array.from({ length: this.announced }, (_, index) => index);
    const shards = announced.filter((index) => !this.primaryOf.has(index));
    return array(
      ...shards.map((primary) => {
        const slots = this.ranges.filter(([, , owner]) => owner === primary).flatMap((range) => range.slice(0, 2));
        const replicas = announced.filter((index) => this.primaryOf.get(index) === primary);
        const entries = [primary, ...replicas].map((index) => {
          const role = index === primary ? "master" : "replica";
          const fields = [
            "id",
            this.ids[index] as string,
            "endpoint",
            this.hostOf(index),
            "role",
            role,
            "health",
            "online",
            ...(this.zones[index] === undefined ? [] : ["availability-zone", this.zones[index]]),
          ];
          return array(...fields.map(bulk), bulk("port"), `:${this.node(index).port}\r\n`);
        });
        return array(bulk("slots"), array(...slots.map((slot) => `:${slot}\r\n`)), bulk("nodes"), array(...entries));
      }),
    );
  }
}
