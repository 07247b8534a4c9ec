import type { LocalCluster } from "../../src/testing/index.ts";

/** How often a server was asked for a command, and how often it answered with an error, by its own count. */
export interface CommandStat {
  readonly calls: number;
  readonly failed: number;
}

/** Reads `INFO commandstats` of one server. Commands it never got count 0. */
export async function commandStats(cluster: LocalCluster, address: string): Promise<(command: string) => CommandStat> {
  const info = String(await cluster.command(address, "INFO", "commandstats"));
  const stats = new Map<string, CommandStat>();
  for (const [, command, fields] of info.matchAll(/^cmdstat_([^:]+):(.*)$/gm)) {
    const number = (name: string) => Number(new RegExp(`\\b${name}=(\\d+)`).exec(fields as string)?.[1] ?? 0);
    stats.set(command as string, {
      calls: number("calls"),
      failed: number("failed_calls") + number("rejected_calls"),
    });
  }
  return (command) => stats.get(command) ?? { calls: 0, failed: 0 };
}

/** Sets the counts of all servers to 0. */
export async function resetStats(cluster: LocalCluster): Promise<void> {
  await Promise.all(cluster.nodes.map((address) => cluster.command(address, "CONFIG", "RESETSTAT")));
}
