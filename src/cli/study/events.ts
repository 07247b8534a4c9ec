/*
 * What a recorder notes, in the order in which it happened. A record is a list of these events, in a form that JSON can
 * hold. It is all that explanations and the live page are drawn from.
 *
 *   call -> queued -> written -> answered -> decided -> queued -> written -> answered -> settled
 *                                                   '-- settled
 *
 * Events of the client come from its diagnostics channels. They contain no keys, arguments, replies or sources. `bytes`,
 * `servers` and `action` are added by the command line.
 */

/** A script or a library of functions. */
export interface StudyScript {
  readonly name: string;
  readonly sha: string;
}

/** A range of slots, both ends included. */
export interface StudyRange {
  readonly start: number;
  readonly end: number;
}

/** A node of the client's topology. */
export interface StudyNode {
  /** As announced. */
  readonly address: string;
  readonly id: string;
  readonly role: "primary" | "replica";
  /** The address of a replica's primary; null for a primary. */
  readonly primary: string | null;
  readonly health: string;
}

/** What a server says of itself and of its cluster, when it is asked. Of a server that is silent: what the others say. */
export interface ServerState {
  /** As announced. */
  readonly address: string;
  /** `A`, `B`, `C` for the primaries, `A1` for the first replica of `A`. A node keeps its name while it is watched. */
  readonly name: string;
  readonly id: string;
  /** Null if the server did not answer; `error` says why. */
  readonly role: "primary" | "replica" | null;
  /** The name of a replica's primary; null for a primary. */
  readonly primary: string | null;
  /** Why the server did not answer, or what it refused to tell. */
  readonly error: string | null;
  /** As the cluster announces it. */
  readonly health: "online" | "loading" | "fail";
  /** `ok`, or `fail` while the server refuses calls with CLUSTERDOWN. */
  readonly state: "ok" | "fail" | null;
  readonly currentEpoch: number | null;
  readonly configEpoch: number | null;
  /** The slots that the server takes for its own. Of a silent server: those that the others take for its. */
  readonly slots: readonly StudyRange[];
  /** Slots that are half-way between two nodes, as this server knows it. `peer` is the other node's name, or its id. */
  readonly open: readonly { readonly slot: number; readonly kind: "migrating" | "importing"; readonly peer: string }[];
  /** The other servers that this one takes for down, by name: `fail?` (PFAIL) is its own belief, `fail` is agreed upon. */
  readonly suspects: Readonly<Record<string, "fail?" | "fail">>;
  /**
   * Slots of which this server names another owner than the owner itself does. Null: nobody. Where two servers take a
   * slot for their own, it is that one's whose config epoch is higher.
   */
  readonly disagrees: readonly {
    readonly slots: StudyRange;
    readonly says: string | null;
    readonly is: string | null;
  }[];
  /** The names of the servers that this one does not know; others do, be it only these themselves. */
  readonly unknown: readonly string[];
  /** The addresses of the servers that this one is still in a handshake with (CLUSTER MEET). */
  readonly meeting: readonly string[];
  /** The number of keys. */
  readonly keys: number | null;
  /** The numbers of keys by slot, without empty slots, open ones included. It is left out if the server was not asked. */
  readonly keysBySlot?: Readonly<Record<number, number>>;
  /** For each script that was asked for, by SHA-1: whether the server knows it. */
  readonly scripts: Readonly<Record<string, boolean>>;
  /** The availability zone; left out where none is known. */
  readonly zone?: string;
}

