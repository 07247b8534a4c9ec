import type { Attributes } from "@opentelemetry/api";
import { DeadlineError, ReplyError, SlotwireError } from "../../errors.ts";
import type {
  BatchContext,
  ClientInfo,
  CommandContext,
  GapMessage,
  OperationContext,
  SubscribedMessage,
  TopicInfo,
} from "../channels.ts";

/*
 * Attributes by the stable semantic conventions for database clients, including the rules for Redis, and by the
 * conventions for messaging, which are in development. There is no `messaging.destination.name`, because the names of
 * channels can be of any number.
 * @see https://opentelemetry.io/docs/specs/semconv/db/redis/
 * @see https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/
 */

/** The attributes that are known when a call begins. */
export function commandAttributes({ client, command, script }: CommandContext): Attributes {
  return { ...serverAttributes(client), "db.operation.name": command, ...procedure(script?.name) };
}

/** The attributes that are known when a batch begins. A batch of a single call is named like that call. */
export function batchAttributes({ client, operation, size, commands, script }: BatchContext): Attributes {
  const [only] = commands.length === 1 ? commands : [];
  const word = operation === "batch" ? "PIPELINE" : "MULTI";
  const name = only === undefined ? word : size === 1 ? only : `${word} ${only}`;
  return {
    ...serverAttributes(client),
    "db.operation.name": name,
    ...procedure(script?.name),
    ...(size === 1 ? {} : { "db.operation.batch.size": size }),
  };
}

/** The attributes that are known when a scan or a WAIT begins. */
export function operationAttributes({ client, command }: OperationContext): Attributes {
  return { ...serverAttributes(client), "db.operation.name": command };
}

type PoolAttributes = { readonly "db.client.connection.pool.name": string };
const poolsOf = new WeakMap<ClientInfo, Map<string, PoolAttributes>>();

/** The pool is all connections to a node with one database, named as the conventions advise. Kept, as each call needs it. */
export function poolAttributes(client: ClientInfo, address: string): PoolAttributes {
  let pools = poolsOf.get(client);
  if (pools === undefined) {
    pools = new Map();
    poolsOf.set(client, pools);
  }
  let attributes = pools.get(address);
  if (attributes === undefined) {
    attributes = { "db.client.connection.pool.name": `${address}/${client.database}` };
    pools.set(address, attributes);
  }
  return attributes;
}

/** The operation is the word with which the server sends a message. */
const SENT_AS: Readonly<Record<TopicInfo["kind"], string>> = {
  channel: "message",
  pattern: "pmessage",
  shard: "smessage",
  keyspace: "pmessage",
};

const topics = new WeakMap<TopicInfo, Attributes>();

/** The attributes of a message that was delivered. */
export function messageAttributes({ client, topic }: SubscribedMessage): Attributes {
  let attributes = topics.get(topic);
  if (attributes === undefined) {
    attributes = { ...MESSAGING, "messaging.operation.name": SENT_AS[topic.kind], ...addressAttributes(client) };
    topics.set(topic, attributes);
  }
  return attributes;
}

/** The attributes of a gap. */
export function gapAttributes({ client, reason }: GapMessage): Attributes {
  return { ...MESSAGING, "slotwire.gap.reason": reason, ...addressAttributes(client) };
}

const MESSAGING: Attributes = { "messaging.system": "redis" };

/** The span's name, such as `EVALSHA take` or `GET`. */
export function spanName(attributes: Attributes): string {
  const procedureName = attributes["db.stored_procedure.name"];
  const operation = String(attributes["db.operation.name"]);
  return procedureName === undefined ? operation : `${operation} ${procedureName}`;
}

/** The attributes of the node that was asked last. */
export function peerAttributes(address: string | undefined): Attributes {
  if (address === undefined) return {};
  const [host, port] = parted(address);
  if (port === 0) return { "network.transport": "unix", "network.peer.address": host };
  return { "network.peer.address": host, "network.peer.port": port };
}

/** `error.type` is the first word of a server's error, or the code of another error of slotwire. */
export function errorAttributes(error: Error): Attributes {
  if (error instanceof ReplyError) return { "db.response.status_code": error.reply, "error.type": error.reply };
  if (error instanceof DeadlineError) return { "error.type": error.code, "slotwire.deadline.waited": error.waited };
  return { "error.type": error instanceof SlotwireError ? error.code : error.name };
}

/** The attributes of a deadline that passed; undefined for other errors. */
export function deadlineAttributes(client: ClientInfo, error: Error): Attributes | undefined {
  if (!(error instanceof DeadlineError)) return undefined;
  return { ...serverAttributes(client), "slotwire.deadline.waited": error.waited };
}

function procedure(name: string | undefined): Attributes {
  return name === undefined ? {} : { "db.stored_procedure.name": name };
}

/** The attributes of a client's calls. */
export function serverAttributes(client: ClientInfo): Attributes {
  return { "db.system.name": "redis", "db.namespace": String(client.database), ...addressAttributes(client) };
}

const addresses = new WeakMap<ClientInfo, Attributes>();

/**
 * The first seed of `connect`. The conventions want one address, known when a span begins, and the first seed names the
 * cluster, whatever node is asked. That node is the peer.
 */
function addressAttributes(client: ClientInfo): Attributes {
  let attributes = addresses.get(client);
  if (attributes === undefined) {
    const [host, port] = parted(client.seeds[0] ?? "");
    attributes = { "server.address": host, ...(port === 0 ? {} : { "server.port": port }) };
    addresses.set(client, attributes);
  }
  return attributes;
}

/** The path of a socket file has the port 0. */
function parted(address: string): [host: string, port: number] {
  const at = address.lastIndexOf(":");
  if (!/^\d{1,5}$/.test(address.slice(at + 1))) return [address, 0];
  return [address.slice(0, at).replace(/^\[(.*)\]$/, "$1"), Number(address.slice(at + 1))];
}
