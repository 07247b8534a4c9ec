import type { Request } from "../connection/request.ts";
import { ReplyError } from "../errors.ts";
import { encodeCommand } from "../protocol/encode.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Reply } from "../protocol/reply.ts";
import { replyErrorOf } from "../scripts/script-error.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";
import type { Call, CallKind, CallOwner, FramedTransaction, Verdict } from "./call.ts";

const MULTI = encodeCommand(["MULTI"]);
const EXEC = encodeCommand(["EXEC"]);

/**
 * A transaction as one frame, so that no reconnection can tear it apart:
 *
 *   MULTI   SCRIPT LOAD of each distinct script   the calls   EXEC
 *     '---------- their replies are taken by `ahead` --------'   '--> the call's reply
 */
export class TransactionFrame implements FramedTransaction {
  readonly bytes: string;
  readonly ahead: readonly Request[];
  readonly wantsBuffers: boolean;
  readonly #parts: readonly Call[];
  readonly #loads: number;
  readonly #multi = new Absorber();
  readonly #queued = new Absorber();

  /** @param isLoadDenied  Where SCRIPT LOAD is forbidden, calls bring their source by EVAL. */
  constructor(parts: readonly Call[], isLoadDenied: (script: RegisteredScript) => boolean) {
    const scripts = new Set(
      parts.flatMap(({ kind: { registered } }) => (registered?.kind === "script" ? registered : [])),
    );
    for (const script of scripts) if (isLoadDenied(script)) scripts.delete(script);
    let bytes = MULTI;
    for (const script of scripts) bytes += script.loadFrame;
    for (const { frame, kind } of parts) {
      const { registered } = kind;
      if (registered?.kind !== "script") bytes += frame;
      else bytes += scripts.has(registered) ? registered.plainFrame(frame) : registered.evalFrame(frame);
    }
    this.bytes = bytes + EXEC;
    this.#parts = parts;
    this.#loads = scripts.size;
    this.ahead = [this.#multi, ...new Array<Request>(scripts.size + parts.length).fill(this.#queued)];
    this.wantsBuffers = parts.some(({ kind }) => kind.wantsBuffers);
  }

  /** The kind of the one call that carries the frame. It never runs twice, whatever is in it. */
  kindFor(owner: CallOwner): CallKind {
    return {
      owner,
      wantsBuffers: this.wantsBuffers,
      mayRepeat: false,
      runsCode: false,
      readFrom: "primary",
      target: undefined,
      script: undefined,
      registered: undefined,
      parse: (reply) => this.resultOf(reply),
      // Inside MULTI nothing blocks.
      blocking: undefined,
      transaction: this,
    };
  }

  /** The results of the calls, from EXEC's reply; null when a watched key had changed. */
  resultOf(reply: Reply): unknown[] | null {
    this.#forgetErrors();
    if (!Array.isArray(reply)) return null;
    return this.#parts.map((part, index) => partResult(part, reply[this.#loads + index] as Reply, this.wantsBuffers));
  }

  verdictOn(execError: string): Verdict {
    const [multi, queued] = [this.#multi.error, this.#queued.error];
    this.#forgetErrors();
    // Without MULTI what came behind it ran by itself.
    if (multi !== undefined) return { text: multi, proven: false };
    // The first call that was refused is why the rest was discarded.
    return { text: execError.startsWith("EXECABORT ") && queued !== undefined ? queued : execError, proven: true };
  }

  #forgetErrors(): void {
    this.#multi.error = undefined;
    this.#queued.error = undefined;
  }
}

function partResult({ kind }: Call, reply: Reply, areBuffers: boolean): unknown {
  if (reply instanceof ReplyError) {
    const { kind: refusal } = parseErrorReply(reply.reply);
    const ran = refusal !== "noperm" && (kind.runsCode || refusal !== "declined");
    return replyErrorOf(reply.reply, ran ? "executed" : "not-executed", kind.script);
  }
  const value = areBuffers && !kind.wantsBuffers ? textOf(reply) : reply;
  if (kind.parse === undefined) return value;
  try {
    return kind.parse(value);
  } catch (error) {
    return new ReplyError(`parse of script "${kind.script?.name}" threw`, "executed", undefined, error);
  }
}

function textOf(reply: Reply): Reply {
  if (Buffer.isBuffer(reply)) return reply.toString();
  return Array.isArray(reply) ? reply.map(textOf) : reply;
}

/** Takes replies that matter only if they are errors; keeps the first of those. */
class Absorber implements Request {
  readonly frame = "";
  readonly wantsBuffers = false;
  readonly asking = false;
  readonly settled = false;
  written = true;
  error: string | undefined;

  onReply(): void {}

  onErrorReply(text: string): void {
    this.error ??= text;
  }

  onUndecodable(): void {}

  onLost(): void {}
}
