/*
 * What servers and proxies say where there is no cluster. One table, by their exact words: a wrong guess here would take
 * a node of a cluster for a single server.
 */

/** The server knows CLUSTER, and runs without cluster mode. */
const DISABLED = [
  /^ERR This instance has cluster support disabled$/, // Redis, Valkey, KeyDB, Garnet
  /^(ERR )?Cluster is disabled\. /i, // Dragonfly
  /^(ERR )?Cluster mode is not enabled\.?$/i, // Kvrocks
];

/** The server does not know CLUSTER: it was renamed, or a proxy keeps it from its clients. */
const UNKNOWN = [
  // Redis from 3 on, Valkey, Envoy, Predixy, Pika: with either quotes, or none; with the arguments behind them, or not.
  /^ERR unknown command:? [`'"]?CLUSTER[`'"]?(?:[,. ]|$)/i,
  // The same, where the command is not named.
  /^ERR (?:unknown command|unsupported command|command not support(?:ed)?)\.?$/i,
  /^ERR unsupported command:? [`'"]?CLUSTER[`'"]?(?:[,. ]|$)/i,
  /^ERR command is not allowed$/, // Redis Enterprise without the cluster API
  /^ERR Command is not available: [`'"]?CLUSTER\b/i, // Upstash
];

/**
 * What an error reply to a CLUSTER command says of the server. Undefined: nothing certain, such as NOPERM.
 *
 * | | |
 * | --- | --- |
 * | `disabled` | the server runs without cluster mode |
 * | `unknown` | the server, or a proxy, does not know CLUSTER at all |
 */
export function clusterSupportIn(text: string): "disabled" | "unknown" | undefined {
  if (DISABLED.some((wording) => wording.test(text))) return "disabled";
  return UNKNOWN.some((wording) => wording.test(text)) ? "unknown" : undefined;
}
