import type { NodePool } from "../connection/node-pool.ts";
import type { Reply } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import type { Question } from "./question.ts";
import type { Session } from "./session.ts";

/** A read that is to be kept. */
export interface Read {
  readonly question: Question;
  /** The encoded command. */
  readonly frame: string;
  readonly wantsBuffers: boolean;
  /** As binary strings, at least one. */
  readonly keys: readonly string[];
  readonly slot: number;
  readonly isScript: boolean;
  readonly mayDerive: boolean;
  /** It may read fields of hashes. */
  readonly readsFields: boolean;
}

/** A read under way on the connection that reads, and the calls that wait for it. */
export class Miss {
  readonly read: Read;
  readonly session: Session;
  /** Of the node that is read. */
  readonly pool: NodePool;
  readonly callers: Call[] = [];
  /** Undefined until the request is written. */
  sent: number | undefined;
  /** Something may have changed what the server reads: the reply answers those who wait, and is not kept. */
  isSpoilt = false;
  /** Later reads may wait for this one, too. */
  isJoinable = true;
  reply: Reply | undefined;
  /** The shortest time to live of a key. */
  ttlMs = Number.POSITIVE_INFINITY;
  /** A key is not there. */
  lacksKey = false;
  /** The call that is told to have been sent. Undefined while none is, or if all had been given up by then. */
  sentFor: Call | undefined;
  /** A call has gone ahead once, to bring the script. */
  wasLed = false;
  /** The stamp of the attempt: see `ScriptState`. */
  stamp = 0;
  /** Questions that are not answered yet. */
  open = 0;

  constructor(read: Read, session: Session, pool: NodePool) {
    this.read = read;
    this.session = session;
    this.pool = pool;
  }

  /** The request is about to be written. */
  noteSent(sent: number, stamp: number): void {
    this.sent = sent;
    this.stamp = stamp;
    for (const call of this.callers) if (!call.settled) call.place = "in-flight";
  }

  /** A call goes ahead, and the read begins again when that has settled. */
  noteLed(): void {
    this.wasLed = true;
    this.sent = undefined;
    this.sentFor = undefined;
    for (const call of this.callers) if (!call.settled) call.place = "new";
  }

  /** Takes the answer to PTTL: below 0, the key has no time to live, or is not there. */
  noteTtl(reply: Reply): void {
    const ttl = Number(reply);
    if (ttl === -2) this.lacksKey = true;
    else if (ttl !== -1) this.ttlMs = Math.min(this.ttlMs, Number.isFinite(ttl) ? ttl : 0);
  }
}