/** What happened. `at` is in milliseconds since the record began. `seq` only grows; it orders events of equal times. */
export type StudyEvent = { readonly seq: number; readonly at: number } & (
  | {
      readonly type: "call";
      /** The number of the call in its client, from 1. */
      readonly call: number;
      readonly command: string;
      readonly script: StudyScript | null;
      /** -1 for a call without keys. */
      readonly slot: number;
      /** The number of the batch, transaction or operation that the call belongs to. */
      readonly of: number | null;
    }
  /** The call was handed to a connection of the node, which may still have to open. */
  | {
      readonly type: "queued";
      readonly call: number;
      readonly attempt: number;
      readonly address: string;
      readonly command: string;
      readonly asking: boolean;
      /** Present when the last attempt goes on beside this one. */
      readonly hedge?: true;
      /** With its ASKING. */
      readonly bytes: number;
      /** The SCRIPT LOAD or FUNCTION LOAD in front of it; 0 without one. */
      readonly loadBytes: number;
    }
  | {
      readonly type: "written";
      readonly call: number;
      readonly attempt: number;
      readonly address: string;
      readonly connection: number;
      readonly waitedMs: number;
    }
  | {
      readonly type: "answered";
      readonly call: number;
      readonly attempt: number;
      readonly address: string;
      readonly connection: number;
      /** `reply`, `error` for a text that slotwire does not know, or `MOVED`, `ASK`, `NOSCRIPT` and so on. */
      readonly kind: string;
      readonly bytes: number;
      /** The text of an answer that slotwire knows; null for the others. */
      readonly text: string | null;
    }
  | {
      readonly type: "decided";
      readonly call: number;
      readonly attempt: number;
      /** The node that refused the call, or lost it; null when no node could be given. */
      readonly address: string | null;
      /** `MOVED`, `NOSCRIPT` and so on, `LOST`, or the kind of another failure. */
      readonly failure: string;
      /** The row of the decision table. */
      readonly row: string;
      readonly verdict: "retry" | "reject";
      /** Null for a rejection. */
      readonly to: { readonly kind: "same-node" | "owner" | "named"; readonly address: string | null } | null;
      readonly asking: boolean;
      readonly when: "now" | "after-backoff" | "after-refresh" | "after-load" | "after-rest" | null;
      /** The length of the pause that was drawn; null without a pause. */
      readonly backoffMs: number | null;
      readonly spends: "redirection" | "retry" | "nothing" | null;
      readonly learned: string;
      readonly remedy: string | null;
      /** For a rejection. */
      readonly outcome: "not-executed" | "executed" | "unknown" | null;
      /** How many redirections and retries the call has spent, with this one. */
      readonly redirections: number;
      readonly retries: number;
    }
  | {
      readonly type: "settled";
      readonly call: number;
      readonly attempts: number;
      readonly address: string | null;
      /** The error's code and outcome; null for a reply. */
      readonly code: string | null;
      readonly outcome: string | null;
    }
  | {
      readonly type: "connecting";
      readonly connection: number;
      readonly address: string;
      readonly readOnly: boolean;
      readonly attempt: number;
    }
  /** `error` is null when the connection is open. */
  | { readonly type: "connected"; readonly connection: number; readonly address: string; readonly error: string | null }
  | {
      readonly type: "disconnected";
      readonly connection: number;
      readonly address: string;
      /** Why, as a code: `closed-by-server`, `closed-by-client`, `silent` and so on. */
      readonly reason: string;
      /** The number of requests whose answers were lost. */
      readonly awaiting: number;
    }
  | {
      readonly type: "load";
      readonly load: number;
      readonly address: string;
      readonly script: StudyScript;
      readonly why: LoadReason;
      readonly call: number | null;
    }
  /** `error` is the first word of the server's answer, or `LOST`; null if the node has the script now. */
  | {
      readonly type: "loaded";
      readonly load: number;
      readonly address: string;
      readonly script: StudyScript;
      readonly error: string | null;
    }
  /** By SCRIPT EXISTS or FUNCTION LIST; `asked` is 0 where the client believes so for another reason. */
  | {
      readonly type: "audited";
      readonly address: string;
      readonly why: AuditReason;
      readonly asked: number;
      /** Believed to be there from now on. Scripts that are being loaded are in neither list. */
      readonly held: readonly StudyScript[];
      readonly missing: readonly StudyScript[];
    }
  | { readonly type: "refreshing"; readonly refresh: number; readonly reason: string }
  | { readonly type: "refreshed"; readonly refresh: number; readonly adopted: boolean; readonly changed: boolean }
  /** The client's slot map changed. `reason`: by a refresh, or by the word of a node (MOVED). */
  | {
      readonly type: "topology";
      readonly reason: "first" | "refreshed" | "moved";
      readonly nodes: readonly StudyNode[];
      readonly added: readonly string[];
      readonly removed: readonly string[];
      readonly promoted: readonly string[];
      /** Slots whose owner changed. `from` and `to` are addresses; null for none. */
      readonly moved: readonly (StudyRange & { readonly from: string | null; readonly to: string | null })[];
    }
  /** What went over a connection, as Latin-1 text, arguments redacted unless they were asked for. */
  | {
      readonly type: "bytes";
      readonly connection: number;
      readonly address: string;
      readonly call: number | null;
      readonly attempt: number | null;
      readonly direction: "sent" | "received";
      readonly text: string;
      readonly length: number;
    }
  | { readonly type: "servers"; readonly nodes: readonly ServerState[] }
  | {
      readonly type: "action";
      readonly action: number;
      readonly name: string;
      readonly text: string;
      readonly state: "begun" | "done" | "failed";
    }
);

/** Why a script is loaded, as `LoadMessage` says. */
export type LoadReason = "first-call" | "noscript" | "audit" | "new-connection" | "preload" | "asked" | "again";
/** Why a node is asked which scripts it has, or what else the belief comes from, as `AuditMessage` says. */
export type AuditReason =
  | "periodic"
  | "noscript"
  | "promoted"
  | "asked"
  | "new-connection"
  | "preload"
  | "again"
  | "flushed"
  | "returned"
  | "told";

export type StudyEventOf<T extends StudyEvent["type"]> = Extract<StudyEvent, { readonly type: T }>;
