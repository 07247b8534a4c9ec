import type { Client } from "../client/client.ts";
import { Cluster } from "../cluster/cluster.ts";
import { connectIn } from "../cluster/connect.ts";
import { nodeEnvironment } from "../connection/node-environment.ts";
import type { Environment } from "../environment.ts";
import type { ConnectOptions } from "../options.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { TopologyNode } from "../topology/topology.ts";
import type { StudyEvent } from "./study/events.ts";
import type { NodeNames } from "./study/node-names.ts";
import { Recorder } from "./study/recorder.ts";
import { Servers } from "./study/servers.ts";
import { WireTap } from "./study/wire-tap.ts";

const PATIENCE_MS = 2000;

/** What a session is opened with, if not with its own. */
export interface Tapped {
  readonly tap?: WireTap;
  readonly environment?: Environment;
  /** The names that nodes have already; by default the session names them when it first asks the servers. */
  readonly names?: NodeNames;
}

/** A connected cluster whose single nodes can be asked as well. */
export class Session {
  readonly cluster: Cluster;
  readonly client: Client;
  readonly #options: ConnectOptions;
  readonly #tap: WireTap | undefined;
  /** The names that the nodes have already. */
  readonly #names: NodeNames | undefined;
  #servers: Promise<Servers> | undefined;

  private constructor(cluster: Cluster, options: ConnectOptions, tap?: WireTap, names?: NodeNames) {
    this.cluster = cluster;
    this.client = Cluster.clientOf(cluster);
    this.#options = options;
    this.#tap = tap;
    this.#names = names;
  }

  static async open(options: ConnectOptions): Promise<Session> {
    return new Session(await connectIn(nodeEnvironment, options), options);
  }

  /** Opens a session whose calls can be recorded with their bytes. */
  static async openTapped(
    options: ConnectOptions,
    { tap = new WireTap({ showsArguments: true }), environment = nodeEnvironment, names }: Tapped = {},
  ): Promise<Session> {
    return new Session(await connectIn(tap.over(environment), options), options, tap, names);
  }

  /** The servers of the cluster, each of which can be asked, on connections of their own. @throws as `Servers.find`. */
  servers(): Promise<Servers> {
    this.#servers ??= Servers.find(this.#options, this.#names).catch((error: unknown) => {
      this.#servers = undefined;
      throw error;
    });
    return this.#servers;
  }

  /** Adds to `events` what the client does, and its bytes, until `stop`. */
  record(events: StudyEvent[]): { stop(): void } {
    const tap = this.#tap;
    const recorder = new Recorder({
      onEvent(event) {
        events.push(event);
        tap?.hear(event);
      },
    }).start(this.client);
    if (tap !== undefined) tap.sink = (event) => void recorder.add(event);
    return {
      stop() {
        recorder.stop();
        if (tap !== undefined) tap.sink = undefined;
      },
    };
  }

  /**
   * Sends a command to the node at the announced `address`, without routing. Rejects at once when there is no
   * connection to the node.
   */
  async ask(address: string, ...command: readonly Argument[]): Promise<Reply> {
    const pool = this.client.nodes.find((node) => node.address === address)?.pool;
    const connection = pool?.lanes.find(({ ready }) => ready)?.useConnection();
    if (connection === undefined) throw pool?.cause ?? new Error(`${address} is not connected`);
    return withinPatience(connection.exchange(command)[0] as Promise<Reply>, address);
  }

  /**
   * Asks each node by SCRIPT EXISTS, which loads nothing, which of the scripts it knows. The answers are in the order
   * of `shas`. A node that did not answer has an error instead.
   */
  async whoKnows(nodes: readonly TopologyNode[], shas: readonly string[]): Promise<Map<string, boolean[] | Error>> {
    const answers = nodes.map(async ({ address }): Promise<[string, boolean[] | Error]> => {
      const answer = await this.ask(address, "SCRIPT", "EXISTS", ...shas).catch((error: Error) => error);
      return [address, answer instanceof Error ? answer : (answer as Reply[]).map((each) => each === 1)];
    });
    return new Map(await Promise.all(answers));
  }

  /** Asks a node for the number of its scripts. */
  async countScripts(address: string): Promise<number> {
    const memory = String(await this.ask(address, "INFO", "memory"));
    const count = /^number_of_cached_scripts:(\d+)\r?$/m.exec(memory)?.[1];
    if (count === undefined) throw new Error(`${address} does not say how many scripts it has`);
    return Number(count);
  }

  close(): void {
    this.cluster.destroy();
    void this.#servers?.then(
      (servers) => servers.close(),
      () => {},
    );
  }
}

/** Connects, runs `what`, and closes all connections. */
export async function inSession<T>(
  options: ConnectOptions,
  what: (session: Session) => Promise<T>,
  open: (options: ConnectOptions) => Promise<Session> = Session.open,
): Promise<T> {
  const session = await open(options);
  try {
    return await what(session);
  } finally {
    session.close();
  }
}

/** Rejects after a while without an answer, so that a silent node does not block the command. */
async function withinPatience<T>(answer: Promise<T>, address: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer from ${address} within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([answer, silence]).finally(() => clearTimeout(timer));
}
