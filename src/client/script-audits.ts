import type { Clock, Timer } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { Loadable } from "../scripts/loadable.ts";
import type { AuditReason } from "../telemetry/channels.ts";
import type { Topology } from "../topology/topology.ts";

/** The least milliseconds between two audits at refreshes, because refreshes can follow each other closely. */
const SPACING_MS = 1000;
/** Milliseconds from the first script found missing to the audit of all scripts. */
const DELAY_MS = 50;
/** Bytes of questions a second and node. Four pieces of 256 scripts fit into any second with less than 50 KB. */
const BYTES_PER_MS = 46;

/** An audit of one node. */
interface Audit {
  readonly end: Promise<void>;
  /** Something was found missing since the audit began, so another one follows it. */
  again: boolean;
}

/**
 * Other clients flush scripts and load scripts, so that the client's belief about a node becomes wrong. An audit asks
 * the node and makes the belief true again. With many scripts it asks piece by piece, so that it costs a node little.
 */
export class ScriptAudits {
  readonly #clock: Clock;
  readonly #nodes: () => readonly ClusterNode[];
  readonly #wanted: () => readonly Loadable[];
  readonly #underWay = new Map<ClusterNode, Audit>();
  /** When each node may be asked again. */
  readonly #nextAt = new WeakMap<ClusterNode, number>();
  #scheduled: Timer | undefined;
  #last = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(clock: Clock, nodes: () => readonly ClusterNode[], wanted: () => readonly Loadable[]) {
    this.#clock = clock;
    this.#nodes = nodes;
    this.#wanted = wanted;
  }

  /** Audits all nodes soon, because a node had lost a script: whoever flushed one node probably flushed all. */
  soon(): void {
    if (this.#scheduled !== undefined || this.#closed) return;
    this.#scheduled = this.#clock.setTimer(
      () => {
        this.#scheduled = undefined;
        for (const audit of this.#underWay.values()) audit.again = true;
        void this.ofAll("noscript");
      },
      DELAY_MS,
      true,
    );
  }

  /** Audits all nodes at a refresh of the topology, at most once a second. */
  atRefresh(): void {
    if (this.#clock.now() - this.#last >= SPACING_MS) void this.ofAll("periodic");
  }

  /** Audits all nodes that are connected. */
  async ofAll(why: AuditReason): Promise<void> {
    this.#last = this.#clock.now();
    await Promise.all(
      this.#nodes()
        .filter(({ pool }) => pool.ready)
        .map((node) => this.#ofOne(node, why)),
    );
  }

  /** Audits promoted replicas: they were given every script, but may have been flushed since. */
  ofPromoted(current: Topology, previous: Topology): void {
    if (current.nodes === previous.nodes) return;
    const replicas = new Set(previous.nodes.filter(({ role }) => role === "replica").map(({ address }) => address));
    for (const node of this.#nodes()) {
      const isPromoted = node.info.role === "primary" && replicas.has(node.address);
      if (!isPromoted) continue;
      const audit = this.#underWay.get(node);
      if (audit !== undefined) audit.again = true;
      void this.#ofOne(node, "promoted");
    }
  }

  /** No audit begins any more. */
  close(): void {
    this.#closed = true;
    this.#scheduled?.cancel();
  }

  /** Begins an audit of one node, or joins the one under way. A silent node delays no other node's audit. */
  #ofOne(node: ClusterNode, why: AuditReason): Promise<void> {
    let audit = this.#underWay.get(node);
    if (audit === undefined) {
      audit = { end: this.#audit(node, why), again: false };
      this.#underWay.set(node, audit);
    }
    return audit.end;
  }

  async #audit(node: ClusterNode, why: AuditReason): Promise<void> {
    await ensure(node, this.#wanted(), why, (bytes) => this.#pause(node, bytes));
    const isToFollow = this.#underWay.get(node)?.again === true;
    this.#underWay.delete(node);
    if (isToFollow && !this.#closed) await this.#ofOne(node, why);
  }

  /** Waits until the node may be asked another question of so many bytes. */
  async #pause(node: ClusterNode, bytes: number): Promise<void> {
    const waitMs = (this.#nextAt.get(node) ?? 0) - this.#clock.now();
    if (waitMs > 0) await new Promise<void>((resolve) => this.#clock.setTimer(resolve, waitMs, true));
    // Counted from now, so that a wait that was too long is not made up for.
    this.#nextAt.set(node, this.#clock.now() + bytes / BYTES_PER_MS);
  }
}

/**
 * Waits for a node's first connection, asks the node which of `wanted` it has, and loads the others.
 * @param why    For listeners on the channels.
 * @param pause  Waits until another question of so many bytes may be asked.
 */
export async function ensure(
  { loader, pool }: ClusterNode,
  wanted: readonly Loadable[],
  why: AuditReason,
  pause?: (bytes: number) => Promise<void>,
): Promise<void> {
  await pool.firstTry;
  await loader.bring(wanted, why, pause).catch(() => {});
}
