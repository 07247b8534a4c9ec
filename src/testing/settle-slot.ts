import { sleep, until } from "./form-cluster.ts";
import { assign, handOver, type Move, moveKeys, type Node, prepare } from "./hand-over.ts";
import { pullsSlots } from "./move-slots.ts";
import { type OwnView, ownViews } from "./own-view.ts";
import type { ServerProcess } from "./server-process.ts";

/** What `settleSlot` found and did. */
export interface SettledSlot {
  /** The slot that was asked for. */
  readonly slot: number;
  /** The address (`host:port`) of the slot's owner. */
  readonly owner: string;
  /** What was done, in order. Empty if the slot was whole already. */
  readonly steps: readonly SettleStep[];
}

/** One step of `settleSlot`. Nodes are addresses (`host:port`). */
export type SettleStep = MovedKeys | HandedOver | ClosedMark | KeptValue;

/** Keys went from one node to the other. */
export interface MovedKeys {
  /** What the step did. */
  readonly did: "moved-keys";
  /** The node that had the keys. */
  readonly from: string;
  /** The node that has them now. */
  readonly to: string;
  /** The number of keys. */
  readonly keys: number;
}

/** The slot has another owner. */
export interface HandedOver {
  /** What the step did. */
  readonly did: "handed-over";
  /** The old owner; null if it does not run any more. */
  readonly from: string | null;
  /** The new owner. */
  readonly to: string;
}

/** A node's mark, that the slot is on its way, was taken away. */
export interface ClosedMark {
  /** What the step did. */
  readonly did: "closed";
  /** The node that had the mark. */
  readonly at: string;
  /** Whether the node gave the slot away, or took it. */
  readonly was: "migrating" | "importing";
  /** The node that the mark named; null if it does not run any more. */
  readonly peer: string | null;
}

/** Two nodes had the key with different values. One value was kept: that with which calls were answered. */
export interface KeptValue {
  /** What the step did. */
  readonly did: "kept";
  /** The key. */
  readonly key: string;
  /** The node whose value was kept. */
  readonly of: string;
  /** The node whose value was dropped. */
  readonly not: string;
}

/** The servers of a cluster, as `settleSlot` needs them. */
export interface Herd {
  /** The servers that run and are not frozen. */
  readonly awake: readonly ServerProcess[];
  /** The addresses of the frozen servers. */
  readonly frozen: readonly string[];
  readonly password: string | undefined;
}

/** A failover needs the cluster's node timeout and a vote. */
const PROMOTION_MS = 15_000;
const POLL_MS = 100;

type View = OwnView & Node;

/**
 * Closes a slot that is half-way between nodes, with all of its keys at `to`, or at its owner.
 *
 * A half-way slot is never opened by taking marks away while the other node has keys: calls would miss these keys, and
 * could write them a second time. The move is ended instead, and the slot is moved again, so that calls are redirected at
 * every moment.
 *
 *   owner migrating to T, T has no keys     the marks are taken away, at T first
 *   owner migrating to T, T has keys        the slot is moved to T, and from there to `to`
 *   keys or marks at another node           that node's keys are brought to the owner, whose values count
 *   the owner does not run                  its replica is waited for; without one, the node with the keys takes the slot
 *
 * @throws {Error} when a node that is needed is frozen, or nobody has the slot.
 */
export async function settleSlot(slot: number, herd: Herd, to?: ServerProcess, pauseMs = 0): Promise<SettledSlot> {
  return new Settlement(slot, herd, pauseMs).settle(to);
}

/** The state of a slot as its nodes know it. */
interface State {
  readonly views: readonly View[];
  readonly owner: View;
  /** The id of the node that the owner sends askers to. */
  readonly migratingTo: string | undefined;
}

class Settlement {
  readonly #slot: number;
  readonly #herd: Herd;
  readonly #move: Move;
  readonly #steps: SettleStep[] = [];
  #ends: readonly [kept: string, dropped: string] = ["", ""];

  constructor(slot: number, herd: Herd, pauseMs: number) {
    this.#slot = slot;
    this.#herd = herd;
    const onConflict = (key: Buffer) => {
      const [of, not] = this.#ends;
      this.#steps.push({ did: "kept", key: key.toString(), of, not });
    };
    this.#move = { slot, pauseMs, password: herd.password, onConflict };
  }

