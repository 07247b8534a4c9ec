import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Environment, OpenTransport, Transport } from "../../src/environment.ts";
import { ReplyDecoder } from "../../src/protocol/decoder.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { Ledger } from "./ledger.ts";
import { Chance } from "./random.ts";
import { SimCluster } from "./sim-cluster.ts";
import { SimLoop } from "./sim-loop.ts";
import { SimNetwork } from "./sim-network.ts";
import type { SimNode } from "./sim-node.ts";
import { Story } from "./story.ts";

/*
 * A real cluster and a simulated one, to which the same can be done. Both have three primaries, n0 to n2, and a replica
 * of each, n3 to n5; what they answer is told with these names in place of addresses.
 */

export interface Side {
  send(session: string, node: number, args: readonly string[]): void;
  /** The next reply, or what became of the connection. */
  hear(session: string, node: number): Promise<string>;
  /** Time passes. */
  pass(milliseconds: number): Promise<void>;
  /** The replica has all that its primary has written. */
  catchUp(replica: number): Promise<void>;
  beginMove(slot: number, from: number, to: number): Promise<void>;
  moveKeys(keys: readonly string[], from: number, to: number): Promise<void>;
  endMove(slot: number, from: number, to: number): Promise<void>;
  failover(replica: number): Promise<void>;
  /** A primary dies, its replica does not take over, and all have noticed. */
  lose(primary: number): Promise<void>;
  /** A node learns that a slot is nobody's. */
  disown(slot: number, node: number): Promise<void>;
}

/** A command and its reply. */
export function ask(side: Side, session: string, node: number, ...args: readonly string[]): Promise<string> {
  side.send(session, node, args);
  return side.hear(session, node);
}

/** A connection, and the replies that it brought. */
class RawSession {
  readonly heard: string[] = [];
  readonly #transport: Transport;
  #opened: Promise<void>;

  constructor(open: OpenTransport, host: string, port: number) {
    const decoder = new ReplyDecoder({
      nextWantsBuffers: () => false,
      onReply: (reply) => this.heard.push(JSON.stringify(reply, shownError)),
      onErrorReply: (text) => this.heard.push(`-${text}`),
      onUndecodable: (why) => this.heard.push(why),
    });
    let onOpen = () => {};
    this.#opened = new Promise((resolve) => {
      onOpen = resolve;
    });
    this.#transport = open(
      { host, port },
      {
        onOpen,
        onData: (bytes) => decoder.push(bytes),
        onDrain: () => undefined,
        onClose: (cause) => this.heard.push(`closed: ${cause?.message}`),
      },
    );
  }

  send(args: readonly string[]): void {
    const strings = args.map((arg) => `$${arg.length}\r\n${arg}\r\n`);
    this.#opened = this.#opened.then(() => {
      this.#transport.write(`*${args.length}\r\n${strings.join("")}`);
    });
  }

  end(): void {
    this.#transport.destroy();
  }
}

/** Errors inside a transaction's reply. */
function shownError(_: string, value: unknown): unknown {
  return value instanceof Error ? `-${value.message}` : value;
}

/** Sessions by name, each with one node. */
class Sessions {
  readonly #open: OpenTransport;
  readonly #sessions = new Map<string, RawSession>();

  constructor(open: OpenTransport) {
    this.#open = open;
  }

  get(name: string, { host, port }: { readonly host: string; readonly port: number }): RawSession {
    const key = `${name} ${host}:${port}`;
    const session = this.#sessions.get(key) ?? new RawSession(this.#open, host, port);
    this.#sessions.set(key, session);
    return session;
  }

  end(): void {
    for (const session of this.#sessions.values()) session.end();
    this.#sessions.clear();
  }
}

/** From a new simulated cluster. */
export class SimulatedSide implements Side {
  readonly #loop = new SimLoop();
  readonly #cluster: SimCluster;
  readonly #sessions: Sessions;

