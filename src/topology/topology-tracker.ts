import type { Connection } from "../connection/connection.ts";
import type { Environment, Timer } from "../environment.ts";
import { ReplyError, UnavailableError } from "../errors.ts";
import { CLUSTER_DISABLED, isUnknownCommand } from "../protocol/error-reply.ts";
import type { NodeAddress } from "../protocol/node-address.ts";
import type { Reply } from "../protocol/reply.ts";
import { Topology, type TopologyDescription } from "./topology.ts";
import { hasRivalPrimaries, parseClusterNodes, parseClusterShards, singleNode, withRolesOf } from "./topology-reply.ts";

/** A node that can be asked for the topology. */
export interface Informant {
  readonly address: string;
  /** The address that is meant when the answer names no host. */
  readonly answersAs: NodeAddress;
  /**
   * A connection that is open, or is being opened. A connection that is opened only for this query is also handed to
   * `onTemporary` at once, and the inquiry closes it when the query is answered.
   */
  connect(onTemporary: (connection: Connection) => void): Promise<Connection>;
}

/** When an informant has been silent for this long, the next one is asked as well. */
const HEDGE_MS = 200;
/**
 * The refresh after a MOVED waits this long, so that a burst of them causes one refresh. The MOVED has patched its
 * slot.
 */
const DEBOUNCE_MS = 100;
/** The least time between two refreshes that only confirm a MOVED. */
const SETTLED_SPACING_MS = 1000;
/** The delay of a confirming refresh after a change of roles: nodes need this time to agree on who replicates whom. */
const CONFIRM_MS = 2000;
/** The least time between two refreshes while calls wait for the cluster to recover. */
const URGENT_SPACING_MS = 100;
/** The same for a cluster that has been broken for longer than `BROKEN_AFTER_MS`. */
const BROKEN_SPACING_MS = 1000;
const BROKEN_AFTER_MS = 15_000;

/** Settings and callbacks that the tracker's owner provides. */
export interface TrackerOptions {
  readonly environment: Environment;
  readonly tls: boolean;
  /** Milliseconds between two background refreshes; 0 turns them off. */
  readonly intervalMs: number;
  /** Milliseconds that one informant may take to answer. */
  readonly answerTimeoutMs: number;
  /** The nodes that may be asked, best first. */
  informants(): readonly Informant[];
  /** Whether calls wait for the cluster to recover, so that another refresh is needed soon. */
  unsettled(): boolean;
  /** Called with every topology that differs from the previous one. */
  onChange(current: Topology, previous: Topology, how: "patched" | "refreshed"): void;
  /** Called after every refresh, with or without a change. */
  onRefreshed(): void;
}

/** Holds the current topology and finds out when it changes. At most one query runs at a time; all callers share it. */
export class TopologyTracker {
  readonly #options: TrackerOptions;
  #current: Topology;
  #running: Promise<void> | undefined;
  #scheduled: { timer: Timer; at: number } | undefined;
  #interval: Timer | undefined;
  #inquiry: Inquiry | undefined;
  #lastStart = Number.NEGATIVE_INFINITY;
  /** The last time at which the cluster was not known to be broken. */
  #settledAt: number;
  #closed = false;

  constructor(initial: Topology, options: TrackerOptions) {
    this.#current = initial;
    this.#options = options;
    this.#settledAt = options.environment.clock.now();
    this.#armInterval();
  }

  get current(): Topology {
    return this.#current;
  }

