import type { Attributes } from "@opentelemetry/api";
import { ReplyError, SlotwireError } from "../../errors.ts";
import type {
  BatchContext,
  ClientInfo,
  CommandContext,
  GapMessage,
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
  return { "error.type": error instanceof SlotwireError ? error.code : error.name };
}

function procedure(name: string | undefined): Attributes {
  return name === undefined ? {} : { "db.stored_procedure.name": name };
}

function serverAttributes(client: ClientInfo): Attributes {
  return { "db.system.name": "redis", "db.namespace": String(client.database), ...addressAttributes(client) };
}

const addresses = new WeakMap<ClientInfo, Attributes>();

/** The seeds of `connect`. If they share a port: `a,b`, and the port as `server.port`. Otherwise: `a:7000,b:7001`. */
function addressAttributes(client: ClientInfo): Attributes {
  let attributes = addresses.get(client);
  if (attributes === undefined) {
    const seeds = client.seeds.map(parted);
    const [port, ...others] = new Set(seeds.map(([, each]) => each));
    const address = others.length === 0 ? [...new Set(seeds.map(([host]) => host))].join(",") : client.seeds.join(",");
    attributes = { "server.address": address };
    if (others.length === 0 && port !== 0) attributes["server.port"] = port;
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
