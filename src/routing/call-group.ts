import type { Backlog, Place, Request } from "../connection/request.ts";
import { ClosedError, ProtocolError, ReplyError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";
import { replyErrorOf } from "../scripts/script-error.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";
import type { TracedConnection } from "../telemetry/call-trace.ts";
import { type Call, historyOf } from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { frameWithin, textsOf } from "./transaction-frame.ts";
import { EXEC, MULTI } from "./transaction-support.ts";
import { decideGroup, decideLostPart } from "./transaction-verdict.ts";

/** Gets the calls of a group back that nobody has run. */
export interface GroupOwner {
  /** @param wasRefused  The server discarded the group, or did not take it. */
  takeBack(calls: readonly Call[], wasRefused: boolean): void;
  /** Every call that `call` waits for has ended. */
  isNext(call: Call): boolean;
  /** @param bytes  The replies of a group, about. */
  noteReplies(bytes: number): void;
  /** A group was lost after it had been written. */
  noteLost(slot: number): void;
  /** A later call of the group may write a key of `call`. */
  isOverwritten(call: Call, group: ReadonlySet<Call>): boolean;
}

/**
 * Calls of a batch that go together, because each has to run behind the one in front of it. They run all, in their
 * order, or none of them does:
 *
 *   MULTI   SCRIPT LOAD of each distinct script   the calls   EXEC
 *
 * A group is no call: it is never sent again. When it was refused or lost, its calls go back to the feed, where each
 * waits for its turn; and the first of them hears the refusal, as if it had been sent alone.
 */
export class CallGroup implements Request, Backlog {
  readonly frame: string;
  readonly ahead: readonly Request[];
  readonly wantsBuffers: boolean;
  readonly asking = false;
  backlog: Backlog | undefined = undefined;
  readonly calls: readonly Call[];
  readonly node: ClusterNode;
  readonly #owner: GroupOwner;
  readonly #scripts: readonly RegisteredScript[];
  readonly #multi = new Answer();
  readonly #loading = new Answer();
  readonly #queued: readonly Answer[];
  /** The connection that answers, and the bytes of its reply, while somebody listens for answers. */
  #answer: { readonly connection: TracedConnection; readonly bytes: number } | undefined;
  /** The calls that have no answer of their own yet. */
  readonly #open: Set<Call>;
  #place: Place = "new";

  constructor(calls: readonly Call[], node: ClusterNode, owner: GroupOwner) {
    this.calls = calls;
    this.node = node;
    this.#owner = owner;
    const bySource = node.scripts.deniesLoads;
    const scripts = new Set<RegisteredScript>();
    let frames = "";
    for (const call of calls) {
      frames += frameWithin(call, bySource);
      if (!bySource && call.kind.registered?.kind === "script") scripts.add(call.kind.registered);
    }
    this.#scripts = [...scripts];
    this.#open = new Set(calls);
    this.#queued = calls.map((call) => new Answer(call.wantsBuffers, () => this.#alone(call)));
    this.frame = MULTI + this.#scripts.map(({ loadFrame }) => loadFrame).join("") + frames + EXEC;
    this.ahead = [this.#multi, ...this.#scripts.map(() => this.#loading), ...this.#queued];
    this.wantsBuffers = calls.some(({ wantsBuffers }) => wantsBuffers);
  }

  /** Joins the queue of the slot's connection. */
  enter(): void {
    const { calls, node } = this;
    node.pool.hold(0, calls.length - 1);
    for (const call of calls) {
      call.node = node;
      call.pool = node.pool;
      call.stamp = node.scripts.stamp;
      const { observer } = call.extras ?? {};
      if (call === calls[0]) observer?.onLoad(this.#scripts.reduce((sum, { loadFrame }) => sum + loadFrame.length, 0));
      observer?.onAttempt(call, node.address);
    }
    for (const script of this.#scripts) if (node.scripts.needsLoad(script)) script.wanted = true;
    node.pool.laneOf((calls[0] as Call).slot).push(this);
  }

  get place(): Place {
    return this.#place;
  }

  /** The calls are where their group is. */
  set place(place: Place) {
    this.#place = place;
    for (const call of this.#open) {
      if (call.settled) continue;
      call.place = place;
      call.backlog = place === "queued" ? this : undefined;
    }
  }

  /** A call that is not written yet was given up. The others go back, because the frame holds them all. */
  giveUp(): void {
    this.backlog?.giveUp(this);
    const others = this.#end("parked");
    this.#owner.takeBack(others, false);
  }

  onWritten(connection: TracedConnection): void {
    for (const call of this.#open) if (!call.settled) call.onWritten(connection);
  }

  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    this.#answer = { connection, bytes };
    // With a reply, each call has an answer of its own.
    if (error !== undefined) for (const call of this.#open) call.onAnswer(connection, bytes, error);
  }

  onReply(reply: Reply): void {
    const calls = this.#end("in-flight");
    if (this.#multi.error !== undefined) {
      this.node.transactions.refused();
      return;
    }
    const loads = this.#scripts.length;
    if (!Array.isArray(reply) || reply.length !== loads + this.calls.length) {
      const what = "The server answered EXEC with something else than a reply for each call.";
      const error = new ProtocolError(what, "unknown");
      for (const call of calls) call.reject(error);
      throw error;
    }
    this.#owner.noteReplies(bytesOf(reply));
    for (const [index, call] of this.calls.entries()) this.#give(call, reply[loads + index] as Reply, reply);
  }

  onErrorReply(text: string): void {
    const calls = this.#end("in-flight");
    const errors = {
      multi: this.#multi.error,
      load: this.#loading.error,
      queued: this.#queued.find(({ error }) => error !== undefined)?.error,
      exec: text,
    };
    const decision = decideGroup(errors);
    switch (decision.kind) {
      case "ran-one-by-one":
        this.node.transactions.refused();
        return;
      case "unclear":
        for (const call of calls) call.reject(new ReplyError(text, "unknown"));
        return;
      case "discarded":
        if (decision.loadsDenied) this.node.scripts.noteLoadsDenied();
        this.#owner.takeBack(calls, true);
        return;
      case "refused": {
        const next = calls.filter((call) => this.#owner.isNext(call));
        this.#owner.takeBack(
          calls.filter((call) => !next.includes(call)),
          true,
        );
        for (const call of next) call.onErrorReply(decision.text);
      }
    }
  }

  onUndecodable(why: string): void {
    for (const call of this.#end("in-flight")) call.onUndecodable(why);
  }

  onLost(cause: Error): void {
    const wasWritten = this.#place === "in-flight";
    const calls = this.#end(wasWritten ? "in-flight" : "parked");
    if (wasWritten) this.#owner.noteLost((this.calls[0] as Call).slot);
    const all = new Set(this.calls);
    for (const call of calls) {
      const decision = decideLostPart({
        wasWritten,
        mayRepeat: call.kind.mayRepeat,
        isOverwritten: this.#owner.isOverwritten(call, all),
        isNext: this.#owner.isNext(call),
        isClosed: cause instanceof ClosedError,
      });
      if (decision === "lost-for-good") call.withExtras.mayNotRepeat = true;
      if (decision !== "takes-its-turn") call.onLost(cause);
      else {
        if (wasWritten) historyOf(call).inDoubt = true;
        this.#owner.takeBack([call], false);
      }
    }
  }

  /** The group is over. Returns its calls that are not settled; they are at `place`. */
  #end(place: Place): readonly Call[] {
    this.node.pool.release(0, this.calls.length - 1);
    const calls = [...this.#open].filter((call) => !call.settled);
    this.place = place;
    this.#place = "settled";
    this.#open.clear();
    return calls;
  }

  /** The call, if it ran by itself because MULTI was refused. */
  #alone(call: Call): Call | undefined {
    if (this.#multi.error === undefined || this.#place !== "in-flight") return undefined;
    this.#open.delete(call);
    return call;
  }

  #give(call: Call, reply: Reply, all: readonly Reply[]): void {
    if (call.settled) return;
    if (this.#answer !== undefined) {
      const { connection, bytes } = this.#answer;
      call.onAnswer(connection, bytes, reply instanceof ReplyError ? reply.reply : undefined);
    }
    const { registered, script } = call.kind;
    const load = registered?.kind === "script" ? all[this.#scripts.indexOf(registered)] : undefined;
    // For a script that does not compile, the error of its load counts, and not that the script is missing.
    if (load instanceof ReplyError) call.reject(replyErrorOf(load.reply, "not-executed", script ?? registered));
    else if (reply instanceof ReplyError) call.onErrorReply(reply.reply);
    else call.onReply(this.wantsBuffers && !call.wantsBuffers ? textsOf(reply) : reply);
  }
}

/** The bytes of a reply's strings, about. */
function bytesOf(reply: Reply): number {
  if (typeof reply === "string" || Buffer.isBuffer(reply)) return reply.length;
  return Array.isArray(reply) ? reply.reduce<number>((sum, each) => sum + bytesOf(each as Reply), 0) : 0;
}

/**
 * The answer to a command in front of EXEC. It matters only if it is an error; or if MULTI was refused: then the call ran
 * by itself, and this is its reply.
 */
class Answer implements Request {
  readonly frame = "";
  readonly isOwn = true;
  readonly asking = false;
  place: Place = "in-flight";
  error: string | undefined;
  readonly wantsBuffers: boolean;
  readonly #callOfItsOwn: () => Call | undefined;

  constructor(wantsBuffers = false, callOfItsOwn: () => Call | undefined = () => undefined) {
    this.wantsBuffers = wantsBuffers;
    this.#callOfItsOwn = callOfItsOwn;
  }

  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    this.#callOfItsOwn()?.onAnswer(connection, bytes, error);
  }

  onReply(reply: Reply): void {
    this.#callOfItsOwn()?.onReply(reply);
  }

  onErrorReply(text: string): void {
    this.error ??= text;
    this.#callOfItsOwn()?.onErrorReply(text);
  }

  onUndecodable(why: string): void {
    this.#callOfItsOwn()?.onUndecodable(why);
  }

  onLost(): void {}
}
