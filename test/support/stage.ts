import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, type ConnectOptions } from "../../src/index.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { SteppedClock, turns } from "./stepped-clock.ts";

/** In turns of the event loop: what needs no socket and no timer is done by then. */
export const A_FEW_TURNS = 12;
/** A shorter pause of slotwire's own is awaited between two steps. */
const LONGEST_PAUSE_MS = 100;
const MOST_LOOKS = 20_000;

/** A step of an operation: where it can be kept waiting. */
export interface Step {
  /** The command that nodes do not answer, or the gate that is closed, or `"pause"` for a pause that slotwire makes. */
  readonly at: string;
  /**
   * On how many connections that happens together.
   * @default 1
   */
  readonly on?: number;
}

/** Two scripted nodes and a client of them, on a clock that a test moves. A node falls silent where an operation's steps are. */
export class Stage {
  readonly cluster: FakeCluster;
  readonly clock: SteppedClock;
  readonly client: Cluster;
  readonly #gates = new Map<string, Set<() => void>>();
  readonly #closedGates = new Set<string>();

  private constructor(cluster: FakeCluster, clock: SteppedClock, client: Cluster) {
    this.cluster = cluster;
    this.clock = clock;
    this.client = client;
  }

  static async set(
    options: Partial<ConnectOptions> | ((stage: () => Stage) => Partial<ConnectOptions>),
    prepare: (cluster: FakeCluster) => void,
  ): Promise<Stage> {
    const cluster = await FakeCluster.start(2);
    const clock = new SteppedClock();
    prepare(cluster);
    let stage: Stage | undefined;
    const given = typeof options === "function" ? options(() => stage as Stage) : options;
    const all = { commandTimeout: 60_000, connectTimeout: 10_000, ...given };
    const client = await cluster.connect(all, clock.environment);
    stage = new Stage(cluster, clock, client);
    return stage;
  }

  /** Nodes, and gates, keep the steps waiting from now on. */
  silence(steps: readonly Step[]): void {
    for (const { at } of steps) {
      for (const node of this.cluster.nodes) node.silentAt.add(at);
      this.#closedGates.add(at);
    }
  }

  /** What a user's own function waits for. */
  async gate(name: string): Promise<void> {
    if (!this.#closedGates.has(name)) return;
    await new Promise<void>((resolve) => {
      const waiting = this.#gates.get(name) ?? new Set();
      this.#gates.set(name, waiting.add(resolve));
    });
  }

  /** One step is answered; the next one is kept waiting again. */
  goOn(): void {
    const open = [...this.#gates.values()].flatMap((waiting) => [...waiting]);
    this.#gates.clear();
    for (const resolve of open) resolve();
    for (const node of this.cluster.nodes) node.goOn();
  }

  /** Everything is answered from now on. */
  goOnForEver(): void {
    for (const node of this.cluster.nodes) node.silentAt.clear();
    this.#closedGates.clear();
    this.goOn();
  }

  async reach({ at, on = 1 }: Step): Promise<void> {
    const waiting = () =>
      at === "pause"
        ? Number(this.clock.isDueWithin(LONGEST_PAUSE_MS))
        : (this.#gates.get(at)?.size ?? 0) + this.cluster.nodes.reduce((sum, node) => sum + node.silentOn(at), 0);
    await this.until(() => waiting() >= on, `${at} is reached`);
  }

  /** Pauses that slotwire makes by itself pass meanwhile. */
  async until(holds: () => boolean, what: string): Promise<void> {
    for (let looks = 0; !holds(); looks++) {
      assert.equal(looks < MOST_LOOKS, true, what);
      if (looks % 10 === 9) await sleep(1);
      else await turns(1);
      if (!holds() && this.clock.isDueWithin(LONGEST_PAUSE_MS)) await this.clock.pass(1);
    }
  }

  /** How often these commands have arrived. */
  count(commands: Iterable<string>): number {
    return [...new Set(commands)].reduce((sum, command) => sum + this.#sum((node) => node.count(command)), 0);
  }

  /** How many commands arrived, and on how many connections; all that was written before is counted. */
  async traffic(): Promise<readonly [commands: number, connections: number]> {
    await this.client.command("CONFIG", "SET", "save", "");
    return [this.#sum(({ received }) => received.length), this.#sum(({ connections }) => connections)];
  }

  /** Nothing is under way any more, although nodes may be silent: closing has nothing to wait for, and no timer is left. */
  async verifyNothingIsLeft(): Promise<void> {
    const closing = watched(this.client.close());
    await turns(A_FEW_TURNS);
    assert.equal(closing.isSettled, true, "closing waits for nothing");
    assert.equal(Cluster.clientOf(this.client).dispatcher.live, 0, "no call is left");
    const left = [...this.clock.pending].map(({ callback }) => String(callback).slice(0, 60));
    assert.deepEqual(left, [], "no timer is left");
  }

  async clear(): Promise<void> {
    await this.cluster.stop();
  }

  #sum(figure: (node: FakeCluster["nodes"][number]) => number): number {
    return this.cluster.nodes.reduce((sum, node) => sum + figure(node), 0);
  }
}

/** A promise, and whether it is settled. */
export interface Watched {
  readonly promise: Promise<unknown>;
  isSettled: boolean;
}

export function watched(promise: Promise<unknown>): Watched {
  const it: Watched = { promise, isSettled: false };
  const settled = () => {
    it.isSettled = true;
  };
  promise.then(settled, settled);
  return it;
}

/** The errors that it ended with: the one that it was rejected with, or those among the results of a batch. */
export async function failuresOf(promise: Promise<unknown>): Promise<unknown[]> {
  try {
    const result = await promise;
    return Array.isArray(result) ? result.filter((each) => each instanceof Error) : [];
  } catch (error) {
    return [error];
  }
}
