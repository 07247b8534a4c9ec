import { SLOT_COUNT } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { type Certificate, selfSignedCertificate } from "./certificate.ts";
import { form, idOf, isPrimary, replicate, settled, until } from "./form-cluster.ts";
import { consecutivePorts } from "./free-ports.ts";
import { beginMove, handOver, migrate, type Node } from "./hand-over.ts";
import { knownToReplicas, type MoveSlots, moveInOneStep } from "./move-slots.ts";
import { ownViews } from "./own-view.ts";
import { findServer } from "./server-binary.ts";
import { ServerHerd, ServerProcess } from "./server-process.ts";
import { type Herd, type SettledSlot, settleSlot } from "./settle-slot.ts";

/** The options of `startCluster`. */
export interface ClusterOptions {
  /**
   * The number of primaries, which share the slots evenly. A cluster needs at least 3 to survive the loss of one.
   * @default 3
   */
  readonly primaries?: number | undefined;
  /**
   * The number of replicas of each primary.
   * @default 0
   */
  readonly replicasPerPrimary?: number | undefined;
  /**
   * The path of a server program, or its name on the PATH.
   * @default `SLOTWIRE_SERVER`, or a server on the PATH, or one in the cache folder, or one that is fetched into that
   *   folder
   */
  readonly server?: string | undefined;
  /**
   * Additional arguments for every server, such as `["--cluster-node-timeout", "5000"]`.
   * @default []
   */
  readonly args?: readonly string[] | undefined;
  /**
   * Whether the servers use TLS in place of plain TCP, with a certificate made for this cluster. See `connectOptions`.
   * @default false, or true when `SLOTWIRE_TLS` is 1
   */
  readonly tls?: boolean | undefined;
  /**
   * The password of the default user, also among the servers (`requirepass` and `masterauth`). See `connectOptions`.
   * @default none
   */
  readonly password?: string | undefined;
  /**
   * The port of the first server; the others get the ports behind it. Each server also takes the port 10,000 above its
   * own, for the other servers.
   * @default free ports
   */
  readonly port?: number | undefined;
  /**
   * Ends the start: `startCluster` rejects with its reason, when all servers have ended.
   * @default none
   */
  readonly signal?: AbortSignal | undefined;
}

/** The options of `connect` with which a client reaches a local cluster. */
export interface ConnectTo {
  /** The address of each running server, as `host:port`. */
  readonly nodes: readonly string[];
  /** False without TLS. Otherwise the authority that signed the servers' certificate. */
  readonly tls:
    | false
    | {
        /** The authority's certificate, as PEM text. */
        readonly ca: string;
      };
  /** Only there for a cluster with a password. */
  readonly password?: string;
}

/**
 * Starts a cluster of real servers on free loopback ports, for tests and for trying things out. The start takes about
 * two seconds. The servers end with `stop()`, and also when this process ends, in whatever way.
 *
 * @throws {Error} when no server program was found, or when a server did not start; the message says what was tried.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<LocalCluster> {
  const { primaries = 3, replicasPerPrimary = 0, server, args = [], tls = process.env.SLOTWIRE_TLS === "1" } = options;
  const { password, port, signal } = options;
  if (password === "") throw new Error("startCluster: the password is empty; accepted is any other text.");
  const total = primaries * (1 + replicasPerPrimary);
  const ports = port === undefined ? undefined : await consecutivePorts(port, total);
  const binary = await orAborted(findServer(server), signal);
  const certificate = tls ? selfSignedCertificate() : undefined;
  const herd = new ServerHerd();
  const abort = () => herd.kill();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    signal?.throwIfAborted();
    const settings = { binary, args, certificate, password };
    const start = () => ServerProcess.start(herd, settings, ports, ports === undefined ? undefined : 1);
    const started = await Promise.allSettled(Array.from({ length: total }, start));
    const failed = started.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const servers = started.map((each) => (each as PromiseFulfilledResult<ServerProcess>).value);
    await orAborted(form(servers, primaries), signal);
    return new LocalCluster({ herd, servers, start, version: binary.version, certificate, password });
  } catch (error) {
    await herd.release();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Waits for `work`, unless the signal comes first. The work is then left to fail by itself. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  work.catch(() => {});
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** The parts of a cluster that has been started. */
interface Running {
  readonly herd: ServerHerd;
  readonly servers: ServerProcess[];
  readonly start: () => Promise<ServerProcess>;
  readonly version: string;
  readonly certificate: Certificate | undefined;
  readonly password: string | undefined;
}

