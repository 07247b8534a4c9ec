import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { selfSignedCertificate } from "./certificate.ts";
import { form, idOf, isPrimary, replicate, settled, until } from "./form-cluster.ts";
import { knownToReplicas, type MoveSlots, moveInOneStep, moveKeyByKey } from "./move-slots.ts";
import { findServer } from "./server-binary.ts";
import { ServerHerd, ServerProcess } from "./server-process.ts";

/** What `startCluster` takes. */
export interface ClusterOptions {
  /**
   * Nodes that share the slots evenly; a cluster needs 3 to survive the loss of one.
   * @default 3
   */
  readonly primaries?: number | undefined;
  /**
   * Copies of each.
   * @default 0
   */
  readonly replicasPerPrimary?: number | undefined;
  /**
   * Path of a server program.
   * @default `SLOTWIRE_SERVER`, or one on the PATH, or one in the cache folder, or one fetched into that
   */
  readonly server?: string | undefined;
  /**
   * More arguments for every server, such as `["--cluster-node-timeout", "5000"]`.
   * @default []
   */
  readonly args?: readonly string[] | undefined;
  /**
   * TLS in place of plain TCP, with a certificate made for this cluster: see `connectOptions`.
   * @default false, or true when `SLOTWIRE_TLS` is 1
   */
  readonly tls?: boolean | undefined;
}

/** Where a cluster is, as options of `connect`. */
export interface ConnectTo {
  /** `host:port` of each server that runs. */
  readonly nodes: readonly string[];
  /** False without TLS; otherwise who vouches for the servers. */
  readonly tls:
    | false
    | {
        /** The certificate, in PEM. */
        readonly ca: string;
      };
}

/**
 * Starts a real cluster on free loopback ports, for tests and for looking at one. The servers end with `stop()`, and
 * with this process, however that ends. Takes about two seconds.
 *
 * @throws {Error} No server program was found, or it did not start; the message says what was tried.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<LocalCluster> {
  const { primaries = 3, replicasPerPrimary = 0, server, args = [], tls = process.env.SLOTWIRE_TLS === "1" } = options;
  const binary = await findServer(server);
  const certificate = tls ? selfSignedCertificate() : undefined;
  const herd = new ServerHerd();
  try {
    const total = primaries * (1 + replicasPerPrimary);
    const start = () => ServerProcess.start(herd, { binary, args, certificate });
    const servers = await Promise.all(Array.from({ length: total }, start));
    await form(servers, primaries);
    return new LocalCluster(herd, servers, start, binary.version, certificate?.cert);
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
  readonly #authority: string | undefined;
  readonly #paused = new Set<string>();
  #stopped: Promise<void> | undefined;

  /** @internal */
  constructor(
    herd: ServerHerd,
    servers: ServerProcess[],
    start: () => Promise<ServerProcess>,
    version: string,
    authority: string | undefined,
  ) {
    this.#herd = herd;
    this.#servers = servers;
    this.#start = start;
    this.version = version;
    this.#authority = authority;
  }

  /** Addresses of all servers that run, for `connect`. */
  get nodes(): string[] {
    return this.#alive.map(({ address }) => address);
  }

  /** For `connect`, with TLS or without: `connect({ ...cluster.connectOptions, scripts })`. */
  get connectOptions(): ConnectTo {
    return { nodes: this.nodes, tls: this.#authority !== undefined && { ca: this.#authority } };
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
    const [first] = this.#awake;
    this.#servers.push(server);
    await (first as ServerProcess).command("CLUSTER", "MEET", server.host, server.port);
    await settled(this.#awake);
    return server.address;
  }

  /** Makes `address`, an empty node, a replica of `primary`. Resolves when it is in step. */
  async replicate(address: string, primary: string): Promise<void> {
    await replicate(this.#server(address), await idOf(this.#server(primary)));
  }

  /**
   * Moves slots to a primary, live: key by key, the way resharding tools do, or in one step where the servers can.
   * Resolves when the replicas of that primary know, too.
   */
  async moveSlots({ slots, to, pause = 0, atomic = false }: MoveSlots): Promise<void> {
    const target = this.#server(to);
    const wrong = slots.find((slot) => !Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT);
    if (wrong !== undefined) throw new Error(`moveSlots: ${wrong} is no slot; accepted is 0 to ${SLOT_COUNT - 1}.`);
    if (atomic) {
      const owners = await Promise.all(slots.map((slot) => this.#ownerOf(slot)));
      for (const source of new Set(owners)) {
        if (source === target) continue;
        const its = slots.filter((_, index) => owners[index] === source);
        await moveInOneStep(its, source, target, this.#awake);
      }
      return;
    }
    for (const slot of slots) {
      const source = await this.#ownerOf(slot);
      if (source !== target) await moveKeyByKey(slot, source, target, this.#awake, pause);
    }
    await knownToReplicas(slots, target, this.#awake);
  }

  /** Ends a server with SIGKILL. */
  async kill(address: string): Promise<void> {
    await this.#server(address).kill();
  }

  /** Freezes a server with SIGSTOP. */
  pause(address: string): void {
    this.#server(address).signal("SIGSTOP");
    this.#paused.add(address);
  }

  /** Thaws a frozen server. */
  resume(address: string): void {
    this.#server(address).signal("SIGCONT");
    this.#paused.delete(address);
  }

  /** Promotes a replica with CLUSTER FAILOVER. Resolves when it is a primary and its old primary a replica. */
  async failover(replicaAddress: string): Promise<void> {
    const replica = this.#server(replicaAddress);
    await replica.command("CLUSTER", "FAILOVER");
    await until(() => isPrimary(replica), `${replicaAddress} to be promoted`);
    await settled(this.#awake);
  }

  /** SCRIPT FLUSH on every server that is not paused. */
  async flushScripts(): Promise<void> {
    await Promise.all(this.#awake.map((server) => server.command("SCRIPT", "FLUSH")));
  }

  /** Ends all servers and removes their files. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      await Promise.all(this.#servers.map((server) => server.kill()));
      await this.#herd.release();
    })();
    return this.#stopped;
  }

  /** `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #alive(): ServerProcess[] {
    return this.#servers.filter((server) => server.alive);
  }

  /** Who answers. */
  get #awake(): ServerProcess[] {
    return this.#alive.filter(({ address }) => !this.#paused.has(address));
  }

  #server(address: string): ServerProcess {
    const server = this.#alive.find((each) => each.address === address);
    if (server === undefined) throw new Error(`${address} is none of the running servers: ${this.nodes.join(", ")}.`);
    return server;
  }

  async #ownerOf(slot: number): Promise<ServerProcess> {
    const [first] = this.#awake;
    const ranges = (await (first as ServerProcess).command("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
    const range = ranges.find(([start, end]) => slot >= start && slot <= end);
    if (range === undefined) throw new Error(`Nobody owns slot ${slot}.`);
    // By the port alone: with other `args` it announces a name, or no host at all.
    const owner = this.#alive.find(({ port }) => port === range[2][1]);
    if (owner === undefined) throw new Error(`The owner of slot ${slot} does not run.`);
    return owner;
  }
}
