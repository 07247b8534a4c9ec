import { cpus, release, totalmem, type } from "node:os";
import { VERSION } from "../../telemetry/library-version.ts";
import type { TopologyNode } from "../../topology/topology.ts";
import type { Environment } from "./report.ts";
import { placeOf } from "./servers.ts";

/** What is known of the machine before any server is asked. */
export function machineOf(): Omit<Environment, "server" | "setting"> {
  const { server: _, setting: __, ...machine } = environmentOf({ server: "", setting: "" });
  return machine;
}

/** The machine and the versions. What is asked for is what only the caller knows. */
export function environmentOf(known: Pick<Environment, "server" | "setting"> & Partial<Environment>): Environment {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() || "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.version,
    slotwire: VERSION,
    commit: "unknown",
    ...known,
  };
}

/** `3 primaries on this machine, over loopback, TLS` */
export function settingOf(
  nodes: readonly Pick<TopologyNode, "role" | "host">[],
  { tls, isOwn }: { readonly tls: boolean; readonly isOwn: boolean },
): string {
  const primaries = nodes.filter(({ role }) => role === "primary").length;
  const replicas = nodes.length - primaries;
  const places = new Set(nodes.map(placeOf));
  const place =
    places.size > 1 ? "here and elsewhere" : places.has("here") ? "on this machine, over loopback" : "over a network";
  return [
    `${primaries} ${primaries === 1 ? "primary" : "primaries"}${replicas === 0 ? "" : `, ${replicas} ${replicas === 1 ? "replica" : "replicas"}`} ${place}`,
    ...(tls ? ["TLS"] : []),
    ...(isOwn ? [] : ["an existing cluster, which others may use"]),
  ].join(", ");
}
