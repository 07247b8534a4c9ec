import { SLOT_COUNT } from "../../protocol/hash-slot.ts";
import { formatAddress, type NodeAddress } from "../../protocol/node-address.ts";
import type { TopologyDescription } from "../../topology/topology.ts";
import { addressInNodes } from "../../topology/topology-reply.ts";
import type { StudyRange } from "./events.ts";

/** What one server says of a node: of itself, or of another one. */
export interface Entry {
  readonly id: string;
  /** Undefined if the server does not know where the node is. */
  readonly at: NodeAddress | undefined;
  readonly isPrimary: boolean;
  /** The id of a replica's primary; null for a primary, and where it is not known. */
  readonly primary: string | null;
  /** Null where the server was not asked. */
  readonly epoch: number | null;
  readonly slots: readonly StudyRange[];
  readonly down: "fail?" | "fail" | null;
}

/** A slot that is half-way between two nodes. `peer` is the other node's id. */
export interface OpenEnd {
  readonly slot: number;
  readonly kind: "migrating" | "importing";
  readonly peer: string;
}

/** What one server says of the cluster. */
export interface View {
  /** The server's own id; undefined if it does not say which entry is its own. */
  readonly self: string | undefined;
  readonly entries: ReadonlyMap<string, Entry>;
  /** The server's own slots that are half-way. It does not know those of others. */
  readonly open: readonly OpenEnd[];
  /** The addresses of nodes that the server is in a handshake with. */
  readonly meeting: readonly string[];
}

/**
 * Reads CLUSTER NODES of any server, also of a broken cluster. A line or a word that makes no sense is passed over.
 *
 *   <id> <host>:<port>@<bus>[,<name>[,...]] <flag>[,<flag>] <primary or -> <ping> <pong> <epoch> <link> [<slots> ...]
 *   <slots>: 12182 | 0-5460 | [1000->-<id>] migrating | [1000-<-<id>] importing
 */
export function readNodes(text: string, answeredBy: NodeAddress): View {
  let self: string | undefined;
  const entries = new Map<string, Entry>();
  const open: OpenEnd[] = [];
  const meeting: string[] = [];
  for (const line of text.split("\n")) {
    const [id = "", at = "", flagged, primary, , , epoch = "", , ...words] = line.trim().split(" ");
    if (flagged === undefined) continue;
    const flags = flagged.split(",");
    const address = flags.includes("noaddr") ? undefined : addressInNodes(at, answeredBy);
    // Until it has answered, a node has an id that was made up for it.
    if (flags.includes("handshake")) {
      meeting.push(address === undefined ? "an unknown address" : formatAddress(address));
      continue;
    }
    if (flags.includes("myself")) self = id;
    entries.set(id, {
      id,
      at: address,
      isPrimary: !flags.includes("slave") && !flags.includes("replica"),
      primary: primary === undefined || primary === "-" ? null : primary,
      epoch: /^\d{1,15}$/.test(epoch) ? Number(epoch) : null,
      slots: words.flatMap((word) => rangeIn(word) ?? []),
      down: flags.includes("fail") ? "fail" : flags.includes("fail?") ? "fail?" : null,
    });
    if (flags.includes("myself")) open.push(...words.flatMap((word) => openEndIn(word) ?? []));
  }
  return { self, entries, open, meeting };
}

/** The view of a server that refuses CLUSTER NODES, from its CLUSTER SHARDS or SLOTS: without epochs and open slots. */
export function viewOfDescription({ nodes, slots }: TopologyDescription, self: string | undefined): View {
  const ids = new Map(nodes.map((node) => [formatAddress(node), node.id]));
  const entries = nodes.map(({ id, host, port, role, primary, health }, owner): [string, Entry] => [
    id,
    {
      id,
      at: { host, port },
      isPrimary: role === "primary",
      primary: ids.get(primary ?? "") ?? null,
      epoch: null,
      slots: slots.flatMap(({ owner: its, start, end }) => (its === owner ? [{ start, end }] : [])),
      down: health === "fail" ? "fail" : null,
    },
  ]);
  return { self, entries: new Map(entries), open: [], meeting: [] };
}

/** `cluster_state` and `cluster_current_epoch` in CLUSTER INFO. */
export function readInfo(text: string): { readonly state: "ok" | "fail" | null; readonly currentEpoch: number | null } {
  const state = /^cluster_state:(ok|fail)\r?$/m.exec(text)?.[1];
  const epoch = /^cluster_current_epoch:(\d{1,15})\r?$/m.exec(text)?.[1];
  return { state: (state ?? null) as "ok" | "fail" | null, currentEpoch: epoch === undefined ? null : Number(epoch) };
}

function rangeIn(word: string): StudyRange | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word) ?? [];
  const [start, end] = [Number(first), Number(last)];
  return start <= end && end < SLOT_COUNT ? { start, end } : undefined;
}

function openEndIn(word: string): OpenEnd | undefined {
  const [, digits, direction, peer = ""] = /^\[(\d{1,5})-([<>])-([^\]]+)\]$/.exec(word) ?? [];
  const slot = Number(digits);
  if (!(slot < SLOT_COUNT)) return undefined;
  return { slot, kind: direction === ">" ? "migrating" : "importing", peer };
}
