import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { findServer } from "./server-binary.ts";
import { ServerHerd, ServerProcess } from "./server-process.ts";

/** What `startCluster` takes. */
export interface ClusterOptions {
  /** @default 3 */
  readonly primaries?: number;
  /** @default 0 */
  readonly replicasPerPrimary?: number;
  /** Path of a server program. Default: see `server-binary.ts`. */
  readonly server?: string;
  /** More arguments for every server, such as `["--cluster-node-timeout", "5000"]`. */
  readonly args?: readonly string[];
}

/** What `moveSlots` takes. */
export interface MoveSlots {
  readonly slots: readonly number[];
  /** Address of the primary that gets them. */
  readonly to: string;
  /**
   * Milliseconds to wait after each key.
   * @default 0
   */
  readonly pause?: number;
}

const SETTLE_TIMEOUT_MS = 30_000;
const POLL_MS = 25;

/**
 * Starts a real cluster on free loopback ports, for tests and for looking at one. The servers end with `stop()`, and
 * with this process, however that ends.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<LocalCluster> {
  const { primaries = 3, replicasPerPrimary = 0, server, args = [] } = options;
  const binary = await findServer(server);
  const herd = new ServerHerd();
  try {
    const total = primaries * (1 + replicasPerPrimary);
    const start = () => ServerProcess.start(herd, binary, args);
    const servers = await Promise.all(Array.from({ length: total }, start));
    await form(servers, primaries);
    return new LocalCluster(herd, servers, start, binary.version);
  } catch (error) {
    await herd.release();
    throw error;
  }
}

/** A cluster of real servers on this machine. */
export class LocalCluster {
  /** The server program's version line. */
  readonly version: string;
  readonly #herd: ServerHerd;
  readonly #servers: ServerProcess[];
  readonly #start: () => Promise<ServerProcess>;
  #stopped: Promise<void> | undefined;

  /** @internal */
  constructor(herd: ServerHerd, servers: ServerProcess[], start: () => Promise<ServerProcess>, version: string) {
    this.#herd = herd;
    this.#servers = servers;
    this.#start = start;
    this.version = version;
  }

  /** Addresses of all servers that run, for `connect`. */
  get nodes(): string[] {
    return this.#alive.map(({ address }) => address);
  }

