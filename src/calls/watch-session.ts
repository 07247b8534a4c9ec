import type { Door } from "../client/door.ts";
import type { Connection } from "../connection/connection.ts";
import { Farewell } from "../connection/farewell.ts";
import type { Loan } from "../connection/loan.ts";
import type { Place, Request } from "../connection/request.ts";
import { ConnectionLostError, ProtocolError, ReplyError, SlotwireError, withParticulars } from "../errors.ts";
import { commandNameOf } from "../protocol/command-name.ts";
import { encodeCommand } from "../protocol/encode.ts";
import { isLoadDenied, isOfReplica, parseErrorReply, type RefusalKind } from "../protocol/error-reply.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { CallKind } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { tracedDecision } from "../routing/decision-trace.ts";
import { decideNextStep } from "../routing/next-step.ts";
import type { TransactionFrame } from "../routing/transaction-frame.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import { type FailingScript, replyErrorOf } from "../scripts/script-error.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";
import { wordOf } from "../telemetry/answer-words.ts";
import { CallTrace, type TracedConnection, type TracedKind } from "../telemetry/call-trace.ts";
import { areCallsHeard, type BatchContext, type ClientInfo } from "../telemetry/channels.ts";
import { decideAfterFunction, decideAfterScript, outcomeOfAnswer, type SessionState } from "./watch-decisions.ts";

const nothing = () => undefined;

/** The kind of WATCH, and of a transaction as a whole. */
const NO_CODE: TracedKind = { script: undefined, registered: undefined };

function isRefusal(error: unknown, kind: RefusalKind): boolean {
  return error instanceof ReplyError && parseErrorReply(error.reply).kind === kind;
}

/** The objects that a session works with. */
export interface SessionParts {
  readonly client: ClientInfo;
  readonly door: Door;
  readonly loan: Loan;
  readonly node: ClusterNode;
  readonly slot: number;
  /** The slot is on its way to the node, so every command has an ASKING in front of it. */
  readonly asking: boolean;
  /** Called when the transaction, or a command that may write, is handed to the socket. */
  onMayRun(): void;
}

/**
 * Sends the commands of one watching transaction on a connection of its own: WATCH, reads, and MULTI to EXEC at the
 * end.
 */
