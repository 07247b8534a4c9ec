import type { ServerProcess } from "./server-process.ts";

/** A slot that is half-way between two nodes, as one of them knows it. */
export interface OpenSlot {
  readonly slot: number;
  readonly kind: "migrating" | "importing";
  /** The id of the other node. */
  readonly peer: string;
}

/** What one server says of itself, and whom it takes for the owners of slots. */
export interface OwnView {
  readonly server: ServerProcess;
  readonly id: string;
  readonly isPrimary: boolean;
  /** The id of a replica's primary; "-" for a primary. */
  readonly primary: string;
  /** The number of slots that the server takes for its own. */
  readonly slotCount: number;
  /** The slots that are half-way, as this server knows it. */
  readonly open: readonly OpenSlot[];
  /** The id of the node that this server takes for the slot's owner. */
  ownerOf(slot: number): string | undefined;
  /** The ids of the nodes that this server takes for primaries. */
  readonly primaries: ReadonlySet<string>;
}

interface Entry {
  readonly id: string;
  readonly flags: readonly string[];
  readonly primary: string;
  readonly ranges: readonly (readonly [start: number, end: number])[];
  readonly open: readonly OpenSlot[];
}

/** Asks each server for its own view, by CLUSTER NODES. */
export function ownViews(servers: readonly ServerProcess[]): Promise<OwnView[]> {
  return Promise.all(
    servers.map(async (server) => ownViewIn(server, String(await server.command("CLUSTER", "NODES")))),
  );
}

function ownViewIn(server: ServerProcess, text: string): OwnView {
  const entries = text
    .split("\n")
    .filter((line) => line !== "")
    .map(entryIn);
  const own = entries.find(({ flags }) => flags.includes("myself"));
  if (own === undefined) throw new Error(`${server.address} does not know itself in CLUSTER NODES.`);
  return {
    server,
    id: own.id,
    isPrimary: own.flags.includes("master"),
    primary: own.primary,
    slotCount: own.ranges.reduce((sum, [start, end]) => sum + end - start + 1, 0),
    open: own.open,
    ownerOf: (slot) => entries.find(({ ranges }) => ranges.some(([start, end]) => start <= slot && slot <= end))?.id,
    primaries: new Set(entries.flatMap(({ id, flags }) => (flags.includes("master") ? [id] : []))),
  };
}

/** `id host:port@bus flags primary ping pong epoch state 0-5460 7000 [1000->-id] [1001-<-id]` */
function entryIn(line: string): Entry {
  const [id = "", , flags = "", primary = "-", , , , , ...slots] = line.split(" ");
  return {
    id,
    flags: flags.split(","),
    primary,
    ranges: slots.flatMap((text) => {
      const [, start, end = start] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
      return start === undefined ? [] : [[Number(start), Number(end)] as const];
    }),
    open: slots.flatMap((text) => {
      const [, slot, arrow, peer = ""] = /^\[(\d+)-([<>])-(\w+)\]$/.exec(text) ?? [];
      return slot === undefined ? [] : [{ slot: Number(slot), kind: arrow === ">" ? "migrating" : "importing", peer }];
    }),
  };
}
