import type { Call } from "../routing/call.ts";
import { ALL_KEYS, type WrittenKeys } from "../routing/call-extras.ts";
import type { Miss } from "./miss.ts";
import type { Question } from "./question.ts";
import type { Session } from "./session.ts";
import { SlotCounts } from "./slot-counts.ts";

/** Scripts under way whose replies may be kept: those that read only the keys they were given, and others. */
interface Scripts {
  readonly declared: Set<Miss>;
  readonly deriving: Set<Miss>;
}

const NO_MISSES: readonly Miss[] = [];
const NONE: ReadonlySet<Miss> = new Set();

/** The reads under way on the connections that read, by what was asked, and by the keys that they name. */
export class UnderWay {
  readonly #all = new Set<Miss>();
  /** By the hash of the question, the read that began last. */
  readonly #byHash = new Map<number, Miss>();
  readonly #byKey = new Map<string, Set<Miss>>();
  readonly #slots = new SlotCounts();
  readonly #scripts = new Map<Session, Scripts>();

  /** A read that a call may wait for that asks the same: sent within `limitMs`, and before no write of this client. */
  joinable(question: Question, now: number, limitMs: number): Miss | undefined {
    const miss = this.#byHash.get(question.hash);
    if (miss === undefined || !miss.isJoinable || !miss.read.question.isSameAs(question)) return undefined;
    return miss.sent === undefined || now - miss.sent < limitMs ? miss : undefined;
  }

  begin(miss: Miss): void {
    const { question, keys, slot } = miss.read;
    this.#all.add(miss);
    this.#slots.add(slot);
    this.#byHash.set(question.hash, miss);
    for (const key of keys) {
      const begun = this.#byKey.get(key);
      if (begun === undefined) this.#byKey.set(key, new Set([miss]));
      else begun.add(miss);
    }
    if (miss.read.isScript) {
      const scripts = this.#scripts.get(miss.session) ?? { declared: new Set(), deriving: new Set() };
      this.#scripts.set(miss.session, scripts);
      (miss.read.mayDerive ? scripts.deriving : scripts.declared).add(miss);
    }
  }

  /** A call of the read's node waits for it. It counts in the node's bounds until it leaves, or the read ends. */
  wait(miss: Miss, call: Call): void {
    miss.callers.push(call);
    miss.pool.hold(0);
    if (miss.sent !== undefined) call.place = "in-flight";
  }

  has(miss: Miss): boolean {
    return this.#all.has(miss);
  }

  /** A call does not wait for the read any more. */
  leave(miss: Miss, call: Call): void {
    miss.callers.splice(miss.callers.indexOf(call), 1);
    miss.pool.release(0);
  }

  /** The read has ended. Returns false if it had ended before. */
  end(miss: Miss): boolean {
    if (!this.#all.delete(miss)) return false;
    const { question, keys, slot } = miss.read;
    this.#slots.remove(slot);
    if (miss.callers.length > 0) miss.pool.release(0, miss.callers.length);
    if (this.#byHash.get(question.hash) === miss) this.#byHash.delete(question.hash);
    for (const key of keys) {
      const begun = this.#byKey.get(key);
      if (begun?.delete(miss) && begun.size === 0) this.#byKey.delete(key);
    }
    const scripts = this.#scripts.get(miss.session);
    scripts?.declared.delete(miss);
    scripts?.deriving.delete(miss);
    if (scripts?.declared.size === 0 && scripts.deriving.size === 0) this.#scripts.delete(miss.session);
    return true;
  }

  /** Those of a session. */
  of(session: Session): readonly Miss[] {
    return [...this.#all].filter((miss) => miss.session === session);
  }

  /** The replies of these reads are not kept. */
  spoilWhere(isSpoilt: (miss: Miss) => boolean): void {
    for (const miss of this.#all) if (isSpoilt(miss)) miss.isSpoilt = true;
  }

  /**
   * This client writes: no reply that may be older is kept, and no later read waits for one. Returns the reads that are not
   * written yet, and would go behind the write.
   * @param slot  That of the keys; -1 if it is not known.
   */
  written(keys: WrittenKeys, slot: number): readonly Miss[] {
    if (this.#all.size === 0 || (keys !== ALL_KEYS && !this.#slots.mayHave(slot))) return NO_MISSES;
    const unsent: Miss[] = [];
    if (keys === ALL_KEYS) for (const miss of this.#all) outrun(miss, unsent);
    else {
      for (const key of typeof keys === "string" ? [keys] : keys) {
        for (const miss of this.#byKey.get(key) ?? NONE) outrun(miss, unsent);
      }
    }
    return unsent;
  }

  /**
   * A server has told of a change of a key. Returns whether a read under way names the key.
   * @param wasAsked  Somebody asked for the key by its name, so that this was to be expected.
   */
  invalidated(session: Session, key: string, wasAsked: boolean): boolean {
    const named = this.#byKey.get(key);
    for (const miss of named ?? []) if (miss.session === session) miss.isSpoilt = true;
    const isExpected = wasAsked || named !== undefined;
    // A script that is under way may have read the key without naming it.
    const scripts = this.#scripts.get(session);
    if (scripts !== undefined) {
      spoilAll(scripts.deriving);
      if (!isExpected) spoilAll(scripts.declared);
    }
    return isExpected;
  }
}

/** What is spoilt is not looked at again. */
function spoilAll(misses: Set<Miss>): void {
  for (const miss of misses) miss.isSpoilt = true;
  misses.clear();
}

function outrun(miss: Miss, unsent: Miss[]): void {
  miss.isSpoilt = true;
  miss.isJoinable = false;
  if (miss.sent === undefined) unsent.push(miss);
}
