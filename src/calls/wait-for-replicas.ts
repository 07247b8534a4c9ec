import type { Client } from "../client/client.ts";
import { InvalidArgumentError, UnavailableError } from "../errors.ts";
import type { Argument } from "../protocol/reply.ts";
import type { Call } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { CallFactory, ViewSettings } from "./call-factory.ts";

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
export class ReplicaWait {
  readonly #client: Client;
  readonly #factory: CallFactory;
  readonly #view: ViewSettings;

  constructor(client: Client, factory: CallFactory, view: ViewSettings) {
    this.#client = client;
    this.#factory = factory;
    this.#view = view;
  }

  /** @throws {InvalidArgumentError} for anything but two whole numbers. */
  async result(args: readonly Argument[]): Promise<number> {
    const [replicas, limitMs] = args.map((arg) =>
      Number(arg instanceof Uint8Array ? Buffer.from(arg).toString() : arg),
    );
    if (args.length !== 2 || !isCount(replicas) || !isCount(limitMs)) {
      throw new InvalidArgumentError("WAIT: accepted are a number of replicas, and milliseconds, 0 for no limit.");
    }
    const { nodes, topology, environment } = this.#client;
    const addresses = new Set(topology.ranges.map(({ primary }) => primary.address));
    const owners = nodes.filter(({ address }) => addresses.has(address));
    if (owners.length === 0) throw new UnavailableError("No node owns a slot, so that no replica can be waited for");
    const endsAt = limitMs === 0 ? Number.POSITIVE_INFINITY : environment.clock.now() + limitMs;
    return Math.min(...(await Promise.all(owners.map((owner) => this.#countOf(owner, replicas, endsAt)))));
  }

  /** Replicas of `owner` that are as far as it is now, once they are enough or time is up. */
  async #countOf(owner: ClusterNode, wanted: number, endsAt: number): Promise<number> {
    const { clock } = this.#client.environment;
    let written: number | undefined;
    for (let look = 0; ; look++) {
      const info = await this.#infoOf(owner);
      written ??= Number(/^master_repl_offset:(\d+)/m.exec(info)?.[1]);
      const count = replicasAt(written, info);
      if (count >= wanted || clock.now() >= endsAt) return count;
      if (look % LOOKS_PER_NUDGE === 0) this.#nudge(owner);
      const pauseMs = Math.min(2 ** look, MOST_BETWEEN_LOOKS_MS, Math.max(1, endsAt - clock.now()));
      await new Promise<void>((resolve) => clock.setTimer(resolve, pauseMs));
      this.#client.refuseWhenClosed();
    }
  }

  async #infoOf(owner: ClusterNode): Promise<string> {
    const { timeoutMs } = this.#view;
    const reply = await new Promise<unknown>((resolve, reject) => {
      this.#send(this.#factory.commandFor(owner, "INFO", ["replication"], timeoutMs, resolve, reject));
    });
    return String(reply);
  }

  #nudge(owner: ClusterNode): void {
    const { args, time } = NUDGE;
    this.#send(this.#factory.blockingFor(owner, "WAIT", args, time, this.#view.timeoutMs, ignore, ignore));
  }

  #send(call: Call): void {
    this.#client.sendAll([call], this.#view.signal);
  }
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
