import type { StudyEvent, StudyEventOf, StudyScript } from "./events.ts";

/*
 * The story of calls: what a record says about them, in order. `storyOf` (web/page/call-story.js) makes it from events, and
 * texts, pages and JSON are drawn from it. Times are milliseconds since the first of the calls began.
 *
 *   Story -- hops: one for each attempt -- answer, decisions, bytes
 *     |----- ends: one for each call
 *     '----- meanwhile: what the client did and learned beside them
 */

/** One attempt of a call. */
export interface Hop {
  /** The number of the call in the record. A command for many nodes is many calls. */
  readonly call: number;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** The node's address, as announced. */
  readonly address: string;
  /** When the attempt was handed to the node's connection, which may still have had to open. */
  readonly at: number;
  /** When it was handed to the socket. Null: never. It waited for a connection until the call took another way. */
  writtenAt: number | null;
  /** The number of the connection. Null for an attempt that was never written. */
  connection: number | null;
  /** The command's name, as sent. */
  readonly command: string;
  readonly asking: boolean;
  /** Present when the last attempt goes on beside this one. */
  readonly hedge?: true;
  /** The bytes of the command, with its ASKING. */
  readonly bytes: number;
  /** The bytes of the SCRIPT LOAD or FUNCTION LOAD in front of the command; 0 without one. */
  readonly loadBytes: number;
  /** Null if no answer came before the call ended, and for an attempt that was never written. */
  answer: Answer | null;
  /** What the client decided when this attempt had failed. A redirection to an unlisted node takes two decisions. */
  readonly decisions: Decision[];
  /** What was written, command by command. Empty where bytes were not recorded. */
  readonly sent: Frame[];
  /** What came back, reply by reply: one for each command. */
  readonly received: Frame[];
}

/** The answer to an attempt, or the loss of its connection. */
export interface Answer {
  readonly at: number;
  /**
   * `reply`, `error` for a text that slotwire does not know, `MOVED`, `ASK`, `NOSCRIPT` and so on, or `LOST` when the
   * connection was lost.
   */
  readonly kind: string;
  /** The address that a MOVED or ASK names. */
  readonly to: string | null;
  /** The text of a refusal. An explanation adds that of the error that ends the call. Null for other answers. */
  text: string | null;
  readonly bytes: number;
}

/** What the client decided after a failure: one row of the decision table. */
export type Decision = Omit<StudyEventOf<"decided">, "seq" | "type" | "call" | "attempt" | "address">;

/** Bytes of one command or one reply, as Latin-1 text. */
export interface Frame {
  readonly text: string;
  readonly length: number;
}

/** The end of a call. */
export interface End {
  readonly call: number;
  readonly command: string;
  readonly script: StudyScript | null;
  readonly slot: number;
  readonly from: number;
  /** Null if the call has not ended in the record. */
  at: number | null;
  /** How many attempts the record tells of. */
  attempts: number;
  /** How many more there were; a record in bounded memory does not tell of them. */
  untold: number;
  /** How many of the attempts were written. */
  written: number;
  /** The error's code and outcome; null for a reply. */
  code: string | null;
  outcome: string | null;
  address: string | null;
  redirections: number;
  retries: number;
}

/** What the client did and learned beside the calls. */
export type Beside = StudyEventOf<
  "load" | "loaded" | "audited" | "topology" | "refreshing" | "refreshed" | "connecting" | "connected" | "disconnected"
>;

export interface Story {
  /** In the order in which they began. */
  readonly ends: readonly End[];
  /** In the order in which they were handed to connections. */
  readonly hops: readonly Hop[];
  readonly meanwhile: readonly Beside[];
  readonly steps: readonly Step[];
}

/** One step of a story, to be told in one sentence. */
export type Step = { readonly at: number } & (
  | { readonly type: "sent"; readonly hop: Hop }
  /** The attempt was never written. */
  | { readonly type: "waited"; readonly hop: Hop; readonly ms: number }
  | { readonly type: "answered"; readonly hop: Hop; readonly answer: Answer }
  /** No node could be given if `hop` is null. */
  | { readonly type: "decided"; readonly call: number; readonly hop: Hop | null; readonly decision: Decision }
  | { readonly type: "folded"; readonly folded: Folded }
  | { readonly type: "beside"; readonly event: StudyEvent & Beside }
  | { readonly type: "ended"; readonly end: End }
);

/** Attempts of one call that failed, and are counted in place of being shown. */
export interface Folded {
  readonly call: number;
  readonly attempts: number;
  /** How many of them were never written. */
  readonly waited: number;
  /** How often each failure came: `CLUSTERDOWN`, `LOST` and so on. */
  readonly failures: Readonly<Record<string, number>>;
  readonly rows: Readonly<Record<string, number>>;
  readonly addresses: readonly string[];
  readonly until: number;
  /** The shortest and the longest pause; null without pauses. */
  readonly pauses: readonly [least: number, most: number] | null;
}

/** A row of the decision table, as pages get it. */
export interface TableRow {
  readonly row: string;
  readonly met: string;
  readonly kind: "retry" | "reject";
  readonly to: "same-node" | "owner" | "named" | null;
  readonly when: string | null;
  readonly spends: string | null;
  readonly learned: string;
  readonly outcome: string | null;
}

/** What sentences need to know beside the story. */
export interface Telling {
  /** The names of nodes by address: A, B, A1. */
  readonly names: Readonly<Record<string, string>>;
  readonly rows: readonly TableRow[];
  /** @default 16 */
  readonly maxRedirections?: number;
}
