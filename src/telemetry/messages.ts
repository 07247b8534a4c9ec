import type { CacheMetrics } from "./cache-messages.ts";

/*
 * The messages of the diagnostics channels. They contain names, addresses and numbers, but no key, channel, argument,
 * reply, payload or source. `CommandContext` says what errors contain. `study-messages.ts` has those that tell why.
 *
 * Every message has a `seq`: one ascending sequence for all clients of a process, whichever copy of slotwire they are of.
 * What is a consequence has a higher number than what it follows from. A context of a tracing channel is published several
 * times, and each time its `seq` is set anew.
 */

/** The client that a message is about. Each `connect` makes one such object. */
export interface ClientInfo {
  /** The number of the client, from 1. No two clients of a process have the same. */
  readonly id: number;
  /** The addresses in `nodes` of `connect`, as `host:port` or a path, without credentials. */
  readonly seeds: readonly string[];
  /** The option `connectionName`. */
  readonly name: string | undefined;
  /** The number of the database that the connections select. */
  readonly database: number;
}

/** A script in a message. */
export interface ScriptInfo {
  /** The name from the script's definition. */
  readonly name: string;
  /** The SHA-1 of the script's source, or of the library's source for a function. */
  readonly sha: string;
}

/**
 * The context of the tracing channel `slotwire:command`. `error` is the error that the caller gets. But a `ReplyError`
 * is replaced by one that has only the first word of the server's text, because servers and scripts quote arguments.
 * There is no `result`.
 */
export interface CommandContext {
  /** The number of the message, as in every message: set anew each time that the context is published. */
  seq: number;
  /** The number of the call, from 1. No two calls of a client have the same. Only calls that somebody listens to count. */
  readonly id: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The command's name as it is sent, such as `EVALSHA`, `FCALL` or `GET`. A whole transaction is `MULTI`. */
  readonly command: string;
  /** The script or function that the call runs; undefined for any other command. */
  readonly script: ScriptInfo | undefined;
  /** The slot of the call, 0 to 16383; -1 for a call without keys. */
  readonly slot: number;
  /** The batch or transaction that contains the call. */
  readonly batch: BatchContext | undefined;
  /** The scan or the WAIT that the call is a step of. */
  readonly operation: OperationContext | undefined;
  /** How often the call has been handed to a connection. */
  attempts: number;
  /** The address of the node of the last attempt, as announced. */
  address: string | undefined;
  /** Present when the call was sent once more to another node (`hedge` of `with`): whether that node's answer counted. */
  hedge?: "sent" | "won";
  /** The error of a call that failed; present in `error` and `asyncEnd`. */
  error?: Error;
}

/**
 * The context of the tracing channel `slotwire:batch`. `error` is as in `CommandContext`. The error of a single call is
 * not an error of the batch.
 */
export interface BatchContext {
  /** The number of the message, as in every message: set anew each time that the context is published. */
  seq: number;
  /** The number of the batch, transaction, scan or WAIT: no two of these in a client have the same. */
  readonly id: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** Whether a batch or a transaction is executed. */
  readonly operation: "batch" | "transaction";
  /**
   * The number of calls in it. A call that is sent in parts counts once for each part. A call for many nodes does not
   * count; it has its own messages.
   */
  readonly size: number;
  /** The names of the calls' commands, each name once. */
  readonly commands: readonly string[];
  /** The script, if all calls run the same one. */
  readonly script: ScriptInfo | undefined;
  /** The slot of all calls, 0 to 16383; undefined if they have different ones, or none. */
  readonly slot: number | undefined;
  /** The address of the node that ended a call last, as announced. */
  address: string | undefined;
  /** The error of a batch or transaction that failed as a whole. */
  error?: Error;
}

/**
 * The context of the tracing channel `slotwire:operation`. `error` is as in `CommandContext`. The operation's calls name
 * it in their own contexts.
 */
export interface OperationContext {
  /** The number of the message, as in every message: set anew each time that the context is published. */
  seq: number;
  /** The number of the batch, transaction, scan or WAIT: no two of these in a client have the same. */
  readonly id: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** What was asked for: a whole scan, from its first key to its end, or one WAIT. */
  readonly operation: "scan" | "wait";
  /** The name of the command that the operation stands for. */
  readonly command: "SCAN" | "WAIT";
  /** The error of an operation that failed. */
  error?: Error;
}

