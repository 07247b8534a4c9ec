import { slotOf } from "../../protocol/hash-slot.ts";
import type { Reply } from "../../protocol/reply.ts";
import type { Place } from "./place.ts";

/** How often a script has run for a key, by the word of the server that has the key. */
export interface Entry {
  readonly key: string;
  /** Null if no server has the key. */
  readonly runs: number | null;
  /** The name of the node that has the key. */
  readonly node: string | null;
}

/** Reads the keys from the servers themselves, and not through the client whose calls are looked at. */
export async function ledgerOf(keys: readonly string[], { actions, servers }: Place): Promise<Entry[]> {
  const states = await servers.lookAgain();
  return Promise.all(
    keys.map(async (key) => {
      const slot = slotOf(key);
      for (const { name, address, role, slots, open, error } of states) {
        const isIts =
          slots.some(({ start, end }) => start <= slot && slot <= end) || open.some((each) => each.slot === slot);
        if (role !== "primary" || error !== null || !isIts) continue;
        const value = await read(actions.local, address, key);
        if (typeof value === "string") return { key, runs: Number(value), node: name };
      }
      return { key, runs: null, node: null };
    }),
  );
}

/** A server that imports the slot needs ASKING in front. */
async function read(local: Place["actions"]["local"], address: string, key: string): Promise<Reply> {
  const [, value] = await local.commands(address, ["ASKING"], ["GET", key]);
  return value instanceof Error ? null : (value ?? null);
}
