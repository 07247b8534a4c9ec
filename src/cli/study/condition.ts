import { SLOT_COUNT } from "../../protocol/hash-slot.ts";
import type { ServerState, StudyRange } from "./events.ts";
import { rangesWhere } from "./server-states.ts";

/** What the servers' states say of the cluster as a whole. Nodes are named as in the states. */
export interface Condition {
  /** The slots that have an owner. */
  readonly ranges: readonly (StudyRange & { readonly owner: string })[];
  readonly unowned: readonly StudyRange[];
  readonly unserved: readonly Unserved[];
  readonly open: readonly OpenSlot[];
  readonly disagreements: readonly Disagreement[];
  /** The nodes that some of the servers do not know. */
  readonly unknown: readonly { readonly node: string; readonly to: readonly string[] }[];
  /** What makes `slotwire topology` end with status 1, in one line; null if every slot is served and the nodes agree. */
  readonly trouble: string | null;
}

/** Slots that no call can be served for. */
export interface Unserved extends StudyRange {
  readonly owner: string | null;
  /**
   * | | |
   * | --- | --- |
   * | `no-owner` | no node takes the slots for its own |
   * | `failed` | the nodes agree that the owner is down |
   * | `silent` | the owner could not be asked from here |
   * | `refuses` | the owner answers CLUSTERDOWN: its own `cluster_state` is `fail` |
   */
  readonly why: "no-owner" | "failed" | "silent" | "refuses";
}

/** A slot that is half-way between two nodes. */
export interface OpenSlot {
  readonly slot: number;
  readonly owner: string | null;
  /** What each node says that has the slot open. */
  readonly ends: readonly {
    readonly node: string;
    readonly kind: "migrating" | "importing";
    /** The name of the other node; its id if it is not in the cluster. */
    readonly peer: string;
    /** The number of the slot's keys at this node; null if it does not say. */
    readonly keys: number | null;
  }[];
  /**
   * | | |
   * | --- | --- |
   * | `both-ends` | the owner is migrating it to the node that is importing it from the owner: calls are served |
   * | `unsure` | the other end could not be asked |
   * | `one-end` | only one of the two nodes knows of it |
   * | `tangled` | any other case: several moves, or an end that is not the owner's |
   */
  readonly state: "both-ends" | "unsure" | "one-end" | "tangled";
}

/** Slots of which the servers name different owners. */
export interface Disagreement extends StudyRange {
  /** The owner by its own word; null if no node takes the slots for its own. */
  readonly is: string | null;
  /** The owners that are named, null for nobody, each with the servers that name it. */
  readonly says: readonly { readonly owner: string | null; readonly by: readonly string[] }[];
}

/** Reads the states of all servers together. */
export function conditionOf(states: readonly ServerState[]): Condition {
  const owners = ownersIn(states);
  const nameAt = (slot: number) => states[owners[slot] as number]?.name ?? null;
  const owned = rangesWhere(
    (slot) => owners[slot] !== -1,
    (one, next) => owners[one] === owners[next],
  );
  const ranges = owned.map((range) => ({ ...range, owner: nameAt(range.start) as string }));
  const unowned = rangesWhere((slot) => owners[slot] === -1);
  const unserved = [
    ...unowned.map((range): Unserved => ({ ...range, owner: null, why: "no-owner" })),
    ...owned.flatMap((range): Unserved[] => {
      const owner = states[owners[range.start] as number] as ServerState;
      const why = whyUnserved(owner, states);
      return why === null ? [] : [{ ...range, owner: owner.name, why }];
    }),
  ].sort((one, other) => one.start - other.start);
  const found = {
    ranges,
    unowned,
    unserved,
    open: openSlotsIn(states, nameAt),
    disagreements: disagreementsIn(states),
    unknown: states.flatMap(({ name }) => {
      const to = states.filter(({ unknown }) => unknown.includes(name)).map((state) => state.name);
      return to.length === 0 ? [] : [{ node: name, to }];
    }),
  };
  return { ...found, trouble: troubleIn(found) };
}

/** Whether the trouble can be news that has not reached every node yet. */
export function mayPass({ disagreements, open, unknown }: Condition): boolean {
  return disagreements.length + unknown.length > 0 || open.some(isHalfKnown);
}

/** Whether the nodes disagree about an open slot. */
export function isHalfKnown({ state }: OpenSlot): boolean {
  return state === "one-end" || state === "tangled";
}

export function countOf(ranges: readonly StudyRange[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0);
}

/** Whether a node is a replica, by its own word, or by that of others if it is silent. */
export function isReplica({ role, primary }: ServerState): boolean {
  return role === "replica" || (role === null && primary !== null);
}

/** The servers that take a node for down. */
export function suspectedBy(
  name: string,
  states: readonly ServerState[],
): { readonly fail: string[]; readonly suspect: string[] } {
  const by = (flag: string) => states.filter(({ suspects }) => suspects[name] === flag).map((state) => state.name);
  return { fail: by("fail"), suspect: by("fail?") };
}