  /** Process ids by address, of servers that run. */
  get pids(): ReadonlyMap<string, number> {
    return new Map(this.#alive.map(({ address, pid }) => [address, pid]));
  }

  /** One command to one server, on a connection of its own, with no routing. */
  command(address: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#server(address).command(...args);
  }

  /** Starts one more server and joins it, without slots. Resolves to its address when all know it. */
  async addNode(): Promise<string> {
    const server = await this.#start();
    const [first] = this.#alive;
    this.#servers.push(server);
    await (first as ServerProcess).command("CLUSTER", "MEET", server.host, server.port);
    await settled(this.#alive);
    return server.address;
  }

  /** Makes `address`, an empty node, a replica of `primary`. Resolves when it is in step. */
  async replicate(address: string, primary: string): Promise<void> {
    await replicate(this.#server(address), await idOf(this.#server(primary)));
  }

  /** Moves slots to a primary, live: key by key, the way resharding tools do. */
  async moveSlots({ slots, to, pause = 0 }: MoveSlots): Promise<void> {
    const target = this.#server(to);
    const targetId = await idOf(target);
    for (const slot of slots) {
      const source = await this.#ownerOf(slot);
      if (source === target) continue;
      await target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(source));
      await source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", targetId);
      for (;;) {
        const keys = (await source.command("CLUSTER", "GETKEYSINSLOT", slot, 1)) as string[];
        if (keys.length === 0) break;
        await source.command("MIGRATE", target.host, target.port, keys[0] as string, 0, 5000);
        if (pause > 0) await sleep(pause);
      }
      // The new owner first: it would otherwise refuse what the old one sends to it.
      const others = this.#alive.filter((server) => server !== target && server !== source);
      for (const server of [target, source, ...others]) {
        if (await isPrimary(server)) await server.command("CLUSTER", "SETSLOT", slot, "NODE", targetId);
      }
    }
  }

  /** Ends a server with SIGKILL. */
  async kill(address: string): Promise<void> {
    await this.#server(address).kill();
  }

  /** Freezes a server with SIGSTOP. */
  pause(address: string): void {
    this.#server(address).signal("SIGSTOP");
  }

  /** Thaws a frozen server. */
  resume(address: string): void {
    this.#server(address).signal("SIGCONT");
  }

  /** Promotes a replica with CLUSTER FAILOVER. Resolves when it is a primary and its old primary a replica. */
  async failover(replicaAddress: string): Promise<void> {
    const replica = this.#server(replicaAddress);
    await replica.command("CLUSTER", "FAILOVER");
    await until(() => isPrimary(replica), `${replicaAddress} to be promoted`);
    await settled(this.#alive);
  }

  /** SCRIPT FLUSH on every server. */
  async flushScripts(): Promise<void> {
    await Promise.all(this.#alive.map((server) => server.command("SCRIPT", "FLUSH")));
  }

  /** Ends all servers and removes their files. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      await Promise.all(this.#servers.map((server) => server.kill()));
      await this.#herd.release();
    })();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #alive(): ServerProcess[] {
    return this.#servers.filter((server) => server.alive);
  }

  #server(address: string): ServerProcess {
    const server = this.#alive.find((each) => each.address === address);
    if (server === undefined) throw new Error(`${address} is none of the running servers: ${this.nodes.join(", ")}.`);
    return server;
  }

  async #ownerOf(slot: number): Promise<ServerProcess> {
    const [first] = this.#alive;
    const ranges = (await (first as ServerProcess).command("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
    const range = ranges.find(([start, end]) => slot >= start && slot <= end);
    if (range === undefined) throw new Error(`Nobody owns slot ${slot}.`);
    return this.#server(`${range[2][0]}:${range[2][1]}`);
  }
}

/** Gives slots to the first `primaries` servers, joins all, and makes the others their replicas in turn. */
async function form(servers: readonly ServerProcess[], primaries: number): Promise<void> {
  const [first, ...others] = servers as [ServerProcess, ...ServerProcess[]];
  await Promise.all(
    servers.slice(0, primaries).map(async (server, index) => {
      await server.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
      const start = Math.floor((index * SLOT_COUNT) / primaries);
      const end = Math.floor(((index + 1) * SLOT_COUNT) / primaries);
      const slots = Array.from({ length: end - start }, (_, offset) => start + offset);
      await server.command("CLUSTER", "ADDSLOTS", ...slots);
    }),
  );
  for (const server of others) await first.command("CLUSTER", "MEET", server.host, server.port);
  await settled(servers);
  await Promise.all(
    servers.slice(primaries).map(async (replica, index) => {
      const primary = servers[index % primaries] as ServerProcess;
      await replicate(replica, await idOf(primary));
    }),
  );
  await settled(servers);
}

async function replicate(replica: ServerProcess, primaryId: string): Promise<void> {
  await replica.command("CLUSTER", "REPLICATE", primaryId);
  await until(
    async () => String(await replica.command("INFO", "replication")).includes("master_link_status:up"),
    `${replica.address} to be in step with its primary`,
  );
}

/** Every server knows every other, agrees on the slots, and finds the cluster well. */
async function settled(servers: readonly ServerProcess[]): Promise<void> {
  await until(async () => {
    const views = await Promise.all(
      servers.map(async (server) => {
        const [info, nodes] = await Promise.all([
          server.command("CLUSTER", "INFO"),
          server.command("CLUSTER", "NODES"),
        ]);
        if (!String(info).includes("cluster_state:ok")) return undefined;
        const lines = String(nodes)
          .split("\n")
          .filter((line) => line !== "" && !/handshake|fail/.test(line));
        if (lines.length < servers.length) return undefined;
        const view = lines.map((line) => {
          const [id, , flags, , , , , , ...slots] = line.split(" ");
          return [id, /master|slave/.exec(flags ?? "")?.[0], slots.filter((slot) => !slot.startsWith("["))].join(" ");
        });
        return view.sort().join("\n");
      }),
    );
    return views[0] !== undefined && views.every((view) => view === views[0]);
  }, "the cluster to agree");
}

async function isPrimary(server: ServerProcess): Promise<boolean> {
  return ((await server.command("ROLE")) as Reply[])[0] === "master";
}

async function idOf(server: ServerProcess): Promise<string> {
  return (await server.command("CLUSTER", "MYID")) as string;
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + SETTLE_TIMEOUT_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited ${SETTLE_TIMEOUT_MS} ms in vain for ${what}.`);
    await sleep(POLL_MS);
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
