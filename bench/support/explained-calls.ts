import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setTimeout } from "node:timers/promises";
import { drawExplanation } from "../../src/cli/draw-explanation.ts";
import { explainCall } from "../../src/cli/explained-call.ts";
import type { Explained } from "../../src/cli/explanation.ts";
import { Session } from "../../src/cli/session.ts";
import { placeOfRow, tableRows } from "../../src/cli/study/table-rows.ts";
import { type Paint, PLAIN } from "../../src/cli/terminal.ts";
import { defineScript, slotOf } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";

/** Puts an item into a cart, and returns what the cart costs now. */
export const addItem = defineScript({
  name: "addItem",
  source: "redis.call('rpush', KEYS[1], ARGV[1])\nreturn redis.call('incrby', KEYS[2], ARGV[2])",
  keys: ["items", "total"],
  args: ["item", "price"],
});

const KEYS = ["{cart:7}:items", "{cart:7}:total"] as const;
const SLOT = slotOf(KEYS[0]);
/** How often a call is refused with TRYAGAIN before its last key is moved. */
const REFUSALS = 2;
const FAR_MS = 60_000;

/**
 * One call, made again and again on a real cluster while the cluster is changed below it. Each method prepares the
 * cluster, makes the call, and returns all that happened to it. The client is told of nothing, so that its slot map and
 * its belief about scripts are as old as those of any client.
 */
export class ExplainedCalls {
  readonly #servers: LocalCluster;
  readonly #session: Session;
  /** A, B and C. The slot is B's in the beginning. */
  readonly #primaries: readonly string[];

  private constructor(servers: LocalCluster, session: Session) {
    this.#servers = servers;
    this.#session = session;
    this.#primaries = servers.nodes.slice(0, 3);
  }

  static async open(servers: LocalCluster): Promise<ExplainedCalls> {
    const options = {
      ...servers.connectOptions,
      scripts: [addItem],
      topologyRefreshInterval: 0,
      commandTimeout: 20_000,
    };
    return new ExplainedCalls(servers, await Session.openTapped(options));
  }

  close(): void {
    this.#session.close();
  }

  /** The call as lines of at most 80 columns. */
  static draw(explained: Explained, paint: Paint = PLAIN): string[] {
    return drawExplanation(explained, 80, paint, { why: false, bytes: false, rows: tableRows(), placeOf: placeOfRow });
  }

  /** The client knows the owner, and the owner knows the script. */
  straight(): Promise<Explained> {
    return this.#call();
  }

  /** The slot has moved, and the client does not know it. */
  async moved(): Promise<Explained> {
    await this.#servers.moveSlots({ slots: [SLOT], to: this.#primaries[0] as string });
    return this.#call();
  }

  /** The slot is on its way to another node, and both keys are there already. */
  async ask(): Promise<Explained> {
    await this.#beginMove();
    for (const key of KEYS) await this.#migrate(key, this.#owner(), this.#target());
    return this.#call();
  }

  /** One of the two keys is at the old owner, until the call has been refused a few times. */
  async tryAgain(): Promise<Explained> {
    const [, total] = KEYS;
    const [owner, target] = [this.#owner(), this.#target()];
    // A slot that is being moved takes no key back.
    await this.#servers.command(owner, "CLUSTER", "SETSLOT", SLOT, "STABLE");
    await this.#migrate(total, target, owner);
    await this.#beginMove();
    let moved: Promise<void> | undefined;
    let refusals = 0;
    const stop = hear("slotwire:decision", ({ row }) => {
      if (row === "tryagain" && ++refusals === REFUSALS) moved = this.#migrate(total, owner, target);
    });
    const explained = await this.#call().finally(stop);
    await moved;
    return explained;
  }

  /** The move is ended; then the owner forgets its scripts. */
  async noscript(): Promise<Explained> {
    await this.#endMove();
    await this.#servers.command(this.#owner(), "SCRIPT", "FLUSH");
    return this.#call();
  }

  /** The owner holds the call, as a server does whose writes are paused, and is killed. */
  async lost(): Promise<Explained> {
    const owner = this.#owner();
    await this.#servers.command(owner, "CLIENT", "PAUSE", FAR_MS, "WRITE");
    let killed: Promise<void> | undefined;
    const stop = hear("slotwire:written", ({ address }) => {
      if (address === owner) killed ??= this.#killWhenHeld(owner);
    });
    const explained = await this.#call().finally(stop);
    await killed;
    return explained;
  }

  /** Resolves to the reply of a call without explanation, and to how long it took. */
  async again(): Promise<{ readonly reply: unknown; readonly ms: number }> {
    const before = performance.now();
    const reply = await this.#session.cluster.run(addItem, KEYS, ["a pear", 1]);
    return { reply, ms: performance.now() - before };
  }

  #call(): Promise<Explained> {
    const asked = { script: addItem, command: undefined, keys: KEYS, args: ["an apple", "3"] };
    return explainCall(this.#session, asked, { from: undefined, preloaded: false }, "none");
  }

  #owner(): string {
    return this.#session.cluster.topology.primaryOf(SLOT)?.address as string;
  }

  /** Where the half-moved slot goes. */
  #target(): string {
    return this.#primaries[2] as string;
  }

  async #beginMove(): Promise<void> {
    const [owner, target] = [this.#owner(), this.#target()];
    const idOf = async (address: string) => String(await this.#servers.command(address, "CLUSTER", "MYID"));
    await this.#servers.command(target, "CLUSTER", "SETSLOT", SLOT, "IMPORTING", await idOf(owner));
    await this.#servers.command(owner, "CLUSTER", "SETSLOT", SLOT, "MIGRATING", await idOf(target));
  }

  async #endMove(): Promise<void> {
    await this.#servers.moveSlots({ slots: [SLOT], to: this.#target() });
    // For a moment the client believes the MOVED that it had from a node more than what others say.
    while (this.#owner() !== this.#target()) {
      await this.#session.cluster.refreshTopology();
      await setTimeout(20);
    }
  }

  async #migrate(key: string, from: string, to: string): Promise<void> {
    const at = to.lastIndexOf(":");
    await this.#servers.command(from, "MIGRATE", to.slice(0, at), to.slice(at + 1), key, 0, 5000);
  }

  /** The server says which of its clients it keeps waiting. */
  async #killWhenHeld(address: string): Promise<void> {
    for (;;) {
      const clients = String(await this.#servers.command(address, "CLIENT", "LIST"));
      if (/ flags=\w*b.* cmd=evalsha/.test(clients)) break;
    }
    await this.#servers.kill(address);
  }
}

function hear(
  channel: string,
  heard: (message: { readonly row?: string; readonly address?: string }) => void,
): () => void {
  const listener = (message: unknown) => heard(message as { row?: string; address?: string });
  subscribe(channel, listener);
  return () => void unsubscribe(channel, listener);
}
