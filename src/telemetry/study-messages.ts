import type { ClientInfo, CommandContext, ScriptInfo } from "./messages.ts";

/*
 * The messages that tell why: what was written, what was answered, what was decided, what was loaded, asked, refreshed and
 * lost. As all messages, they contain no key, argument, reply or source.
 */

/** The message of the channel `slotwire:written`. It is published before the bytes are handed to the socket. */
export interface WrittenMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The context of the call in `slotwire:command`. */
  readonly call: CommandContext;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** The number of the connection: `id` of its `ConnectContext`. */
  readonly connection: number;
  /** Milliseconds from the attempt to its write. */
  readonly waitedMs: number;
}

/**
 * The message of the channel `slotwire:answer`. Every answer has one, also the last one. An answer that comes when its call
 * has settled already has none.
 */
export interface AnswerMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The context of the call in `slotwire:command`. */
  readonly call: CommandContext;
  /** The number of the attempt that was answered, from 1. */
  readonly attempt: number;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** The number of the connection: `id` of its `ConnectContext`. */
  readonly connection: number;
  /**
   * The bytes of the reply. Calls of a batch that went in one MULTI to EXEC share one reply, and each has its bytes. 0 for a
   * reply that is nested too deep to be read.
   */
  readonly bytes: number;
  /**
   * `reply`; `MOVED`, `ASK`, `NOSCRIPT` and so on, the first word of an error that slotwire knows; `error` for any other
   * one.
   */
  readonly kind: string;
  /** The server's text, if it is one of the texts after which a call is sent again; undefined for all others. */
  readonly text: string | undefined;
}

/**
 * The message of the channel `slotwire:decision`: what the decision table says after a refusal, a loss, or where no node
 * can be given. src/README.md lists the rows. It is published before anything that follows from it.
 */
export interface DecisionMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The context of the call in `slotwire:command`. */
  readonly call: CommandContext;
  /** The number of the attempt that it is about, from 1; 0 if no attempt was made yet. */
  readonly attempt: number;
  /** The node that refused the call, or lost it; undefined when no node could be given. */
  readonly address: string | undefined;
  /** As `kind` of the answer, `LOST`, or what else it was: `looked-up`, `no-node`, `unavailable`. */
  readonly failure: string;
  /** The name of the row. */
  readonly row: string;
  /** The call is sent again, or its caller gets an error. */
  readonly verdict: "retry" | "reject";
  /** Where the next attempt goes; undefined for a rejection. */
  readonly to:
    | {
        /** The node that refused the call, the owner of its slot, or the node that the refusal named. */
        readonly kind: "same-node" | "owner" | "named";
        /** The address of a node that was named, as `host:port`; otherwise undefined. */
        readonly address: string | undefined;
      }
    | undefined;
  /** Whether an ASKING goes in front of the next attempt. */
  readonly asking: boolean;
  /** When the next attempt is made; undefined for a rejection. */
  readonly when: "now" | "after-backoff" | "after-refresh" | "after-load" | "after-rest" | undefined;
  /**
   * Milliseconds of the pause in front of the next attempt, as drawn; undefined without a pause. Calls of a slot pause
   * together, so that it can be what is left of another call's pause. A change of the topology ends pauses early.
   */
  readonly backoffMs: number | undefined;
  /** What the next attempt is counted as; undefined for a rejection. */
  readonly spends: "redirection" | "retry" | "nothing" | undefined;
  /** What the client learns from it, whatever becomes of the call. */
  readonly learned: string;
  /** How a missing script is mended: `load`, `eval`, `replay`, `wait`, `rest` or `give-up`; undefined for other failures. */
  readonly remedy: string | undefined;
  /** For a rejection, what is known about the call; undefined for a retry. */
  readonly outcome: "not-executed" | "executed" | "unknown" | undefined;
  /** The redirections that the call has spent, with this one. */
  readonly redirections: number;
  /** The retries that the call has spent, with this one. */
  readonly retries: number;
}

/**
 * Why a script is loaded. `first-call`: a call needs it, and the node was not known to have it. `noscript`: a call found it
 * missing. `audit`: the node was asked, and had it no more. `new-connection`: before a new connection is used. `preload`:
 * `preload()`. `asked`: a command SCRIPT LOAD. `again`: an earlier load was lost, or was refused for now.
 */
export type LoadReason = "first-call" | "noscript" | "audit" | "new-connection" | "preload" | "asked" | "again";

