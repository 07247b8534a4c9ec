import { type Cluster, slotOf } from "../../src/index.ts";

/** The costs on the servers, summed over all primaries. */
export interface ServerCosts {
  /** The CPU time of the server processes, user and system. */
  readonly cpuMicroseconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The calls and times from the servers' command statistics. */
  readonly evalshaCalls: number;
  readonly evalshaMicroseconds: number;
  readonly evalCalls: number;
  readonly evalMicroseconds: number;
}

/** Reads the primaries' statistics over the client's own connections. */
export class ServerMeter {
  readonly #client: Cluster;
  readonly #keys: readonly string[];

  constructor(client: Cluster) {
    this.#client = client;
    this.#keys = keyOfEachPrimary(client);
  }

  /** The costs on the servers while `work` ran, including the costs of other clients. */
  async during(work: () => Promise<unknown>): Promise<ServerCosts> {
    // A reading has a cost of its own: the difference between two readings with nothing between them.
    const first = await this.#read();
    const before = await this.#read();
    await work();
    const after = await this.#read();
    return combined(combined(after, before, -1), combined(before, first, -1), -1);
  }

  async #read(): Promise<ServerCosts> {
    const each = await Promise.all(
      this.#keys.map(async (key) => {
        // A transaction runs on the node of its key. INFO has no key, so it could not choose the node.
        const sections = ["commandstats", "stats", "cpu"];
        const transaction = this.#client.transaction(key);
        for (const section of sections) transaction.command("INFO", section);
        const replies: readonly unknown[] = await transaction.exec();
        for (const reply of replies) if (reply instanceof Error) throw reply;
        return costsOf(replies.join("\n"));
      }),
    );
    return each.reduce((sum, costs) => combined(sum, costs, 1));
  }
}

/** Reads the costs from the text of INFO commandstats, stats and cpu. A command that was never called has no costs. */
export function costsOf(info: string): ServerCosts {
  const number = (pattern: string) => {
    const found = new RegExp(`^${pattern}`, "m").exec(info)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const needed = (name: string) => {
    const value = number(`${name}:([\\d.]+)`);
    if (value === undefined) throw new Error(`INFO says nothing about ${name}.`);
    return value;
  };
  return {
    cpuMicroseconds: (needed("used_cpu_user") + needed("used_cpu_sys")) * 1e6,
    bytesIn: needed("total_net_input_bytes"),
    bytesOut: needed("total_net_output_bytes"),
    evalshaCalls: number("cmdstat_evalsha:calls=(\\d+)") ?? 0,
    evalshaMicroseconds: number("cmdstat_evalsha:.*?\\busec=(\\d+)") ?? 0,
    evalCalls: number("cmdstat_eval:calls=(\\d+)") ?? 0,
    evalMicroseconds: number("cmdstat_eval:.*?\\busec=(\\d+)") ?? 0,
  };
}

function combined(a: ServerCosts, b: ServerCosts, sign: 1 | -1): ServerCosts {
  return mapped((name) => a[name] + sign * b[name]);
}

function mapped(value: (name: keyof ServerCosts) => number): ServerCosts {
  return {
    cpuMicroseconds: value("cpuMicroseconds"),
    bytesIn: value("bytesIn"),
    bytesOut: value("bytesOut"),
    evalshaCalls: value("evalshaCalls"),
    evalshaMicroseconds: value("evalshaMicroseconds"),
    evalCalls: value("evalCalls"),
    evalMicroseconds: value("evalMicroseconds"),
  };
}

function keyOfEachPrimary({ topology }: Cluster): string[] {
  const owners = new Set(topology.ranges.map(({ start }) => topology.primaryOf(start)?.address));
  return [...owners].map((owner) => {
    for (let number = 0; ; number++) {
      const key = `slotwire-bench:meter:${number}`;
      if (topology.primaryOf(slotOf(key))?.address === owner) return key;
    }
  });
}
