import { type Channel, channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import { DeadlineError, ReplyError } from "../errors.ts";

/*
 * What slotwire tells whoever listens on `node:diagnostics_channel`. Nobody listening costs a few comparisons a call.
 *
 *   slotwire:batch     start ------------------------------------------------------------> asyncEnd
 *   slotwire:command     start -----------------------------------------------> (error) -> asyncEnd     one a call
 *   slotwire:attempt       published                      published                                     one a hop
 *   slotwire:redirection              published, or script-missing
 *
 * Messages hold names, addresses and numbers: no key, argument, reply or source. Errors are as told at `CommandContext`.
 */

/** The names of the channels. Those of tracing channels are what `tracingChannel(name)` takes. */
export const CHANNELS = Object.freeze({
  /**
   * Tracing: a call from `run`, `command`, a batch or a transaction, until it settles. A command that goes in parts, or to
   * many nodes, is one for each part or node; what a scan, a WAIT or an unlisted command asks servers is told, too. What
   * goes over the connection of a watching transaction is not: its end is told by `batch`.
   */
  command: "slotwire:command",
  /** Tracing: `exec` of a batch or transaction. */
  batch: "slotwire:batch",
  /** Tracing: one connection's TCP, TLS and handshake. */
  connect: "slotwire:connect",
  /** A call was handed to a connection; written at the end of the tick, or when there is a connection. */
  attempt: "slotwire:attempt",
  /** A node refused a call, which is sent again. */
  redirection: "slotwire:redirection",
  /** A node did not have a script, which is loaded and the call sent again. */
  scriptMissing: "slotwire:script-missing",
  /** A connection was given the scripts that the node lacked, before its first call. */
  preload: "slotwire:preload",
  /** The topology changed. */
  topology: "slotwire:topology",
});

/** The client that a message is about: one object for each `connect`. */
export interface ClientInfo {
  /** Addresses given to `connect`, without credentials. */
  readonly seeds: readonly string[];
  /** `connectionName`. */
  readonly name: string | undefined;
}

/** A script in a message. */
export interface ScriptInfo {
  /** As defined. */
  readonly name: string;
  /** SHA-1 of the source; of a function: of its library. */
  readonly sha: string;
}

/**
 * The context of `slotwire:command`. `error` is the error that the caller gets; in place of a `ReplyError` one with the
 * first word of the server's text only, since servers and scripts quote arguments. There is no `result`.
 */
export interface CommandContext {
  /** Whose it is. */
  readonly client: ClientInfo;
  /** The name of the command as it is sent: `EVALSHA`, `FCALL`, `GET`; `MULTI` for a whole transaction. */
  readonly command: string;
  /** Of a script or function that is run. */
  readonly script: ScriptInfo | undefined;
  /** 0 to 16383, or -1 without keys. */
  readonly slot: number;
  /** The batch or transaction that the call is of. */
  readonly batch: BatchContext | undefined;
  /** How often it has been handed to a connection. */
  attempts: number;
  /** The node of the last attempt, as announced. */
  address: string | undefined;
  /** When it failed, at `error` and `asyncEnd`. */
  error?: Error;
}

/** The context of `slotwire:batch`. `error` as in `CommandContext`; errors of single calls are no error of a batch. */
export interface BatchContext {
  /** Whose it is. */
  readonly client: ClientInfo;
  /** What was executed. */
  readonly operation: "batch" | "transaction";
  /** Calls in it, those in parts by their parts; without those for many nodes, which are told on their own. */
  readonly size: number;
  /** The names of their commands, each once. */
  readonly commands: readonly string[];
  /** Their script, when all are calls of one. */
  readonly script: ScriptInfo | undefined;
  /** Of a transaction. */
  readonly slot: number | undefined;
  /** When it failed as a whole. */
  error?: Error;
}

/** The context of `slotwire:connect`. */
export interface ConnectContext {
  /** Whose it is. */
  readonly client: ClientInfo;
  /** The node as announced. */
  readonly address: string;
  /** Where the connection goes, after `natMap`. */
  readonly endpoint: {
    /** A name or an address. */
    readonly host: string;
    /** 1 to 65535. */
    readonly port: number;
  };
  /** 1 for the first try, or the first after a connection that was usable. */
  readonly attempt: number;
  /** For reads from a replica only. */
  readonly readOnly: boolean;
  /** Why it could not be opened. */
  error?: Error;
}

/** What `slotwire:attempt` publishes. */
export interface AttemptMessage {
  /** The context of the call in `slotwire:command`. */
  readonly call: CommandContext;
  /** From 1. */
  readonly attempt: number;
  /** The node as announced. */
  readonly address: string;
  /** 0 to 16383, or -1 without keys. */
  readonly slot: number;
  /** As sent by this attempt: `EVAL` where a node lets nobody load scripts. */
  readonly command: string;
  /** Of a script or function that is run. */
  readonly script: ScriptInfo | undefined;
  /** Behind an ASKING. */
  readonly asking: boolean;
  /** Behind a SCRIPT LOAD, or FUNCTION LOAD. */
  readonly loads: boolean;
  /** Of the command, with its ASKING. */
  readonly bytes: number;
  /** Of the load in front. */
  readonly loadBytes: number;
}

/** What `slotwire:redirection` publishes. */
export interface RedirectionMessage {
  /** The context of the call in `slotwire:command`. */
  readonly call: CommandContext;
  /** The attempt that was refused. */
  readonly attempt: number;
  /** The node that refused it, as announced. */
  readonly address: string;
  /** 0 to 16383, or -1 without keys. */
  readonly slot: number;
  /** `MOVED`, `ASK`, `NOSCRIPT`, `TRYAGAIN`, `CLUSTERDOWN`, ...; `LOST` when the connection went. */
  readonly kind: string;
  /** The name of the decision's row: `moved-known`, `noscript-load`, ...; they are listed in src/README.md. */
  readonly row: string;
  /** Where MOVED and ASK lead. */
  readonly to: string | undefined;
  /** The server's words, which are one of those that slotwire knows; empty for `LOST`. */
  readonly text: string;
}

/** What `slotwire:script-missing` publishes. */
export interface ScriptMissingMessage {
  /** Whose it is. */
  readonly client: ClientInfo;
  /** The context of the call that found out in `slotwire:command`, if one did. */
  readonly call: CommandContext | undefined;
  /** The attempt that found out. */
  readonly attempt: number | undefined;
  /** The node as announced. */
  readonly address: string;
  /** What the node did not have. */
  readonly script: ScriptInfo;
}

/** What `slotwire:preload` publishes. */
export interface PreloadMessage {
  /** Whose it is. */
  readonly client: ClientInfo;
  /** The node as announced. */
  readonly address: string;
  /** Scripts and libraries that the node is believed to hold now. */
  readonly loaded: number;
  /** Those that it should hold and does not. */
  readonly failed: number;
}

/** What `slotwire:topology` publishes. Addresses as announced. */
export interface TopologyMessage {
  /** Whose it is. */
  readonly client: ClientInfo;
  /** All that there are now. */
  readonly nodes: readonly {
    /** As announced. */
    readonly address: string;
    /** A primary may own no slot. */
    readonly role: "primary" | "replica";
  }[];
  /** Nodes that were not there before. */
  readonly added: readonly string[];
  /** Nodes that are there no more. */
  readonly removed: readonly string[];
  /** Replicas that are primaries now. */
  readonly promoted: readonly string[];
  /** How many slots have another owner, or none, now. */
  readonly movedSlots: number;
}

type Tracing<C extends object> = TracingChannel<unknown, C>;
type Listened = Record<"start" | "end" | "asyncStart" | "asyncEnd" | "error", { readonly hasSubscribers: boolean }>;

const point = <M>(name: string) => channel(name) as Channel<unknown, unknown> as Channel<unknown, M>;

export const commandChannel: Tracing<CommandContext> = tracingChannel(CHANNELS.command);
export const batchChannel: Tracing<BatchContext> = tracingChannel(CHANNELS.batch);
export const connectChannel: Tracing<ConnectContext> = tracingChannel(CHANNELS.connect);
export const attemptChannel = point<AttemptMessage>(CHANNELS.attempt);
export const redirectionChannel = point<RedirectionMessage>(CHANNELS.redirection);
export const scriptMissingChannel = point<ScriptMissingMessage>(CHANNELS.scriptMissing);
export const preloadChannel = point<PreloadMessage>(CHANNELS.preload);
export const topologyChannel = point<TopologyMessage>(CHANNELS.topology);

/** Whether anybody listens. Tracing channels of the first Nodes 20 do not say so themselves. */
export function isHeard({ start, end, asyncStart, asyncEnd, error }: Listened): boolean {
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  );
}

