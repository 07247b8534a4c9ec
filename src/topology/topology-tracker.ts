import type { Environment, Timer } from "../environment.ts";
import type { ClientInfo, RefreshReason } from "../telemetry/channels.ts";
import { RefreshTrace } from "../telemetry/refresh-trace.ts";
import type { Informant } from "./inquiry.ts";
import { Pace } from "./pace.ts";
import { RecentMoves } from "./recent-moves.ts";
import { Round } from "./round.ts";
import { SaidBefore } from "./said-before.ts";
import { Topology } from "./topology.ts";
import { namesZones, Zones } from "./zones.ts";

/**
 * The refresh after a MOVED waits this long, so that a burst of them causes one refresh. The MOVED has patched its
 * slot.
 */
const DEBOUNCE_MS = 100;
/** The least time between two refreshes that only confirm a MOVED. */
const SETTLED_SPACING_MS = 1000;
/** The delay of a confirming refresh after a change of roles or zones: nodes need this time to agree on them. */
const CONFIRM_MS = 2000;

const REASONS = { urgent: "trouble", settled: "moved", confirm: "roles-changed" } as const;

/** A round that has not begun. Everybody who asks before it begins shares it. */
interface Upcoming {
  at: number;
  /** The reason of the one who wanted it soonest. */
  reason: RefreshReason;
  /** Undefined when the time has come, and another round has to end first. */
  timer: Timer | undefined;
  readonly done: Promise<void>;
  readonly follow: (round: Promise<void> | undefined) => void;
}

/** Somebody looks for a node. */
interface LookUp {
  readonly isFound: () => boolean;
  /** The end of this round answers, whether the node is found or not. */
  readonly round: number;
  readonly resolve: () => void;
}

/** Settings and callbacks that the tracker's owner provides. */
export interface TrackerOptions {
  readonly environment: Environment;
  /** On whose behalf the channels tell of refreshes; undefined for one of which they do not. */
  readonly client?: ClientInfo;
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
  /**
   * Called after every refresh, with or without a change.
   * @param startedAt  When its round began, on the environment's clock.
   * @param isSure     Whether the round found out what the topology is. If not, the present one stays for now.
   */
  onRefreshed(startedAt: number, isSure: boolean): void;
}

/**
 * Holds the current topology and finds out when it changes. At most one round of queries runs at a time, and rounds keep
 * a pace, whoever asks for them.
 *
 *   asked for --its time has come, and no round runs--> running --> ended
 *       ^--- everybody who asks before it begins shares it
 */
export class TopologyTracker {
  readonly #options: TrackerOptions;
  #current: Topology;
  #running: Promise<void> | undefined;
  #upcoming: Upcoming | undefined;
  readonly #pace = new Pace();
  readonly #moves = new RecentMoves();
  /** Rounds that have begun. */
  #rounds = 0;
  /** Those who look for a node, in the order in which they asked. */
  readonly #lookUps: LookUp[] = [];
  #confirmation: Timer | undefined;
  #interval: Timer | undefined;
  #round: Round | undefined;
  /** The highest config epochs that were seen, by node id. */
  readonly #epochs = new Map<string, number>();
  readonly #saidBefore = new SaidBefore();
  /** A call has asked for the owner of a slot since the last round began. */
  #isOwnerWanted = false;
  #agreedAt = Number.NEGATIVE_INFINITY;
  /** What nodes have said of their own zones. */
  readonly zones = new Zones();
  /** The topology as it was last described names no zones. */
  #lacksZones: boolean;
  #closed = false;

  constructor(initial: Topology, options: TrackerOptions) {
    this.#current = initial;
    this.#options = options;
    this.#lacksZones = !namesZones(initial);
    this.#armInterval();
  }

  get current(): Topology {
    return this.#current;
  }

