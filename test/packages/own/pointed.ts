import Module, { createRequire } from "node:module";
import type * as Ioredis from "ioredis";
import { Cluster } from "../../../src/ioredis/index.ts";
import type { PointedAt } from "./suites.ts";

/*
 * Loaded in front of a package's own tests: what they load as ioredis makes clients of `SLOTWIRE_POINTED_AT`, of ioredis
 * or of the facade, in place of clients of a single server at its usual port.
 */
const { client, kind, nodes, keyPrefix = "" } = JSON.parse(process.env.SLOTWIRE_POINTED_AT as string) as PointedAt;
const ioredis = createRequire(import.meta.url)("ioredis") as typeof Ioredis;

/** What the tests give that is not about where the server is. */
function settingsIn(given: readonly unknown[]): Ioredis.RedisOptions {
  const options = given.find((value): value is Ioredis.RedisOptions => typeof value === "object" && value !== null);
  const { host: _host, port: _port, db: _db, ...settings } = options ?? {};
  return { ...settings, ...(keyPrefix !== "" && { keyPrefix }) };
}

function clientOf(redisOptions: Ioredis.RedisOptions): unknown {
  if (client === "slotwire") return new Cluster(nodes, { redisOptions, compatible: ioredis });
  if (kind === "cluster") return new ioredis.Cluster([...nodes], { redisOptions });
  return new ioredis.Redis({ ...redisOptions, ...nodes[0] });
}

function PointedRedis(...given: readonly unknown[]): unknown {
  return clientOf(settingsIn(given));
}
function PointedCluster(_nodes: unknown, options: Ioredis.ClusterOptions = {}): unknown {
  return clientOf(options.redisOptions ?? {});
}
const pointed = Object.assign(PointedRedis, {
  default: PointedRedis,
  Redis: PointedRedis,
  Cluster: PointedCluster,
  Command: ioredis.Command,
  prototype: ioredis.Redis.prototype,
});

interface Loader {
  _load(request: string, ...rest: unknown[]): unknown;
}
const loader = Module as unknown as Loader;
const load = loader._load;
loader._load = (request, ...rest) => (request === "ioredis" ? pointed : load(request, ...rest));
/** For the suites that are functions, which get their clients from us. */
(globalThis as { pointedClient?: unknown }).pointedClient = () => clientOf({});