/** The message of the channel `slotwire:load`. It is published when a load begins, and once more when it ends. */
export interface LoadMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The number of the load, from 1: the same at its beginning and its end. */
  readonly load: number;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** The script or library. */
  readonly script: ScriptInfo;
  /** Why it is loaded. */
  readonly why: LoadReason;
  /** The context, in `slotwire:command`, of the call that it is loaded for; undefined if it is loaded for no single one. */
  readonly call: CommandContext | undefined;
  /**
   * `begun`: it was handed to a connection. `held`: the node has the script now. `refused`: it answered an error. `lost`: no
   * answer came.
   */
  readonly state: "begun" | "held" | "refused" | "lost";
  /** For `refused`, the first word of the node's answer; otherwise undefined. */
  readonly error: string | undefined;
}

/**
 * Why a node is asked which scripts it has. `periodic`: beside a refresh of the topology. `noscript`: a node had lost a
 * script. `promoted`: the node was a replica. `asked`: `refreshTopology()`. `new-connection`: before a new connection is
 * used. `preload`: `preload()`. `again`: an earlier load was lost, or was refused for now.
 *
 * Nobody is asked for these: `flushed`: a SCRIPT FLUSH went through this client, a library turned out to be another one, or
 * the client keeps no account of the script any more, because it met many others since.
 * `returned`: a node that had left the topology is back, and what was believed of it still is. `told`: the client was told
 * what to believe, so that one can watch how it finds out.
 */
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

/**
 * The message of the channel `slotwire:audit`: what the client believes of the scripts of a node has changed, or was
 * confirmed, by another way than a load. Many scripts take several messages.
 */
export interface AuditMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** Why. */
  readonly why: AuditReason;
  /** The number of scripts and libraries that the node was asked for. */
  readonly asked: number;
  /** Those that the node is believed to hold. */
  readonly held: readonly ScriptInfo[];
  /** Those that it is not believed to hold. Scripts that are being loaded, or were refused, are in neither list. */
  readonly missing: readonly ScriptInfo[];
}

/**
 * Why the topology is asked for. `periodic`: the option `topologyRefreshInterval`. `asked`: `refreshTopology()`, or a scan
 * or WAIT that needs it. `moved`: a node said MOVED, which is to be confirmed. `roles-changed`, `zones-changed`: the
 * nodes may not agree yet. `unknown-node`: a node was named that is not listed. `no-owner`: a slot that is needed has no
 * owner. `trouble`: a call was refused or lost, or a node is down.
 */
export type RefreshReason =
  | "periodic"
  | "asked"
  | "moved"
  | "roles-changed"
  | "zones-changed"
  | "unknown-node"
  | "no-owner"
  | "trouble";

/** The message of the channel `slotwire:refresh`. It is published when a refresh begins, and once more when it ends. */
export interface RefreshMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The number of the refresh, from 1: the same at its beginning and its end. */
  readonly refresh: number;
  /** Why. Of those who have asked, it is the one who wanted it soonest. */
  readonly reason: RefreshReason;
  /** What happened. A message of `slotwire:topology` that is due to the refresh comes in between. */
  readonly state: "begun" | "ended";
  /** At the end: whether a view of the cluster was believed. If not, the present topology stays for now. */
  readonly adopted: boolean | undefined;
  /** At the end: whether that changed the topology. */
  readonly changed: boolean | undefined;
}

/**
 * Why a connection ended. `closed-by-server`: the server closed it. `broken`: the network did. `silent`: no sign of life.
 * `protocol`: what the server sent is no reply. `stranger`: another server answers at the address. `node-left`: the node
 * left the topology. `replaced`: another connection takes its place. `given-up`: nobody waits for its reply any more.
 * `not-needed`: its work is done, or it was idle for long. `client-closed`: the client ended.
 */
export type DisconnectReason =
  | "closed-by-server"
  | "broken"
  | "silent"
  | "protocol"
  | "stranger"
  | "node-left"
  | "replaced"
  | "given-up"
  | "not-needed"
  | "client-closed";

/**
 * The message of the channel `slotwire:disconnect`: the end of a connection that had been opened, before anything that
 * follows from it. A connection that cannot be opened is an error in `slotwire:connect`.
 */
export interface DisconnectMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The number of the connection: `id` of its `ConnectContext`. */
  readonly id: number;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** Why it ended. */
  readonly reason: DisconnectReason;
  /** The number of calls whose answers are lost with it. */
  readonly awaiting: number;
}