/** A cluster of real servers on this machine. */
export class LocalCluster {
  /** The first line that the server program prints for `--version`. */
  readonly version: string;
  /**
   * With TLS: a PEM file with the authority that signed the servers' certificate, for `--cacert`. `stop` removes it.
   */
  readonly authorityFile: string | undefined;
  readonly #herd: ServerHerd;
  readonly #servers: ServerProcess[];
  readonly #start: () => Promise<ServerProcess>;
  readonly #authority: string | undefined;
  readonly #password: string | undefined;
  readonly #paused = new Set<string>();
  #stopped: Promise<void> | undefined;

  /** @internal */
  constructor({ herd, servers, start, version, certificate, password }: Running) {
    this.#herd = herd;
    this.#servers = servers;
    this.#start = start;
    this.version = version;
    this.#authority = certificate?.cert;
    this.authorityFile = certificate && herd.write("ca.pem", certificate.cert);
    this.#password = password;
  }

  /** The addresses of all running servers as `host:port`, for the option `nodes` of `connect`. */
  get nodes(): string[] {
    return this.#alive.map(({ address }) => address);
  }

  /** The options for `connect`, with TLS and a password or without: `connect({ ...cluster.connectOptions, scripts })`. */
  get connectOptions(): ConnectTo {
    return {
      nodes: this.nodes,
      tls: this.#authority !== undefined && { ca: this.#authority },
      ...(this.#password !== undefined && { password: this.#password }),
    };
  }

  /** The process ids of all running servers, by address. */
  get pids(): ReadonlyMap<string, number> {
    return new Map(this.#alive.map(({ address, pid }) => [address, pid]));
  }

  /** Sends one command to the server at `address`, on a new connection and without routing. Resolves to the reply. */
  command(address: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#server(address).command(...args);
  }

  /** @internal Sends commands to the server at `address`, all on one new connection. An error is a value among the replies. */
  commands(address: string, ...commands: readonly (readonly Argument[])[]): Promise<(Reply | Error)[]> {
    return this.#server(address).use((line) => {
      return Promise.all(commands.map((args) => line.command(...args).catch((error: Error) => error)));
    });
  }

