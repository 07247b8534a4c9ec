import { backoffMs } from "../connection/backoff.ts";
import { RefusedDatabaseError } from "../connection/handshake.ts";
import { isTlsFailure } from "../connection/open-failure.ts";
import type { Environment } from "../environment.ts";
import { AuthError, UnavailableError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import { type Informant, Inquiry } from "../topology/inquiry.ts";
import type { TopologyDescription } from "../topology/topology.ts";

/** The pauses between two tries of `connect`, doubling. */
const PAUSES = { firstMs: 50, mostMs: 500 };

/**
 * Finds the topology through the seeds. Within `startTimeout` the seeds are asked again and again.
 *
 *   asked --some slot has an owner--------------------------> found
 *     ^ '-- credentials, database or TLS refused -----------> rejected
 *     '--pause-- no seed answers, or no slot has an owner --> after `startTimeout`: rejected, or found without owners
 *
 * @throws {AuthError}        A seed refused the credentials.
 * @throws {ReplyError}       A seed refused the database.
 * @throws {UnavailableError} No seed gave a usable answer; the cause for each seed.
 */
export async function findTopology(
  options: ResolvedOptions,
  environment: Environment,
  seeds: readonly Informant[],
): Promise<TopologyDescription> {
  const { clock, random } = environment;
  const endsAt = clock.now() + options.startTimeout;
  let last: TopologyDescription | Error | undefined;
  for (let tries = 1; ; tries++) {
    // The first try has all the time that its parts may take. A later one that is cut short says nothing.
    const result = await askOnce(options, environment, seeds, last === undefined ? undefined : endsAt - clock.now());
    last = result ?? last;
    const leftMs = endsAt - clock.now();
    if (last instanceof Error) {
      if (leftMs <= 0 || isFinal(last)) throw refusalIn(last) ?? last;
    } else if (last !== undefined && (leftMs <= 0 || last.slots.length > 0)) return last;
    const pauseMs = Math.min(leftMs, backoffMs(tries - 1, PAUSES, random()));
    await new Promise<void>((resolve) => clock.setTimer(resolve, pauseMs));
  }
}

/**
 * @param limitMs  Milliseconds for the whole try. Undefined: as long as its parts may take.
 * @returns        Undefined when the try was cut short.
 */
async function askOnce(
  { tls, connectTimeout, mode }: ResolvedOptions,
  environment: Environment,
  seeds: readonly Informant[],
  limitMs: number | undefined,
): Promise<TopologyDescription | Error | undefined> {
  const inquiry = new Inquiry({
    environment,
    tls: tls !== undefined,
    answerTimeoutMs: connectTimeout,
    isSingle: mode === "single",
  });
  let isCut = false;
  const cut = () => {
    isCut = true;
    inquiry.close();
  };
  const limit = limitMs === undefined ? undefined : environment.clock.setTimer(cut, Math.max(0, limitMs));
  try {
    return (await inquiry.ask(seeds)).description;
  } catch (error) {
    return isCut ? undefined : (error as Error);
  } finally {
    limit?.cancel();
  }
}

/** A refusal that another try would only meet again. It is thrown as it is, because what the other seeds say matters less. */
function refusalIn(error: Error): unknown {
  const isRefusal = (cause: unknown) => cause instanceof AuthError || cause instanceof RefusedDatabaseError;
  return causesOf(error).find(isRefusal);
}

function isFinal(error: Error): boolean {
  return refusalIn(error) !== undefined || causesOf(error).some(isTlsFailure);
}

function causesOf(error: Error): unknown[] {
  return error instanceof UnavailableError ? [...error.causes.values()] : [error];
}
