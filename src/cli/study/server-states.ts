import { SLOT_COUNT } from "../../protocol/hash-slot.ts";
import { zoneFrom } from "../../topology/topology.ts";
import type { ServerState, StudyRange } from "./events.ts";
import type { NodeNames } from "./node-names.ts";
import type { Entry, View } from "./server-view.ts";

/** What came of asking one server. */
export interface Account {
  /** The server's id, as far as it is known. Empty for a single server without cluster mode. */
  readonly id: string;
  /** As announced. */
  readonly address: string;
  /** Undefined if the server did not answer. */
  readonly view: View | undefined;
  readonly error: string | null;
  readonly state: "ok" | "fail" | null;
  readonly currentEpoch: number | null;
  readonly keys: number | null;
  /** The number of keys by slot, for the slots that were asked for; undefined if the server was not asked. */
  readonly keysBySlot: ReadonlyMap<number, number> | undefined;
  readonly scripts: Readonly<Record<string, boolean>>;
  /** The health of nodes by id, where the server tells more of it than flags. */
  readonly health: ReadonlyMap<string, ServerState["health"]>;
  /** The availability zones of nodes by id, where the server tells any. */
  readonly zones?: ReadonlyMap<string, string>;
}

/** Any entry about a node, and whether it is the node's own word. */
interface Believed extends Entry {
  readonly isOwnWord: boolean;
}

const NOBODY = -1;
const UNPLACED = "no node knows its address";

/**
 * What was found out about each node that was asked, or that a server names: the pure part of `Servers`.
 *
 *   who owns a slot:  a node that says so itself, at the highest config epoch
 *                     '-- none --> a silent node of which others say so, at the highest config epoch
 *                                  '-- none --> nobody
 */
export function statesOf(accounts: readonly Account[], names: NodeNames): ServerState[] {
  const asked = new Map(accounts.map((account) => [account.id, account]));
  const nodes = believedIn(accounts);
  const ids = [...nodes.keys()];
  const places = new Map(ids.map((id, place) => [id, place]));
  const placeOf = (id: string) => places.get(id) ?? NOBODY;
  const owners = ownersAmong([...nodes.values()], accounts, placeOf);
  const slotsOf = (node: Believed, place: number) => {
    if (node.isOwnWord) return node.isPrimary ? node.slots : [];
    return rangesWhere((slot) => owners[slot] === place);
  };
  const addressOf = ({ id, at }: Believed) => asked.get(id)?.address ?? addressText(at);
  names.follow(
    [...nodes.values()].map((node, place) => ({
      id: node.id,
      address: addressOf(node),
      isPrimary: node.isPrimary,
      primary: node.primary,
      firstSlot: slotsOf(node, place)[0]?.start,
    })),
  );
  const nameOf = (id: string) => names.of(id) ?? id;
  const nameAt = (place: number) => (place === NOBODY ? null : nameOf(ids[place] as string));
  const others = (account: Account) =>
    [...(account.view?.entries.values() ?? [])].filter(({ id }) => id !== account.id);
  return [...nodes.values()]
    .map((node, place): ServerState => {
      const account = asked.get(node.id);
      const view = account?.view;
      return {
        address: addressOf(node),
        name: nameOf(node.id),
        id: node.id,
        role: view === undefined ? null : node.isPrimary ? "primary" : "replica",
        primary: node.isPrimary || node.primary === null ? null : nameOf(node.primary),
        error: account === undefined ? UNPLACED : account.error,
        health: healthOf(node, accounts),
        state: account?.state ?? null,
        currentEpoch: account?.currentEpoch ?? null,
        configEpoch: node.epoch,
        slots: slotsOf(node, place),
        open: (view?.open ?? []).map(({ slot, kind, peer }) => ({ slot, kind, peer: nameOf(peer) })),
        suspects: Object.fromEntries(
          (account === undefined ? [] : others(account)).flatMap(({ id, down }) => (down ? [[nameOf(id), down]] : [])),
        ),
        disagrees: view === undefined ? [] : disagreements(view, owners, placeOf, nameAt),
        unknown: view === undefined ? [] : unknownTo(view, nodes, accounts).map(nameOf),
        meeting: view?.meeting ?? [],
        keys: account?.keys ?? null,
        ...(account?.keysBySlot === undefined ? {} : { keysBySlot: filled(account.keysBySlot) }),
        scripts: account?.scripts ?? {},
        ...zoneFrom(zoneOf(node.id, account, accounts)),
      };
    })
    .sort((one, other) => (order(one) < order(other) ? -1 : 1));
}

/** A node's zone by its own word, or else by that of any other. */
function zoneOf(id: string, own: Account | undefined, accounts: readonly Account[]): string | undefined {
  return own?.zones?.get(id) ?? accounts.map(({ zones }) => zones?.get(id)).find((zone) => zone !== undefined);
}

