import { ReplyError } from "../errors.ts";
import { isSaidUnasked } from "../protocol/error-reply.ts";
import { type ConnectContext, connectChannel, isHeard, traced } from "../telemetry/channels.ts";
import { Connection, type ConnectionSettings } from "./connection.ts";
import { askForLogin, greet } from "./handshake.ts";
import { explained, NO_CONNECTION, NotInTime } from "./open-failure.ts";
import { setPatience } from "./signs-of-life.ts";

/** Gets a connection before it is open, so that it can be closed early. */
export type OnCreated = (connection: Connection) => void;

/**
 * Opens a connection and completes its handshake, within `connectTimeoutMs`.
 * @param attempt  Counts the tries since the last success, for listeners on the channel.
 * @throws {AuthError} The credentials were refused, or are needed.
 * @throws {Error}     What `locate` throws; the socket's own error, a timeout, or a `ReplyError` of a server that is not
 *                     ready (LOADING, BUSY).
 */
export async function openConnection(
  given: ConnectionSettings,
  onCreated?: OnCreated,
  attempt = 1,
): Promise<Connection> {
  const { locate, telemetry, address, readOnly } = given;
  const settings = locate === undefined ? given : { ...given, endpoint: { ...given.endpoint, ...locate() } };
  const id = telemetry?.connections.nextId() ?? 0;
  let connection: Connection;
  if (telemetry === undefined || !isHeard(connectChannel)) connection = await open(settings, id, onCreated);
  else {
    const { host, port } = settings.endpoint;
    const where = { address, endpoint: { host, port }, attempt, readOnly };
    const context: ConnectContext = { seq: 0, id, client: telemetry.client, ...where };
    connection = await traced(connectChannel, context, () => open(settings, id, onCreated));
  }
  connection.noteOpened(readOnly);
  return connection;
}

async function open(settings: ConnectionSettings, id: number, onCreated?: OnCreated): Promise<Connection> {
  const { connectTimeoutMs, credentials, endpoint, environment, handshake = greet, telemetry } = settings;
  const { clock } = environment;
  const started = clock.now();
  const connection = new Connection(settings, id);
  onCreated?.(connection);
  let isGreeted = false;
  const timer = setPatience(clock, connectTimeoutMs, () => {
    const within = `within ${connectTimeoutMs} ms`;
    if (!connection.wasOpen) connection.close(new NotInTime(`${NO_CONNECTION} ${within}`));
    else if (isGreeted) connection.close(new NotInTime(`no answer to the handshake ${within}`));
    else connection.close(new Error(`no credentials from their provider ${within}`));
  });
  try {
    const ready = Promise.all([connection.opened, askForLogin(credentials)]);
    const [, login] = await Promise.race([ready, connection.gone]);
    isGreeted = true;
    connection.standing = await handshake((...commands) => connection.exchange(...commands), login, settings);
    connection.openedInMs = Math.min(clock.now() - started, timer.listenedMs);
    if (telemetry !== undefined) telemetry.counters.connectionsOpened++;
    return connection;
  } catch (error) {
    connection.close(error as Error);
    if (telemetry !== undefined) telemetry.counters.connectionFailures++;
    const { wasOpen } = connection;
    const isOnlyAnnounced = settings.isOnlyAnnounced?.() === true;
    // The server's own words come before the failure of a write to the connection that it closed.
    const wasTold = error instanceof ReplyError && isSaidUnasked(error.reply);
    throw explained(wasTold ? error : (connection.cause as Error), {
      tls: endpoint.tls !== undefined,
      wasOpen,
      isOnlyAnnounced,
    });
  } finally {
    timer.cancel();
  }
}

/**
 * Opens a connection and has it prepared.
 * @param prepare  Resolves to false if it keeps the connection for itself. Then another one is opened.
 * @param open     A connection that is open already, and is only to be prepared.
 * @throws As `openConnection`, and whatever `prepare` throws.
 */
export async function openPrepared(
  settings: ConnectionSettings,
  prepare: (connection: Connection) => Promise<boolean>,
  onCreated: OnCreated,
  attempt: number,
  open?: Connection,
): Promise<Connection> {
  for (let opened = open; ; opened = undefined) {
    if (opened !== undefined) onCreated(opened);
    const connection = opened ?? (await openConnection(settings, onCreated, attempt));
    try {
      const isFree = await Promise.race([prepare(connection), connection.gone]);
      if (!isFree) continue;
      if (connection.closed) throw new Error("the connection was lost while it was prepared");
      return connection;
    } catch (error) {
      connection.close(error as Error);
      throw error;
    }
  }
}
