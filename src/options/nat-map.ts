import { types } from "node:util";
import { letGoOf } from "../connection/given-functions.ts";
import { UntrustedError } from "../connection/retry-policy.ts";
import { kindOf } from "../protocol/encode.ts";
import { formatAddress, type NodeAddress, parseAddress } from "../protocol/node-address.ts";
import { invalid, isPlainObject } from "./invalid.ts";
import { readAddress } from "./seeds.ts";

/**
 * Maps announced addresses (`"host:port"`) to addresses that this process can reach: a table, or a function that
 * returns undefined for an address without a mapping. An address without a mapping is used unchanged. A function is
 * asked before each connection; nothing connects to an address for which it throws or returns anything else.
 */
export type NatMap = Readonly<Record<string, NodeAddress>> | ((address: string) => NodeAddress | undefined);

/** Says whether credentials may go to an announced address (`"host:port"`). */
export type Trusts = (address: string) => boolean;

/** The map from announced addresses to those that can be reached, as a function. */
export function readNatMap(natMap: NatMap | undefined): (address: string) => NodeAddress | undefined {
  if (natMap === undefined) return () => undefined;
  if (typeof natMap === "function") return (address) => mapped(natMap, address);
  if (!isPlainObject(natMap)) throw invalid("natMap must be an object or a function");
  // Nothing would be mapped, because the entries of a Map are no properties.
  if (types.isMap(natMap)) throw invalid("natMap is a Map; accepted is natMap: Object.fromEntries(map)");
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

/**
 * The option `trusts` as a function that throws an `UntrustedError` for an address to which nothing may connect. Only
 * `true` is trust: a promise, for one, would be taken for it otherwise.
 */
export function readTrusts(trusts: Trusts | undefined): (address: string) => void {
  if (trusts === undefined) return () => {};
  if (typeof trusts !== "function") throw invalid(`trusts is ${kindOf(trusts)}; accepted is a function`);
  return (address) => {
    let answer: unknown;
    try {
      answer = trusts(address);
    } catch (cause) {
      throw new UntrustedError(`trusts threw for ${address} (${messageOf(cause)})`, { cause });
    }
    if (answer === true) return;
    letGoOf(answer);
    if (answer === false) throw new UntrustedError(`trusts says no to ${address}, so nothing connects there`);
    throw new UntrustedError(`trusts returned ${kindOf(answer)} for ${address}; accepted are true and false`);
  };
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : typeof thrown;
}

function mapped(natMap: (address: string) => NodeAddress | undefined, address: string): NodeAddress | undefined {
  let to: unknown;
  try {
    to = natMap(address);
  } catch (error) {
    throw invalid(`natMap threw for ${address} (${messageOf(error)})`);
  }
  const reachable = to === undefined ? undefined : readAddress(to);
  if (to === undefined || reachable) return reachable;
  letGoOf(to);
  throw invalid(`natMap returned no { host, port } for ${address}`);
}
