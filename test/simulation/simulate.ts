import { Cluster } from "../../src/cluster/cluster.ts";
import { connectIn } from "../../src/cluster/connect.ts";
import type { Environment } from "../../src/environment.ts";
import type { Topology } from "../../src/index.ts";
import { SLOT_COUNT } from "../../src/protocol/hash-slot.ts";
import { FactsCheck } from "../support/facts-check.ts";
import { CacheSide } from "./cache-side.ts";
import { CACHED_SCRIPTS } from "./cached-scripts.ts";
import { SCRIPTS } from "./calls.ts";
import { Faults } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { askedTooOften, unownedExceeded } from "./pace.ts";
import { type Plan, planOf } from "./plan.ts";
import {
  boundsExceeded,
  brokenGroups,
  brokenOrder,
  brokenPromises,
  brokenRepetition,
  readTooLittle,
  tooManyLoads,
} from "./promises.ts";
import { brokenQueues, takenTooLate } from "./queues.ts";
import { Chance } from "./random.ts";
import { ReadHistory } from "./read-history.ts";
import { brokenScans } from "./scans.ts";
import { SimCluster } from "./sim-cluster.ts";
import { SimLoop } from "./sim-loop.ts";
import { SimNetwork } from "./sim-network.ts";
import { Story } from "./story.ts";
import { SubscriptionSide } from "./subscription-side.ts";
import { Workload } from "./workload.ts";
import { Worlds } from "./worlds.ts";
import { isOneViewWrong, lostOwners, lostWithoutCause, outrunReplies } from "./worlds-promises.ts";
import { ZonePromise } from "./zone-promises.ts";

/** What came of one seed. */
export interface Run {
  readonly seed: number;
  readonly plan: Plan;
  /** Empty when every promise was kept. */
  readonly broken: readonly string[];
  readonly story: readonly string[];
  readonly calls: number;
  readonly failed: number;
  /** Replies that came from memory. */
  readonly hits: number;
}

/** In a run of every so many, what the client tells of itself is compared with the truth. */
const TOLD_EVERY = 8;
/** From the mending of everything to calls that must succeed. */
const RECOVERY_MS = 3000;
/** A call without a deadline is given up after 60 s of refusals. */
const PATIENCE_MS = 62_000;
/** A half-open connection on which something is waited for is found out by then. */
const NOTICED_MS = 2000;
/** A connection to an address that its node has left is kept for so long, for answers that are still to come. */
const FAREWELL_MS = 10_500;
/** All scripts together, loaded once. */
const SCRIPT_BYTES = Object.values(SCRIPTS).reduce((sum, { source }) => sum + source.length + 50, 0);
/** A node that answers has a connection again by then. */
const RECONNECTED_MS = 1500;
/** Whoever uses the client has heard of its end by then. */
const ENDED_MS = 10;
/** Timers that were set before the end may still run out, but none may set another. */
const AFTERLIFE_MS = 2500;

/** One seed: the real client through everything that the seed has for it, and what it promised compared with the truth. */
export async function simulate(seed: number, isTold = false): Promise<Run> {
  return new Simulation(seed, isTold).run();
}

class Simulation {
  readonly #plan: Plan;
  readonly #loop = new SimLoop();
  readonly #story: Story;
  readonly #ledger = new Ledger(() => this.#loop.time);
  readonly #network: SimNetwork;
  readonly #cluster: SimCluster;
  readonly #workload: Workload;
  readonly #faults: Faults;
  readonly #worlds: Worlds;
  readonly #environment: Environment;
  readonly #subscriptions: SubscriptionSide | undefined;
  readonly #cache: CacheSide | undefined;
  readonly #told: FactsCheck | undefined;
  readonly #zones: ZonePromise;
  readonly #broken: string[] = [];

