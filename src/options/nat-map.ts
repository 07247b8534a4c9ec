import { formatAddress, type NodeAddress, parseAddress } from "../protocol/node-address.ts";
import { invalid, isPlainObject } from "./invalid.ts";
import { readAddress } from "./seeds.ts";

/**
 * Maps announced addresses (`"host:port"`) to addresses that this process can reach: a table, or a function that
 * returns undefined for an address without a mapping. An address without a mapping is used unchanged.
 */
export type NatMap = Readonly<Record<string, NodeAddress>> | ((address: string) => NodeAddress | undefined);

/** The map from announced addresses to those that can be reached, as a function. */
export function readNatMap(natMap: NatMap | undefined): (address: string) => NodeAddress | undefined {
  if (natMap === undefined) return () => undefined;
  if (typeof natMap === "function") return (address) => mapped(natMap, address);
  if (!isPlainObject(natMap)) throw invalid("natMap must be an object or a function");
  const table = new Map(
    Object.entries(natMap).map(([from, to]) => {
      const [announced, reachable] = [parseAddress(from), readAddress(to)];
      if (!announced || !reachable)
        throw invalid(`natMap[${JSON.stringify(from)}] must map "host:port" to { host, port }`);
      return [formatAddress(announced), reachable];
    }),
  );
  return (address) => table.get(address);
}

function mapped(natMap: (address: string) => NodeAddress | undefined, address: string): NodeAddress | undefined {
  let to: unknown;
  try {
    to = natMap(address);
  } catch (error) {
    throw invalid(`natMap threw for ${address} (${error instanceof Error ? error.message : typeof error})`);
  }
  const reachable = to === undefined ? undefined : readAddress(to);
  if (to !== undefined && !reachable) throw invalid(`natMap returned no { host, port } for ${address}`);
  return reachable;
}