  /**
   * Notes that a slot has another owner, by the word of a node. The change takes effect at once, and a refresh soon
   * confirms it. For a while, views that still have the owner of before do not undo it.
   */
  slotMoved(slot: number, address: string): void {
    const from = this.#current.primaryOf(slot)?.address;
    this.#moves.note(slot, from, address, this.#environment.clock.now());
    const patched = this.#current.withSlotMoved(slot, address);
    if (patched === this.#current) return;
    this.#publish(patched, "patched");
    this.refreshSoon("settled");
  }

  /** Whether zones are wanted that no description of the cluster names: the nodes have to be asked. */
  get lacksZones(): boolean {
    return this.#lacksZones && this.zones.isWanted;
  }

  /** Nodes have said in which zones they are. */
  zonesLearned(): void {
    if (this.lacksZones && !this.#closed) this.#publish(this.zones.allIn(this.#current), "refreshed");
  }

  /** Notes that a node serves a slot that has left another one. Views that still name that one do not undo it so soon. */
  slotServed(slot: number, from: string, to: string): void {
    this.#moves.note(slot, from, to, this.#environment.clock.now());
  }

  /**
   * Asks for a refresh and does not wait for it. `urgent`: calls wait for the cluster to recover. `settled`: a MOVED
   * has already taken effect. `confirm`: the nodes may not agree yet.
   */
  refreshSoon(why: "settled" | "confirm" | "urgent", reason: RefreshReason = REASONS[why]): void {
    if (this.#closed) return;
    const { clock, random } = this.#environment;
    const now = clock.now();
    if (why === "urgent") void this.#within(this.#pace.inTrouble(now), reason);
    else if (why === "settled") {
      const at = Math.max(now + DEBOUNCE_MS, this.#pace.after(SETTLED_SPACING_MS, now));
      void this.#within(at + random() * (DEBOUNCE_MS / 2), reason);
    } else {
      // An earlier round does not replace this one, because the nodes may not agree by then.
      this.#confirmation ??= clock.setTimer(
        () => {
          this.#confirmation = undefined;
          this.refreshSoon("settled", reason);
        },
        CONFIRM_MS * (1 + random() / 2),
      );
    }
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
    this.refreshSoon("urgent", "no-owner");
  }

  /**
   * Refreshes as soon as the pace allows, or joins the round that is under way. Rejects when no node could be asked.
   */
  refresh(reason: RefreshReason = "asked"): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return this.#running ?? this.#within(this.#pace.onRequest(this.#environment.clock.now()), reason, true);
  }

  /**
   * Looks for a node that a redirection named: resolves when a round has ended that began after this call, or an earlier
   * one after which `isFound` is true. Those who look resolve in the order in which they asked, because the calls of a slot
   * go on in their order.
   */
  lookUp(isFound: () => boolean): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#lookUps.push({ isFound, round: this.#rounds + 1, resolve });
      if (this.#running === undefined) {
        void this.#within(this.#pace.inTrouble(this.#environment.clock.now()), "unknown-node", true);
      }
    });
  }

  close(): void {
    this.#closed = true;
    this.#interval?.cancel();
    this.#confirmation?.cancel();
    this.#upcoming?.timer?.cancel();
    this.#upcoming?.follow(undefined);
    for (const { resolve } of this.#lookUps.splice(0)) resolve();
    this.#round?.close();
  }

  get #environment(): Environment {
    return this.#options.environment;
  }

  /**
   * A round begins at `at` at the latest, unless another one is still running then.
   * @param isAwaited  Somebody waits for it, so it begins in this very job where its time has come.
   * @returns          Settles as the round does.
   */
  #within(at: number, reason: RefreshReason, isAwaited = false): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const { clock } = this.#environment;
    const upcoming = this.#upcoming ?? newUpcoming();
    this.#upcoming = upcoming;
    if (upcoming.at <= at) return upcoming.done;
    upcoming.timer?.cancel();
    upcoming.at = at;
    upcoming.reason = reason;
    const waitMs = at - clock.now();
    if (isAwaited && waitMs <= 0) this.#due(upcoming);
    else upcoming.timer = clock.setTimer(() => this.#due(upcoming), waitMs);
    return upcoming.done;
  }

  #due(upcoming: Upcoming): void {
    upcoming.timer = undefined;
    if (this.#running === undefined) this.#begin(upcoming);
  }

  #begin(upcoming: Upcoming): void {
    this.#upcoming = undefined;
    this.#rounds++;
    this.#running = this.#query(upcoming.reason).finally(() => {
      this.#running = undefined;
      this.#answerLookUps();
      if (this.#lookUps.length > 0) this.refreshSoon("urgent", "unknown-node");
      else if (this.#options.unsettled()) this.refreshSoon("urgent");
      const next = this.#upcoming;
      if (next !== undefined && next.timer === undefined && !this.#closed) this.#begin(next);
    });
    this.#running.catch(() => {});
    upcoming.follow(this.#running);
  }

  #answerLookUps(): void {
    const still = this.#lookUps.splice(0).filter(({ isFound, round, resolve }) => {
      const isAnswered = round <= this.#rounds || isFound();
      if (isAnswered) resolve();
      return !isAnswered;
    });
    this.#lookUps.push(...still);
  }

  async #query(reason: RefreshReason): Promise<void> {
    const { clock, random } = this.#environment;
    const trace = RefreshTrace.begin(this.#options.client, reason);
    const startedAt = clock.now();
    this.#pace.noteBegun(startedAt, random());
    const round = new Round(this.#options, {
      present: this.#current,
      epochs: this.#epochs,
      saidBefore: this.#saidBefore,
      isOwnerWanted: this.#isOwnerWanted,
      isOutOfReach: this.#options.outOfReach(),
    });
    this.#isOwnerWanted = false;
    this.#round = round;
    const { adopt, isAgreed } = await round.run(this.#options.informants()).catch((error: unknown) => {
      trace?.end(false, false);
      throw error;
    });
    if (this.#closed) {
      trace?.end(false, false);
      return;
    }
    if (isAgreed) this.#agreedAt = startedAt;
    const previous = this.#current;
    if (adopt !== undefined) {
      const described = Topology.from(adopt);
      this.#lacksZones = !namesZones(described);
      this.#publish(this.#moves.upheldIn(this.zones.addedTo(described), startedAt), "refreshed");
    }
    trace?.end(adopt !== undefined, this.#current !== previous);
    this.#options.onRefreshed(startedAt, adopt !== undefined);
  }

  #publish(topology: Topology, how: "patched" | "refreshed"): void {
    const previous = this.#current;
    if (topology === previous || topology.equals(previous)) return;
    this.#current = topology;
    const changed = how === "refreshed" ? changeOf(topology, previous) : undefined;
    if (changed !== undefined) this.refreshSoon("confirm", changed);
    this.#options.onChange(topology, previous, how);
  }

  #armInterval(): void {
    const { intervalMs, environment } = this.#options;
    if (intervalMs === 0) return;
    const jittered = intervalMs * (0.9 + 0.2 * environment.random());
    this.#interval = environment.clock.setTimer(
      () => {
        this.refresh("periodic").catch(() => {});
        this.#armInterval();
      },
      jittered,
      true,
    );
  }
}

function newUpcoming(): Upcoming {
  let follow!: Upcoming["follow"];
  const done = new Promise<void>((resolve) => {
    follow = resolve;
  });
  // A failure that nobody waits for must not end the process.
  done.catch(() => {});
  return { at: Number.POSITIVE_INFINITY, reason: "asked", timer: undefined, done, follow };
}

/** What the nodes may not agree upon yet, because a node that is in both topologies has changed it. */
function changeOf(current: Topology, previous: Topology): RefreshReason | undefined {
  const before = new Map(previous.nodes.map((node) => [node.address, node]));
  const differIn = (field: "role" | "zone") =>
    current.nodes.some((node) => (before.get(node.address) ?? node)[field] !== node[field]);
  return differIn("role") ? "roles-changed" : differIn("zone") ? "zones-changed" : undefined;
}
