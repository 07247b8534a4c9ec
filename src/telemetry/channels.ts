import { type Channel, channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import { DeadlineError, ReplyError } from "../errors.ts";
import type { CacheMessage } from "./cache-messages.ts";
import type {
  AttemptMessage,
  BatchContext,
  CollectMessage,
  CommandContext,
  ConnectContext,
  GapMessage,
  OperationContext,
  PreloadMessage,
  RedirectionMessage,
  ScriptMissingMessage,
  SubscribedMessage,
  TopicMessage,
  TopologyMessage,
  WaitMessage,
} from "./messages.ts";
import { nextSeq } from "./sequence.ts";
import type {
  AnswerMessage,
  AuditMessage,
  DecisionMessage,
  DisconnectMessage,
  LoadMessage,
  RefreshMessage,
  WrittenMessage,
} from "./study-messages.ts";

export type { CacheDropReason, CacheLossReason, CacheMessage, CacheMetrics } from "./cache-messages.ts";
export type {
  AttemptMessage,
  BatchContext,
  ClientInfo,
  CollectMessage,
  CommandContext,
  ConnectContext,
  ConnectionFigures,
  GapMessage,
  MovedSlots,
  OperationContext,
  PreloadMessage,
  RedirectionMessage,
  ScriptInfo,
  ScriptMissingMessage,
  SubscribedMessage,
  TopicInfo,
  TopicMessage,
  TopologyMessage,
  WaitMessage,
} from "./messages.ts";
export type {
  AnswerMessage,
  AuditMessage,
  AuditReason,
  DecisionMessage,
  DisconnectMessage,
  DisconnectReason,
  LoadMessage,
  LoadReason,
  RefreshMessage,
  RefreshReason,
  WrittenMessage,
} from "./study-messages.ts";

/*
 * The channels of `node:diagnostics_channel` on which slotwire publishes. Without listeners they cost a few comparisons
 * per call.
 *
 *   slotwire:batch     start ------------------------------------------------------------> asyncEnd
 *   slotwire:command     start -----------------------------------------------> (error) -> asyncEnd     one per call
 *   slotwire:attempt       published                             published                              one per attempt
 *   slotwire:written         published                             published                            one per write
 *   slotwire:wait            published                             published                            one per write
 *   slotwire:answer            published                             published                          one per answer
 *   slotwire:decision            published
 *   slotwire:redirection           published, or script-missing
 *
 *   slotwire:connect   start ---------> asyncEnd                         slotwire:disconnect  published    one per connection
 *   slotwire:load              begun --> held, refused or lost                                           one per load
 *   slotwire:audit           published                                                                   one per question
 *   slotwire:refresh   begun -----------------> ended                                                    one per refresh
 *   slotwire:topology              published                                                             one per change
 *
 *   slotwire:topic       asked --> confirmed ---------------------------------> lost    asked --> confirmed    one per node
 *   slotwire:message                   one per message                                        one per message
 *   slotwire:gap                                                      begun                   ended
 *
 *   slotwire:cache       published                                                                       one per cause
 *
 * Messages contain names, addresses and numbers, but no key, channel, argument, reply, payload or source.
 * `CommandContext` says what errors contain. A message is published before anything that follows from it, and its `seq` is
 * its place among all messages of the process.
 */

/** The names of the channels. For a tracing channel, it is the name that `tracingChannel(name)` takes. */
export const CHANNELS = Object.freeze({
  /**
   * Tracing: a call of `run`, `command`, a batch or a transaction, until it settles. A command that is sent in parts or
   * to many nodes is one call for each part or node. The queries that a scan, a WAIT or an unlisted command sends are
   * calls too, and so are the commands on the connection of a watching transaction.
   */
  command: "slotwire:command",
  /** Tracing: the `exec` of a batch or a transaction. */
  batch: "slotwire:batch",
  /** Tracing: a whole scan, from its first key to its end, or a WAIT. */
  operation: "slotwire:operation",
  /** Tracing: the opening of one connection: TCP, TLS and handshake. */
  connect: "slotwire:connect",
  /** A call was handed to a connection. It is written at the end of the tick, or when the connection is open. */
  attempt: "slotwire:attempt",
  /** A call that was handed to a connection has been written, or a watching transaction got its connection. */
  wait: "slotwire:wait",
  /** A call is written: its bytes are handed to the socket in this very job. A call that waits for a connection is not. */
  written: "slotwire:written",
  /** A node has answered a call, with its reply or with an error. */
  answer: "slotwire:answer",
  /** The decision table was asked what follows a refusal or a loss, or where no node can be given. */
  decision: "slotwire:decision",
  /** A node refused a call, and the call is sent again. */
  redirection: "slotwire:redirection",
  /** A node did not have a script. The script is loaded, and the call is sent again. */
  scriptMissing: "slotwire:script-missing",
  /** The load of a script or library has begun, or has ended. */
  load: "slotwire:load",
  /** A node has said which scripts it has, or the client believes something else of them by another way than a load. */
  audit: "slotwire:audit",
  /** Before the first call on a connection, the scripts that the node lacked were loaded over it. */
  preload: "slotwire:preload",
  /** The topology changed. */
  topology: "slotwire:topology",
  /** The topology is asked for, or was. */
  refresh: "slotwire:refresh",
  /** A connection that was open has ended. */
  disconnect: "slotwire:disconnect",
  /** A node was asked for a topic, has confirmed or refused it, or does not send it any more. */
  topic: "slotwire:topic",
  /** A message of a topic has arrived, and is about to be delivered. */
  message: "slotwire:message",
  /** A gap of topics has begun, or has ended. */
  gap: "slotwire:gap",
  /** Replies that were kept have ended, or nothing is kept of what a node answers. A hit is not told. */
  cache: "slotwire:cache",
  /** The other way round: a listener asks all clients of the process for the figures of their connections. */
  collect: "slotwire:collect",
});

type Tracing<C extends object> = TracingChannel<unknown, C>;
type Listened = Record<"start" | "end" | "asyncStart" | "asyncEnd" | "error", { readonly hasSubscribers: boolean }>;

const point = <M>(name: string) => channel(name) as Channel<unknown, unknown> as Channel<unknown, M>;

export const commandChannel: Tracing<CommandContext> = tracingChannel(CHANNELS.command);
export const batchChannel: Tracing<BatchContext> = tracingChannel(CHANNELS.batch);
export const connectChannel: Tracing<ConnectContext> = tracingChannel(CHANNELS.connect);
export const operationChannel: Tracing<OperationContext> = tracingChannel(CHANNELS.operation);
export const attemptChannel = point<AttemptMessage>(CHANNELS.attempt);
export const waitChannel = point<WaitMessage>(CHANNELS.wait);
export const writtenChannel = point<WrittenMessage>(CHANNELS.written);
export const answerChannel = point<AnswerMessage>(CHANNELS.answer);
export const decisionChannel = point<DecisionMessage>(CHANNELS.decision);
export const loadChannel = point<LoadMessage>(CHANNELS.load);
export const auditChannel = point<AuditMessage>(CHANNELS.audit);
export const refreshChannel = point<RefreshMessage>(CHANNELS.refresh);
export const disconnectChannel = point<DisconnectMessage>(CHANNELS.disconnect);
export const redirectionChannel = point<RedirectionMessage>(CHANNELS.redirection);
export const scriptMissingChannel = point<ScriptMissingMessage>(CHANNELS.scriptMissing);
export const preloadChannel = point<PreloadMessage>(CHANNELS.preload);
export const topologyChannel = point<TopologyMessage>(CHANNELS.topology);
export const topicChannel = point<TopicMessage>(CHANNELS.topic);
export const messageChannel = point<SubscribedMessage>(CHANNELS.message);
export const gapChannel = point<GapMessage>(CHANNELS.gap);
export const cacheChannel = point<CacheMessage>(CHANNELS.cache);
export const collectChannel = point<CollectMessage>(CHANNELS.collect);

/**
 * Whether a tracing channel has subscribers. The first versions of Node 20 have no `hasSubscribers` on tracing
 * channels.
 */
export function isHeard({ start, end, asyncStart, asyncEnd, error }: Listened): boolean {
  return (
    start.hasSubscribers ||
    end.hasSubscribers ||
    asyncStart.hasSubscribers ||
    asyncEnd.hasSubscribers ||
    error.hasSubscribers
  );
}

/** Whether any channel about single calls has subscribers. Checked once per call, when the call is made. */
export function areCallsHeard(): boolean {
  return (
    isHeard(commandChannel) ||
    attemptChannel.hasSubscribers ||
    redirectionChannel.hasSubscribers ||
    waitChannel.hasSubscribers ||
    writtenChannel.hasSubscribers ||
    answerChannel.hasSubscribers ||
    decisionChannel.hasSubscribers
  );
}

/** Whether anybody listens for writes, or for what is told with the connection of a write. Asked once for each write. */
export function areWritesHeard(): boolean {
  return waitChannel.hasSubscribers || writtenChannel.hasSubscribers;
}

/**
 * Publishes the course of `what` as `tracePromise` does, but without the result, because the result can contain data of
 * the application.
 */
export function traced<T, C extends { seq?: number; error?: Error }>(
  { start, end, asyncStart, asyncEnd, error }: Tracing<C>,
  context: C,
  what: () => Promise<T>,
): Promise<T> {
  const settle = () => {
    context.seq = nextSeq();
    asyncStart.publish(context);
    context.seq = nextSeq();
    asyncEnd.publish(context);
  };
  context.seq = nextSeq();
  return start.runStores(context, () => {
    const promise = what().then(
      (value) => {
        settle();
        return value;
      },
      (failure: Error) => {
        context.error = presentable(failure);
        context.seq = nextSeq();
        error.publish(context);
        settle();
        throw failure;
      },
    );
    context.seq = nextSeq();
    end.publish(context);
    return promise;
  });
}

/** The error as it may be published: without the text of a server or script, which can quote arguments and source. */
export function presentable(error: Error): Error {
  if (error instanceof DeadlineError) {
    return new DeadlineError(error.timeoutMs, error.outcome, undefined, error.waited);
  }
  if (!(error instanceof ReplyError)) return error;
  const [word = ""] = error.reply.split(" ", 1);
  const status = /^[A-Z][A-Z0-9_]{0,31}$/.test(word) ? word : "ERR";
  return new ReplyError(status, error.outcome, error.script === undefined ? undefined : { script: error.script });
}
