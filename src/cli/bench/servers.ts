import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { TopologyNode } from "../../topology/topology.ts";
import type { Session } from "../session.ts";

/** What the servers tell of themselves by INFO. Who may not ask, or gets no such answer, knows nothing of it. */
export class ServerMeter {
  readonly #session: Session;
  readonly #primaries: readonly string[];
  /** The servers whose CPU is this machine's; undefined if that cannot be told. */
  readonly #here: readonly string[] | undefined;
  readonly isAnswered: boolean;
  /** `Redis 7.0.15`; undefined where INFO is refused. */
  readonly version: string | undefined;

  private constructor(session: Session, version: string | undefined, isAnswered: boolean) {
    this.#session = session;
    const { nodes } = session.cluster.topology;
    this.#primaries = nodes.filter(({ role }) => role === "primary").map(({ address }) => address);
    const places = nodes.map(placeOf);
    this.#here = places.includes("near")
      ? undefined
      : nodes.filter((_, index) => places[index] === "here").map(({ address }) => address);
    this.version = version;
    this.isAnswered = isAnswered;
  }

  static async of(session: Session): Promise<ServerMeter> {
    const [first] = session.cluster.topology.nodes;
    const info = async (section: string) => {
      return String(await session.ask(first?.address as string, "INFO", section).catch(() => ""));
    };
    const server = await info("server");
    const version = (product: string) => new RegExp(`^${product}_version:(\\S+)`, "m").exec(server)?.[1];
    // Valkey also reports a redis_version, for clients that ask for it.
    const [valkey, redis] = [version("valkey"), version("redis")];
    const name = valkey === undefined ? redis && `Redis ${redis}` : `Valkey ${valkey}`;
    return new ServerMeter(session, name, cpuIn(await info("cpu")) !== undefined);
  }

  /** The CPU of the primaries in microseconds, under the name `serverCpu`; nothing if one of them does not tell. */
  async cpu(): Promise<{ readonly serverCpu?: number }> {
    if (!this.isAnswered) return {};
    const serverCpu = await this.#sum(this.#primaries);
    return serverCpu === undefined ? {} : { serverCpu };
  }

  /** The CPU seconds of the servers on this machine, replicas included; 0 if there are none, undefined if not known. */
  async cpuHere(): Promise<number | undefined> {
    if (this.#here === undefined) return undefined;
    const sum = await this.#sum(this.#here);
    return sum === undefined ? undefined : sum / 1e6;
  }

  async #sum(addresses: readonly string[]): Promise<number | undefined> {
    const each = await Promise.all(
      addresses.map((address) => this.#session.ask(address, "INFO", "cpu").then(cpuIn, () => undefined)),
    );
    return each.reduce<number | undefined>(
      (sum, cpu) => (sum === undefined || cpu === undefined ? undefined : sum + cpu),
      0,
    );
  }
}

/** Microseconds, user and system. */
function cpuIn(info: unknown): number | undefined {
  const seconds = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(String(info))?.[1] ?? Number.NaN);
  const sum = (seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1e6;
  return Number.isNaN(sum) ? undefined : sum;
}

/**
 * Whether a node is on this machine. A neighbour in a network of ours is `near`: it may be a container or a virtual machine,
 * which uses our processors.
 */
export function placeOf({ host }: Pick<TopologyNode, "host">): "here" | "near" | "elsewhere" {
  if (host === "localhost") return "here";
  const family = isIP(host);
  if (family === 0) return "near";
  const [own, near] = [new BlockList(), new BlockList()];
  own.addSubnet("127.0.0.0", 8, "ipv4");
  own.addAddress("::1", "ipv6");
  for (const { address, cidr, family } of Object.values(networkInterfaces()).flatMap((each) => each ?? [])) {
    const kind = family === "IPv6" ? "ipv6" : "ipv4";
    own.addAddress(address, kind);
    if (cidr !== null) near.addSubnet(address, Number(cidr.split("/")[1]), kind);
  }
  const kind = family === 6 ? "ipv6" : "ipv4";
  return own.check(host, kind) ? "here" : near.check(host, kind) ? "near" : "elsewhere";
}
