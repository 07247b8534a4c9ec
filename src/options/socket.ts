import type { OpenSocket, SocketOptions } from "../environment.ts";
import { kindOf } from "../protocol/encode.ts";
import { invalid, isPlainObject } from "./invalid.ts";

const CHECKS: { readonly [name in keyof SocketOptions]-?: [(value: unknown) => boolean, string] } = {
  family: [(value) => value === 0 || value === 4 || value === 6, "0, 4 and 6"],
  lookup: [(value) => typeof value === "function", "a function such as dns.lookup"],
  localAddress: [(value) => typeof value === "string" && value !== "", "an IP address of this machine"],
  keepAliveInitialDelay: [
    (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31,
    "a whole number of milliseconds from 0 to 2147483647",
  ],
};

/** Checks the option `socket`. */
export function readSocket(socket: unknown): SocketOptions | OpenSocket | undefined {
  if (socket === undefined || typeof socket === "function") return socket as OpenSocket | undefined;
  const names = Object.keys(CHECKS);
  if (!isPlainObject(socket)) {
    throw invalid(
      `socket is ${kindOf(socket)}; accepted are { ${names.join(", ")} } and a function that returns a Duplex`,
    );
  }
  for (const [name, value] of Object.entries(socket)) {
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof SocketOptions] : undefined;
    if (check === undefined) throw invalid(`socket has no ${name}; accepted are ${names.join(", ")}`);
    if (value !== undefined && !check[0](value)) {
      throw invalid(`socket.${name} is ${shown(value)}; accepted ${name === "family" ? "are" : "is"} ${check[1]}`);
    }
  }
  return Object.freeze(Object.fromEntries(Object.entries(socket).filter(([, value]) => value !== undefined)));
}

function shown(value: unknown): string {
  return typeof value === "number" ? String(value) : kindOf(value);
}
