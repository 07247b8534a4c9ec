import type { TestContext } from "node:test";
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

/**
 * Whether the server counts subcommands by themselves (`script|load`: Redis 7.0 on) or calls that failed or were refused
 * (6.2 on). Where it does not, the test says what it leaves out.
 */
export function counts(what: "subcommands" | "failures", test: TestContext, cluster: LocalCluster): boolean {
  const [, major, minor] = /v=(\d+)\.(\d+)/.exec(cluster.version) as unknown as [string, string, string];
  const version = Number(major) + Number(minor) / 100;
  const does = version >= { subcommands: 7, failures: 6.02 }[what];
  if (!does) test.diagnostic(`left out: this server does not count ${what} (${test.name})`);
  return does;
}

/** Sets the counts of all servers to 0. */
export async function resetStats(cluster: LocalCluster): Promise<void> {
  await Promise.all(cluster.nodes.map((address) => cluster.command(address, "CONFIG", "RESETSTAT")));
}