  constructor(seed: number, isTold: boolean) {
    const chance = new Chance(seed);
    this.#plan = planOf(seed, chance.fork());
    const { network, shape } = this.#plan;
    this.#story = new Story(isTold, () => this.#loop.time);
    this.#network = new SimNetwork(this.#loop, chance.fork(), this.#story, network, (binary, link) =>
      this.#ledger.noteWrite(binary, link.server, link.leadsAstray),
    );
    const ownChance = new Chance(seed ^ 0x2c1b3c6d);
    const history = this.#plan.cache && new ReadHistory(() => this.#loop.time);
    this.#cluster = new SimCluster(shape, this.#network, this.#ledger, chance.fork(), ownChance.fork(), history);
    this.#workload = new Workload(this.#plan, chance.fork(), this.#loop, this.#story);
    const { slots, keptKeys } = this.#workload;
    this.#zones = new ZonePromise(this.#plan, this.#cluster, slots);
    if (this.#plan.patient > 0) this.#cluster.hold(keptKeys);
    this.#faults = new Faults(this.#cluster, this.#network, this.#plan, slots, chance.fork());
    const { next } = chance.fork();
    this.#worlds = new Worlds(this.#cluster, this.#faults, this.#plan, slots, chance.fork());
    if (seed % TOLD_EVERY === 0) this.#told = new FactsCheck(() => this.#loop.now());
    const open = this.#told?.open(this.#network.open) ?? this.#network.open;
    this.#loop.onTurn = () => this.#told?.check();
    this.#environment = { clock: this.#loop, open, random: next, epochMs: 0, wallNow: () => this.#loop.wall };
    const { tags } = this.#workload;
    if (history !== undefined) {
      const isAstray = () => this.#ledger.isLedAstray;
      this.#cache = new CacheSide(this.#plan, tags, this.#cluster, this.#faults, history, isAstray, ownChance);
    }
    if (this.#plan.subscriptions === undefined) return;
    this.#subscriptions = new SubscriptionSide(this.#plan, tags, this.#cluster, this.#faults, this.#worlds, ownChance);
  }

  async run(): Promise<Run> {
    this.#story.tell(() => JSON.stringify(this.#plan));
    const onUnhandled = (reason: unknown) => this.#broken.push(`nobody handled a rejection: ${String(reason)}`);
    process.on("unhandledRejection", onUnhandled);
    try {
      await this.#live();
    } catch (error) {
      this.#broken.push(`uncaught: ${error instanceof Error ? error.stack : String(error)}`);
    } finally {
      process.off("unhandledRejection", onUnhandled);
      this.#told?.stop();
    }
    const { made } = this.#workload.calls;
    const failed = made.filter(({ failure }) => failure !== undefined).length;
    return {
      seed: this.#plan.seed,
      plan: this.#plan,
      broken: this.#broken,
      story: this.#story.lines,
      calls: made.length,
      failed,
      hits: this.#cache?.hits ?? 0,
    };
  }

  async #live(): Promise<void> {
    const cluster = await this.#connect();
    if (cluster !== undefined) {
      const { durationMs, endsEarly } = this.#plan;
      const begin = this.#loop.time;
      cluster.on("topology", ({ current }) => this.#recognise(current));
      this.#workload.schedule(cluster, () => this.#weigh(cluster));
      this.#faults.schedule();
      this.#worlds.schedule();
      this.#subscriptions?.schedule(cluster);
      this.#cache?.schedule(cluster);
      await this.#loop.run(begin + durationMs * (endsEarly ? 0.6 : 1));
      if (endsEarly) await this.#end(cluster);
      this.#story.tell(() => "everything is mended");
      this.#worlds.heal();
      this.#subscriptions?.heal();
      this.#cache?.heal();
      this.#faults.heal();
      this.#network.mend();
      await this.#loop.run(this.#loop.freeAt);
      if (!endsEarly) {
        // A slot that a paused server still held up would come to its new owner behind the first calls.
        const isAtRest = () => this.#workload.underWay === 0 && !this.#cluster.isAnyMoving;
        await this.#loop.run(this.#loop.time + PATIENCE_MS, isAtRest);
        // Half-open connections that nobody has used yet are found out by the first calls.
        for (const isDemanding of [false, true]) {
          await this.#loop.run(this.#loop.time + RECOVERY_MS);
          await this.#probe(cluster, isDemanding);
        }
        await this.#subscriptions?.settle();
        await this.#cache?.settle(cluster);
        await this.#end(cluster);
      }
    }
    // The client may still be busy with something, or become so.
    for (let time = 0; time < 2; time++) await this.#loop.run(this.#loop.freeAt + AFTERLIFE_MS / 2);
    this.#broken.push(...this.#loop.timersLeft.map((timer) => `left behind: a ${timer}`));
    this.#judge();
  }

  /** Another cluster is believed in only after no node of this one could be reached. */
  #recognise({ nodes, ranges }: Topology): void {
    const owned = ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0);
    const isAlone = isOneViewWrong(this.#plan) && (this.#plan.cache?.faults.length ?? 0) === 0;
    if (owned < SLOT_COUNT && isAlone) {
      this.#broken.push(`${SLOT_COUNT - owned} slots lost their owner, and one node alone was wrong`);
    }
    const { ids, nodes: ours } = this.#cluster;
    this.#ledger.isLedAstray = nodes.some(({ id }) => !ids.has(id));
    if (!this.#ledger.isLedAstray) return;
    this.#ledger.wasLedAstray = true;
    const before = this.#loop.time - (this.#plan.options.connectTimeout ?? 0) - RECONNECTED_MS;
    const found = ours.find(({ answersSince, host, view, index }) => {
      return answersSince !== undefined && answersSince < before && view.isAtHome(index) && host === view.hostOf(index);
    });
    if (found) this.#broken.push(`a stranger is believed, though ${found.name} can be reached`);
  }

  /** While each call stays with its node, no more bytes wait there than may, beside loads and one large transaction. */
  #weigh(cluster: Cluster): void {
    const { maxPendingBytesPerNode = Number.POSITIVE_INFINITY, connectionsPerNode = 1, readFrom } = this.#plan.options;
    if (readFrom !== "primary" || this.#cluster.moves.size > 0) return;
    // Calls that a socket has taken count for no bound of bytes. If they are refused they wait once more: those of a slot
    // that becomes nobody's, or whose node is in the minority, and scripts that go by EVAL where loads are denied. They were
    // admitted, so they are not refused, and further calls are.
    if (this.#plan.worlds.includes("unowned") || this.#plan.faults.includes("deny")) return;
    if (this.#plan.cache?.faults.includes("minority")) return;
    const most = maxPendingBytesPerNode + 10 * this.#plan.largestBytes + (connectionsPerNode + 1) * SCRIPT_BYTES;
    for (const { address, pendingBytes } of cluster.metrics().nodes) {
      if (pendingBytes > most) this.#broken.push(`${pendingBytes} bytes wait for ${address}, where ${most} may`);
    }
  }

  async #connect(): Promise<Cluster | undefined> {
    const { password } = this.#plan.shape;
    const there = this.#cluster.nodes.filter(({ index }) => !this.#cluster.node(0).view.lacks.has(index));
    const nodes = there.slice(0, 2).map(({ name }) => name);
    const known = { ...SCRIPTS, ...(this.#cache && CACHED_SCRIPTS) };
    const scripts = this.#plan.preloads ? Object.values(known) : [];
    const options = { ...this.#plan.options, nodes, scripts, ...(password && { password }) };
    let cluster: Cluster | undefined;
    let failure: unknown;
    this.#worlds.scheduleConnect();
    connectIn(this.#environment, options).then(
      (connected) => {
        cluster = connected;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    await this.#loop.run(this.#loop.time + 30_000, () => cluster !== undefined || failure !== undefined);
    if (cluster !== undefined) this.#told?.attach(Cluster.clientOf(cluster));
    if (cluster === undefined) this.#broken.push(`connect to a healthy cluster: ${String(failure ?? "no answer")}`);
    else for (const node of this.#preloaded(scripts.length)) this.#broken.push(`connected, and ${node} lacks scripts`);
    return cluster;
  }

  /** Nodes of the cluster that lack some of the scripts. */
  #preloaded(count: number): string[] {
    const { nodes } = this.#cluster;
    const lacking = nodes.filter(({ index, scripts }) => !nodes[0]?.view.lacks.has(index) && scripts.size < count);
    return lacking.map(({ name }) => name);
  }

  async #probe(cluster: Cluster, isDemanding: boolean): Promise<void> {
    if (isDemanding) {
      this.#story.tell(() => "calls that must succeed now");
      for (const link of this.#network.links) {
        const unansweredMs = link.unansweredMs ?? 0;
        // Where nobody is at the address any more, nobody can say that the connection is dead. It ends with the farewell.
        const isDeserted = this.#network.listenerAt(link.server) === undefined;
        if (unansweredMs > (isDeserted ? FAREWELL_MS : NOTICED_MS))
          this.#broken.push(`half-open for ${unansweredMs} ms, and kept: ${link}`);
      }
    }
    for (const tag of this.#workload.tags) {
      const probes = this.#workload.probe(cluster, tag);
      await this.#loop.run(this.#loop.time + PATIENCE_MS, () =>
        probes.every(({ settledAt }) => settledAt !== undefined),
      );
      for (const { number, failure } of probes) {
        if (failure && isDemanding)
          this.#broken.push(`call ${number} failed when all was mended: ${failure.code}: ${failure.message}`);
      }
    }
  }

  async #end(cluster: Cluster): Promise<void> {
    const { ending } = this.#plan;
    this.#story.tell(() => `the client is ended by ${ending}`);
    this.#subscriptions?.noteEnd();
    let ended = false;
    if (ending === "destroy") cluster.destroy();
    else
      cluster.close().then(() => {
        ended = true;
      });
    if (ending === "close") await this.#loop.run(this.#loop.time + PATIENCE_MS, () => ended);
    else await this.#loop.run(this.#loop.time + ENDED_MS);
    if (ending === "close" && !ended) this.#broken.push("close has not ended");
    for (const link of this.#network.links) this.#broken.push(`left behind: connection ${link}`);
    // A scan may still have keys to hand out.
    const { unsettled } = this.#workload.calls;
    if (unsettled > 0) this.#broken.push(`${unsettled} calls are unsettled after the end`);
  }

  #judge(): void {
    this.#broken.push(...(this.#told?.broken ?? []));
    const { made } = this.#workload.calls;
    const { nodes, moves, splits } = this.#cluster;
    const isPrompt =
      this.#plan.faults.length + this.#plan.worlds.length === 0 && made.every(({ what }) => what !== "slow");
    this.#subscriptions?.judge(isPrompt);
    this.#broken.push(...(this.#subscriptions?.broken ?? []));
    this.#cache?.judge(isPrompt);
    this.#broken.push(...(this.#cache?.broken ?? []));
    this.#broken.push(...brokenPromises(made, this.#ledger, this.#loop.stalledMs));
    this.#broken.push(...brokenOrder(made, this.#ledger), ...brokenGroups(made, this.#ledger));
    this.#broken.push(...brokenRepetition(made, this.#ledger), ...tooManyLoads(nodes, made), ...this.#ledger.rude);
    this.#broken.push(...lostOwners(made, this.#plan), ...outrunReplies(made, this.#ledger));
    this.#broken.push(...this.#zones.broken(made, this.#ledger));
    // A failover ends what blocks, and connections to nodes that are replaced end.
    const isUnbroken = this.#network.broken === 0 && !moves.has(-1) && !this.#cluster.isReplaced;
    if (isUnbroken) this.#broken.push(...lostWithoutCause(made, this.#plan));
    const isLossy = splits > 0 || this.#cluster.isReplaced || this.#cluster.isTorn || this.#ledger.wasLedAstray;
    this.#broken.push(...brokenScans(this.#workload.scans.made, isLossy ? [] : this.#workload.keptKeys));
    if (!isLossy) {
      this.#broken.push(...readTooLittle(made, this.#ledger));
      this.#broken.push(...brokenQueues(made, this.#ledger, this.#cluster.listElements));
    }
    if (this.#network.broken === 0 && this.#cluster.frozen === 0)
      this.#broken.push(...takenTooLate(made, this.#ledger));
    const { readFrom, maxPendingPerNode } = this.#plan.options;
    if (maxPendingPerNode !== undefined && readFrom === "primary" && moves.size === 0) {
      this.#broken.push(...unownedExceeded(made, maxPendingPerNode, this.#worlds.unownedSlots));
    }
    this.#broken.push(...askedTooOften(this.#ledger));
    if (
      this.#worlds.unownedSlots.size === 0 &&
      moves.size === 0 &&
      readFrom === "primary" &&
      maxPendingPerNode !== undefined
    ) {
      const shardOf = (slot: number) => this.#cluster.truth.shardOf(slot);
      // Calls of slots that are nobody's for a while have a bound of their own, beside those that their node holds already.
      const mayBeOwnerless = this.#plan.worlds.some((kind) => ["recycle", "stranger", "unowned"].includes(kind));
      this.#broken.push(...boundsExceeded(made, mayBeOwnerless ? 2 * maxPendingPerNode : maxPendingPerNode, shardOf));
    }
    const isElsewhere = moves.has(-1) || this.#plan.worlds.some((kind) => ["recycle", "stranger"].includes(kind));
    for (const slot of isElsewhere ? [] : this.#ledger.redirectedSlots) {
      if (!moves.has(slot)) this.#broken.push(`calls of slot ${slot}, which never moved, were sent elsewhere`);
    }
  }
}
