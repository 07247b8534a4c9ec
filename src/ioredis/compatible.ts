import { InvalidArgumentError } from "../index.ts";
import type { ClusterOptions } from "./options.ts";

/**
 * Makes `client instanceof ioredis.Cluster` true: ioredis's class becomes a prototype behind this one.
 * @param own  The prototype of the client's class.
 */
export function beInstanceOf(client: object, own: object, compatible: NonNullable<ClusterOptions["compatible"]>): void {
  const { Cluster, default: whole } = compatible;
  const theirs = Cluster ?? (whole as { Cluster?: unknown } | undefined)?.Cluster;
  if (typeof theirs !== "function") {
    throw new InvalidArgumentError(
      "slotwire/ioredis: compatible is not the imported module of ioredis: it has no Cluster.",
    );
  }
  let adapted = adaptedPrototypes.get(theirs);
  if (adapted === undefined) {
    adapted = Object.create(theirs.prototype, Object.getOwnPropertyDescriptors(own)) as object;
    adaptedPrototypes.set(theirs, adapted);
  }
  Object.setPrototypeOf(client, adapted);
}

/** By ioredis's class. Several copies of ioredis can be installed. */
const adaptedPrototypes = new WeakMap<object, object>();
