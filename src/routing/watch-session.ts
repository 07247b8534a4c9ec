import type { Connection } from "../connection/connection.ts";
import type { Loan } from "../connection/own-connections.ts";
import type { Request } from "../connection/request.ts";
import { ConnectionLostError, ProtocolError, ReplyError, SlotwireError } from "../errors.ts";
import { encodeCommand } from "../protocol/encode.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { decideNextStep } from "./next-step.ts";
import type { TransactionFrame } from "./transaction-frame.ts";

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

  /** Something that may have written has run: the session cannot start over. */
  get hasWritten(): boolean {
    return this.#writes > 0;
  }

  /**
   * The last thing sent was refused, which proves that it did not run, and would be sent again elsewhere or later. Once the
   * transaction was sent, only its own refusal proves anything: the function may have lived with an earlier one.
   */
  get wasRefused(): boolean {
    return this.execSent ? this.#execRefused : this.#commandRefused;
  }

  async watch(keys: readonly Argument[]): Promise<void> {
    await this.#send(encodeCommand(["WATCH", ...keys]), false, false);
  }

  /** `lead` is sent in front, in the same write; its reply does not matter. */
  async command(frame: string, wantsBuffers: boolean, readOnly: boolean, lead?: string): Promise<Reply> {
    if (lead !== undefined) void this.#send(lead, false, false).catch(() => {});
    const reply = this.#send(frame, wantsBuffers, true);
    // Whatever becomes of it: it may have run.
    if (!readOnly) {
      this.#writes++;
      reply.catch((error: unknown) => {
        if (error instanceof SlotwireError && error.outcome === "not-executed") this.#writes--;
      });
    }
    return reply;
  }

  /** MULTI to EXEC in one write. */
  async execute(frame: TransactionFrame): Promise<unknown[] | null> {
    this.execSent = !this.#ended && !this.#connection.closed;
    const reply = await this.#send(frame.bytes, frame.wantsBuffers, false, frame);
    this.#isClean = true;
    return frame.resultOf(reply);
  }

  /** The connection serves others from now on, if it can. */
  end(): void {
    this.#ended = true;
    const isFree = this.#isClean && !this.#asking && this.#connection.inFlight.size === 0;
    if (isFree) this.#loan.giveBack();
    else this.#connection.close(new Error("the transaction has ended"));
  }

  #send(frame: string, wantsBuffers: boolean, runsCode: boolean, transaction?: TransactionFrame): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      const refuse = (answer: string) => reject(this.#errorFrom(answer, runsCode, transaction));
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
      else this.#connection.carry(request);
    });
  }

  #errorFrom(answer: string, runsCode: boolean, transaction: TransactionFrame | undefined): ReplyError {
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
        runsCode,
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
    const ran = step.kind === "reject" && step.outcome === "executed" && transaction === undefined;
    return new ReplyError(text, ran ? "executed" : "not-executed");
  }
}

class SessionRequest implements Request {
  readonly frame: string;
  readonly wantsBuffers: boolean;
  readonly asking: boolean;
  readonly ahead: readonly Request[] | undefined;
  settled = false;
  written = false;
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
