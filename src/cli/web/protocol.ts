import type { StudyEvent } from "../study/events.ts";

/*
 * What the live page and its server say to each other. All addresses are below the token:
 *
 *   GET  /TOKEN/             the page; its files are beside it
 *   GET  /TOKEN/events       Server-Sent Events: `hello`, then `record` and `rate`. A further `hello` begins anew
 *   POST /TOKEN/do           JSON: { name, ... } -> Done
 *   GET  /TOKEN/record.html  the record, as one file that needs no server
 */

/** `event: hello`. The page forgets what it knew: what follows begins with all that is needed to know the present state. */
export interface Hello {
  /** Slotwire's version. */
  readonly version: string;
  readonly mode: "cluster" | "watch";
  /** What the servers are, such as `Redis 7.0.15`; empty if it is not known. */
  readonly server: string;
  /** The rows of the decision table. */
  readonly rows: readonly HelloRow[];
  /** The file in which the rows stand, within slotwire's sources. */
  readonly file: string;
  /** The names that `do` accepts. None for a cluster that is only watched. */
  readonly controls: readonly string[];
  /** The scripts that the controls can call. */
  readonly scripts: readonly HelloScript[];
  readonly lessons: readonly HelloLesson[];
  /** Whether the bytes of calls are shown with their arguments now. */
  readonly showsArguments: boolean;
  /** When the record began, in milliseconds since 1970. `at` of events is counted from then. */
  readonly began: number;
}

export interface HelloRow {
  readonly row: string;
  /** The line of `Hello.file` at which the row stands; null if it is not known. */
  readonly line: number | null;
  readonly met: string;
  readonly kind: "retry" | "reject";
  readonly to: string | null;
  readonly when: string | null;
  readonly spends: string | null;
  readonly learned: string;
  readonly why: string | null;
  readonly outcome: string | null;
}

export interface HelloScript {
  readonly name: string;
  readonly sha: string;
  /** Shown in the page, because these scripts are slotwire's own or the user's files. */
  readonly source: string;
  readonly numberOfKeys: number | null;
}

export interface HelloLesson {
  /** The name, for `lesson-prepare` and `ledger`. */
  readonly lesson: string;
  readonly title: string;
}

/** `event: record`: what has happened since the last message, in the order of `seq`, but for calls that are told later. */
export type RecordBatch = readonly StudyEvent[];

/** `event: rate`, once a second while calls are made. */
export interface Rate {
  /** The calls that ended in the last second. */
  readonly calls: number;
  /** Those of them that are counted alone, and are not in the record. */
  readonly dropped: number;
  /** The calls of the last second that were refused or lost at least once. */
  readonly refused: number;
  /** All calls since the record began. */
  readonly total: number;
}

/** The answer of `do`. */
export type Done =
  | {
      readonly ok: true;
      /** What was done, in a sentence. */
      readonly done: string;
      /** The number of the call in the record, for `call`. */
      readonly call?: number | null;
      readonly [more: string]: unknown;
    }
  | {
      readonly ok: false;
      /** What was wrong, and what is accepted. */
      readonly error: string;
      readonly call?: number | null;
      readonly [more: string]: unknown;
    };
