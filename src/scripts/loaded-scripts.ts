import type { Connection } from "../connection/connection.ts";
import type { Lane } from "../connection/lane.ts";
import type { Backlog, Place, Request } from "../connection/request.ts";
import { ConnectionLostError, ProtocolError, ReplyError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";
import { Ring } from "../protocol/ring.ts";
import type { Loadable } from "./loadable.ts";
import { replyErrorOf } from "./script-error.ts";
import type { ScriptRegistry } from "./script-registry.ts";

/**
 * What is believed of one script on one node.
 *
 *   (absent) --load queued--> loading --its SHA-1 comes back--> held
 *                                '------ an error comes back --> failed      connection lost while loading --> (absent)
 *
 * Stamps order loads and calls. A call queued before the newest load says nothing about the script now when it answers
 * NOSCRIPT: on the load's lane that is a lower stamp than `queued`, on any other a lower one than `effective`.
 */
export type ScriptState =
  | {
      readonly kind: "loading";
      readonly lane: Lane | undefined;
      readonly queued: number;
      readonly done: Promise<void>;
      /** Why the load before this one failed, if it did: until this one ends, nobody knows better. */
      readonly earlier: ReplyError | undefined;
      /** The load, unless a call brings the source itself. */
      request: Request | undefined;
    }
  | { readonly kind: "held"; readonly lane: Lane | undefined; readonly queued: number; readonly effective: number }
  /** `final`: neither SCRIPT LOAD nor EVAL is allowed. */
  | { readonly kind: "failed"; readonly cause: ReplyError; readonly final: boolean };

type Held = Extract<ScriptState, { kind: "held" }>;
type Loading = Extract<ScriptState, { kind: "loading" }>;

/** How a load ended. */
export type LoadOutcome =
  | "held"
  /** Nobody knows; as if it had never been tried. */
  | "lost"
  | { readonly cause: ReplyError; readonly final: boolean };

/** What to do about a NOSCRIPT. */
export type Remedy =
  /** The script is there by now: send the call again as it is. */
  | { readonly kind: "replay" }
  /** Another lane's load is under way: send the call again after it. */
  | { readonly kind: "wait"; readonly done: Promise<void> }
  /** Put a load in front of the call. */
  | { readonly kind: "load" }
  /** The node refuses SCRIPT LOAD: send the source with the call. */
  | { readonly kind: "eval" }
  /** The node cannot load it. */
  | { readonly kind: "give-up"; readonly cause: ReplyError };

const NO_FUNCTION = "ERR Function not found";

/** Which of the registered scripts one node holds. */
export class LoadedScripts {
  /** By the script's index. */
  readonly #states: (ScriptState | undefined)[] = [];
  readonly #registry: ScriptRegistry;
  readonly #isPrimary: () => boolean;
  readonly #onLoaded: (isHeld: boolean) => void;
  /** Libraries that the node has had from us: what another client replaced since is left as it is. */
  readonly #delivered = new Set<Loadable>();
  #deniesLoads = false;
  #clock = 0;
  #preparing: Promise<void> | undefined;

  /**
   * @param isPrimary  Libraries are loaded on primaries only; their replicas get them from there.
   * @param onLoaded   Called when a load ended, in success or not.
   */
  constructor(
    registry: ScriptRegistry,
    isPrimary: () => boolean = () => true,
    onLoaded: (isHeld: boolean) => void = () => {},
  ) {
    this.#registry = registry;
    this.#isPrimary = isPrimary;
    this.#onLoaded = onLoaded;
  }

  /** The stamp of a call that is queued now. */
  get stamp(): number {
    return this.#clock;
  }

  stateOf(script: Loadable): ScriptState | undefined {
    return this.#states[script.index];
  }

  /** Why the node does not have it, if it said so and has not said otherwise since. */
  failureOf(script: Loadable): ReplyError | undefined {
    const state = this.#states[script.index];
    if (state?.kind === "failed") return state.cause;
    return state?.kind === "loading" ? state.earlier : undefined;
  }

  /** Whether a call that is queued now should have a load in front of it. */
  needsLoad(script: Loadable): boolean {
    return this.#states[script.index] === undefined && this.#mayLoad(script);
  }

  /** Whether `lane` has no load of it waiting to be written: for a call that must find it, whatever happens before. */
  needsLoadAhead(script: Loadable, lane: Lane): boolean {
    const state = this.#states[script.index];
    return state?.kind !== "loading" || state.lane !== lane || state.request?.place !== "queued";
  }

  /** Whether what is queued on `lane` now finds it, as far as is known, or is known not to. */
  isComing(script: Loadable, lane: Lane): boolean {
    const state = this.#states[script.index];
    return state !== undefined && (state.kind !== "loading" || state.lane === lane);
  }

  /** Whether the node is known to refuse SCRIPT LOAD, also of a script that it holds: another's load, or an EVAL. */
  get deniesLoads(): boolean {
    return this.#deniesLoads;
  }

  /** Somebody else's SCRIPT LOAD was refused. */
  noteLoadsDenied(): void {
    this.#deniesLoads = true;
  }

  /** A library turned out to be missing: the next call brings it. */
  forget(library: Loadable): void {
    if (this.#states[library.index]?.kind === "held") this.#states[library.index] = undefined;
  }

  /** Every script that the node held is gone. */
  forgetScripts(): void {
    this.#clock++;
    for (const { kind, index } of this.#registry.all) if (kind === "script") this.#states[index] = undefined;
  }

  /** A library is to be brought up to date here, also where another client has replaced it. */
  redeliver(library: Loadable): void {
    this.#delivered.delete(library);
  }

  /** Queues SCRIPT LOAD on `lane`. What is queued behind it on the same lane finds the script. */
  loadOn(lane: Lane, script: Loadable): Promise<void> {
    const { request, done } = this.#load(script, lane);
    lane.push(request);
    return done;
  }

  /** Loads on `lane`, or joins the loads that are under way. Resolves when none is. */
  async loadNow(lane: Lane, script: Loadable): Promise<void> {
    if (this.#states[script.index]?.kind !== "loading") void this.loadOn(lane, script);
    for (let state = this.stateOf(script); state?.kind === "loading"; state = this.stateOf(script)) await state.done;
  }

  /** A call that brings the source itself is about to be queued on `lane`. The caller says how that ended. */
  loadByEval(lane: Lane | undefined, script: Loadable): (outcome: LoadOutcome) => void {
    return this.#begin(script, lane).finish;
  }

  /**
   * A call answered NOSCRIPT. `stamp` is the call's; `again` says that it was mended before, so that this very attempt
   * came behind a load.
   */
  remedyFor(script: Loadable, lane: Lane, stamp: number, again: boolean): Remedy {
    const state = this.#states[script.index];
    switch (state?.kind) {
      case "loading":
        if (state.lane !== lane) return { kind: "wait", done: state.done };
        return { kind: stamp < state.queued ? "replay" : "load" };
      case "held":
        if (stamp < heldSince(state, lane)) return { kind: "replay" };
        // A library that has just been loaded and lacks the function will lack it the next time, too.
        if (again && script.kind === "library") return { kind: "give-up", cause: new ReplyError(NO_FUNCTION) };
        return { kind: "load" };
      case "failed":
        if (state.final || script.kind === "library" || (again && !isDenied(state.cause))) {
          return { kind: "give-up", cause: state.cause };
        }
        return { kind: isDenied(state.cause) ? "eval" : "load" };
      default:
        return { kind: "load" };
    }
  }

  /**
   * Makes belief true for every registered script on a fresh connection, and loads what is missing, in one write.
   * Resolves when each is held or failed. Rejects when the connection goes. Lanes that come up together share one.
   */
  prepare(connection: Connection): Promise<void> {
    const shared = (this.#preparing ?? Promise.reject()).catch(() => this.#prepare(connection));
    const mine = shared.finally(() => {
      if (this.#preparing === mine) this.#preparing = undefined;
    });
    this.#preparing = mine;
    return mine;
  }

  async #prepare(connection: Connection): Promise<void> {
    // Scripts that were registered meanwhile are prepared as well.
    for (let first = 0; first < this.#registry.all.length; ) {
      const scripts = this.#registry.all.slice(first);
      first += scripts.length;
      await this.ensure(
        connection,
        scripts.filter(({ wanted }) => wanted),
      );
    }
  }

  /** Asks the node which of `wanted` it has, and loads the others, in one write. `lane` is whose connection it is. */
  async ensure(connection: Connection, wanted: readonly Loadable[], lane?: Lane): Promise<void> {
    if (wanted.length === 0) return;
    const asked = this.#clock;
    const answers = await this.#ask(connection, wanted);
    const loads = new Ring<Request>();
    const loaded: Promise<void>[] = [];
    const joined: Promise<void>[] = [];
    for (const script of wanted) {
      const state = this.#states[script.index];
      const isThere = answers.get(script);
      if (isThere) {
        if (state?.kind !== "loading") {
          this.#states[script.index] = { kind: "held", lane, queued: this.#clock, effective: this.#clock };
        }
      } else if (lane && state?.kind === "loading") {
        joined.push(state.done);
      } else if (state?.kind === "held" && (heldSince(state, lane) > asked || (lane && isThere === undefined))) {
        // Loaded since the question was asked, or nobody knows better.
      } else if (this.#mayLoad(script)) {
        const load = this.#load(script, lane);
        loads.push(load.request);
        loaded.push(load.done);
      } else {
        this.#states[script.index] = undefined;
      }
    }
    connection.writeFrom(loads, true);
    if (connection.closed) throw new ConnectionLostError(connection.address, "unknown");
    await Promise.all([...loaded, ...joined]);
  }

  /** Which of `wanted` the node has, by its own word. A user who may not ask, and hears nothing, may still be allowed to load. */
  async #ask(connection: Connection, wanted: readonly Loadable[]): Promise<Map<Loadable, boolean>> {
    const scripts = wanted.filter(({ kind }) => kind === "script");
    const libraries = wanted.filter(({ kind }) => kind === "library");
    const questions: string[][] = libraries.map(({ name }) => ["FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE"]);
    if (scripts.length > 0) questions.unshift(["SCRIPT", "EXISTS", ...scripts.map(({ sha }) => sha)]);
    const answers = await Promise.all(
      connection.exchange(...questions).map((answer) =>
        answer.catch((error: unknown) => {
          if (error instanceof ReplyError) return undefined;
          throw error;
        }),
      ),
    );
    const known = new Map<Loadable, boolean>();
    const exists = scripts.length > 0 ? answers.shift() : undefined;
    if (Array.isArray(exists)) for (const [index, script] of scripts.entries()) known.set(script, exists[index] === 1);
    for (const [index, library] of libraries.entries()) {
      const answer = answers[index];
      if (answer === undefined) continue;
      const code = libraryCode(answer);
      if (code === library.source) this.#delivered.add(library);
      known.set(library, code === library.source || (code !== undefined && this.#delivered.has(library)));
    }
    return known;
  }

  #mayLoad({ kind }: Loadable): boolean {
    return kind === "script" || this.#isPrimary();
  }

  #load(script: Loadable, lane: Lane | undefined): { request: Request; done: Promise<void> } {
    const { mine, finish, done } = this.#begin(script, lane);
    mine.request = new LoadRequest(script, (outcome) => {
      if (outcome === "held") this.#delivered.add(script);
      if (script.kind === "script" && outcome !== "lost")
        this.#deniesLoads = outcome !== "held" && isDenied(outcome.cause);
      finish(outcome);
    });
    return { request: mine.request, done };
  }

  #begin(
    script: Loadable,
    lane: Lane | undefined,
  ): { mine: { request: Request | undefined }; finish: (outcome: LoadOutcome) => void; done: Promise<void> } {
    let settled!: () => void;
    const done = new Promise<void>((resolve) => {
      settled = resolve;
    });
    const queued = ++this.#clock;
    const earlier = this.failureOf(script);
    const request: Request | undefined = undefined;
    const mine: Loading = { kind: "loading", lane, queued, done, earlier, request };
    this.#states[script.index] = mine;
    const finish = (outcome: LoadOutcome) => {
      if (outcome !== "lost") this.#onLoaded(outcome === "held");
      // Unless a newer load has taken over.
      if (this.#states[script.index] === mine) {
        if (outcome === "lost") this.#states[script.index] = undefined;
        else if (outcome === "held") {
          this.#states[script.index] = { kind: "held", lane, queued, effective: ++this.#clock };
        } else this.#states[script.index] = { kind: "failed", ...outcome };
      }
      settled();
    };
    return { mine, finish, done };
  }
}

/** What `lane` was told before this stamp is old news. */
function heldSince({ lane: loadedOn, queued, effective }: Held, lane: Lane | undefined): number {
  return loadedOn === lane ? queued : effective;
}

/** Whether the node refuses to load for want of a permission, whatever the script. */
export function isDenied(cause: ReplyError): boolean {
  return cause.reply.startsWith("NOPERM ");
}

/** The source in an answer to FUNCTION LIST for one library; undefined when the node has none of that name. */
function libraryCode(answer: Reply): Reply | undefined {
  const [library] = Array.isArray(answer) ? answer : [];
  if (!Array.isArray(library)) return undefined;
  const at = library.indexOf("library_code");
  return at === -1 ? undefined : library[at + 1];
}

class LoadRequest implements Request {
  readonly frame: string;
  readonly isOwn = true;
  readonly wantsBuffers = false;
  readonly asking = false;
  place: Place = "new";
  backlog: Backlog | undefined = undefined;
  readonly #script: Loadable;
  readonly #finish: (outcome: LoadOutcome) => void;

  constructor(script: Loadable, finish: (outcome: LoadOutcome) => void) {
    this.frame = script.loadFrame;
    this.#script = script;
    this.#finish = finish;
  }

  onReply(reply: Reply): void {
    this.place = "settled";
    if (reply === this.#script.loadReply) {
      this.#finish("held");
      return;
    }
    this.#finish("lost");
    throw new ProtocolError("A load was answered by something else than what was loaded.");
  }

  onErrorReply(text: string): void {
    this.place = "settled";
    this.#finish({ cause: replyErrorOf(text, "not-executed", this.#script), final: false });
  }

  onUndecodable(): void {
    this.onLost();
  }

  onLost(): void {
    this.place = "settled";
    this.#finish("lost");
  }
}
