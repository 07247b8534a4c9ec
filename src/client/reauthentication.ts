import type { Cache } from "../cache/cache.ts";
import { CredentialsError, type Login } from "../connection/handshake.ts";
import { setPatience } from "../connection/signs-of-life.ts";
import type { Environment } from "../environment.ts";
import { AuthError, InvalidArgumentError, type Outcome, ReplyError, UnavailableError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import { isAuthFailure, isUnknownCommand } from "../protocol/error-reply.ts";
import type { Reply } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import { settledWithin } from "./settled-within.ts";

/** The operation that the renewal is a part of. The renewal ends with the operation, at any step. */
export interface Steps {
  /** Whether a node may have been given the credentials. */
  outcome: Outcome;
  wait<T>(promise: Promise<T>): Promise<T>;
  onEnd(listener: () => void): void;
}

/** A renewal that nobody waits for. */
export const ALONE: Steps = { outcome: "not-executed", wait: (promise) => promise, onEnd: () => {} };

/**
 * Asks for the credentials and logs in again on every open connection. A connection that was refused is tried again at
 * once. The provider and each node have `connectTimeout`.
 *
 * @throws {InvalidArgumentError} There are no credentials.
 * @throws {AuthError}            A node refused the credentials.
 * @throws {UnavailableError}     The provider failed, or a node did not confirm; a cause for each node.
 */
export async function reauthenticate(
  { clock }: Environment,
  { connectTimeout, credentials }: ResolvedOptions,
  nodes: () => readonly ClusterNode[],
  cache: Cache | undefined,
  steps: Steps,
): Promise<void> {
  const login = await steps.wait(within(clock, connectTimeout, credentials, nodes(), steps));
  const { username, password } = login ?? {};
  if (password === undefined) throw new InvalidArgumentError("reauthenticate: there are no credentials to use.");
  steps.outcome = "unknown";
  const auth = username === undefined ? ["AUTH", password] : ["AUTH", username, password];
  const lanes = nodes().flatMap(({ pools }) => pools.flatMap((pool) => pool.lanes));
  for (const lane of lanes) if (lane.cause instanceof AuthError) lane.connectNow();
  const causes = new Map<string, unknown>();
  const renewals = nodes().map(async ({ address, pool, pools }) => {
    const open = pools.flatMap((each) => each.lanes).flatMap((lane) => lane.useConnection() ?? []);
    await Promise.all(
      open.map((connection) => {
        causes.set(address, new Error(`no answer within ${connectTimeout} ms`));
        const noted = (connection.exchange(auth)[0] as Promise<Reply>).then(
          () => causes.delete(address),
          (error: unknown) => {
            const cause = causeOf(error);
            if (cause === undefined) causes.delete(address);
            else causes.set(address, cause);
          },
        );
        return settledWithin(clock, connectTimeout, noted);
      }),
    );
    // Where the node refuses these credentials, what has logged in with older ones serves on.
    if (isRefusal(causes.get(address))) return;
    for (const connections of [pool.dedicated, pool.urgent, pool.repeats]) connections.renew();
  });
  await Promise.all(renewals);
  if (![...causes.values()].some(isRefusal)) cache?.renew();
  for (const [address, cause] of causes) {
    if (isRefusal(cause)) throw new AuthError(address, cause.reply);
  }
  if (causes.size > 0) throw new UnavailableError("The credentials were not renewed everywhere", causes);
}

function isRefusal(cause: unknown): cause is ReplyError {
  return cause instanceof ReplyError && isAuthFailure(cause.reply);
}

/**
 * Why a connection was not renewed; undefined for a connection that was lost, because the next connection asks for the
 * credentials by itself.
 */
function causeOf(error: unknown): Error | undefined {
  if (!(error instanceof ReplyError)) return undefined;
  // Such an answer quotes the arguments of AUTH, so its text is not shown.
  return isUnknownCommand(error.reply) ? new Error("the server does not know AUTH") : error;
}

/**
 * The credentials of the provider, within `limitMs`. The provider is the application's, so it can fail or be silent.
 */
async function within(
  clock: Environment["clock"],
  limitMs: number,
  credentials: ResolvedOptions["credentials"],
  nodes: readonly ClusterNode[],
  steps: Steps,
): Promise<Login | undefined> {
  try {
    return await new Promise<Login | undefined>((resolve, reject) => {
      const timer = setPatience(clock, limitMs, () => reject(new Error(`no answer within ${limitMs} ms`)));
      steps.onEnd(() => timer.cancel());
      const answered = new Promise<Login | undefined>((settle) => settle(credentials()));
      answered.finally(() => timer.cancel()).then(resolve, reject);
    });
  } catch (cause) {
    const failure = CredentialsError.of(cause);
    throw new UnavailableError(
      "The credentials were not renewed",
      new Map(nodes.map(({ address }) => [address, failure])),
    );
  }
}
