import type { Lane } from "../connection/lane.ts";
import type { Request } from "../connection/request.ts";
import type { ReplyError } from "../errors.ts";
import { CHECKS_INVARIANTS, invariant } from "../invariant.ts";
import type { AuditReason, CommandContext, LoadReason } from "../telemetry/channels.ts";
import type { ScriptTrace } from "../telemetry/script-trace.ts";
import type { LoadPace } from "./load-pace.ts";
import { LoadRequest } from "./load-request.ts";
import type { Loadable } from "./loadable.ts";
import { type Remedy, remedyOf } from "./remedy.ts";
import type { Finding } from "./script-questions.ts";
import type { ScriptHolder, ScriptRegistry } from "./script-registry.ts";
import {
  heldSince,
  isDenied,
  isPassing,
  type LoadEnd,
  type Loading,
  type LoadOutcome,
  type ScriptState,
} from "./script-state.ts";

const NONE: readonly Loadable[] = [];

export type { Remedy } from "./remedy.ts";
export type { LoadEnd, LoadOutcome } from "./script-state.ts";

/** How a node was asked which scripts it has. */
interface Question {
  /** The stamp then. */
  readonly asked: number;
  /** The lane whose connection was asked. Undefined for a connection that no lane uses. */
  readonly lane: Lane | undefined;
  /** The question was written in front of requests that were queued on the lane earlier: loads, perhaps. */
  readonly isAhead: boolean;
}

/** A load that has begun, and its end. */
interface Begun {
  readonly state: Loading;
  readonly finish: (outcome: LoadOutcome) => void;
}

/** The client's beliefs about the scripts and libraries on one node. */
export class LoadedScripts implements ScriptHolder {
  /** By the script's index. Nothing is kept at 0, the index of scripts that are not registered. */
  readonly #states: (ScriptState | undefined)[] = [undefined];
  /** Scripts that were evicted from the registry, for as long as a call holds them. */
  #evicted = new WeakMap<Loadable, ScriptState>();
  readonly #registry: ScriptRegistry;
  readonly #isPrimary: () => boolean;
  /** When scripts may be loaded again. It hears of the loads that are made here. */
  readonly pace: LoadPace | undefined;
  readonly #onLoaded: (outcome: Exclude<LoadOutcome, "lost">) => void;
  /** Tells the channels of loads and beliefs. */
  readonly trace: ScriptTrace | undefined;
  /** Libraries that this client has put on the node. One that another client replaced since is left as it is. */
  readonly #delivered = new Set<Loadable>();
  #deniesLoads = false;
  /** The newest stamp. */
  #clock = 0;

  /**
   * @param isPrimary  Libraries are loaded on primaries only, because replicas get them from there.
   * @param onLoaded   Called when a load was answered.
   * @param pace       Hears of every load.
   * @param trace      Tells the channels of loads and beliefs.
   */
  constructor(
    registry: ScriptRegistry,
    isPrimary: () => boolean = () => true,
    onLoaded: (outcome: Exclude<LoadOutcome, "lost">) => void = () => {},
    pace?: LoadPace,
    trace?: ScriptTrace,
  ) {
    this.trace = trace;
    this.pace = pace;
    this.#registry = registry;
    this.#isPrimary = isPrimary;
    this.#onLoaded = onLoaded;
    registry.follow(this);
  }

  /** The stamp of a call that is queued now. */
  get stamp(): number {
    return this.#clock;
  }

  stateOf(script: Loadable): ScriptState | undefined {
    return script.isRegistered ? this.#states[script.index] : this.#evicted.get(script);
  }

