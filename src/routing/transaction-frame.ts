import type { Place, Request } from "../connection/request.ts";
import { ReplyError } from "../errors.ts";
import { encodeCommand } from "../protocol/encode.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Loadable } from "../scripts/loadable.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import { replyErrorOf } from "../scripts/script-error.ts";
import { type Call, type CallKind, type CallOwner, type FramedTransaction, resultOf, type Verdict } from "./call.ts";

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
  /** In the order of their loads. */
  readonly #loaded: readonly Loadable[];
  readonly #multi = new Absorber();
  readonly #loading = new Absorber();
  readonly #queued = new Absorber();
  /** What has to be on the node before: servers keep functions, and loading one again would disturb its other users. */
  readonly libraries: readonly RegisteredLibrary[];
  /** Of them, those that turned out to be missing. */
  readonly missing = new Set<RegisteredLibrary>();
  /** Nothing ran, because SCRIPT LOAD is forbidden. */
  loadsDenied = false;

  /** @param deniesLoads  Where SCRIPT LOAD is forbidden, calls bring their source by EVAL. */
  constructor(parts: readonly Call[], deniesLoads: boolean) {
    const used = new Set(parts.flatMap(({ kind: { registered } }) => registered ?? []));
    const scripts = new Set(deniesLoads ? [] : [...used].filter((item) => item.kind === "script"));
    this.libraries = [...used].filter((item) => item.kind === "library");
    let bytes = MULTI;
    for (const script of scripts) bytes += script.loadFrame;
    for (const { frame, kind } of parts) {
      const { registered } = kind;
      if (registered?.kind !== "script") bytes += frame;
      else {
        const plain = registered.plainFrame(frame);
        bytes += deniesLoads ? registered.evalFrame(plain) : plain;
      }
    }
    this.bytes = bytes + EXEC;
    this.#parts = parts;
    this.#loaded = [...scripts];
    const loads = new Array<Request>(scripts.size).fill(this.#loading);
    this.ahead = [this.#multi, ...loads, ...new Array<Request>(parts.length).fill(this.#queued)];
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
    return this.#parts.map((part, index) => {
      const { registered } = part.kind;
      const load = registered === undefined ? undefined : reply[this.#loaded.indexOf(registered)];
      // A script that does not compile: what its load said, and not that it is missing.
      if (load instanceof ReplyError) return replyErrorOf(load.reply, "not-executed", part.kind.script);
      const result = partResult(part, reply[this.#loaded.length + index] as Reply, this.wantsBuffers);
      if (registered?.kind === "library" && isNoFunction(result)) this.missing.add(registered);
      return result;
    });
  }

  verdictOn(execError: string): Verdict {
    const multi = this.#multi.error;
    const queued = this.#loading.error ?? this.#queued.error;
    this.loadsDenied = multi === undefined && isLoadDenied(this.#loading.error);
    this.#forgetErrors();
    // Without MULTI what came behind it ran by itself.
    if (multi !== undefined) return { text: multi, proven: false };
    // The first call that was refused is why the rest was discarded.
    return { text: execError.startsWith("EXECABORT ") && queued !== undefined ? queued : execError, proven: true };
  }

  #forgetErrors(): void {
    this.#multi.error = undefined;
    this.#loading.error = undefined;
    this.#queued.error = undefined;
  }
}

function partResult({ kind }: Call, reply: Reply, areBuffers: boolean): unknown {
  if (reply instanceof ReplyError) {
    const { kind: refusal } = parseErrorReply(reply.reply);
    const isMissing = refusal === "noscript" || (refusal === "no-function" && kind.registered?.kind === "library");
    const ran = !isMissing && refusal !== "noperm" && (kind.runsCode || refusal !== "declined");
    return replyErrorOf(reply.reply, ran ? "executed" : "not-executed", kind.script);
  }
  const value = areBuffers && !kind.wantsBuffers ? textOf(reply) : reply;
  try {
    return resultOf(kind, value);
  } catch (error) {
    return error;
  }
}

function isNoFunction(result: unknown): boolean {
  return result instanceof ReplyError && parseErrorReply(result.reply).kind === "no-function";
}

function isLoadDenied(error: string | undefined): boolean {
  return error !== undefined && parseErrorReply(error).kind === "noperm";
}

function textOf(reply: Reply): Reply {
  if (Buffer.isBuffer(reply)) return reply.toString();
  return Array.isArray(reply) ? reply.map(textOf) : reply;
}

/** Takes replies that matter only if they are errors; keeps the first of those. */
class Absorber implements Request {
  readonly frame = "";
  readonly isOwn = true;
  readonly wantsBuffers = false;
  readonly asking = false;
  place: Place = "in-flight";
  error: string | undefined;

  onReply(): void {}

  onErrorReply(text: string): void {
    this.error ??= text;
  }

  onUndecodable(): void {}

  onLost(): void {}
}