/** For each node the most credible entry: its own, or the one with the highest config epoch. */
function believedIn(accounts: readonly Account[]): Map<string, Believed> {
  const nodes = new Map<string, Believed>();
  for (const { id, view } of accounts) {
    const own = view?.entries.get(view.self ?? id);
    if (own !== undefined) nodes.set(id, { ...own, id, isOwnWord: true });
  }
  for (const { view } of accounts) {
    for (const entry of view?.entries.values() ?? []) {
      const known = nodes.get(entry.id);
      if (known === undefined || (!known.isOwnWord && (entry.epoch ?? -1) > (known.epoch ?? -1))) {
        nodes.set(entry.id, { ...entry, at: entry.at ?? known?.at, isOwnWord: false });
      }
    }
  }
  for (const { id } of accounts) {
    if (nodes.has(id)) continue;
    const nothing = { primary: null, epoch: null, slots: [], down: null, at: undefined };
    nodes.set(id, { id, isPrimary: true, ...nothing, isOwnWord: false });
  }
  return nodes;
}

function ownersAmong(
  nodes: readonly Believed[],
  accounts: readonly Account[],
  placeOf: (id: string) => number,
): Int32Array {
  const owners = new Int32Array(SLOT_COUNT).fill(NOBODY);
  const epochs = new Float64Array(SLOT_COUNT).fill(-1);
  const claim = ({ isPrimary, epoch, slots }: Entry, place: number, mayTake: (slot: number) => boolean) => {
    for (const { start, end } of isPrimary ? slots : []) {
      for (let slot = start; slot <= end; slot++) {
        if (!mayTake(slot) || (owners[slot] !== NOBODY && (epoch ?? 0) <= (epochs[slot] as number))) continue;
        owners[slot] = place;
        epochs[slot] = epoch ?? 0;
      }
    }
  };
  for (const node of nodes) if (node.isOwnWord) claim(node, placeOf(node.id), () => true);
  const isLeft = owners.map((place) => (place === NOBODY ? 1 : 0));
  const silent = new Set(nodes.flatMap(({ id, isOwnWord }) => (isOwnWord ? [] : [id])));
  for (const { view } of accounts) {
    for (const entry of view?.entries.values() ?? []) {
      if (silent.has(entry.id)) claim(entry, placeOf(entry.id), (slot) => isLeft[slot] === 1);
    }
  }
  return owners;
}

function disagreements(
  { entries }: View,
  owners: Int32Array,
  placeOf: (id: string) => number,
  nameAt: (place: number) => string | null,
): ServerState["disagrees"] {
  const says = new Int32Array(SLOT_COUNT).fill(NOBODY);
  for (const { id, isPrimary, slots } of entries.values()) {
    for (const { start, end } of isPrimary ? slots : []) says.fill(placeOf(id), start, end + 1);
  }
  const different = rangesWhere(
    (slot) => says[slot] !== owners[slot],
    (one, next) => says[one] === says[next] && owners[one] === owners[next],
  );
  return different.map((slots) => ({
    slots,
    says: nameAt(says[slots.start] as number),
    is: nameAt(owners[slots.start] as number),
  }));
}

/** The nodes that are known, be it to themselves alone, and not to this one. */
function unknownTo({ entries }: View, nodes: ReadonlyMap<string, Believed>, accounts: readonly Account[]): string[] {
  const isKnown = (id: string) => accounts.some(({ view }) => view?.entries.has(id));
  return [...nodes.keys()].filter((id) => !entries.has(id) && isKnown(id));
}

function healthOf({ id }: Believed, accounts: readonly Account[]): ServerState["health"] {
  if (accounts.some(({ view }) => view?.entries.get(id)?.down === "fail")) return "fail";
  const told = accounts.flatMap(({ health }) => health.get(id) ?? []);
  return told.includes("loading") ? "loading" : "online";
}

/** The slots for which `is` holds, as ranges of slots that are alike. */
export function rangesWhere(
  is: (slot: number) => boolean,
  areAlike: (slot: number, next: number) => boolean = () => true,
): StudyRange[] {
  const ranges: StudyRange[] = [];
  for (let start = 0; start < SLOT_COUNT; start++) {
    if (!is(start)) continue;
    let end = start;
    while (end + 1 < SLOT_COUNT && is(end + 1) && areAlike(end, end + 1)) end++;
    ranges.push({ start, end });
    start = end;
  }
  return ranges;
}

function filled(keysBySlot: ReadonlyMap<number, number>): Record<number, number> {
  return Object.fromEntries([...keysBySlot].filter(([, keys]) => keys > 0));
}

function addressText(at: Entry["at"]): string {
  return at === undefined ? "" : `${at.host.includes(":") ? `[${at.host}]` : at.host}:${at.port}`;
}

/** A, A1, A2, B, ..., Z, AA: names of one length in order of the alphabet, numbers as numbers. */
function order({ name }: ServerState): string {
  const [, letters = "", number = "0"] = /^([A-Z]*)(\d*)$/.exec(name) ?? [];
  return letters.padStart(4) + number.padStart(6, "0");
}
