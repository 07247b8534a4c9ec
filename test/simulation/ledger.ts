/** What the servers and the wire know of one call, to be compared with what the client says of it. */
export interface Entry {
  /** Times that its bytes were handed to a socket. */
  written: number;
  /** The position of its first write among all writes. */
  writtenAs: number;
  /** Whom it was written to first. */
  writtenTo: string;
  /** The position of its second write. */
  rewrittenAs: number;
  /** Times that a server said no without running it. */
  refused: number;
  /** The position of the first refusal among all, what it was, and whose. */
  refusedAs: number;
  firstRefusal: string;
  /** Times that it ran, on whichever server. */
  executed: number;
  /** When and as which of all it ran first, and on which server. */
  executedAtMs: number;
  executedAs: number;
  /** Which of all it ran as last. */
  executedLast: number;
  executedBy: string;
  /** When a reply to what had run was at the client. */
  arrivedAtMs: number | undefined;
  /** Keys that were watched when it ran. */
  watched: number;
  /** What the watched key held then. */
  heldThen: string | null | undefined;
  /** The keys that its transaction watched when it was given up, because one of them had changed. */
  readonly gaveUpFor: string[];
  /** Where an ASK has sent it. */
  askedTo: string | undefined;
  /** It was written inside MULTI, with other calls. */
  together: boolean;
}

/** In what the client writes: the bounds of a transaction, a script that is loaded, or a call's mark. */
const TRACE = /\r\n(MULTI|EXEC|LOAD)\r\n|@(\d+);/g;

/** The mark that a call carries in its arguments, so that whoever sees it knows which call it is. */
export function markOf(number: number): string {
  return `@${number};`;
}

/** The calls that are marked in a command. */
export function marksIn(args: readonly string[]): number[] {
  const marks: number[] = [];
  for (let index = 1; index < args.length; index++) {
    const arg = args[index] as string;
    if (arg.charCodeAt(0) !== 0x40) continue;
    const mark = /^@(\d+);/.exec(arg);
    if (mark) marks.push(Number(mark[1]));
  }
  return marks;
}

/** The truth: what was written, refused and run, by call. */
export class Ledger {
  readonly #entries: Entry[] = [];
  /** Slots that calls were sent away from. */
  readonly redirectedSlots = new Set<number>();
  /** Things that no client should do to a server. */
  readonly rude: string[] = [];
  /** When the topology was asked for, by server. */
  readonly questions = new Map<string, number[]>();
  /** The client believes that a stranger is of its cluster, or has believed it. */
  isLedAstray = false;
  wasLedAstray = false;
  readonly #now: () => number;
  #writes = 0;
  #refusals = 0;
  #executions = 0;

  constructor(now: () => number = () => 0) {
    this.#now = now;
  }

  of(call: number): Entry {
    let entry = this.#entries[call];
    if (entry === undefined) {
      const never = {
        writtenAs: -1,
        rewrittenAs: -1,
        refusedAs: -1,
        firstRefusal: "",
        executedAs: -1,
        executedLast: -1,
      };
      entry = {
        written: 0,
        writtenTo: "",
        refused: 0,
        executed: 0,
        executedBy: "",
        executedAtMs: 0,
        arrivedAtMs: undefined,
        gaveUpFor: [],
        watched: 0,
        heldThen: undefined,
        askedTo: undefined,
        together: false,
        ...never,
      };
      this.#entries[call] = entry;
    }
    return entry;
  }

  /** @param isAstray  The server is not of the cluster. */
  noteWrite(binary: string, server: string, isAstray: boolean): void {
    if (binary.includes("\r\nSHARDS\r\n"))
      this.questions.set(server, [...(this.questions.get(server) ?? []), this.#now()]);
    let isTogether = false;
    for (const [all, word, call] of binary.matchAll(TRACE)) {
      if (isAstray && !this.isLedAstray && (call !== undefined || word === "LOAD"))
        this.rude.push(`${word === "LOAD" ? "a script" : all} was written to a stranger at ${server}`);
      if (word === "MULTI" || word === "EXEC") isTogether = word === "MULTI";
      if (call === undefined) continue;
      const entry = this.of(Number(call));
      entry.together ||= isTogether;
      if (entry.written++ === 0) {
        entry.writtenAs = this.#writes++;
        entry.writtenTo = server;
      } else if (entry.written === 2) entry.rewrittenAs = this.#writes++;
    }
  }

  /** `server` said `text`. `needsAsking`: the slot is on its way there, and no ASKING came in front. */
  noteRefusal(calls: readonly number[], text: string, server: string, needsAsking: boolean): void {
    const [word = "", slot, to] = text.split(" ");
    if (word === "MOVED") this.redirectedSlots.add(Number(slot));
    for (const call of calls) {
      const entry = this.of(call);
      if (entry.refused++ === 0) entry.firstRefusal = `${text} of ${server}`;
      if (entry.refused === 1) entry.refusedAs = this.#refusals++;
      if (word === "MOVED" && needsAsking && entry.askedTo === server) {
        this.rude.push(`call ${call} came to ${server} by an ASK, without ASKING`);
      }
      if (word === "ASK") entry.askedTo = to;
    }
  }

  /** One SSUBSCRIBE asked for channels of two slots. */
  noteTwoSlots(server: string): void {
    this.rude.push(`channels of two slots were in one SSUBSCRIBE to ${server}`);
  }

  /** Bytes came on a connection on which a command waits. */
  noteQueuing(binary: string, server: string): void {
    const [call] = /@\d+;/.exec(binary) ?? [];
    if (call !== undefined) this.rude.push(`call ${call} came behind one that waits, at ${server}`);
  }

  /** Replies to calls that have run could be read by the client from `time` on. */
  noteArrival(calls: readonly number[], time: number): void {
    for (const call of calls) this.of(call).arrivedAtMs = time;
  }

  /** A transaction that watches `keys` was given up, because one of them had changed. */
  noteUntouched(calls: readonly number[], keys: readonly string[]): void {
    for (const call of calls) this.of(call).gaveUpFor.push(...keys);
  }

  noteExecution(calls: readonly number[], server: string, watched: number, heldThen?: string | null): void {
    for (const call of calls) {
      const entry = this.of(call);
      entry.executedLast = this.#executions++;
      if (entry.executed++ > 0) continue;
      entry.executedAs = entry.executedLast;
      entry.executedBy = server;
      entry.watched = watched;
      entry.heldThen = heldThen;
      entry.executedAtMs = this.#now();
    }
  }
}
