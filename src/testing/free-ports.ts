import { createServer } from "node:net";

/** All servers of ours, and their clients, use this interface. */
export const HOST = "127.0.0.1";
/** The distance between a cluster node's port and its bus port, which the other nodes use. */
const BUS_OFFSET = 10_000;
/** The last port whose bus port is one. */
export const LAST_PORT = 65_535 - BUS_OFFSET;

/** Returns a port to try, a different one at each call. */
export type NextPort = () => Promise<number>;

/** The ports that this process has given out. Servers that start at the same time must not get the same port. */
const given = new Set<number>();

/**
 * A port that is free, and whose bus port is free. Both are below the range that systems use for outgoing connections.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 11_000 + Math.floor(Math.random() * 11_700);
    const both = [port, port + BUS_OFFSET];
    if (both.some((each) => given.has(each))) continue;
    for (const each of both) given.add(each);
    if ((await isFree(port)) && (await isFree(port + BUS_OFFSET))) return port;
    takeBack(port);
  }
}

export function takeBack(port: number): void {
  given.delete(port);
  given.delete(port + BUS_OFFSET);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

/**
 * The ports for `count` servers from `first` on, and behind them for servers that join later: the next free ones.
 * @throws {Error} when one of the first `count` ports is taken, or is none.
 */
export async function consecutivePorts(first: number, count: number): Promise<NextPort> {
  const last = first + count - 1;
  if (!Number.isInteger(first) || first < 1 || last > LAST_PORT) {
    throw new Error(`The first port is ${first}; accepted for ${count} servers is 1 to ${LAST_PORT - count + 1}.`);
  }
  for (let port = first; port <= last; port++) {
    for (const each of [port, port + BUS_OFFSET]) {
      if (!given.has(each) && (await isFree(each))) continue;
      const servers = `${count === 1 ? "the server needs port" : `${count} servers need the ports`} ${rangeOf(first, last)}`;
      const buses = `${rangeOf(first + BUS_OFFSET, last + BUS_OFFSET)} to talk to each other`;
      throw new Error(`Port ${each} is taken: ${servers}, and ${buses}.`);
    }
  }
  let next = first;
  return async () => {
    while (next <= LAST_PORT) {
      const port = next++;
      const both = [port, port + BUS_OFFSET];
      if (both.some((each) => given.has(each))) continue;
      for (const each of both) given.add(each);
      if (port <= last || ((await isFree(port)) && (await isFree(port + BUS_OFFSET)))) return port;
      takeBack(port);
    }
    throw new Error(`No port behind ${last} is free.`);
  };
}

function rangeOf(first: number, last: number): string {
  return first === last ? String(first) : `${first} to ${last}`;
}
