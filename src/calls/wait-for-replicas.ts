import { InvalidArgumentError, UnavailableError } from "../errors.ts";
import type { Argument } from "../protocol/reply.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Host } from "./host.ts";
import type { Operation, OperationLimits } from "./operation.ts";
import type { ViewSettings } from "./view.ts";

/** More replicas than there are: the server asks each how far it is, and goes on waiting for a millisecond. */
const NUDGE = { args: [1_000_000_000, 1], time: { ms: 1, at: 1, unitMs: 1 } } as const;
/** A replica that did not hear the first question is asked again after so many looks. */
const LOOKS_PER_NUDGE = 8;
const MOST_BETWEEN_LOOKS_MS = 20;

/**
 * `WAIT replicas milliseconds`: how many replicas every owner of slots has, at least, that hold what this client wrote.
 *
 * A server's own WAIT counts for the connection that it comes by: on one that wrote nothing it says how many replicas
 * there are, and on one that others share it keeps them waiting. So each primary is asked, behind what was written
 * before, how far it is, and then how far its replicas are, until enough of them are as far.
 */
export async function waitForReplicas(operation: Operation, host: Host, args: readonly Argument[]): Promise<number> {
  const { nodes, topology, environment } = host.client;
  operation.outcome = "unknown";
  const { replicas, limitMs } = argumentsOf(args);
  const addresses = new Set(topology.ranges.map(({ primary }) => primary.address));
  const owners = nodes.filter(({ address }) => addresses.has(address));
  if (owners.length === 0) throw new UnavailableError("No node owns a slot, so that no replica can be waited for");
  const endsAt = limitMs === 0 ? Number.POSITIVE_INFINITY : environment.clock.now() + limitMs;
  return Math.min(...(await Promise.all(owners.map((owner) => countOf(operation, host, owner, replicas, endsAt)))));
}

/**
 * The time that WAIT may take: what it waits for comes on top of what any call may take, and a WAIT without a limit may
 * take for ever. A timeout that was given to `with` is for the whole.
 */
export function limitsOfWait(view: ViewSettings, args: readonly Argument[]): OperationLimits {
  const { timeoutMs, hasOwnTimeout, signal } = view;
  const { limitMs } = argumentsOf(args);
  if (hasOwnTimeout) return { timeoutMs, signal };
  if (limitMs === 0) return { timeoutMs: 0, signal, isEndless: true };
  const wholeMs = limitMs + timeoutMs;
  return { timeoutMs: timeoutMs === 0 || wholeMs > LONGEST_MS ? 0 : wholeMs, signal };
}

/** Longer, a timer cannot be set. */
const LONGEST_MS = 2 ** 31 - 1;

/** @throws {InvalidArgumentError} for anything but two whole numbers. */
function argumentsOf(args: readonly Argument[]): { readonly replicas: number; readonly limitMs: number } {
  const [replicas, limitMs] = args.map((arg) => Number(arg instanceof Uint8Array ? Buffer.from(arg).toString() : arg));
  if (args.length !== 2 || !isCount(replicas) || !isCount(limitMs)) {
    throw new InvalidArgumentError("WAIT: accepted are a number of replicas, and milliseconds, 0 for no limit.");
  }
  return { replicas, limitMs };
}

/** Replicas of `owner` that are as far as it is now, once they are enough or time is up. */
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
    if (owner.info.role !== "primary") throw demoted(owner);
    const info = await infoOf(operation, host, owner);
    if (!/^role:master\b/m.test(info)) throw demoted(owner);
    written ??= Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1]);
    const count = replicasAt(written, info);
    if (count >= wanted || clock.now() >= endsAt) return count;
    if (look % LOOKS_PER_NUDGE === 0) nudge(operation, host, owner);
    await operation.pause(Math.min(2 ** look, MOST_BETWEEN_LOOKS_MS, Math.max(1, endsAt - clock.now())));
  }
}

/** Its replicas follow another node by now: nobody knows what they have of its writes. A server says the same. */
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

/** How many of a primary's replicas say that they have all up to `offset`. */
function replicasAt(offset: number, info: string): number {
  const replicas = info.match(/^slave\d+:.*\bstate=online\b.*$/gm) ?? [];
  return replicas.filter((line) => Number(/\boffset=(\d+)/.exec(line)?.[1]) >= offset).length;
}

const ignore = () => {};