  constructor(busyAfterMs: number, version: 7 | 8) {
    const story = new Story(false, () => this.#loop.time);
    const whole = {
      latencyMs: 0.01,
      jitterMs: 0,
      bytesPerMs: Number.POSITIVE_INFINITY,
      pieceBytes: 1e6,
      kernelBytes: 1e6,
      highWaterMark: 1e6,
    };
    const network = new SimNetwork(this.#loop, new Chance(1), story, whole, () => undefined);
    const shape = { shards: 3, replicasPerShard: 1, spares: 0, password: undefined, busyAfterMs };
    const prompt = { replicationLagMs: 0, gossipMs: 0, needsAllSlots: true, version };
    this.#cluster = new SimCluster({ ...shape, ...prompt }, network, new Ledger(), new Chance(1));
    this.#sessions = new Sessions(network.open);
  }

  send(session: string, node: number, args: readonly string[]): void {
    this.#session(session, node).send(args);
  }

  async hear(session: string, node: number): Promise<string> {
    const { heard } = this.#session(session, node);
    while (heard.length === 0) await this.#loop.run(this.#loop.time + 1, () => heard.length > 0);
    return (heard.shift() as string).replace(/10\.0\.0\.(\d+):7000/g, (_, number) => `n${Number(number) - 1}`);
  }

  async pass(milliseconds: number): Promise<void> {
    await this.#loop.run(this.#loop.time + milliseconds);
  }

  async catchUp(): Promise<void> {}

  async beginMove(slot: number, from: number, to: number): Promise<void> {
    this.#node(to).importing.set(slot, from);
    this.#node(from).migrating.set(slot, to);
  }

  async moveKeys(keys: readonly string[], from: number, to: number): Promise<void> {
    for (const key of keys) {
      const value = this.#node(from).data.get(key);
      if (value === undefined) continue;
      this.#node(to).set(key, value);
      this.#node(from).set(key, null);
    }
  }

  async endMove(slot: number, from: number, to: number): Promise<void> {
    this.#node(to).importing.delete(slot);
    this.#node(from).migrating.delete(slot);
    this.#cluster.happen(
      "the slot has moved",
      (view) => view.moved.set(slot, this.#node(to).shard),
      this.#cluster.nodes,
    );
  }

  async failover(replica: number): Promise<void> {
    this.#cluster.failover(this.#node(replica));
    await this.pass(1);
  }

  async lose(primary: number): Promise<void> {
    const node = this.#node(primary);
    node.die();
    this.#cluster.loseSlots(node.shard, 1e9);
    await this.pass(1);
  }

  async disown(slot: number, node: number): Promise<void> {
    this.#node(node).learn((view) => view.disown(slot));
  }

  #session(name: string, node: number): RawSession {
    return this.#sessions.get(name, this.#cluster.node(node));
  }

  #node(index: number): SimNode {
    return this.#cluster.node(index);
  }
}

/** From a real cluster as `startCluster({ primaries: 3, replicasPerPrimary: 1 })` gives it, emptied. */
export class RealSide implements Side {
  readonly #cluster: LocalCluster;
  readonly #addresses: readonly string[];
  readonly #ids: readonly string[];
  readonly #sessions = new Sessions((nodeEnvironment satisfies Environment).open);

  private constructor(cluster: LocalCluster, ids: readonly string[]) {
    this.#cluster = cluster;
    this.#addresses = cluster.nodes;
    this.#ids = ids;
  }

  static async of(cluster: LocalCluster): Promise<RealSide> {
    const ids = await Promise.all(cluster.nodes.map((address) => cluster.command(address, "CLUSTER", "MYID")));
    return new RealSide(cluster, ids.map(String));
  }

  send(session: string, node: number, args: readonly string[]): void {
    this.#session(session, node).send(args);
  }

  async hear(session: string, node: number): Promise<string> {
    const { heard } = this.#session(session, node);
    while (heard.length === 0) await new Promise(setImmediate);
    const shown = heard.shift() as string;
    const named = this.#addresses.reduce((text, address, index) => text.replaceAll(address, `n${index}`), shown);
    return named.replaceAll("Valkey", "Redis");
  }

  pass(milliseconds: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, milliseconds));
  }

  async catchUp(replica: number): Promise<void> {
    const about = async (node: number) => String(await this.#do(node, "INFO", "replication"));
    const primary = this.#addresses.indexOf(`127.0.0.1:${/master_port:(\d+)/.exec(await about(replica))?.[1]}`);
    if (!this.#cluster.nodes.includes(this.#addresses[primary] ?? "")) return;
    const wanted = Number(/master_repl_offset:(\d+)/.exec(await about(primary))?.[1]);
    while (Number(/slave_repl_offset:(\d+)/.exec(await about(replica))?.[1]) < wanted) await this.pass(1);
  }

  async beginMove(slot: number, from: number, to: number): Promise<void> {
    await this.#do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", this.#id(from));
    await this.#do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", this.#id(to));
  }

  async moveKeys(keys: readonly string[], from: number, to: number): Promise<void> {
    const [host = "", port = ""] = this.#address(to).split(":");
    await this.#do(from, "MIGRATE", host, port, "", 0, 1000, "REPLACE", "KEYS", ...keys);
  }

  async endMove(slot: number, from: number, to: number): Promise<void> {
    for (const node of [to, from, ...[0, 1, 2].filter((each) => each !== to && each !== from)]) {
      await this.#do(node, "CLUSTER", "SETSLOT", slot, "NODE", this.#id(to));
    }
    const probe = keyForSlot(slot);
    for (const node of [3, 4, 5]) {
      const isKnown = async () => (await ask(this, "probe", node, "GET", probe)).startsWith(`-MOVED ${slot} n${to}`);
      while (!(await isKnown())) await this.pass(20);
    }
  }

  async failover(replica: number): Promise<void> {
    await this.#cluster.failover(this.#address(replica));
  }

  async lose(primary: number): Promise<void> {
    await this.#cluster.kill(this.#address(primary));
    for (const node of [0, 1, 2, 3, 4, 5].filter((each) => each !== primary)) {
      while (!String(await this.#do(node, "CLUSTER", "INFO")).includes("cluster_state:fail")) await this.pass(50);
    }
  }

  async disown(slot: number, node: number): Promise<void> {
    await this.#do(node, "CLUSTER", "DELSLOTS", slot);
  }

  end(): void {
    this.#sessions.end();
  }

  #session(name: string, node: number): RawSession {
    const [host = "", port] = this.#address(node).split(":");
    return this.#sessions.get(name, { host, port: Number(port) });
  }

  #do(node: number, ...args: (string | number)[]): Promise<Reply> {
    return this.#cluster.command(this.#address(node), ...args);
  }

  #address(node: number): string {
    return this.#addresses[node] as string;
  }

  #id(node: number): string {
    return this.#ids[node] as string;
  }
}
