import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { LocalCluster } from "../../src/testing/index.ts";
import type { SentMessage, Stream } from "./subscription-history.ts";

/** What is published under one name: its messages are numbered from 0. */
export interface StreamPlan {
  /** The channel. Of keyspace events the beginning of the keys, with a hash tag: keys are `name:number`. */
  readonly name: string;
  /** By PUBLISH, by SPUBLISH, or by SET of a key for each number. */
  readonly kind: "channel" | "shard" | "keyspace";
  /** The node that publishes all of a channel; for the other kinds the node that is tried first. */
  readonly at: string;
}

export interface Load {
  readonly streams: readonly StreamPlan[];
  /** Messages a second of all streams together. */
  readonly perSecond: number;
  /**
   * How many publishers share the streams. Each has connections of its own.
   * @default 1
   */
  readonly publishers?: number;
}

export interface Orders extends Required<Load> {
  readonly nodes: readonly string[];
  readonly ca: string | undefined;
}

/** What the process is told, and what it tells. */
export type Wanted = { readonly what: "publish"; readonly orders: Orders } | { readonly what: "stop" };
export type Told =
  | { readonly what: "ready" }
  | { readonly what: "sent"; readonly sent: readonly (readonly SentMessage[])[] };

/** Publishes numbered messages from a process of its own. */
export class Publisher {
  readonly #child: ChildProcess;
  readonly #cluster: LocalCluster;
  #streams: readonly StreamPlan[] = [];

  private constructor(child: ChildProcess, cluster: LocalCluster) {
    this.#child = child;
    this.#cluster = cluster;
  }

  static async start(cluster: LocalCluster): Promise<Publisher> {
    const program = fileURLToPath(new URL("publisher-process.ts", import.meta.url));
    const child = fork(program, { execArgv: ["--import", "tsx"], serialization: "advanced" });
    await once(child, "message");
    return new Publisher(child, cluster);
  }

  /** Begins to publish. A publisher does this once at a time, and can do it again after `stop`. */
  publish({ streams, perSecond, publishers = 1 }: Load): void {
    this.#streams = streams;
    const { nodes, tls } = this.#cluster.connectOptions;
    const orders = { streams, perSecond, publishers, nodes, ca: tls ? tls.ca : undefined };
    this.#child.send({ what: "publish", orders } satisfies Wanted);
  }

  /** Publishes no more. What was sent since `publish`. */
  async stop(): Promise<Stream[]> {
    this.#child.send({ what: "stop" } satisfies Wanted);
    const [told] = (await once(this.#child, "message")) as [Extract<Told, { what: "sent" }>];
    return this.#streams.map(({ name }, index) => ({ name, topic: name, sent: told.sent[index] ?? [] }));
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, "exit");
    if (this.#child.connected) this.#child.disconnect();
    await exited;
  }
}
