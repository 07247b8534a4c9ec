import type { Place, Request } from "../connection/request.ts";
import { ReplyError, withParticulars } from "../errors.ts";
import { withinLimit } from "../protocol/encode.ts";
import { isOfReplica, parseErrorReply } from "../protocol/error-reply.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Loadable } from "../scripts/loadable.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import { replyErrorOf } from "../scripts/script-error.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";
import {
  type Call,
  type CallKind,
  type CallOwner,
  type FramedTransaction,
  particularsOf,
  resultOf,
  type Verdict,
} from "./call.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { EXEC, MULTI } from "./transaction-support.ts";
import { areLoadsDenied, didPartRun, verdictOf } from "./transaction-verdict.ts";

/**
 * A transaction as one frame, so that no reconnection can tear it apart:
 *
 *   MULTI   SCRIPT LOAD of each distinct script   the calls   EXEC
 *     '---------- their replies are taken by `ahead` --------'   '--> the call's reply
 */
export class TransactionFrame implements FramedTransaction {
  readonly wantsBuffers: boolean;
  readonly #parts: readonly Call[];
  readonly #registered: ReadonlySet<RegisteredScript | RegisteredLibrary>;
  readonly #multi = new Absorber();
  readonly #loading = new Absorber();
  readonly #queued = new Absorber();
  #bytes = "";
  #ahead: readonly Request[] = [];
  /** The scripts that the frame loads, in the order of their loads. */
  #loaded: readonly Loadable[] = [];
  /**
   * The libraries that have to be on the node before. They are no part of the frame, because servers keep functions,
   * and loading a library again would disturb its other users.
   */
  readonly libraries: readonly RegisteredLibrary[];
  /** The libraries that turned out to be missing. */
  readonly missing = new Set<RegisteredLibrary>();
  /** By the last verdict, nothing ran because SCRIPT LOAD is forbidden. */
  loadsDenied = false;
  /** What carries the frame. Its node is the one that answers. */
  carrier: { readonly node: Pick<ClusterNode, "address" | "noteReplicaRefusal"> | undefined } | undefined;

  /** @param deniesLoads  SCRIPT LOAD is forbidden on the node, so calls bring their source by EVAL. */
  constructor(parts: readonly Call[], deniesLoads: boolean) {
    this.#parts = parts;
    this.#registered = new Set(parts.flatMap(({ kind: { registered } }) => registered ?? []));
    this.libraries = [...this.#registered].filter((item) => item.kind === "library");
    this.wantsBuffers = parts.some(({ kind }) => kind.wantsBuffers);
    this.#encode(deniesLoads);
  }

  get bytes(): string {
    return this.#bytes;
  }

  get ahead(): readonly Request[] {
    return this.#ahead;
  }

  encodeWithoutLoads(): string {
    this.loadsDenied = false;
    this.#encode(true);
    return this.#bytes;
  }

  #encode(deniesLoads: boolean): void {
    const scripts = deniesLoads ? [] : [...this.#registered].filter((item) => item.kind === "script");
    this.#loaded = scripts;
    this.#bytes = withinLimit(() => {
      const loads = scripts.map(({ loadFrame }) => loadFrame).join("");
      return MULTI + loads + this.#parts.map((part) => frameWithin(part, deniesLoads)).join("") + EXEC;
    });
    const loads = new Array<Request>(scripts.length).fill(this.#loading);
    this.#ahead = [this.#multi, ...loads, ...new Array<Request>(this.#parts.length).fill(this.#queued)];
  }

  /** The kind of the one call that carries the frame. It never runs twice, whatever its calls allow. */
  kindFor(owner: CallOwner): CallKind {
    return {
      owner,
      wantsBuffers: this.wantsBuffers,
      mayRepeat: false,
      runsCode: false,
      reads: false,
      readFrom: "primary",
      hedge: undefined,
      target: undefined,
      script: undefined,
      registered: undefined,
      parse: (reply) => this.resultOf(reply),
      // Inside MULTI no command blocks.
      blocking: undefined,
      transaction: this,
    };
  }

  /** The results of the calls, from EXEC's reply; null when a watched key has changed. */
  resultOf(reply: Reply): unknown[] | null {
    this.#forgetErrors();
    if (!Array.isArray(reply)) return null;
    const address = this.carrier?.node?.address;
    const results = this.#parts.map((part, index) => {
      const { registered } = part.kind;
      const load = registered === undefined ? undefined : reply[this.#loaded.indexOf(registered)];
      // For a script that does not compile, the error of its load counts, and not that the script is missing.
      if (load instanceof ReplyError) return replyErrorOf(load.reply, "not-executed", part.kind.script);
      const result = partResult(part, reply[this.#loaded.length + index] as Reply, this.wantsBuffers);
      if (registered?.kind === "library" && isNoFunction(result)) this.missing.add(registered);
      if (result instanceof ReplyError && isOfReplica(parseErrorReply(result.reply))) {
        this.carrier?.node?.noteReplicaRefusal();
      }
      return result;
    });
    return results.map((result, index) =>
      result instanceof Error
        ? withParticulars(result, { ...particularsOf(this.#parts[index] as Call), address })
        : result,
    );
  }

  verdictOn(execError: string): Verdict {
    const errors = { multi: this.#multi.error, load: this.#loading.error, queued: this.#queued.error, exec: execError };
    this.loadsDenied = areLoadsDenied(errors);
    this.#forgetErrors();
    return verdictOf(errors);
  }

  #forgetErrors(): void {
    this.#multi.error = undefined;
    this.#loading.error = undefined;
    this.#queued.error = undefined;
  }
}

/** The frame of a call inside a transaction. A script is never run by EVALSHA_RO. */
export function frameWithin({ frame, kind: { registered, reads } }: Call, deniesLoads: boolean): string {
  if (registered?.kind !== "script" || !(reads || deniesLoads)) return frame;
  const plain = registered.plainFrame(frame);
  return deniesLoads ? registered.evalFrame(plain) : plain;
}

function partResult({ kind }: Call, reply: Reply, areBuffers: boolean): unknown {
  if (reply instanceof ReplyError) {
    const ran = didPartRun(reply.reply, kind);
    return replyErrorOf(reply.reply, ran ? "executed" : "not-executed", kind.script);
  }
  const value = areBuffers && !kind.wantsBuffers ? textsOf(reply) : reply;
  try {
    return resultOf(kind, value);
  } catch (error) {
    return error;
  }
}

function isNoFunction(result: unknown): boolean {
  return result instanceof ReplyError && parseErrorReply(result.reply).kind === "no-function";
}

/** A reply with its Buffers as text. */
export function textsOf(reply: Reply): Reply {
  if (Buffer.isBuffer(reply)) return reply.toString();
  return Array.isArray(reply) ? reply.map(textsOf) : reply;
}

/** Takes replies that matter only if they are errors. Keeps the first error. */
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
