import type { Cluster } from "../../src/index.ts";

/** The commands that run scripts and functions, by their names in INFO commandstats. */
const COMMANDS = ["eval", "evalsha", "evalsha_ro", "fcall", "fcall_ro"] as const;
export type ScriptCommand = (typeof COMMANDS)[number];

/** The costs on one server, or summed over several. */
export interface ServerCosts {
  /** The CPU time of the server processes, user and system. */
  readonly cpuMicroseconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The calls and times from the servers' command statistics. */
  readonly commands: Readonly<Record<ScriptCommand, CommandCosts>>;
}

export interface CommandCosts {
  readonly calls: number;
  readonly microseconds: number;
}

/** Reads the statistics of servers over the client's own connections. */
export class ServerMeter {
  readonly #client: Cluster;
  readonly #addresses: readonly string[];

  constructor(client: Cluster, addresses: readonly string[]) {
    this.#client = client;
    this.#addresses = addresses;
  }

  /** The costs on each server while `work` ran, including the costs of other clients. */
  async during(work: () => Promise<unknown>): Promise<ReadonlyMap<string, ServerCosts>> {
    // A reading has a cost of its own: the difference between two readings with nothing between them.
    const first = await this.read();
    const before = await this.read();
    await work();
    const after = await this.read();
    return new Map(
      this.#addresses.map((address, index) => {
        const [one, two, three] = [first, before, after].map((reading) => reading[index] as ServerCosts) as Three;
        return [address, combined(combined(three, two, -1), combined(two, one, -1), -1)];
      }),
    );
  }

  /** The statistics of each server, since its start. Rejects where INFO is refused. */
  async read(): Promise<readonly ServerCosts[]> {
    return Promise.all(
      this.#addresses.map(async (address) => {
        const node = this.#client.node(address);
        const sections = ["commandstats", "stats", "cpu"];
        const replies = await Promise.all(sections.map((section) => node.command<string>("INFO", section)));
        return costsOf(replies.join("\n"));
      }),
    );
  }
}

type Three = [ServerCosts, ServerCosts, ServerCosts];

/** The costs of several servers together. */
export function summed(each: Iterable<ServerCosts>): ServerCosts {
  return [...each].reduce((sum, costs) => combined(sum, costs, 1), NOTHING);
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
    commands: ofEach((command) => ({
      calls: number(`cmdstat_${command}:calls=(\\d+)`) ?? 0,
      microseconds: number(`cmdstat_${command}:.*?\\busec=(\\d+)`) ?? 0,
    })),
  };
}

function combined(a: ServerCosts, b: ServerCosts, sign: 1 | -1): ServerCosts {
  return {
    cpuMicroseconds: a.cpuMicroseconds + sign * b.cpuMicroseconds,
    bytesIn: a.bytesIn + sign * b.bytesIn,
    bytesOut: a.bytesOut + sign * b.bytesOut,
    commands: ofEach((command) => ({
      calls: a.commands[command].calls + sign * b.commands[command].calls,
      microseconds: a.commands[command].microseconds + sign * b.commands[command].microseconds,
    })),
  };
}

function ofEach<T>(value: (command: ScriptCommand) => T): Record<ScriptCommand, T> {
  return Object.fromEntries(COMMANDS.map((command) => [command, value(command)])) as Record<ScriptCommand, T>;
}

const NOTHING: ServerCosts = {
  cpuMicroseconds: 0,
  bytesIn: 0,
  bytesOut: 0,
  commands: ofEach(() => ({ calls: 0, microseconds: 0 })),
};
