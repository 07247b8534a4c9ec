import { findTopology } from "../../client/first-topology.ts";
import { locationOf } from "../../client/locations.ts";
import { endpointTo, settingsFor } from "../../client/seeds.ts";
import type { Connection, ConnectionSettings } from "../../connection/connection.ts";
import { isNodeId, WHO_ARE_YOU } from "../../connection/identity.ts";
import { nodeEnvironment } from "../../connection/node-environment.ts";
import { openConnection } from "../../connection/open-connection.ts";
import { setPatience } from "../../connection/signs-of-life.ts";
import type { Environment } from "../../environment.ts";
import { ReplyError } from "../../errors.ts";
import { type ConnectOptions, type ResolvedOptions, resolveOptions } from "../../options.ts";
import { formatAddress, type NodeAddress } from "../../protocol/node-address.ts";
import type { Informant } from "../../topology/inquiry.ts";
import { Topology, type TopologyNode } from "../../topology/topology.ts";
import { type Asking, ask } from "./ask-server.ts";
import type { ServerState } from "./events.ts";
import { NodeNames } from "./node-names.ts";
import { type Account, statesOf } from "./server-states.ts";

/** Milliseconds that one node may take, its connection included. */
const PATIENCE_MS = 1500;
/** A question that has no answer for so long is given up, with its connection. */
const GIVEN_UP_MS = 10_000;

/** What the servers are asked, besides their views of the cluster. */
export interface Questions {
  /** The SHA-1s of scripts. @default [] */
  readonly scripts?: readonly string[];
  /** Which slots' keys are counted: those of open slots, all that a server owns, or these of its own. @default "open" */
  readonly count?: Asking["count"];
  /** Milliseconds that one node may take, its connection included. @default 1500 */
  readonly patienceMs?: number;
}

/** A node that was found in the cluster. */
interface Found {
  readonly node: TopologyNode;
  connection: Connection | undefined;
  /** A question that is under way. A silent node is asked nothing more until it has answered. */
  pending: Promise<Account> | undefined;
}

/**
 * The servers of a cluster, asked one by one for what each of them knows. Connections are its own: no client's channels or
 * counters tell of them. They stay open until `close`, so that the servers can be asked again and again.
 */
export class Servers {
  /** The names that the nodes have; they stay the same as long as this object lives. */
  readonly names: NodeNames;
  readonly #options: ResolvedOptions;
  readonly #environment: Environment;
  readonly #isSingle: boolean;
  /** By id; a single server by "". */
  readonly #found = new Map<string, Found>();
  /** The nodes that the seeds named first: they are asked also when no other node knows them any more. */
  #first: ReadonlySet<string>;
  #isClosed = false;

  private constructor(options: ResolvedOptions, environment: Environment, topology: Topology, names: NodeNames) {
    this.#options = options;
    this.#environment = environment;
    this.names = names;
    this.#isSingle = topology.nodes[0]?.id === "";
    for (const node of topology.nodes) this.#found.set(node.id, { node, connection: undefined, pending: undefined });
    this.#first = new Set(this.#found.keys());
  }

