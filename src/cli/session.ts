import type { Client } from "../client/client.ts";
import { Cluster, connect } from "../cluster.ts";
import type { ConnectOptions } from "../options.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { TopologyNode } from "../topology/topology.ts";

const PATIENCE_MS = 2000;

/** A connected cluster of which single nodes can be asked, too. */
export class Session {
  readonly cluster: Cluster;
  readonly client: Client;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.client = Cluster.clientOf(cluster);
  }

  static async open(options: ConnectOptions): Promise<Session> {
    return new Session(await connect(options));
  }

  /** Sends a command to one node, as announced, whoever owns what. A node without a connection rejects at once. */
  async ask(address: string, ...command: readonly Argument[]): Promise<Reply> {
    const pool = this.client.nodes.find((node) => node.address === address)?.pool;
    const connection = pool?.lanes.find(({ ready }) => ready)?.useConnection();
    if (connection === undefined) throw pool?.cause ?? new Error(`${address} is not connected`);
    return withinPatience(connection.exchange(command)[0] as Promise<Reply>, address);
  }

  /**
   * Which of the scripts each node knows, by its own word, in the order of `shas`; an error for a node that did not
   * answer. SCRIPT EXISTS loads nothing.
   */
  async whoKnows(nodes: readonly TopologyNode[], shas: readonly string[]): Promise<Map<string, boolean[] | Error>> {
    const answers = nodes.map(async ({ address }): Promise<[string, boolean[] | Error]> => {
      const answer = await this.ask(address, "SCRIPT", "EXISTS", ...shas).catch((error: Error) => error);
      return [address, answer instanceof Error ? answer : (answer as Reply[]).map((each) => each === 1)];
    });
    return new Map(await Promise.all(answers));
  }

  /** How many scripts a node has, by its own word. */
  async countScripts(address: string): Promise<number> {
    const memory = String(await this.ask(address, "INFO", "memory"));
    const count = /^number_of_cached_scripts:(\d+)\r?$/m.exec(memory)?.[1];
    if (count === undefined) throw new Error(`${address} does not tell how many scripts it has`);
    return Number(count);
  }

  close(): void {
    this.cluster.destroy();
  }
}

/** Connects, does `what`, and leaves no connection behind. */
export async function inSession<T>(options: ConnectOptions, what: (session: Session) => Promise<T>): Promise<T> {
  const session = await Session.open(options);
  try {
    return await what(session);
  } finally {
    session.close();
  }
}

/** A node that says nothing holds nobody up. */
async function withinPatience<T>(answer: Promise<T>, address: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer from ${address} within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([answer, silence]).finally(() => clearTimeout(timer));
}
