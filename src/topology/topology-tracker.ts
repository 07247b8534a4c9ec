import type { Environment, Timer } from "../environment.ts";
import type { Informant } from "./inquiry.ts";
import { Round } from "./round.ts";
import { Topology } from "./topology.ts";

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
  /**
   * Whether there is one server, which is asked nothing.
   * @default false
   */
  readonly isSingle?: boolean;
  /** The nodes that may be asked, best first. */
  informants(): readonly Informant[];
  /** Whether calls wait for the cluster to recover, so that another refresh is needed soon. */
  unsettled(): boolean;
  /** Whether no node of the topology could be reached under its own id for long, so that the seeds decide. */
  outOfReach(): boolean;
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
  #round: Round | undefined;
  /** The highest config epochs that were seen, by node id. */
  readonly #epochs = new Map<string, number>();
  /** A call has asked for the owner of a slot since the last round began. */
  #isOwnerWanted = false;
  #agreedAt = Number.NEGATIVE_INFINITY;
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

  /**
   * When the last round began in which two nodes, or all that can be reached, agreed. What has no owner since has none
   * by their word.
   */
  get agreedAt(): number {
    return this.#agreedAt;
  }

  /** A call waits for the owner of its slot. Another refresh follows soon, which asks two nodes where there is none. */
  seekOwner(): void {
    this.#isOwnerWanted = true;
    this.refreshSoon("urgent");
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
    this.#round?.close();
  }

  async #query(): Promise<void> {
    this.#lastStart = this.#options.environment.clock.now();
    const startedAt = this.#lastStart;
    const round = new Round(this.#options, {
      present: this.#current,
      epochs: this.#epochs,
      isOwnerWanted: this.#isOwnerWanted,
      isOutOfReach: this.#options.outOfReach(),
    });
    this.#isOwnerWanted = false;
    this.#round = round;
    const { adopt, isAgreed } = await round.run(this.#options.informants());
    if (this.#closed) return;
    if (isAgreed) this.#agreedAt = startedAt;
    if (adopt !== undefined) this.#publish(Topology.from(adopt), "refreshed");
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
