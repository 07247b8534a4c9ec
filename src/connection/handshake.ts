import { AuthError, InvalidArgumentError, ReplyError } from "../errors.ts";
import { isAuthFailure, isSaidUnasked, parseErrorReply } from "../protocol/error-reply.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import { VERSION } from "../telemetry/library-version.ts";
import { introductionOf, isNodeId, verifyIdentity, WHO_ARE_YOU } from "./identity.ts";
import { HOW_AM_I_KNOWN, runIdIn, type Standing, standingIn, WHICH_PROCESS } from "./standing.ts";

/** The name and password that a connection logs in with. */
export interface Login {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** The credentials' provider failed. The server has refused nothing, so another try may work; but not at once. */
export class CredentialsError extends Error {
  /** The error's text has the kind of the failure alone: the application's own words, in `cause`, can hold secrets. */
  static of(cause: unknown): CredentialsError {
    const { code } = (cause ?? {}) as { code?: unknown };
    const kind = typeof code === "string" ? code : cause instanceof Error ? cause.name : typeof cause;
    const why = cause instanceof InvalidArgumentError ? cause.message : `\`credentials\` threw ${kind}`;
    return new CredentialsError(`the provider of credentials failed: ${why.replace(/\.$/, "")}`, { cause });
  }
}

/** The server refused SELECT: it has no such database, or the user may not select it. Another try would not help. */
export class RefusedDatabaseError extends ReplyError {
  constructor(address: string, database: number, reply: string) {
    super(reply, "not-executed");
    this.message = `${address} refused database ${database}: ${reply}`;
  }
}

/** @throws {CredentialsError} The provider threw. */
export async function askForLogin(provider: () => Promise<Login> | Login | undefined): Promise<Login | undefined> {
  try {
    return await provider();
  } catch (cause) {
    throw CredentialsError.of(cause);
  }
}

/** The terms of a handshake: the node, and the wishes of the client. */
export interface HandshakeTerms {
  /** The node as announced, for messages. */
  readonly address: string;
  readonly connectionName: string | undefined;
  /**
   * The number of the database that the connection selects.
   * @default 0, which needs no SELECT
   */
  readonly database?: number;
  /**
   * Whether nothing may be sent to the server but what was asked for, besides AUTH, SELECT, CLIENT SETNAME and PING.
   * @default false
   */
  readonly isPlain?: boolean;
  /** Whether a replica is to serve reads on the connection (READONLY). */
  readonly readOnly: boolean;
  /**
   * The id that the topology has for the node by now; empty where it has none. In a cluster the handshake asks whether
   * the server has it. Undefined for a connection to an address that is no node: it is asked neither for the id nor how
   * it knows the connection.
   */
  readonly nodeId?: () => string;
  /** Whether the connection is for commands that a server takes while it runs a script. @default false */
  readonly acceptsBusy?: boolean;
}

/** Sends commands in one write, and returns a promise for each reply. */
export type Exchange = (...commands: (readonly Argument[])[]) => Promise<Reply>[];

/**
 * The commands of a connection in front of all others. The connection is usable when the promise resolves, and closed
 * when it rejects. It resolves to how the server knows the connection, where the server says so.
 */
export type Handshake = (
  exchange: Exchange,
  login: Login | undefined,
  terms: HandshakeTerms,
) => Promise<Standing | undefined>;

/**
 * Logs in, names the connection, and makes sure that a Redis or Valkey server answers that can serve requests, and that
 * it is the node that is meant.
 * @throws {AuthError}     The credentials were refused, or are needed.
 * @throws {RefusedDatabaseError} The server has no such database, or the user may not use it.
 * @throws {ReplyError}    The server is loading its data, is busy with a script, or closes the connection with these words.
 * @throws {StrangerError} The address belongs to another server.
 */
export async function greet(
  exchange: Exchange,
  login: Login | undefined,
  terms: HandshakeTerms,
): Promise<Standing | undefined> {
  const wanted = terms.nodeId?.() ?? "";
  const asksId = isNodeId(wanted);
  const commands = greetingOf(login, terms);
  const asksNothing = terms.nodeId === undefined || terms.isPlain === true;
  const questions = asksNothing ? [] : [asksId ? WHO_ARE_YOU : WHICH_PROCESS, HOW_AM_I_KNOWN, ...INTRODUCTION];
  const results = await Promise.allSettled(exchange(...commands, ...questions));
  for (const [index, result] of results.entries()) {
    if (result.status === "fulfilled") continue;
    const text = (result.reason as { reply?: string }).reply;
    if (text === undefined) throw result.reason;
    if (isAuthFailure(text)) throw new AuthError(terms.address, text);
    const { kind } = parseErrorReply(text);
    if (kind === "busy" && terms.acceptsBusy === true) continue;
    if (kind === "loading" || kind === "busy" || isSaidUnasked(text)) throw result.reason;
    if (commands[index]?.[0] === "SELECT") throw new RefusedDatabaseError(terms.address, terms.database ?? 0, text);
  }
  if (questions.length === 0) return undefined;
  const [process, known] = results.slice(commands.length) as [PromiseSettledResult<Reply>, PromiseSettledResult<Reply>];
  if (asksId) await verifyIdentity(exchange, process, wanted, terms.address);
  if (process.status === "rejected" || known.status === "rejected") return undefined;
  const id = introductionOf(process);
  const name = id.kind === "id" ? id.id : runIdIn(process.value);
  return name === undefined ? undefined : standingIn(known.value, name);
}

/**
 * Says in CLIENT LIST which library the connection belongs to. Servers know it since Redis 7.2 and Valkey 7.2. Older ones
 * refuse it, and so do some users' rights, which harms nobody.
 */
const INTRODUCTION: readonly (readonly Argument[])[] = [
  ["CLIENT", "SETINFO", "LIB-NAME", "slotwire"],
  ["CLIENT", "SETINFO", "LIB-VER", VERSION],
];

function greetingOf(
  login: Login | undefined,
  { connectionName, database = 0, readOnly }: HandshakeTerms,
): Argument[][] {
  const commands: Argument[][] = [];
  if (login?.password !== undefined) {
    commands.push(login.username === undefined ? ["AUTH", login.password] : ["AUTH", login.username, login.password]);
  }
  if (database !== 0) commands.push(["SELECT", database]);
  if (connectionName !== undefined) commands.push(["CLIENT", "SETNAME", connectionName]);
  // A server without cluster mode refuses READONLY, and needs none.
  if (readOnly) commands.push(["READONLY"]);
  // Any server answers PING. One that wants credentials, is loading or is busy answers it with an error that says so.
  commands.push(["PING"]);
  return commands;
}
