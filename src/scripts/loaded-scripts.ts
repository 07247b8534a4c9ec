import type { Connection } from "../connection/connection.ts";
import type { Lane } from "../connection/lane.ts";
import type { Request } from "../connection/request.ts";
import { ConnectionLostError, ProtocolError, ReplyError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";
import { replyErrorOf } from "./script-error.ts";
import type { RegisteredScript, ScriptRegistry } from "./script-registry.ts";

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
      /** The load, unless a call brings the source itself. */
      request: Request | undefined;
    }
  | { readonly kind: "held"; readonly lane: Lane | undefined; readonly queued: number; readonly effective: number }
  /** `final`: neither SCRIPT LOAD nor EVAL is allowed. */
  | { readonly kind: "failed"; readonly cause: ReplyError; readonly final: boolean };

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

/** Which of the registered scripts one node holds. */
export class LoadedScripts {
  /** By the script's index. */
  readonly #states: (ScriptState | undefined)[] = [];
  readonly #registry: ScriptRegistry;
  #clock = 0;
  #preparing: Promise<void> | undefined;

  constructor(registry: ScriptRegistry) {
    this.#registry = registry;
  }

  /** The stamp of a call that is queued now. */
  get stamp(): number {
    return this.#clock;
  }

  stateOf(script: RegisteredScript): ScriptState | undefined {
    return this.#states[script.index];
  }

  /** Whether a call that is queued now should have a load in front of it. */
  needsLoad(script: RegisteredScript): boolean {
    return this.#states[script.index] === undefined;
  }

  /** Whether `lane` has no load of it waiting to be written: for a call that must find it, whatever happens before. */
  needsLoadAhead(script: RegisteredScript, lane: Lane): boolean {
    const state = this.#states[script.index];
    return state?.kind !== "loading" || state.lane !== lane || state.request?.written !== false;
  }

  /** Whether the node is known to refuse SCRIPT LOAD. */
  isLoadDenied(script: RegisteredScript): boolean {
    const state = this.#states[script.index];
    return state?.kind === "failed" && isDenied(state.cause);
  }

  /** Everything the node held is gone. */
  forgetAll(): void {
    this.#clock++;
    this.#states.length = 0;
  }

  /** Queues SCRIPT LOAD on `lane`. What is queued behind it on the same lane finds the script. */
  loadOn(lane: Lane, script: RegisteredScript): Promise<void> {
    const { request, done } = this.#load(script, lane);
    lane.push(request);
    return done;
  }

  /** A call that brings the source itself is about to be queued on `lane`. The caller says how that ended. */
  loadByEval(lane: Lane | undefined, script: RegisteredScript): (outcome: LoadOutcome) => void {
    return this.#begin(script, lane).finish;
  }

  /**
   * A call answered NOSCRIPT. `stamp` is the call's; `again` says that it was mended before, so that this very attempt
   * came behind a load.
   */
  remedyFor(script: RegisteredScript, lane: Lane, stamp: number, again: boolean): Remedy {
    const state = this.#states[script.index];
    switch (state?.kind) {
      case "loading":
        if (state.lane !== lane) return { kind: "wait", done: state.done };
        return { kind: stamp < state.queued ? "replay" : "load" };
      case "held":
        return { kind: stamp < (state.lane === lane ? state.queued : state.effective) ? "replay" : "load" };
      case "failed":
        if (state.final || (again && !isDenied(state.cause))) return { kind: "give-up", cause: state.cause };
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

  /** Asks the node which of `scripts` it has, and loads the others, in one write. `lane` is whose connection it is. */
  async ensure(connection: Connection, scripts: readonly RegisteredScript[], lane?: Lane): Promise<void> {
    if (scripts.length === 0) return;
    const asked = this.#clock;
    const [exists] = connection.exchange(["SCRIPT", "EXISTS", ...scripts.map(({ sha }) => sha)]);
    const found = await (exists as Promise<Reply>).catch((error: unknown) => {
      // A user who may not ask may still be allowed to load.
      if (error instanceof ReplyError) return [];
      throw error;
    });
    const loads: Request[] = [];
    const done: Promise<void>[] = [];
    scripts.forEach((script, index) => {
      const state = this.#states[script.index];
      if (Array.isArray(found) && found[index] === 1) {
        if (state?.kind !== "loading") {
          this.#states[script.index] = { kind: "held", lane, queued: this.#clock, effective: this.#clock };
        }
      } else if (lane && state?.kind === "loading") {
        done.push(state.done);
      } else if (state?.kind === "held" && state.queued > asked) {
        // Loaded since the question was asked.
      } else {
        const load = this.#load(script, lane);
        loads.push(load.request);
        done.push(load.done);
      }
    });
    connection.writeFrom({ shift: () => loads.shift() }, true);
    if (connection.closed) throw new ConnectionLostError(connection.address, "unknown");
    await Promise.all(done);
  }

  #load(script: RegisteredScript, lane: Lane | undefined): { request: Request; done: Promise<void> } {
    const { mine, finish, done } = this.#begin(script, lane);
    mine.request = new LoadRequest(script, finish);
    return { request: mine.request, done };
  }

  #begin(
    script: RegisteredScript,
    lane: Lane | undefined,
  ): { mine: { request: Request | undefined }; finish: (outcome: LoadOutcome) => void; done: Promise<void> } {
    let settled!: () => void;
    const done = new Promise<void>((resolve) => {
      settled = resolve;
    });
    const queued = ++this.#clock;
    const mine: Extract<ScriptState, { kind: "loading" }> = { kind: "loading", lane, queued, done, request: undefined };
    this.#states[script.index] = mine;
    const finish = (outcome: LoadOutcome) => {
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

/** Whether the node refuses to load for want of a permission, whatever the script. */
export function isDenied(cause: ReplyError): boolean {
  return cause.reply.startsWith("NOPERM ");
}

class LoadRequest implements Request {
  readonly frame: string;
  readonly wantsBuffers = false;
  readonly asking = false;
  settled = false;
  written = false;
  readonly #script: RegisteredScript;
  readonly #finish: (outcome: LoadOutcome) => void;

  constructor(script: RegisteredScript, finish: (outcome: LoadOutcome) => void) {
    this.frame = script.loadFrame;
    this.#script = script;
    this.#finish = finish;
  }

  onReply(reply: Reply): void {
    this.settled = true;
    if (reply === this.#script.sha) {
      this.#finish("held");
      return;
    }
    this.#finish("lost");
    throw new ProtocolError("SCRIPT LOAD was answered by something else than the SHA-1.");
  }

  onErrorReply(text: string): void {
    this.settled = true;
    this.#finish({ cause: replyErrorOf(text, "not-executed", this.#script), final: false });
  }

  onUndecodable(): void {
    this.onLost();
  }

  onLost(): void {
    this.settled = true;
    this.#finish("lost");
  }
}
