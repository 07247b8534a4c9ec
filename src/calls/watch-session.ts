import type { Connection } from "../connection/connection.ts";
import type { Loan } from "../connection/loan.ts";
import type { Place, Request } from "../connection/request.ts";
import { ConnectionLostError, ProtocolError, ReplyError, SlotwireError } from "../errors.ts";
import { encodeCommand } from "../protocol/encode.ts";
import { parseErrorReply, type RefusalKind } from "../protocol/error-reply.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { CallKind } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { decideNextStep } from "../routing/next-step.ts";
import type { TransactionFrame } from "../routing/transaction-frame.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import { type FailingScript, replyErrorOf } from "../scripts/script-error.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";

/** How often a script is loaded again for one call. Another client's flush in between is rare. */
const MAX_LOADS = 32;

const nothing = () => undefined;

function isRefusal(error: unknown, kind: RefusalKind): boolean {
  return error instanceof ReplyError && parseErrorReply(error.reply).kind === kind;
}

/** Commands on one connection of one's own: WATCH, reads, and a transaction at the end. */
export class WatchSession {
  readonly #loan: Loan;
  readonly #connection: Connection;
  readonly #node: ClusterNode;
  readonly #slot: number;
  readonly #asking: boolean;
  #ended = false;
  /** EXEC was answered: nothing is watched any more. */
  #isClean = false;
  /** The transaction was handed to the socket. */
  execSent = false;
  /** Commands that may write, less those that were proven not to have run. */
  #writes = 0;
  #commandRefused = false;
  #execRefused = false;

  /** @param asking  The slot is on its way to this node: every command goes behind an ASKING. */
  constructor(loan: Loan, node: ClusterNode, slot: number, asking: boolean) {
    this.#loan = loan;
    this.#connection = loan.connection;
    this.#node = node;
    this.#slot = slot;
    this.#asking = asking;
  }

  /**
   * Whether the session, which failed, can start over: nothing that it sent can have written, and it was refused or lost.
   * Once the transaction was sent, only its own refusal counts: the function may have lived with an earlier one.
   */
  canStartOver(failure: unknown): boolean {
    if (this.#writes > 0) return false;
    return this.execSent ? this.#execRefused : this.#commandRefused || failure instanceof ConnectionLostError;
  }

  async watch(keys: readonly Argument[]): Promise<void> {
    await this.#send(encodeCommand(["WATCH", ...keys]), false);
  }

  /** Sends a command at once. What a script or function needs is brought along. */
  command(frame: string, kind: CallKind): Promise<Reply> {
    const { registered } = kind;
    if (registered === undefined) return this.#call(frame, kind);
    return registered.kind === "script"
      ? this.#runScript(frame, kind, registered)
      : this.#runFunction(frame, kind, registered);
  }

  /** Behind its load in the same write, or by EVAL where loads are forbidden. */
  async #runScript(frame: string, kind: CallKind, script: RegisteredScript): Promise<Reply> {
    const { scripts } = this.#node;
    const plain = script.plainFrame(frame);
    for (let attempt = 1; !scripts.deniesLoads; attempt++) {
      const load = this.#send(script.loadFrame, false).then(nothing, (error: unknown) => error);
      try {
        return await this.#call(plain, kind);
      } catch (error) {
        if (!isRefusal(error, "noscript") || attempt === MAX_LOADS) throw error;
        const failure = await load;
        if (isRefusal(failure, "noperm")) scripts.noteLoadsDenied();
        else if (failure instanceof ReplyError) throw replyErrorOf(failure.reply, "not-executed", kind.script);
        // Otherwise another client's flush came between the two.
      }
    }
    return this.#call(script.evalFrame(plain), kind);
  }