/** The context of the tracing channel `slotwire:connect`. */
export interface ConnectContext {
  /** The number of the message, as in every message: set anew each time that the context is published. */
  seq: number;
  /** The number of the connection, from 1. No two connections of a client have the same. */
  readonly id: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** The address to which the connection is opened, after `natMap`. */
  readonly endpoint: {
    /** A host name or an IP address. */
    readonly host: string;
    /** The TCP port, 1 to 65535. */
    readonly port: number;
  };
  /** The number of the try, from 1. A connection that was usable resets it. */
  readonly attempt: number;
  /** Whether the connection is only for reads from a replica. */
  readonly readOnly: boolean;
  /** The reason why the connection could not be opened. */
  error?: Error;
}

/** The message of the channel `slotwire:attempt`. */
export interface AttemptMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The context of the call in `slotwire:command`. */
  readonly call: CommandContext;
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** The slot of the call, 0 to 16383; -1 for a call without keys. */
  readonly slot: number;
  /** The command's name as this attempt sends it. It is `EVAL` when the node lets no one load scripts. */
  readonly command: string;
  /** The script or function that the call runs; undefined for any other command. */
  readonly script: ScriptInfo | undefined;
  /** Whether an ASKING is in front of the command. */
  readonly asking: boolean;
  /** Present when the call is sent once more while its last attempt is under way, by `hedge` of `with`. */
  readonly hedge?: true;
  /** Whether a SCRIPT LOAD or FUNCTION LOAD is in front of the command. */
  readonly loads: boolean;
  /** The bytes of the command, including its ASKING. */
  readonly bytes: number;
  /** The bytes of the load in front of the command; 0 without a load. */
  readonly loadBytes: number;
}

/** The message of the channel `slotwire:wait`. */
export interface WaitMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The context of the call in `slotwire:command`; undefined for a watching transaction. */
  readonly call: CommandContext | undefined;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** Milliseconds from the attempt to its write; for a watching transaction, until it had a connection. */
  readonly waitedMs: number;
}

/** The message of the channel `slotwire:redirection`. */
export interface RedirectionMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The context of the call in `slotwire:command`. */
  readonly call: CommandContext;
  /** The number of the attempt that was refused, from 1. */
  readonly attempt: number;
  /** The node that refused the call, as announced. */
  readonly address: string;
  /** The slot of the call, 0 to 16383; -1 for a call without keys. */
  readonly slot: number;
  /** `MOVED`, `ASK`, `NOSCRIPT`, `TRYAGAIN`, `CLUSTERDOWN` and so on, or `LOST` when the connection was lost. */
  readonly kind: string;
  /** The name of the row of the decision: `moved-known`, `noscript-load` and so on. src/README.md lists the rows. */
  readonly row: string;
  /** The address that a MOVED or ASK names. */
  readonly to: string | undefined;
  /** The server's text, which is one of the texts that slotwire knows; empty for `LOST`. */
  readonly text: string;
}

/** The message of the channel `slotwire:script-missing`. */
export interface ScriptMissingMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The context, in `slotwire:command`, of the call that found the script missing; undefined if no call found it. */
  readonly call: CommandContext | undefined;
  /** The number of the attempt that found the script missing, from 1. */
  readonly attempt: number | undefined;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** The script or library that the node did not have. */
  readonly script: ScriptInfo;
}

/** The message of the channel `slotwire:preload`. */
export interface PreloadMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /** The number of scripts and libraries that the node is now believed to hold. */
  readonly loaded: number;
  /** The number of scripts and libraries that the node should hold but does not. */
  readonly failed: number;
  /** Those that the node is now believed to hold. */
  readonly held: readonly ScriptInfo[];
  /** Those that it should hold but does not. */
  readonly missing: readonly ScriptInfo[];
}

/** A range of slots whose owner changed, in `TopologyMessage`. */
export interface MovedSlots {
  /** The first slot, from 0. */
  readonly start: number;
  /** The last slot, up to 16383. It belongs to the range. */
  readonly end: number;
  /** The address of the owner of before; undefined for none. */
  readonly from: string | undefined;
  /** The address of the new owner; undefined for none. */
  readonly to: string | undefined;
}

/**
 * The message of the channel `slotwire:topology`. All addresses are as announced. It is published before anything that
 * follows from the change, and never without a change. The first one is that of `connect`.
 */
