import type { Argument, Reply } from "../protocol/reply.ts";

/*
 * How a server knows a connection, and what it says of it on another one. A server that has something of a connection
 * in hand is a sign of life of that connection.
 */

/** How a server knows one connection. */
export interface Standing {
  /** The connection's CLIENT ID. It is unique in one process, and begins anew with the next. */
  readonly id: string;
  /** The address that the connection comes from, as the server sees it. */
  readonly address: string;
  /** The process that answered: the node's id, or the run id of a server that is no node. */
  readonly process: string;
}

/** The question how the server knows the connection that asks. From Redis 6.2 on. */
export const HOW_AM_I_KNOWN: readonly Argument[] = ["CLIENT", "INFO"];
/** The question for the run id. */
export const WHICH_PROCESS: readonly Argument[] = ["INFO", "server"];

/** The question what a server has in hand of the connection that it knows as `standing`. */
export function whatIsInHand({ id }: Standing): readonly Argument[] {
  return ["CLIENT", "LIST", "ID", id];
}

/** The run id in a server's INFO; undefined where there is none. */
export function runIdIn(info: Reply): string | undefined {
  return typeof info === "string" ? /^run_id:(\w+)/m.exec(info)?.[1] : undefined;
}

/**
 * Reads the answer to `HOW_AM_I_KNOWN`.
 * @param process  The id of the node, or the run id.
 */
export function standingIn(info: Reply, process: string): Standing | undefined {
  const { id, addr: address } = fieldsOf(info);
  return id === undefined || address === undefined ? undefined : { id, address, process };
}

/** What a server says of a connection. */
export type InHand =
  /** The connection's command is blocked: it waits for something, for the end of a pause, or for a thread. */
  | { readonly kind: "blocked" }
  /** Parts of a command, or of replies, are held. `amounts` changes as long as they move. */
  | { readonly kind: "held"; readonly amounts: string }
  | { readonly kind: "empty" }
  /** The server does not know the connection. */
  | { readonly kind: "gone" };

/** Reads the answer to `whatIsInHand`. Undefined for an answer that is no list of clients. */
export function inHandIn(list: Reply, standing: Standing): InHand | undefined {
  if (typeof list !== "string") return undefined;
  if (list.trim() === "") return { kind: "gone" };
  const { id, addr, flags = "", ...fields } = fieldsOf(list);
  if (id === undefined || addr === undefined) return undefined;
  if (id !== standing.id || addr !== standing.address) return { kind: "gone" };
  if (flags.includes("b")) return { kind: "blocked" };
  const amounts = AMOUNTS.map((name) => fields[name] ?? "0");
  return amounts.every((amount) => amount === "0") ? { kind: "empty" } : { kind: "held", amounts: amounts.join(" ") };
}

/** Unread bytes, arguments that were read, and replies that the connection has not taken. */
const AMOUNTS: readonly string[] = ["qbuf", "argv-mem", "obl", "oll", "omem"];

/** The fields of the first line: `id=3 addr=127.0.0.1:40290 ...`. */
function fieldsOf(line: Reply): Readonly<Record<string, string>> {
  if (typeof line !== "string") return {};
  const pairs = line.trim().split("\n", 1)[0]?.split(" ") ?? [];
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}
