import type { Reply } from "../protocol/reply.ts";
import type { Proofs } from "./freshness.ts";
import type { Question } from "./question.ts";
import { NOWHERE, type Row } from "./shelves.ts";

/** What reads entries, as far as entries need to know. */
export interface Reader {
  /** The address of its node, as announced. */
  readonly address: string;
  readonly proofs: Proofs;
}

/** What an entry is found by, and what ends it. */
export interface EntryFacts {
  readonly question: Question;
  /** The keys that the call named, as binary strings. */
  readonly keys: readonly string[];
  readonly slot: number;
  /** The pair of connections that read the reply and hears of its end. */
  readonly reader: Reader;
  /** The reply is a script's, which may have read more keys than it named. */
  readonly isScript: boolean;
  /** The script's source does not show that it reads no keys but those it was given. */
  readonly mayDerive: boolean;
}

/** One reply that is kept. A class, so that what a hit reads lies together in memory. */
export class Entry {
  /** When the entry ends at the latest: by the time to live of its keys, and by `maxAge`. */
  readonly until: number;
  /** Where it stands. The store alone changes it. */
  row: Row = NOWHERE;
  /** Deeply frozen, but for Buffers. */
  readonly reply: Reply;
  /** The reply contains Buffers, so every caller gets a copy. */
  readonly hasBuffers: boolean;
  readonly bytes: number;
  readonly question: Question;
  readonly facts: EntryFacts;

  constructor(facts: EntryFacts, reply: Reply, hasBuffers: boolean, until: number, bytes: number) {
    this.until = until;
    this.reply = reply;
    this.hasBuffers = hasBuffers;
    this.bytes = bytes;
    this.question = facts.question;
    this.facts = facts;
  }

  /** Whether the entry may be served at this moment. One that has ended may not, cleared away or not. */
  isFresh(now: number): boolean {
    return now < this.until && now < this.row.shelf.proofs.until;
  }
}

/** Freezes a reply, all arrays in it too. Returns whether it contains Buffers, which cannot be frozen. */
export function freeze(reply: Reply): boolean {
  if (!Array.isArray(reply)) {
    if (reply instanceof Error) Object.freeze(reply);
    return Buffer.isBuffer(reply);
  }
  let hasBuffers = false;
  for (const element of reply) hasBuffers = freeze(element) || hasBuffers;
  Object.freeze(reply);
  return hasBuffers;
}

/** The reply, frozen as `freeze` does it. */
export function frozen(reply: Reply): Reply {
  if (!Object.isFrozen(reply)) freeze(reply);
  return reply;
}

/** A copy of a reply, whose Buffers are the caller's own. Its arrays are frozen as those of the original. */
export function copyOf(reply: Reply): Reply {
  if (Buffer.isBuffer(reply)) return Buffer.from(reply);
  if (!Array.isArray(reply)) return reply;
  return Object.freeze(reply.map(copyOf)) as Reply[];
}

/** Whether an error stands in a reply. The server may answer otherwise next time. */
export function hasError(reply: Reply): boolean {
  return reply instanceof Error || (Array.isArray(reply) && reply.some(hasError));
}

/** About as many bytes as a reply takes in memory. */
export function bytesOf(reply: Reply): number {
  if (typeof reply === "string") return 24 + reply.length * (isOneByte(reply) ? 1 : 2);
  if (Buffer.isBuffer(reply)) return 120 + reply.length;
  if (!Array.isArray(reply)) return 16;
  let sum = 32 + 8 * reply.length;
  for (const element of reply) sum += bytesOf(element);
  return sum;
}

/** V8 keeps a string with one byte a character, if all are Latin-1. A sample of a long string will do for a sum. */
function isOneByte(text: string): boolean {
  const { length } = text;
  const step = Math.max(1, length >> 6);
  for (let index = 0; index < length; index += step) if (text.charCodeAt(index) > 0xff) return false;
  return true;
}