export interface TopologyMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** How the client knows: from `connect`, from a refresh, or from the word of a node (MOVED). */
  readonly reason: "first" | "refreshed" | "moved";
  /** All nodes of the new topology. */
  readonly nodes: readonly {
    /** The node's address as `host:port`. */
    readonly address: string;
    /** The node's role. A primary does not need to own a slot. */
    readonly role: "primary" | "replica";
    /** The node's id in the cluster. Empty for a single server without cluster mode. */
    readonly id: string;
    /** The address of a replica's primary, if the cluster names it. Undefined for a primary. */
    readonly primary: string | undefined;
    /** The node's health as the cluster sees it. */
    readonly health: "online" | "loading" | "fail";
  }[];
  /** The addresses of nodes that are new. */
  readonly added: readonly string[];
  /** The addresses of nodes that are gone. */
  readonly removed: readonly string[];
  /** The addresses of nodes that were replicas and are primaries now. */
  readonly promoted: readonly string[];
  /** The addresses of nodes that were there before, with another role, id, primary or health. */
  readonly changed: readonly string[];
  /** The slots whose owner changed, in ascending ranges. */
  readonly moved: readonly MovedSlots[];
  /** The number of slots whose owner changed; losing the owner and getting a first one count too. */
  readonly movedSlots: number;
  /** Entries of the server's description that name no usable node, as in `topology.leftOut`. */
  readonly leftOut: readonly {
    /** The entry's id, printable. */
    readonly entry: string;
    /** What is wrong with the entry. */
    readonly why: string;
  }[];
}

/**
 * A topic in a message: what a server can be asked to send. It has no name, because the names of channels contain what
 * those of keys do. All messages of a client about the same topic have the same object.
 */
export interface TopicInfo {
  /** What the client subscribes with: SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE, or, at every primary, PSUBSCRIBE. */
  readonly kind: "channel" | "pattern" | "shard" | "keyspace";
  /** The slot of a sharded channel, 0 to 16383; -1 for other topics. */
  readonly slot: number;
}

/** The message of the channel `slotwire:topic`. */
export interface TopicMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The topic, without its name. */
  readonly topic: TopicInfo;
  /** The address of the node as `host:port`, as announced. */
  readonly address: string;
  /**
   * What happened there. `asked`, `confirmed`, `left`: by the client's wish. `ended`: by the server, unasked. `refused`:
   * it does not send the topic, or not now. `lost`: with the connection.
   */
  readonly event: "asked" | "confirmed" | "refused" | "left" | "ended" | "lost";
  /** For a refusal, the name of the row of the decision: `moved-known`, `noperm` and so on. Otherwise undefined. */
  readonly row: string | undefined;
}

/** The message of the channel `slotwire:message`. */
export interface SubscribedMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The topic that the message belongs to, without its name. */
  readonly topic: TopicInfo;
  /** The address of the node that sent it as `host:port`, as announced. */
  readonly address: string;
  /** The number of subscriptions that get it. */
  readonly subscriptions: number;
}

/** The message of the channel `slotwire:gap`. It is published when a gap begins, and once more when it ends. */
export interface GapMessage {
  /** The number of the message. */
  readonly seq: number;
  /** The client that the message is about. */
  readonly client: ClientInfo;
  /** The topics of which messages may have been missed, without their names. */
  readonly topics: readonly TopicInfo[];
  /** Why. The type `GapReason` says what each reason means. An `overflow` is that of one subscription. */
  readonly reason: "connection-lost" | "node-silent" | "slot-moved" | "node-left" | "node-joined" | "overflow";
  /** When it began, in milliseconds since 1970: as `Gap.from`. */
  readonly from: number;
  /** When it ended, in milliseconds since 1970; null when it begins. */
  readonly to: number | null;
}

/** The connections of one node, in `CollectMessage`. */
export interface ConnectionFigures {
  /** The node's address as `host:port`, as announced. */
  readonly address: string;
  /** The number of open connections that await no reply. */
  readonly idle: number;
  /** The number of open connections that await a reply, or belong to a watching transaction. */
  readonly used: number;
  /** The number of requests that are not written yet. */
  readonly queued: number;
}

/** The message of the channel `slotwire:collect`. A listener publishes it, and the clients answer. */
export interface CollectMessage {
  /**
   * Called once by each client that is open, before `publish` returns. `cache` is as in `metrics()`; undefined for a client
   * without a cache.
   */
  readonly add: (client: ClientInfo, nodes: readonly ConnectionFigures[], cache?: CacheMetrics) => void;
}