export class WatchSession {
  readonly #parts: SessionParts;
  readonly #connection: Connection;
  #ended = false;
  /** EXEC was answered, so the server watches nothing any more. */
  #isClean = false;
  #execSent = false;
  #writes = 0;
  #commandRefused = false;
  #execRefused = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#connection = parts.loan.connection;
  }

  get state(): SessionState {
    return {
      writes: this.#writes,
      execSent: this.#execSent,
      commandRefused: this.#commandRefused,
      execRefused: this.#execRefused,
    };
  }

  async watch(keys: readonly Argument[]): Promise<void> {
    const frame = encodeCommand(["WATCH", ...keys]);
    await this.#send(frame, false, this.#trace(frame, NO_CODE));
  }

  /** Sends a command at once. A script or library that the command needs is loaded with it. */
  command(frame: string, kind: CallKind): Promise<Reply> {
    const { registered } = kind;
    if (registered === undefined) return this.#call(frame, kind);
    return registered.kind === "script"
      ? this.#runScript(frame, kind, registered)
      : this.#runFunction(frame, kind, registered);
  }

  /** Sends the call behind a load of its script in the same write, or by EVAL where loads are forbidden. */
  async #runScript(frame: string, kind: CallKind, script: RegisteredScript): Promise<Reply> {
    const { scripts } = this.#parts.node;
    const plain = script.plainFrame(frame);
    for (let loads = 1; !scripts.deniesLoads; loads++) {
      if (loads > 1) await scripts.pace?.restOf(script);
      scripts.pace?.note(script);
      const load = this.#send(script.loadFrame, false, undefined).then(nothing, (error: unknown) => error);
      try {
        return await this.#call(plain, kind);
      } catch (error) {
        const failure = await load;
        const isDenied = failure instanceof ReplyError && isLoadDenied(failure.reply);
        const next = decideAfterScript({
          isMissing: isRefusal(error, "noscript"),
          loads,
          load: isDenied ? "denied" : failure instanceof ReplyError ? "failed" : "succeeded",
        });
        if (next === "eval") scripts.noteLoadsDenied();
        else if (next === "tell-load") {
          throw replyErrorOf((failure as ReplyError).reply, "not-executed", kind.script);
        } else if (next === "tell-call") throw error;
      }
    }
    return this.#call(script.evalFrame(plain), kind);
  }

  async #runFunction(frame: string, kind: CallKind, library: RegisteredLibrary): Promise<Reply> {
    for (let loads = 1; ; loads++) {
      await this.#load(library, kind.script);
      try {
        return await this.#call(frame, kind);
      } catch (error) {
        if (decideAfterFunction(isRefusal(error, "no-function"), loads) === "tell-call") throw error;
        this.#parts.node.scripts.forget(library);
      }
    }
  }

  /** Loads a library through a shared connection, because a load is no part of the session. */
  async #load(library: RegisteredLibrary, script?: FailingScript): Promise<void> {
    const { scripts, pool } = this.#parts.node;
    const state = scripts.stateOf(library);
    if (state?.kind !== "held" && state?.kind !== "failed")
      await scripts.loadNow(pool.laneOf(this.#parts.slot), library, "first-call");
    const after = scripts.stateOf(library);
    if (after?.kind === "failed") throw replyErrorOf(after.cause.reply, "not-executed", script);
  }

  #call(frame: string, kind: CallKind): Promise<Reply> {
    const reply = this.#send(frame, kind.wantsBuffers, this.#trace(frame, kind), kind);
    // The command may have run, unless its error proves the opposite.
    if (!kind.mayRepeat) {
      this.#writes++;
      if (!this.#ended && !this.#connection.closed) this.#parts.onMayRun();
      reply.catch((error: unknown) => {
        if (error instanceof SlotwireError && error.outcome === "not-executed") this.#writes--;
      });
    }
    return reply;
  }

  /** Sends MULTI to EXEC in one write. */
  async execute(frame: TransactionFrame, batch: BatchContext | undefined): Promise<unknown[] | null> {
    for (const library of frame.libraries) await this.#load(library);
    frame.carrier = this.#parts;
    this.#execSent = !this.#ended && !this.#connection.closed;
    if (this.#execSent) this.#parts.onMayRun();
    try {
      const reply = await this.#send(
        frame.bytes,
        frame.wantsBuffers,
        this.#trace(frame.bytes, NO_CODE, batch),
        undefined,
        frame,
      );
      this.#isClean = true;
      return frame.resultOf(reply);
    } finally {
      for (const library of frame.missing) this.#parts.node.scripts.forget(library);
    }
  }

  /** Gives the connection back for other requests if it is clean, and closes it otherwise. */
  end(): void {
    this.#ended = true;
    const isFree = this.#isClean && !this.#parts.asking && this.#connection.inFlight.size === 0;
    if (isFree) this.#parts.loan.giveBack();
    else this.#connection.close(new Farewell("not-needed", "the transaction has ended"));
  }

  /** Begins to publish a command, if anybody listens. */
  #trace(frame: string, kind: TracedKind, batch?: BatchContext): CallTrace | undefined {
    if (batch === undefined && !areCallsHeard()) return undefined;
    const { client, node, slot, asking } = this.#parts;
    const call = { kind, frame, slot, asking };
    const trace = new CallTrace(call, client, batch);
    if (!this.#ended && !this.#connection.closed) trace.onAttempt(call, node.address);
    return trace;
  }

  #send(
    frame: string,
    wantsBuffers: boolean,
    trace: CallTrace | undefined,
    kind?: CallKind,
    transaction?: TransactionFrame,
  ): Promise<Reply> {
    const command = kind?.script?.name ?? commandNameOf(frame);
    const { node, slot } = this.#parts;
    const particulars = { command, isScript: kind?.script !== undefined, address: node.address, slot };
    return new Promise<Reply>((resolveWith, rejectWith) => {
      const resolve = (reply: Reply) => {
        trace?.onEnd(undefined);
        resolveWith(reply);
      };
      const reject = (bare: Error) => {
        const error = withParticulars(bare, particulars);
        trace?.onEnd(error);
        rejectWith(error);
      };
      const refuse = (answer: string) => reject(this.#errorFrom(answer, trace, kind, transaction));
      const request = new SessionRequest(
        frame,
        wantsBuffers,
        this.#parts.asking,
        transaction?.ahead,
        resolve,
        refuse,
        reject,
        trace,
      );
      if (this.#ended || this.#connection.closed)
        request.onLost(new ConnectionLostError(this.#parts.node.address, "not-executed"));
      else this.#parts.door.sendOn(this.#parts.loan, request);
    });
  }

  #errorFrom(
    answer: string,
    trace: CallTrace | undefined,
    kind: CallKind | undefined,
    transaction: TransactionFrame | undefined,
  ): ReplyError {
    const verdict = transaction?.verdictOn(answer);
    if (verdict?.proven === false) return new ReplyError(verdict.text, "unknown");
    const text = verdict?.text ?? answer;
    const refusal = parseErrorReply(text);
    if (isOfReplica(refusal)) this.#parts.node.noteReplicaRefusal();
    const step = decideNextStep(
      { kind: "refusal", refusal },
      {
        slot: this.#parts.slot,
        isScript: false,
        isFunction: false,
        atReplica: false,
        runsCode: kind?.runsCode === true,
        isCheckedFirst: kind?.registered?.isCheckedFirst === true,
        mayRepeat: false,
        node: this.#parts.node.info,
        redirections: 0,
        maxRedirections: 1,
        asking: this.#parts.asking,
        asked: [],
        isListed: () => true,
        remedy: undefined,
        lossesAlone: 0,
        mayHaveRun: false,
        loadsDenied: transaction?.loadsDenied === true,
      },
    );
    if (step.kind === "retry") {
      if (transaction === undefined) this.#commandRefused = true;
      else this.#execRefused = true;
    }
    // The next session brings its sources by EVAL.
    if (step.learned === "loads-denied") this.#parts.node.scripts.noteLoadsDenied();
    const outcome = outcomeOfAnswer(step, {
      isTransaction: transaction !== undefined,
      isMissingFunction: kind?.registered?.kind === "library" && refusal.kind === "no-function",
    });
    trace?.onDecision(() => {
      const { node, slot } = this.#parts;
      const failure = wordOf(text, slot);
      const { address } = node;
      const facts = { address, failure, backoffMs: undefined, remedy: undefined, redirections: 0, retries: 0 };
      return tracedDecision(step, { ...facts, outcome });
    });
    return replyErrorOf(text, outcome, kind?.script);
  }
}

class SessionRequest implements Request {
  readonly frame: string;
  readonly wantsBuffers: boolean;
  readonly asking: boolean;
  readonly ahead: readonly Request[] | undefined;
  place: Place = "new";
  readonly onReply: (reply: Reply) => void;
  readonly onErrorReply: (text: string) => void;
  readonly onLost: (cause: Error) => void;
  readonly #trace: CallTrace | undefined;

  constructor(
    frame: string,
    wantsBuffers: boolean,
    asking: boolean,
    ahead: readonly Request[] | undefined,
    onReply: (reply: Reply) => void,
    onErrorReply: (text: string) => void,
    onLost: (cause: Error) => void,
    trace: CallTrace | undefined,
  ) {
    this.#trace = trace;
    this.frame = frame;
    this.wantsBuffers = wantsBuffers;
    this.asking = asking;
    this.ahead = ahead;
    this.onReply = onReply;
    this.onErrorReply = onErrorReply;
    this.onLost = onLost;
  }

  onWritten(connection: TracedConnection): void {
    this.#trace?.onWritten(connection, true);
  }

  onAnswer(connection: TracedConnection, bytes: number, error: string | null | undefined): void {
    this.#trace?.onAnswer(connection, bytes, error);
  }

  onUndecodable(why: string): void {
    this.onLost(new ProtocolError(why, "executed"));
  }
}