/** The place of each slot's owner in `states`; -1 without one. Silent nodes own what no other node takes for its own. */
function ownersIn(states: readonly ServerState[]): Int32Array {
  const owners = new Int32Array(SLOT_COUNT).fill(-1);
  const claim = (isWanted: (state: ServerState) => boolean, mayTake: (from: number, by: ServerState) => boolean) => {
    for (const [place, state] of states.entries()) {
      for (const { start, end } of isWanted(state) ? state.slots : []) {
        for (let slot = start; slot <= end; slot++) if (mayTake(owners[slot] as number, state)) owners[slot] = place;
      }
    }
  };
  const epochOf = (place: number) => states[place]?.configEpoch ?? 0;
  claim(
    ({ role }) => role !== null,
    (from, { configEpoch }) => from === -1 || (configEpoch ?? 0) > epochOf(from),
  );
  claim(
    ({ role }) => role === null,
    (from) => from === -1,
  );
  return owners;
}

function whyUnserved(owner: ServerState, states: readonly ServerState[]): Unserved["why"] | null {
  if (owner.role === null) return suspectedBy(owner.name, states).fail.length > 0 ? "failed" : "silent";
  return owner.state === "fail" ? "refuses" : null;
}

function openSlotsIn(states: readonly ServerState[], ownerOf: (slot: number) => string | null): OpenSlot[] {
  const slots = new Map<number, OpenSlot["ends"][number][]>();
  for (const { name, role, open, keysBySlot } of states) {
    // From Valkey 8 on, a replica repeats what its primary says.
    for (const { slot, kind, peer } of role === "primary" ? open : []) {
      const keys = keysBySlot === undefined ? null : (keysBySlot[slot] ?? 0);
      slots.set(slot, [...(slots.get(slot) ?? []), { node: name, kind, peer, keys }]);
    }
  }
  return [...slots]
    .sort(([one], [other]) => one - other)
    .map(([slot, ends]) => ({ slot, owner: ownerOf(slot), ends, state: stateOf(ends, ownerOf(slot), states) }));
}

function stateOf(ends: OpenSlot["ends"], owner: string | null, states: readonly ServerState[]): OpenSlot["state"] {
  const [first, second] = [...ends].sort((one) => (one.kind === "migrating" ? -1 : 1));
  if (first === undefined || ends.length > 2) return "tangled";
  if (second !== undefined) {
    const isMove = first.kind === "migrating" && second.kind === "importing" && first.node === owner;
    return isMove && first.peer === second.node && second.peer === first.node ? "both-ends" : "tangled";
  }
  const peer = states.find(({ name }) => name === first.peer);
  // A server that refuses CLUSTER NODES does not say what it has open.
  if (peer !== undefined && peer.error !== null) return "unsure";
  return (first.kind === "migrating" ? first.node : first.peer) === owner ? "one-end" : "tangled";
}

function disagreementsIn(states: readonly ServerState[]): Disagreement[] {
  const answering = states.filter(({ role }) => role !== null);
  const all = answering.flatMap(({ disagrees }) => disagrees.map(({ slots }) => slots));
  const bounds = [...new Set(all.flatMap(({ start, end }) => [start, end + 1]))].sort((one, other) => one - other);
  const found: Disagreement[] = [];
  for (const [index, start] of bounds.entries()) {
    const end = (bounds[index + 1] ?? SLOT_COUNT) - 1;
    const about = ({ disagrees }: ServerState) =>
      disagrees.find(({ slots }) => slots.start <= start && start <= slots.end);
    const one = answering.map(about).find((each) => each !== undefined);
    if (one === undefined) continue;
    const by = new Map<string | null, string[]>([[one.is, []]]);
    for (const state of answering) {
      const said = about(state);
      const owner = said === undefined ? one.is : said.says;
      by.set(owner, [...(by.get(owner) ?? []), state.name]);
    }
    const says = [...by].flatMap(([owner, names]) => (names.length === 0 ? [] : [{ owner, by: names }]));
    const last = found.at(-1);
    const isSame = last?.is === one.is && JSON.stringify(last.says) === JSON.stringify(says) && last.end === start - 1;
    if (isSame) found[found.length - 1] = { ...(last as Disagreement), end };
    else found.push({ start, end, is: one.is, says });
  }
  return found;
}

function troubleIn({ unserved, open, disagreements, unknown }: Omit<Condition, "trouble">): string | null {
  const count = countOf(unserved);
  const half = open.filter(isHalfKnown).map(({ slot }) => slot);
  const parts = [
    ...(count > 0 ? [`${count === SLOT_COUNT ? "no slot is" : `${slots(count)} not`} served`] : []),
    ...(disagreements.length > 0 ? [`the nodes disagree about who owns ${some(disagreements)}`] : []),
    ...(half.length > 0
      ? [`the nodes disagree about the move of ${some(half.map((slot) => ({ start: slot, end: slot })))}`]
      : []),
    ...unknown.slice(0, 1).map(({ node, to }) => `${listed(to)} ${to.length === 1 ? "does" : "do"} not know ${node}`),
  ];
  return parts.length === 0 ? null : parts.join("; ");
}

const slots = (count: number) => (count === 1 ? "1 slot is" : `${count} slots are`);

/** The slots, or how many they are. */
function some(ranges: readonly StudyRange[]): string {
  const [first] = ranges;
  const count = countOf(ranges);
  return count === 1 && first !== undefined ? `slot ${first.start}` : `${count} slots`;
}

/** Names as people list them: `A`, `A and B`, `A, B, C and 3 more`. */
export function listed(names: readonly string[], most = 6): string {
  const shown = names.length > most ? [...names.slice(0, most - 1), `${names.length - most + 1} more`] : names;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}
