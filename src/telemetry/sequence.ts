import type { ClientInfo } from "./messages.ts";

/** What all copies of slotwire in a process count together. */
interface Shared {
  seq: number;
  clients: number;
}

const KEY = Symbol.for("slotwire.messages");

function shared(): Shared {
  const holder = globalThis as { [KEY]?: Shared };
  holder[KEY] ??= { seq: 0, clients: 0 };
  return holder[KEY];
}

/** The number of the message that is about to be published. */
export function nextSeq(): number {
  return ++shared().seq;
}

/** The id of a client that is about to be made. */
export function nextClientId(): number {
  return ++shared().clients;
}

/** The newest ids of one client. */
interface Ids {
  call: number;
  operation: number;
  load: number;
  refresh: number;
}

const newest = new WeakMap<ClientInfo, Ids>();

/** The next id of that kind in a client. Ids are given only to what is published. */
export function nextId(client: ClientInfo, of: keyof Ids): number {
  let ids = newest.get(client);
  if (ids === undefined) {
    ids = { call: 0, operation: 0, load: 0, refresh: 0 };
    newest.set(client, ids);
  }
  return ++ids[of];
}
