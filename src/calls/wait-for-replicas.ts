import type { Client } from "../client/client.ts";
import { InvalidArgumentError, UnavailableError } from "../errors.ts";
import type { Argument } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Host } from "./host.ts";
import type { Operation, OperationLimits } from "./operation.ts";
import type { ViewSettings } from "./view.ts";

/** A WAIT for more replicas than there are: the server asks each replica how far it is, and then waits for 1 ms. */
const NUDGE = { args: [1_000_000_000, 1], time: { ms: 1, at: 1, unitMs: 1 } } as const;
/** After so many looks the replicas are asked again, because one may not have heard the first question. */
const LOOKS_PER_NUDGE = 8;
const MOST_BETWEEN_LOOKS_MS = 20;

/**
 * `WAIT replicas milliseconds`. Resolves to the number of replicas that hold everything that this client wrote to their
 * primary. Of several owners of slots, the smallest number counts.
 *
 * A server's own WAIT is about the connection that it comes by. On a connection that wrote nothing, it returns the
 * number of replicas. On a shared connection, it keeps the other calls waiting. So each primary is asked for its own
 * offset, behind the calls that were written before, and then for the offsets of its replicas, until enough of them are
 * as far.
 */
export async function waitForReplicas(operation: Operation, host: Host, args: readonly Argument[]): Promise<number> {
  const { client } = host;
  operation.outcome = "unknown";
  const { replicas, limitMs } = argumentsOf(args);
  const endsAt = limitMs === 0 ? Number.POSITIVE_INFINITY : client.environment.clock.now() + limitMs;
  for (let start = 1; ; start++) {
    const owners = ownersOf(client);
    const counts = await Promise.all(owners.map((owner) => countOf(operation, host, owner, replicas, endsAt)));
    if (!counts.includes(NOT_BEGUN)) return Math.min(...counts);
    // The topology is older than the last failover.
    if (start === MOST_STARTS) throw new UnavailableError("No primary can be found whose replicas can be waited for");
    await operation.wait(client.refresh().catch(() => {}));
    await operation.pause(BETWEEN_STARTS_MS);
  }
}

/** How often the waiting begins anew because an owner is a replica by then. */
const MOST_STARTS = 20;
const BETWEEN_STARTS_MS = 100;
/** In place of a count: the owner was a replica before it was asked for the first time. */
const NOT_BEGUN = -1;

/** The nodes that own slots. */
function ownersOf({ nodes, topology }: Client): readonly ClusterNode[] {
  const { slotOwners } = topology;
  const owners = nodes.filter(({ info }) => slotOwners.has(info));
  if (owners.length === 0) throw new UnavailableError("No node owns a slot, so no replica can be waited for");
  return owners;
}

/**
 * The time that WAIT may take. Its own limit comes on top of the time that any call may take. A WAIT without a limit
 * may take for ever. A timeout that was given to `with` is for the whole WAIT.
 */
export function limitsOfWait(view: ViewSettings, args: readonly Argument[]): OperationLimits {
  const { timeoutMs, hasOwnTimeout, signal } = view;
  const { limitMs } = argumentsOf(args);
  if (hasOwnTimeout) return { timeoutMs, signal, isEndless: limitMs === 0 };
  if (limitMs === 0) return { timeoutMs: 0, signal, isEndless: true };
  const wholeMs = limitMs + timeoutMs;
  return { timeoutMs: timeoutMs === 0 || wholeMs > LONGEST_MS ? 0 : wholeMs, signal };
}

/** The longest delay of a timer. */
const LONGEST_MS = 2 ** 31 - 1;

/** @throws {InvalidArgumentError} for anything but two whole numbers. */
function argumentsOf(args: readonly Argument[]): { readonly replicas: number; readonly limitMs: number } {
  const [replicas, limitMs] = args.map((arg) => Number(arg instanceof Uint8Array ? Buffer.from(arg).toString() : arg));
  if (args.length !== 2 || !isCount(replicas) || !isCount(limitMs)) {
    throw new InvalidArgumentError(
      "WAIT: accepted are a number of replicas and a number of milliseconds (0 for no limit).",
    );
  }
  return { replicas, limitMs };
}

/**
 * The number of replicas that are as far as `owner` is now. Resolves once there are enough of them, or when time is up;
 * and to `NOT_BEGUN` at once if the owner is no primary.
 */
async function countOf(
  operation: Operation,
  host: Host,
  owner: ClusterNode,
  wanted: number,
  endsAt: number,
): Promise<number> {
  const { clock } = host.client.environment;
  let written: number | undefined;
  for (let look = 0; ; look++) {
    const isPrimary = owner.info.role === "primary";
    const info = isPrimary ? await infoOf(operation, host, owner) : "";
    if (!/^role:master\b/m.test(info)) {
      if (written === undefined) return NOT_BEGUN;
      throw demoted(owner);
    }
    written ??= Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1]);
    const count = replicasAt(written, info);
    if (count >= wanted || clock.now() >= endsAt) return count;
    if (look % LOOKS_PER_NUDGE === 0) nudge(operation, host, owner);
    await operation.pause(Math.min(2 ** look, MOST_BETWEEN_LOOKS_MS, Math.max(1, endsAt - clock.now())));
  }
}

/**
 * The error for a primary that became a replica. Its replicas follow another node by now, so nobody knows which of its
 * writes they have. A server's own WAIT ends with the same error.
 */
function demoted({ address }: ClusterNode): UnavailableError {
  return new UnavailableError(`${address} became a replica while its replicas were waited for`, new Map(), "unknown");
}

async function infoOf(operation: Operation, { factory }: Host, owner: ClusterNode): Promise<string> {
  const reply = await new Promise<unknown>((resolve, reject) => {
    operation.ask(factory.commandFor(owner, "INFO", ["replication"], operation.timeoutMs, resolve, reject));
  });
  return String(reply);
}

function nudge(operation: Operation, { factory, view }: Host, owner: ClusterNode): void {
  const { args, time } = NUDGE;
  operation.ask(factory.blockingFor(owner, "WAIT", args, time, view.timeoutMs, ignore, ignore));
}

function isCount(value: number | undefined): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

/** The number of a primary's replicas that have everything up to `offset`, by their last report. */
function replicasAt(offset: number, info: string): number {
  const replicas = info.match(/^slave\d+:.*\bstate=online\b.*$/gm) ?? [];
  return replicas.filter((line) => Number(/\boffset=(\d+)/.exec(line)?.[1]) >= offset).length;
}

const ignore = () => {};
