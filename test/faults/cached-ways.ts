import type { LocalCluster } from "../../src/testing/index.ts";
import { type CachedFault, cached, onVersions, type Place } from "./cached-place.ts";
import type { Fault } from "./fault.ts";
import { pause } from "./shards.ts";

/** The connection that reads for the cache, or the one that hears. */
type Kind = "reading" | "hearing";

/** Hurts connections of one node. `time`: how often that was done before. */
type Hurt = (at: Place, address: string, ports: readonly number[], time: number) => Promise<void> | undefined;

/** The ports of the cache's connections at one node, as the node sees them. */
async function portsAt(cluster: LocalCluster, address: string, kind: Kind): Promise<readonly number[]> {
  const lines = String(await cluster.command(address, "CLIENT", "LIST")).split("\n");
  const isMeant = kind === "reading" ? / flags=\w*t/ : / sub=[1-9]/;
  return lines.filter((line) => isMeant.test(line)).map((line) => Number(/ addr=\S+:(\d+) /.exec(line)?.[1]));
}

/** Hurts one of the two connections at every primary, several times. */
function hurting(kind: Kind, restMs: number, hurt: Hurt): CachedFault {
  return {
    proxied: true,
    fails: "none",
    cause: async (at) => {
      const done = { [kind]: 0 };
      for (let time = 0; time < 6; time++) {
        for (const { address, role } of at.load.client.topology.nodes) {
          if (role !== "primary") continue;
          const ports = await portsAt(at.cluster, address, kind);
          await hurt(at, address, ports, time);
          done[kind] = (done[kind] ?? 0) + ports.length;
        }
        await pause(restMs);
      }
      return done;
    },
  };
}

const killed: Hurt = async ({ cluster }, address, ports) => {
  for (const port of ports)
    await cluster.command(address, "CLIENT", "KILL", "ADDR", `127.0.0.1:${port}`).catch(() => {});
};

const WAYS: Readonly<Record<string, { readonly what: string; readonly restMs: number; readonly hurt: Hurt }>> = {
  killed: { what: "killed at the server", restMs: 1000, hurt: killed },
  cut: { what: "cut", restMs: 1000, hurt: ({ proxies }, address, ports) => void proxies.get(address)?.cut(ports) },
  "half-open": {
    what: "half-open: its bytes vanish, those of both ways and those of the server in turn",
    restMs: 2500,
    hurt: ({ proxies }, address, ports, time) => {
      const proxy = proxies.get(address);
      if (time % 2 === 0) proxy?.swallow(ports);
      else proxy?.swallowReplies(ports);
      return undefined;
    },
  },
  "ended-unheard": {
    what: "ended by the server, and no byte tells the client",
    restMs: 2500,
    hurt: async (at, address, ports, time) => {
      at.proxies.get(address)?.swallow(ports);
      await killed(at, address, ports, time);
    },
  },
  stuck: {
    what: "frozen: its bytes wait for 0.2 to 1.2 s, and come all at once",
    restMs: 2500,
    hurt: ({ proxies }, address, ports, time) => {
      const release = proxies.get(address)?.holdReplies(ports);
      setTimeout(() => release?.(), 200 + 200 * time);
      return undefined;
    },
  },
};

/** Each way in which each of the two connections can be hurt. */
export const cachedWays: readonly Fault[] = Object.entries(WAYS).flatMap(([name, { what, restMs, hurt }]) =>
  (["reading", "hearing"] as const).flatMap((kind) => {
    const fault = hurting(kind, restMs, hurt);
    const [row, words] = [`${name}-${kind}`, `the connection that is ${kind} ${what}`] as const;
    // What a server does when it ends a connection is its own business.
    return name === "killed" ? onVersions(row, words, fault) : [cached(row, words, fault)];
  }),
);