  async settle(to: ServerProcess | undefined): Promise<SettledSlot> {
    const first = await this.#state();
    const wanted = to ?? first.owner.server;
    await this.#endMigration(first, wanted);
    const { owner } = await this.#state();
    if (owner.server !== wanted) await this.#handOver(owner, await this.#viewOf(wanted));
    await this.#awaitHeirs();
    await this.#bringStrays(wanted);
    await this.#agree(wanted);
    return { slot: this.#slot, owner: wanted.address, steps: this.#steps };
  }

  /** Ends what the owner has begun, unless the slot is to go there anyway. */
  async #endMigration({ views, owner, migratingTo }: State, wanted: ServerProcess): Promise<void> {
    if (migratingTo === undefined) return;
    const target = await this.#standInFor(migratingTo, views, owner);
    if (target === undefined) return this.#close(owner, "migrating", migratingTo);
    if (target.server === wanted) return;
    if (await this.#closeEmpty(owner, target)) return;
    if (owner.slotCount > 1) return this.#handOver(owner, target);
    // A primary that loses its last slot becomes a replica, and could not take the slot back.
    await this.#close(owner, "migrating", migratingTo);
  }

  /** The target of a move; or if it does not run any more, the node that has its keys. */
  async #standInFor(id: string, views: readonly View[], owner: View): Promise<View | undefined> {
    const target = views.find((view) => view.id === id && view.isPrimary);
    if (target !== undefined) return target;
    this.#refuseFrozen(await this.#addressOf(id));
    await this.#promoted(id);
    const now = await this.#views();
    const counts = await Promise.all(
      now.map(async (view) => (view.isPrimary && view.id !== owner.id ? this.#countAt(view, owner) : 0)),
    );
    const most = Math.max(...counts);
    return most === 0 ? undefined : now[counts.indexOf(most)];
  }

  /** Takes the marks away if the target has no keys. Returns whether it did. */
  async #closeEmpty(owner: View, target: View): Promise<boolean> {
    const slot = this.#slot;
    // The target's mark goes first: no call can leave a key there any more, and the owner redirects until it is told.
    return owner.server.use((atOwner) =>
      target.server.use(async (atTarget) => {
        if ((await atTarget.command("CLUSTER", "COUNTKEYSINSLOT", slot)) !== 0) return false;
        if (!isOpen(target, slot) && (await this.#countAt(target, owner)) !== 0) return false;
        const [, left] = await Promise.all([
          atTarget.command("CLUSTER", "SETSLOT", slot, "STABLE"),
          atTarget.command("CLUSTER", "COUNTKEYSINSLOT", slot),
        ]);
        if (left !== 0) return false;
        await atOwner.command("CLUSTER", "SETSLOT", slot, "STABLE");
        this.#closed(owner, "migrating", target.server.address);
        if (isOpen(target, slot)) this.#closed(target, "importing", owner.server.address);
        return true;
      }),
    );
  }

  /**
   * Waits for the promotion of replicas that have keys of the slot while their primary does not run. When the owner was
   * replaced meanwhile, no mark points to these keys any more.
   */
  async #awaitHeirs(): Promise<void> {
    const views = await this.#views();
    for (const { server, isPrimary, primary } of views) {
      if (isPrimary || views.some(({ id }) => id === primary)) continue;
      const count = (await server.command("CLUSTER", "COUNTKEYSINSLOT", this.#slot)) as number;
      // From Redis 8.4 on, a replica does not count keys of slots that its primary does not own.
      if (count === 0 && !(await pullsSlots(server))) continue;
      const address = await this.#addressOf(primary);
      if (count > 0) this.#refuseFrozen(address);
      if (address !== undefined && this.#herd.frozen.includes(address)) continue;
      if ((await this.#promoted(primary)) || count === 0) continue;
      throw new Error(`${server.address} has keys of slot ${this.#slot}, and was not promoted in place of ${address}.`);
    }
  }

  /** Brings the keys that other nodes have to the owner, and takes their marks away. */
  async #bringStrays(wanted: ServerProcess): Promise<void> {
    const slot = this.#slot;
    const views = await this.#views();
    const owner = views.find(({ server }) => server === wanted) as View;
    for (const view of views) {
      if (!view.isPrimary) continue;
      const mark = view.open.find((each) => each.slot === slot);
      if (view !== owner && (await this.#countAt(view, owner)) > 0) {
        await prepare(slot, view, owner);
        await view.server.command("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.id);
        await this.#moveKeys(view, owner, "target");
        await view.server.command("CLUSTER", "SETSLOT", slot, "STABLE");
        if (mark !== undefined) this.#closed(view, mark.kind, await this.#addressOf(mark.peer));
      } else if (mark !== undefined) {
        await this.#close(view, mark.kind, mark.peer);
      }
    }
  }

  /** Waits until all nodes name the same owner and none has a mark. */
  async #agree(wanted: ServerProcess): Promise<void> {
    const slot = this.#slot;
    await until(async () => {
      const views = await this.#views();
      const owner = views.find(({ server }) => server === wanted);
      return views.every((view) => view.ownerOf(slot) === owner?.id && !isOpen(view, slot));
    }, `all nodes to take ${wanted.address} for the owner of slot ${slot}`);
  }

  async #handOver(source: View, target: View): Promise<void> {
    const { address: from } = source.server;
    const { address: to } = target.server;
    const at = this.#steps.length;
    this.#ends = [from, to];
    const keys = await handOver(this.#move, source, target, this.#herd.awake);
    if (keys > 0) this.#steps.splice(at, 0, { did: "moved-keys", from, to, keys });
    this.#steps.push({ did: "handed-over", from, to });
  }

  async #moveKeys(source: View, target: View, counts: "source" | "target"): Promise<void> {
    const { address: from } = source.server;
    const { address: to } = target.server;
    const at = this.#steps.length;
    this.#ends = counts === "source" ? [from, to] : [to, from];
    const keys = await moveKeys(this.#move, source.server, target.server, counts);
    this.#steps.splice(at, 0, { did: "moved-keys", from, to, keys });
  }

  async #close(view: View, was: "migrating" | "importing", peer: string): Promise<void> {
    await view.server.command("CLUSTER", "SETSLOT", this.#slot, "STABLE");
    this.#closed(view, was, await this.#addressOf(peer));
  }

  #closed({ server }: View, was: "migrating" | "importing", peer: string | undefined): void {
    this.#steps.push({ did: "closed", at: server.address, was, peer: peer ?? null });
  }

  /** The number of keys that a node which does not own the slot holds of it. */
  async #countAt(view: View, owner: View): Promise<number> {
    const { server } = view;
    const slot = this.#slot;
    const count = (await server.command("CLUSTER", "COUNTKEYSINSLOT", slot)) as number;
    if (count > 0 || isOpen(view, slot) || !(await hidesKeys(server))) return count;
    await prepare(slot, view, owner);
    await server.command("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.id);
    const hidden = (await server.command("CLUSTER", "COUNTKEYSINSLOT", slot)) as number;
    await server.command("CLUSTER", "SETSLOT", slot, "STABLE");
    return hidden;
  }

  async #state(): Promise<State> {
    const slot = this.#slot;
    let views = await this.#views();
    const isOwner = (view: View) => view.isPrimary && view.ownerOf(slot) === view.id;
    if (!views.some(isOwner)) {
      await this.#findOwner(views);
      views = await this.#views();
    }
    // While the news of a move is on its way, the old owner and the new one can both take the slot for their own.
    await until(async () => {
      views = await this.#views();
      return views.filter(isOwner).length === 1;
    }, `one owner of slot ${slot}`);
    const owner = views.find(isOwner) as View;
    const mark = owner.open.find((each) => each.slot === slot && each.kind === "migrating");
    return { views, owner, migratingTo: mark?.peer };
  }

  /** Gives a slot whose owner does not run to its replica, or else to the node that has been importing it. */
  async #findOwner(views: readonly View[]): Promise<void> {
    const slot = this.#slot;
    const id = views.map((view) => view.ownerOf(slot)).find((each) => each !== undefined);
    if (id !== undefined) {
      this.#refuseFrozen(await this.#addressOf(id));
      if (await this.#promoted(id)) return;
    }
    const heir = views.find((view) => view.isPrimary && isOpen(view, slot));
    if (heir === undefined) {
      const [frozen] = this.#herd.frozen;
      if (frozen !== undefined)
        throw new Error(`No node that answers has slot ${slot}; ${frozen} is frozen: resume it first.`);
      const former = views.find((view) => view.id === id);
      const why = former === undefined ? "its owner does not run" : `${former.server.address} has given it up`;
      throw new Error(
        `Nobody has slot ${slot}: ${why}, and no node imports it. CLUSTER ADDSLOTS ${slot} gives it to a primary.`,
      );
    }
    await assign(slot, undefined, heir, this.#herd.awake);
    this.#steps.push({ did: "handed-over", from: null, to: heir.server.address });
  }

  /** Waits until all nodes know that a replica of the node was promoted. Returns false if none runs, or none is. */
  async #promoted(id: string): Promise<boolean> {
    const replicas = (await this.#views()).filter(({ primary }) => primary === id);
    for (let left = PROMOTION_MS; left > 0 && replicas.length > 0; left -= POLL_MS) {
      const now = await this.#views();
      // A node that has not heard of the promotion would refuse to give its slots to the new primary.
      const isKnown = ({ id: each }: OwnView) => now.every(({ primaries }) => primaries.has(each));
      if (replicas.some(isKnown)) return true;
      await sleep(POLL_MS);
    }
    return false;
  }

  #views(): Promise<View[]> {
    return ownViews(this.#herd.awake);
  }

  async #viewOf(server: ServerProcess): Promise<View> {
    return (await this.#views()).find((view) => view.server === server) as View;
  }

  /** The address of a node, by what any other node says of it. Undefined if nobody knows it. */
  async #addressOf(id: string): Promise<string | undefined> {
    for (const { server } of await this.#views()) {
      const line = String(await server.command("CLUSTER", "NODES"))
        .split("\n")
        .find((each) => each.startsWith(`${id} `));
      const address = line?.split(" ")[1]?.split("@")[0];
      if (address) return address;
    }
    return undefined;
  }

  #refuseFrozen(address: string | undefined): void {
    if (address === undefined || !this.#herd.frozen.includes(address)) return;
    throw new Error(`${address} is frozen, and slot ${this.#slot} cannot be settled without it: resume it first.`);
  }
}

/** From Redis 8.4 on, a node shows the keys of a slot that is not its own only while it imports the slot. */
async function hidesKeys(server: ServerProcess): Promise<boolean> {
  if ((await server.command("DBSIZE")) === 0) return false;
  return pullsSlots(server);
}

function isOpen({ open }: OwnView, slot: number): boolean {
  return open.some((each) => each.slot === slot);
}