  /**
   * Notes that a slot has another owner. The change takes effect at once, and a refresh soon confirms it. Nothing
   * happens if the topology says the same already.
   */
  slotMoved(slot: number, address: string): void {
    const patched = this.#current.withSlotMoved(slot, address);
    if (patched === this.#current) return;
    this.#publish(patched, "patched");
    this.refreshSoon("settled");
  }

  /**
   * Schedules a refresh and does not wait for it. `urgent`: calls wait for the cluster to recover. `settled`: a MOVED
   * has already taken effect. `confirm`: the nodes may not agree yet.
   */
  refreshSoon(why: "settled" | "confirm" | "urgent"): void {
    if (this.#closed) return;
    const { environment } = this.#options;
    const { clock } = environment;
    const now = clock.now();
    const urgentSpacing = now - this.#settledAt < BROKEN_AFTER_MS ? URGENT_SPACING_MS : BROKEN_SPACING_MS;
    const spacing = why === "urgent" ? urgentSpacing : SETTLED_SPACING_MS;
    const debounce = { urgent: 0, settled: DEBOUNCE_MS, confirm: CONFIRM_MS }[why];
    const at = Math.max(now + debounce, this.#lastStart + spacing) + environment.random() * (debounce / 2);
    if (this.#scheduled) {
      if (this.#scheduled.at <= at) return;
      this.#scheduled.timer.cancel();
    }
    const timer = clock.setTimer(() => {
      this.#scheduled = undefined;
      this.refresh().catch(() => {});
    }, at - now);
    this.#scheduled = { timer, at };
  }

  /** Refreshes now, or joins the query that is under way. Rejects when no node could be asked. */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#running ??= this.#query().finally(() => {
      this.#running = undefined;
      if (this.#options.unsettled()) this.refreshSoon("urgent");
      else this.#settledAt = this.#options.environment.clock.now();
    });
    return this.#running;
  }

  /** Refreshes now. Refreshes once more if `found` is still false and the first query had begun before this call. */
  async refreshUntil(found: () => boolean): Promise<void> {
    const joined = this.#running !== undefined;
    await this.refresh();
    if (joined && !found()) await this.refresh();
  }

  close(): void {
    this.#closed = true;
    this.#interval?.cancel();
    this.#scheduled?.timer.cancel();
    this.#inquiry?.close();
  }

  async #query(): Promise<void> {
    this.#lastStart = this.#options.environment.clock.now();
    const inquiry = new Inquiry(this.#options);
    this.#inquiry = inquiry;
    const description = await inquiry.ask(this.#options.informants());
    // A node that was removed or reset knows of no slots. The present topology is better than its view.
    if (this.#closed || (description.slots.length === 0 && this.#current.ranges.length > 0)) return;
    this.#publish(Topology.from(description), "refreshed");
    this.#options.onRefreshed();
  }

  #publish(topology: Topology, how: "patched" | "refreshed"): void {
    const previous = this.#current;
    if (topology === previous || topology.equals(previous)) return;
    this.#current = topology;
    if (how === "refreshed" && rolesDiffer(topology, previous)) this.refreshSoon("confirm");
    this.#options.onChange(topology, previous, how);
  }

  #armInterval(): void {
    const { intervalMs, environment } = this.#options;
    if (intervalMs === 0) return;
    const jittered = intervalMs * (0.9 + 0.2 * environment.random());
    this.#interval = environment.clock.setTimer(
      () => {
        this.refresh().catch(() => {});
        this.#armInterval();
      },
      jittered,
      true,
    );
  }
}

/** Whether a node that is in both topologies has changed its role. */
function rolesDiffer(current: Topology, previous: Topology): boolean {
  const roles = new Map(previous.nodes.map(({ address, role }) => [address, role]));
  return current.nodes.some(({ address, role }) => (roles.get(address) ?? role) !== role);
}

/** The options of a tracker that an inquiry needs. */
export type InquiryOptions = Pick<TrackerOptions, "environment" | "tls" | "answerTimeoutMs">;

/** One query for the topology, which may ask several nodes. */
export class Inquiry {
  readonly #options: InquiryOptions;
  readonly #temporary = new Set<Connection>();
  readonly #causes = new Map<string, unknown>();
  #answer: TopologyDescription | undefined;
  /**
   * A valid answer without a single slot. A new, removed or reset node gives it. It is used only when no other node
   * gives a better one.
   */
  #emptyAnswer: TopologyDescription | undefined;
  #closed = false;

  constructor(options: InquiryOptions) {
    this.#options = options;
  }

  /**
   * Asks one informant after the other, and asks the next one early when an informant is silent. The first usable
   * answer counts.
   * @throws {UnavailableError} when no informant gave a usable answer. It has the cause for each informant.
   */
  async ask(informants: readonly Informant[]): Promise<TopologyDescription> {
    const { clock } = this.#options.environment;
    const asked: Promise<void>[] = [];
    try {
      for (const informant of informants) {
        const one = this.#askOne(informant);
        asked.push(one);
        let patience: Timer | undefined;
        const silence = new Promise<void>((resolve) => {
          // An answer may already have arrived while this process was busy. So the sockets are read first.
          patience = clock.setTimer(() => clock.afterReads(resolve), HEDGE_MS);
        });
        await Promise.race([one, silence]);
        patience?.cancel();
        if (this.#answer) return this.#answer;
        if (this.#closed) break;
      }
      // All informants have been asked, and some are still silent. Wait for the first answer.
      await new Promise<void>((resolve) => {
        for (const one of asked) void one.then(() => this.#answer && resolve());
        void Promise.all(asked).then(() => resolve());
      });
      const answer = this.#answer ?? this.#emptyAnswer;
      if (answer) return answer;
      throw new UnavailableError("No node could be asked for the cluster's topology", this.#causes);
    } finally {
      this.close();
    }
  }

  /** Closes the connections that were opened for this query. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#temporary) connection.close(new Error("no longer needed"));
  }

  async #askOne(informant: Informant): Promise<void> {
    const { environment, tls, answerTimeoutMs } = this.#options;
    let timer: Timer | undefined;
    try {
      const connection = await informant.connect((temporary) => this.#temporary.add(temporary));
      const late = new Promise<never>((_, reject) => {
        timer = environment.clock.setTimer(
          () => reject(new Error(`no answer within ${answerTimeoutMs} ms`)),
          answerTimeoutMs,
        );
      });
      const description = await Promise.race([describe(connection, informant.answersAs, tls), late]);
      if (description.slots.length === 0) this.#emptyAnswer ??= description;
      else this.#answer ??= description;
    } catch (cause) {
      this.#causes.set(informant.address, cause);
    } finally {
      timer?.cancel();
    }
  }
}

async function describe(connection: Connection, answersAs: NodeAddress, tls: boolean): Promise<TopologyDescription> {
  try {
    const reply = await exchange(connection, "SHARDS");
    const shards = parseClusterShards(reply, answersAs, tls);
    if (!hasRivalPrimaries(reply)) return shards;
    const nodes = await exchange(connection, "NODES").catch(() => undefined);
    return nodes === undefined ? shards : withRolesOf(parseClusterNodes(nodes, answersAs), shards);
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error;
    if (error.reply === CLUSTER_DISABLED) return singleNode(answersAs);
    if (!isUnknownCommand(error.reply)) throw error;
    return parseClusterNodes(await exchange(connection, "NODES"), answersAs);
  }
}

function exchange(connection: Connection, subcommand: string): Promise<Reply> {
  return connection.exchange(["CLUSTER", subcommand])[0] as Promise<Reply>;
}