  async #runFunction(frame: string, kind: CallKind, library: RegisteredLibrary): Promise<Reply> {
    await this.#load(library, kind.script);
    try {
      return await this.#call(frame, kind);
    } catch (error) {
      if (!isRefusal(error, "no-function")) throw error;
      this.#node.scripts.forget(library);
      await this.#load(library, kind.script);
      return this.#call(frame, kind);
    }
  }

  /** Through the connection that is shared: there is nobody to be kept out of. */
  async #load(library: RegisteredLibrary, script?: FailingScript): Promise<void> {
    const { scripts, pool } = this.#node;
    const state = scripts.stateOf(library);
    if (state?.kind !== "held" && state?.kind !== "failed") await scripts.loadNow(pool.laneOf(this.#slot), library);
    const after = scripts.stateOf(library);
    if (after?.kind === "failed") throw replyErrorOf(after.cause.reply, "not-executed", script);
  }

  #call(frame: string, kind: CallKind): Promise<Reply> {
    const reply = this.#send(frame, kind.wantsBuffers, kind);
    // Whatever becomes of it: it may have run.
    if (!kind.mayRepeat) {
      this.#writes++;
      reply.catch((error: unknown) => {
        if (error instanceof SlotwireError && error.outcome === "not-executed") this.#writes--;
      });
    }
    return reply;
  }

  /** MULTI to EXEC in one write. */
  async execute(frame: TransactionFrame): Promise<unknown[] | null> {
    for (const library of frame.libraries) await this.#load(library);
    this.execSent = !this.#ended && !this.#connection.closed;
    try {
      const reply = await this.#send(frame.bytes, frame.wantsBuffers, undefined, frame);
      this.#isClean = true;
      return frame.resultOf(reply);
    } finally {
      for (const library of frame.missing) this.#node.scripts.forget(library);
    }
  }

  /** The connection serves others from now on, if it can. */
  end(): void {
    this.#ended = true;
    const isFree = this.#isClean && !this.#asking && this.#connection.inFlight.size === 0;
    if (isFree) this.#loan.giveBack();
    else this.#connection.close(new Error("the transaction has ended"));
  }

  #send(frame: string, wantsBuffers: boolean, kind?: CallKind, transaction?: TransactionFrame): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      const refuse = (answer: string) => reject(this.#errorFrom(answer, kind, transaction));
      const request = new SessionRequest(
        frame,
        wantsBuffers,
        this.#asking,
        transaction?.ahead,
        resolve,
        refuse,
        reject,
      );
      if (this.#ended || this.#connection.closed)
        request.onLost(new ConnectionLostError(this.#node.address, "not-executed"));
      else this.#loan.carry(request);
    });
  }

  #errorFrom(answer: string, kind: CallKind | undefined, transaction: TransactionFrame | undefined): ReplyError {
    const { text, proven } = transaction?.verdictOn(answer) ?? { text: answer, proven: true };
    if (!proven) return new ReplyError(text, "unknown");
    const refusal = parseErrorReply(text);
    const step = decideNextStep(
      { kind: "refusal", refusal },
      {
        slot: this.#slot,
        isScript: false,
        isFunction: false,
        atReplica: false,
        runsCode: kind?.runsCode === true,
        mayRepeat: false,
        node: this.#node.info,
        redirections: 0,
        maxRedirections: 1,
        asking: this.#asking,
        asked: [],
        remedy: undefined,
      },
    );
    if (step.kind === "retry") {
      if (transaction === undefined) this.#commandRefused = true;
      else this.#execRefused = true;
    }
    if (transaction?.loadsDenied) {
      // Nobody had tried, where the node held them anyway. The next one brings its sources by EVAL.
      this.#node.scripts.noteLoadsDenied();
      this.#execRefused = true;
    }
    const isMissing = kind?.registered?.kind === "library" && refusal.kind === "no-function";
    const ran = step.kind === "reject" && step.outcome === "executed" && transaction === undefined && !isMissing;
    return replyErrorOf(text, ran ? "executed" : "not-executed", kind?.script);
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

  constructor(
    frame: string,
    wantsBuffers: boolean,
    asking: boolean,
    ahead: readonly Request[] | undefined,
    onReply: (reply: Reply) => void,
    onErrorReply: (text: string) => void,
    onLost: (cause: Error) => void,
  ) {
    this.frame = frame;
    this.wantsBuffers = wantsBuffers;
    this.asking = asking;
    this.ahead = ahead;
    this.onReply = onReply;
    this.onErrorReply = onErrorReply;
    this.onLost = onLost;
  }

  onUndecodable(why: string): void {
    this.onLost(new ProtocolError(why, "executed"));
  }
}