/** Whether anybody wants to know about single calls. Asked once a call, when it is made. */
export function areCallsHeard(): boolean {
  return isHeard(commandChannel) || attemptChannel.hasSubscribers || redirectionChannel.hasSubscribers;
}

/** Publishes the course of `what`, as `tracePromise` does, but without its result: that is what an application stores. */
export function traced<T, C extends { error?: Error }>(
  { start, end, asyncStart, asyncEnd, error }: Tracing<C>,
  context: C,
  what: () => Promise<T>,
): Promise<T> {
  const settle = () => {
    asyncStart.publish(context);
    asyncEnd.publish(context);
  };
  return start.runStores(context, () => {
    const promise = what().then(
      (value) => {
        settle();
        return value;
      },
      (failure: Error) => {
        context.error = presentable(failure);
        error.publish(context);
        settle();
        throw failure;
      },
    );
    end.publish(context);
    return promise;
  });
}

/** The error itself, unless it holds words of a server or script, which can quote arguments and source. */
export function presentable(error: Error): Error {
  if (error instanceof DeadlineError) return new DeadlineError(error.timeoutMs, error.outcome);
  if (!(error instanceof ReplyError)) return error;
  const [word = ""] = error.reply.split(" ", 1);
  const status = /^[A-Z][A-Z0-9_]{0,31}$/.test(word) ? word : "ERR";
  return new ReplyError(status, error.outcome, error.script === undefined ? undefined : { script: error.script });
}
