import type { LocalCluster } from "../../src/testing/index.ts";

/** What servers spent, summed over nodes since they started. */
export interface ServerCosts {
  readonly cpuMicroseconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** From the servers' own statistics. */
export async function serverCosts(cluster: LocalCluster): Promise<ServerCosts> {
  const each = await Promise.all(
    cluster.nodes.map(async (address) => {
      const sections = await Promise.all(["stats", "cpu"].map((name) => cluster.command(address, "INFO", name)));
      const info = sections.join("\n");
      const number = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(info)?.[1] ?? Number.NaN);
      return {
        cpuMicroseconds: (number("used_cpu_user") + number("used_cpu_sys")) * 1e6,
        bytesIn: number("total_net_input_bytes"),
        bytesOut: number("total_net_output_bytes"),
      };
    }),
  );
  return each.reduce((a, b) => ({
    cpuMicroseconds: a.cpuMicroseconds + b.cpuMicroseconds,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
  }));
}