  /**
   * Finds the cluster through the seeds.
   * @throws As `connect` does: the seeds cannot be reached, or refuse the credentials.
   */
  static async find(
    given: ConnectOptions,
    names: NodeNames = new NodeNames(),
    environment: Environment = nodeEnvironment,
  ): Promise<Servers> {
    const options = resolveOptions(given);
    const seeds = options.seeds.map((seed) => ({
      address: formatAddress(seed),
      answersAs: seed,
      connect: (onTemporary: (connection: Connection) => void) =>
        openConnection(settingsFor(formatAddress(seed), seed, options, environment, undefined), onTemporary),
    }));
    const topology = Topology.from(await findTopology(options, environment, seeds));
    const servers = new Servers(options, environment, topology, names);
    await Promise.all(seeds.map((seed) => servers.#addSeed(seed.answersAs, seed.connect)));
    return servers;
  }

  /** A seed is asked also if the others have forgotten it. Never rejects. */
  async #addSeed(seed: NodeAddress, open: Informant["connect"]): Promise<void> {
    const address = formatAddress(seed);
    if (this.#isSingle || [...this.#found.values()].some(({ node }) => node.address === address)) return;
    let connection: Connection | undefined;
    const limit = setPatience(this.#environment.clock, PATIENCE_MS, () => connection?.close(new Error("no answer")));
    try {
      const opened = await open((created) => {
        connection = created;
      });
      const id = await opened.exchange(WHO_ARE_YOU)[0];
      if (isNodeId(id)) this.#foundAt(id, seed);
    } catch {
      // Another seed has answered. A node that is at this address is asked if the cluster knows it.
    } finally {
      limit.cancel();
      connection?.close(new Error("no longer needed"));
    }
    this.#first = new Set(this.#found.keys());
  }

  /**
   * Asks all nodes at once, and each node that another one names. Never rejects. A node that cannot be reached, or takes
   * longer than its time, has an `error`; no node waits for another one.
   */
  async ask({ scripts = [], count = "open", patienceMs = PATIENCE_MS }: Questions = {}): Promise<ServerState[]> {
    const accounts = new Map<string, Promise<Account>>();
    const visit = (found: Found) => {
      const { id } = found.node;
      if (accounts.has(id)) return;
      const asked = this.#askOne(found, { scripts, count, isSingle: this.#isSingle }, patienceMs);
      accounts.set(id, asked);
      void asked.then(({ view }) => {
        for (const { id: named, at } of view?.entries.values() ?? []) {
          if (at !== undefined) visit(this.#foundAt(named, at));
        }
      });
    };
    for (const found of [...this.#found.values()]) visit(found);
    for (let seen = -1; seen !== accounts.size; ) {
      seen = accounts.size;
      await Promise.all(accounts.values());
    }
    const settled = this.#stillThere(await Promise.all(accounts.values()));
    return statesOf(
      settled.sort((one, other) => (one.id < other.id ? -1 : 1)),
      this.names,
    );
  }

  close(): void {
    this.#isClosed = true;
    for (const { connection } of this.#found.values()) connection?.close(new Error("no longer needed"));
  }

  #foundAt(id: string, at: NodeAddress): Found {
    const known = this.#found.get(id);
    if (known !== undefined) return known;
    const node: TopologyNode = {
      id,
      ...at,
      address: formatAddress(at),
      role: "primary",
      primary: undefined,
      health: "online",
    };
    const found = { node, connection: undefined, pending: undefined };
    this.#found.set(id, found);
    return found;
  }

  /** The accounts without those of nodes that no other node names any more; a seed's own node stays while it answers. */
  #stillThere(accounts: readonly Account[]): Account[] {
    const answered = accounts.filter(({ view }) => view !== undefined);
    return accounts.filter(({ id, view }) => {
      const isNamed = answered.some((account) => account.id !== id && account.view?.entries.has(id));
      if (isNamed || answered.length === 0 || (this.#first.has(id) && view !== undefined)) return true;
      if (!this.#first.has(id)) {
        this.#found.get(id)?.connection?.close(new Error("the node left the cluster"));
        this.#found.delete(id);
      }
      return false;
    });
  }

  /** Never rejects, and takes no longer than `patienceMs`. */
  #askOne(found: Found, asking: Asking, patienceMs: number): Promise<Account> {
    const { clock } = this.#environment;
    if (found.pending === undefined) {
      const pending = this.#exchange(found, asking).finally(() => {
        if (found.pending === pending) found.pending = undefined;
      });
      const givenUp = setPatience(clock, GIVEN_UP_MS, () => found.connection?.close(new Error("no answer")));
      pending.then(
        () => givenUp.cancel(),
        () => givenUp.cancel(),
      );
      found.pending = pending;
    }
    const { pending } = found;
    return new Promise((resolve) => {
      const limit = setPatience(clock, patienceMs, () => {
        resolve(silentAccount(found, `no answer within ${patienceMs} ms`));
      });
      pending.then(
        (account) => {
          limit.cancel();
          resolve(account);
        },
        (error: Error) => {
          limit.cancel();
          resolve(silentAccount(found, error.message));
        },
      );
    });
  }

  async #exchange(found: Found, asking: Asking): Promise<Account> {
    if (found.connection === undefined || found.connection.closed) {
      found.connection = undefined;
      await openConnection(this.#settingsFor(found.node), (connection) => {
        found.connection = connection;
        if (this.#isClosed) connection.close(new Error("no longer needed"));
      });
    }
    const connection = found.connection as unknown as Connection;
    try {
      return await ask(connection, found.node, asking, this.#options.tls !== undefined);
    } catch (error) {
      // A server that answers with an error can be asked again on the same connection.
      if (!(error instanceof ReplyError)) connection.close(error as Error);
      throw error;
    }
  }

  /** @throws Nothing may connect to the node. */
  #settingsFor(node: TopologyNode): ConnectionSettings {
    const settings = settingsFor(node.address, node, this.#options, this.#environment, undefined, () => node.id);
    const location = locationOf(node, this.#options);
    return { ...settings, endpoint: { ...settings.endpoint, ...endpointTo(location) } };
  }
}

/** Asks the servers of a cluster once. @throws As `Servers.find`. */
export async function askServers(options: ConnectOptions, questions?: Questions): Promise<ServerState[]> {
  const servers = await Servers.find(options);
  try {
    return await servers.ask(questions);
  } finally {
    servers.close();
  }
}

function silentAccount({ node: { id, address } }: Found, error: string): Account {
  return {
    id,
    address,
    view: undefined,
    error,
    state: null,
    currentEpoch: null,
    keys: null,
    keysBySlot: undefined,
    scripts: {},
    health: new Map(),
  };
}