  #believe(script: Loadable, state: ScriptState | undefined): void {
    if (script.isRegistered) {
      if (CHECKS_INVARIANTS) invariant(script.index > 0, "a registered script has a place of its own");
      this.#states[script.index] = state;
    } else if (state === undefined) this.#evicted.delete(script);
    else this.#evicted.set(script, state);
  }

  /** The last failure to load, if the node has not held the script since. */
  failureOf(script: Loadable): ReplyError | undefined {
    const state = this.stateOf(script);
    if (state?.kind === "failed") return state.cause;
    return state?.kind === "loading" ? state.earlier : undefined;
  }

  /** Whether a call that is queued now should have a load in front of it. Asked once a call. */
  needsLoad(script: Loadable): boolean {
    return this.#states[script.index] === undefined && this.#isLoadNeeded(script);
  }

  #isLoadNeeded(script: Loadable): boolean {
    return this.stateOf(script) === undefined && this.#mayLoad(script);
  }

  /** Whether a call that is queued on `lane` now finds the script, or is known not to find it. */
  isComing(script: Loadable, lane: Lane): boolean {
    const state = this.stateOf(script);
    return state !== undefined && (state.kind !== "loading" || state.lane === lane);
  }

  /** The items that nodes should hold, and that should be loaded here: absent ones, and those that were refused for now. */
  get lacking(): readonly Loadable[] {
    return this.#registry.wanted.filter((script) => {
      const state = this.stateOf(script);
      return this.#mayLoad(script) && (state === undefined || (state.kind === "failed" && isPassing(state.cause)));
    });
  }

  /** Whether SCRIPT LOAD is known to be refused here, even if the node holds the script. */
  get deniesLoads(): boolean {
    return this.#deniesLoads;
  }

  /** The node refused a SCRIPT LOAD that was not sent from here. */
  noteLoadsDenied(): void {
    this.#deniesLoads = true;
  }

  /** A library turned out to be missing: the next call brings it. */
  forget(library: Loadable): void {
    if (this.stateOf(library)?.kind !== "held") return;
    this.#believe(library, undefined);
    this.trace?.onAudit("flushed", 0, NONE, [library]);
  }

  /** Every script that the node held is gone. */
  forgetScripts(): void {
    this.#clock++;
    for (const script of this.#registry.all) if (script.kind === "script") this.#believe(script, undefined);
    this.#evicted = new WeakMap();
    if (this.trace?.isAuditHeard) {
      this.trace.onAudit(
        "flushed",
        0,
        NONE,
        this.#registry.all.filter(({ kind }) => kind === "script"),
      );
    }
  }

  /** The registered items that the node is believed to hold. */
  get held(): readonly Loadable[] {
    return this.#registry.all.filter((item) => this.stateOf(item)?.kind === "held");
  }

  /** The node is believed to hold a script from now on, because the client was told so. */
  assume(script: Loadable): void {
    this.#believe(script, { kind: "held", lane: undefined, queued: ++this.#clock, effective: this.#clock });
    this.trace?.onAudit("told", 0, [script], NONE);
  }

  onEvicted(script: Loadable): void {
    const state = this.#states[script.index];
    if (state === undefined) return;
    this.#states[script.index] = undefined;
    this.#evicted.set(script, state);
    if (state.kind === "held") this.trace?.onAudit("flushed", 0, NONE, [script]);
  }

  /** The library is to be brought up to date here, even where another client has replaced it. */
  redeliver(library: Loadable): void {
    this.#delivered.delete(library);
  }

  /** Queues a load on `lane`. A call that is queued behind it on the same lane finds the script. */
  loadOn(lane: Lane, script: Loadable, why: LoadReason = "first-call", call?: CommandContext): Promise<void> {
    const { request, done } = this.#load(script, lane, why, call);
    lane.push(request);
    return done;
  }

  /** Loads on `lane`, or joins the loads that are under way. Resolves when none is, to how they have ended. */
  loadNow(lane: Lane, script: Loadable, why: LoadReason): Promise<LoadEnd> {
    if (this.stateOf(script)?.kind !== "loading") void this.loadOn(lane, script, why);
    return this.loaded(script);
  }

  /** Resolves when no load of the script is under way, to what is believed then: the next load may begin at once. */
  async loaded(script: Loadable): Promise<LoadEnd> {
    let state = this.stateOf(script);
    for (; state?.kind === "loading"; state = this.stateOf(script)) await state.done;
    return state;
  }

  /** A call that brings the source itself is about to be queued on `lane`. The caller reports how that ended. */
  loadByEval(lane: Lane | undefined, script: Loadable, call?: CommandContext): (outcome: LoadOutcome) => void {
    return this.#begin(script, lane, "noscript", call).finish;
  }

  /** A call with `stamp` was answered NOSCRIPT. See `Miss`. */
  remedyFor(script: Loadable, lane: Lane, stamp: number, wasMended: boolean): Remedy {
    return remedyOf({ state: this.stateOf(script), kind: script.kind, lane, stamp, wasMended });
  }

  /**
   * Believes what a node says of `wanted`. Returns the items that it lacks and that may be loaded there.
   * @param ends  Gets a promise for each item that is being loaded by others.
   * @param why   For listeners on the channels.
   */
  judge(
    wanted: readonly Loadable[],
    findings: ReadonlyMap<Loadable, Finding>,
    question: Question,
    ends: Promise<void>[],
    why: AuditReason = "periodic",
  ): Loadable[] {
    const lacking = this.#judge(wanted, findings, question, ends);
    if (this.trace?.isAuditHeard) {
      const are = (kind: ScriptState["kind"] | undefined) =>
        wanted.filter((script) => this.stateOf(script)?.kind === kind);
      this.trace.onAudit(why, wanted.length, are("held"), are(undefined));
    }
    return lacking;
  }

  #judge(
    wanted: readonly Loadable[],
    findings: ReadonlyMap<Loadable, Finding>,
    { asked, lane, isAhead }: Question,
    ends: Promise<void>[],
  ): Loadable[] {
    return wanted.filter((script) => {
      const state = this.stateOf(script);
      const finding = findings.get(script);
      if (this.#isThere(script, finding)) {
        if (state?.kind !== "loading") {
          this.#believe(script, { kind: "held", lane, queued: this.#clock, effective: this.#clock });
        }
        return false;
      }
      if (state?.kind === "loading" && state.lane?.ready !== false) {
        ends.push(state.done);
        return false;
      }
      if (state?.kind === "held") {
        // The script was loaded after the question was asked, or the node does not say: the belief stands.
        const since = isAhead ? state.effective : heldSince(state, lane);
        if (since > asked || (lane && finding === undefined)) return false;
        // Somebody flushes all the time. The next call that meets NOSCRIPT brings the script, when its rest is over.
        if (lane !== undefined && this.pace?.isResting(script)) return false;
      }
      if (state?.kind !== "failed" || !this.#mayLoad(script)) this.#believe(script, undefined);
      return this.#mayLoad(script);
    });
  }

  /**
   * Begins a load of an item that the node lacks; the caller writes the request. Undefined if the node has got it since,
   * or is about to.
   */
  loadMissing(
    script: Loadable,
    lane: Lane | undefined,
    why: LoadReason = "audit",
  ): { request: Request; done: Promise<void> } | undefined {
    const kind = this.stateOf(script)?.kind;
    return kind === "held" || kind === "loading" ? undefined : this.#load(script, lane, why);
  }

  #isThere(item: Loadable, finding: Finding | undefined): boolean {
    if (item.kind === "library" && finding === "same") this.#delivered.add(item);
    return finding === "same" || (finding === "other" && this.#delivered.has(item));
  }

  #mayLoad({ kind }: Loadable): boolean {
    return kind === "script" || this.#isPrimary();
  }

  #load(
    script: Loadable,
    lane: Lane | undefined,
    why: LoadReason,
    call?: CommandContext,
  ): { request: Request; done: Promise<void> } {
    this.pace?.note(script);
    const { state, finish } = this.#begin(script, lane, why, call);
    const request = new LoadRequest(script, (outcome) => {
      if (script.kind === "script") this.#learnPermission(outcome);
      else if (outcome === "held") this.#delivered.add(script);
      finish(outcome);
    });
    return { request, done: state.done };
  }

  #learnPermission(outcome: LoadOutcome): void {
    if (outcome !== "lost") this.#deniesLoads = outcome !== "held" && isDenied(outcome.cause);
  }

  #begin(script: Loadable, lane: Lane | undefined, why: LoadReason, call: CommandContext | undefined): Begun {
    let settled!: () => void;
    const done = new Promise<void>((resolve) => {
      settled = resolve;
    });
    const queued = ++this.#clock;
    const earlier = this.failureOf(script);
    const state: Loading = { kind: "loading", lane, queued, done, earlier };
    this.#believe(script, state);
    const told = this.trace?.onLoad(script, why, call);
    const finish = (outcome: LoadOutcome) => {
      // A newer load may have taken over: then its end counts.
      if (this.stateOf(script) === state) this.#believe(script, this.#stateAfter(state, outcome));
      told?.(outcome);
      if (outcome !== "lost") this.#onLoaded(outcome);
      settled();
    };
    return { state, finish };
  }

  #stateAfter({ lane, queued }: Loading, outcome: LoadOutcome): ScriptState | undefined {
    if (outcome === "lost") return undefined;
    if (outcome === "held") return { kind: "held", lane, queued, effective: ++this.#clock };
    return { kind: "failed", ...outcome };
  }
}