  /** Starts one more server, without slots, and joins it. Resolves to its address when all servers know the new one. */
  async addNode(): Promise<string> {
    const [first] = this.#awake;
    if (first === undefined) throw new Error("No server runs that another one could join, or all are frozen.");
    const server = await this.#start();
    this.#servers.push(server);
    await first.command("CLUSTER", "MEET", server.host, server.port);
    await settled(this.#awake);
    return server.address;
  }

  /**
   * Makes the empty node at `address` a replica of `primary`. Resolves when the replica is in step with its primary.
   */
  async replicate(address: string, primary: string): Promise<void> {
    await replicate(this.#server(address), await idOf(this.#server(primary)));
  }

  /**
   * Moves slots to a primary while clients use them: key by key, as resharding tools do, or in one step with `atomic`.
   * Resolves when the replicas of that primary know of the move, too.
   */
  async moveSlots({ slots, to, pause = 0, atomic = false }: MoveSlots): Promise<void> {
    const target = this.#server(to);
    const wrong = slots.find((slot) => !Number.isInteger(slot) || slot < 0 || slot >= SLOT_COUNT);
    if (wrong !== undefined) throw new Error(`moveSlots: ${wrong} is no slot; accepted is 0 to ${SLOT_COUNT - 1}.`);
    const views = await ownViews(this.#awake);
    this.#refuseFrozen(to);
    const targetView = views.find(({ server }) => server === target) as (typeof views)[number];
    if (!targetView.isPrimary) throw new Error(`moveSlots: ${to} is a replica; accepted is the address of a primary.`);
    const open = new Set(views.flatMap((view) => view.open.map(({ slot }) => slot)));
    if (atomic) {
      for (const slot of slots) if (open.has(slot)) await settleSlot(slot, this.#herdNow);
      const owners = await Promise.all(slots.map((slot) => this.#ownerOf(slot)));
      for (const source of new Set(owners)) {
        if (source === target) continue;
        const its = slots.filter((_, index) => owners[index] === source);
        await moveInOneStep(its, source, target, this.#awake);
      }
      return;
    }
    for (const slot of slots) {
      // A slot that is half-way to another node would stay half-way at one end.
      if (open.has(slot)) {
        await settleSlot(slot, this.#herdNow, target, pause);
        continue;
      }
      const source = await this.#ownerOf(slot);
      if (source === target) continue;
      this.#refuseFrozen(source.address);
      const move = { slot, pauseMs: pause, password: this.#password };
      await handOver(move, { server: source, id: await idOf(source) }, targetView, this.#awake);
    }
    await knownToReplicas(slots, target, this.#awake);
  }

  /**
   * Closes a slot that a move has left half-way: its owner gets all keys back, and all nodes agree on it. It does not
   * matter how far the move has got, nor which of its ends still run. No key of a running node is lost, and calls are
   * answered meanwhile.
   *
   * @returns what was done
   * @throws {Error} when a node that is needed is frozen, or nobody has the slot.
   */
  settleSlot(slot: number): Promise<SettledSlot> {
    return settleSlot(slot, this.#herdNow);
  }

  /** @internal Marks a slot as being on its way between two primaries, and moves no key. */
  async beginMove(slot: number, { from, to }: { readonly from: string; readonly to: string }): Promise<void> {
    for (const address of [from, to]) this.#refuseFrozen(address);
    const [source, target] = await Promise.all(
      [from, to].map(async (address) => ({ server: this.#server(address), id: await idOf(this.#server(address)) })),
    );
    await beginMove(slot, source as Node, target as Node);
  }

  /** @internal Moves one key of a slot that is on its way. */
  async moveKey(key: string | Buffer, { from, to }: { readonly from: string; readonly to: string }): Promise<void> {
    await this.#server(from).use((line) => migrate(line, this.#server(to), key, this.#password));
  }

  /** Ends the server at `address` with SIGKILL. */
  async kill(address: string): Promise<void> {
    await this.#server(address).kill();
    this.#paused.delete(address);
  }

  /** Freezes the server at `address` with SIGSTOP. */
  pause(address: string): void {
    this.#server(address).signal("SIGSTOP");
    this.#paused.add(address);
  }

  /** Lets a frozen server run again, with SIGCONT. */
  resume(address: string): void {
    this.#server(address).signal("SIGCONT");
    this.#paused.delete(address);
  }

  /**
   * Promotes a replica with CLUSTER FAILOVER, or with FORCE if its primary is frozen or gone. Resolves when the replica is
   * a primary and all servers agree. A slot of the old primary that is half-way to another node is left as it is, and that
   * node may refuse everything (CLUSTERDOWN) until `settleSlot` has closed the slot.
   */
  async failover(replicaAddress: string): Promise<void> {
    const replica = this.#server(replicaAddress);
    this.#refuseFrozen(replicaAddress);
    const views = await ownViews(this.#awake);
    const its = views.find(({ server }) => server === replica);
    const hasPrimary = views.some(({ id }) => id === its?.primary);
    await replica.command("CLUSTER", "FAILOVER", ...(hasPrimary ? [] : ["FORCE"]));
    await until(() => isPrimary(replica), `${replicaAddress} to be promoted`);
    await settled(this.#awake, new Set(views.flatMap(({ open }) => open.map(({ slot }) => slot))));
  }

  /** Sends SCRIPT FLUSH to every server that is not paused. */
  async flushScripts(): Promise<void> {
    await Promise.all(this.#awake.map((server) => server.command("SCRIPT", "FLUSH")));
  }

  /** Ends all servers and removes their files. Further calls return the same promise. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      await Promise.all(this.#servers.map((server) => server.kill()));
      await this.#herd.release();
    })();
    return this.#stopped;
  }

  /** Calls `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #alive(): ServerProcess[] {
    return this.#servers.filter((server) => server.alive);
  }

  /** The running servers that are not paused. */
  get #awake(): ServerProcess[] {
    return this.#alive.filter(({ address }) => !this.#paused.has(address));
  }

  get #herdNow(): Herd {
    return { awake: this.#awake, frozen: [...this.#paused], password: this.#password };
  }

  #refuseFrozen(address: string): void {
    if (this.#paused.has(address)) throw new Error(`${address} is frozen; resume it first.`);
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
    // Only the port is compared, because with some `args` a server announces a name, or no host at all.
    const owner = this.#alive.find(({ port }) => port === range[2][1]);
    if (owner === undefined) throw new Error(`The owner of slot ${slot} does not run.`);
    return owner;
  }
}
