import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { connectIn } from "../../src/cluster/connect.ts";
import type { Environment, OpenTransport } from "../../src/environment.ts";
import { slotOf } from "../../src/index.ts";
import { Ledger } from "./ledger.ts";
import { Chance } from "./random.ts";
import { SimCluster } from "./sim-cluster.ts";
import { SimLoop } from "./sim-loop.ts";
import { SimNetwork } from "./sim-network.ts";
import { Story } from "./story.ts";

/*
 * npm run test:fleet -- --clients 1000 --seed 1
 *
 * Many clients see one primary die and its replica promoted. How many topology queries does one node get?
 */

/** From the death of the primary to the promotion of its replica. */
const PROMOTED_AFTER_MS = 3000;
/** From the death of the primary to the end. */
const WATCHED_MS = 6000;
/** Each client makes a call for the slots of the dead primary, and one for others, as often as this. */
const CALL_EVERY_MS = 200;
const QUESTION = "CLUSTER\r\n$6\r\nSHARDS";

export interface FleetResult {
  readonly clients: number;
  readonly nodes: number;
  /** For each whole second after the death: the most queries of one client to one node. */
  readonly mostOfOneClient: readonly number[];
  /** For each second: the most queries that one node got of all clients together. */
  readonly mostOfAll: readonly number[];
  /** The most queries that one node got within 10 ms. */
  readonly mostAtOnce: number;
  readonly failedCalls: number;
  readonly calls: number;
  /** Clients that know the new primary at the end. */
  readonly upToDate: number;
}

/** What each client asks, by the node that it asks. */
interface Question {
  readonly at: number;
  readonly client: number;
  readonly node: string;
}

/** Runs one failover with that many clients in one simulated world. */
export async function fleet(clients: number, seed: number): Promise<FleetResult> {
  const chance = new Chance(seed);
  const loop = new SimLoop();
  const story = new Story(false, () => loop.time);
  const profile = { latencyMs: 0.2, jitterMs: 0.6, bytesPerMs: Number.POSITIVE_INFINITY };
  const buffers = { pieceBytes: 65_536, kernelBytes: 1_000_000, highWaterMark: 16_384 };
  const network = new SimNetwork(loop, chance.fork(), story, { ...profile, ...buffers }, () => {});
  const shape = { shards: 3, replicasPerShard: 1, spares: 0, password: undefined, needsAllSlots: true };
  const times = { busyAfterMs: 600, replicationLagMs: 1, gossipMs: 50 };
  const cluster = new SimCluster({ ...shape, ...times }, network, new Ledger(), chance.fork());
  const questions: Question[] = [];
  const listening = (client: number): OpenTransport => {
    return (endpoint, handlers) => {
      const transport = network.open(endpoint, handlers);
      const node = `${endpoint.host}:${endpoint.port}`;
      return {
        get pendingBytes() {
          return transport.pendingBytes;
        },
        write: (binary) => {
          if (binary.includes(QUESTION)) questions.push({ at: loop.time, client, node });
          return transport.write(binary);
        },
        destroy: () => transport.destroy(),
      };
    };
  };
  const connected: Cluster[] = [];
  for (let client = 0; client < clients; client++) {
    const environment: Environment = { clock: loop, open: listening(client), random: chance.fork().next };
    // Clients of one fleet do not start at one moment.
    loop.setTimer(
      () => {
        const seeds = cluster.nodes.slice(0, 2).map(({ name }) => name);
        const options = { nodes: seeds, commandTimeout: 10_000 };
        void connectIn(environment, options).then((client) => connected.push(client));
      },
      chance.between(0, 1000),
    );
  }
  await loop.run(loop.time + 30_000, () => connected.length === clients);

  const dead = cluster.node(0);
  const keys = Array.from({ length: 1000 }, (_, index) => `key${index}`);
  const isOfDead = (key: string) => cluster.truth.ownerOf(slotOf(key)) === 0;
  const [own, others] = [keys.filter(isOfDead), keys.filter((key) => !isOfDead(key))];
  let [calls, failedCalls, isOver] = [0, 0, false];
  const call = (client: Cluster, key: string) => {
    calls++;
    client.command("GET", key).catch(() => failedCalls++);
  };
  for (const client of connected) {
    const again = () => {
      if (isOver) return;
      call(client, chance.pick(own));
      call(client, chance.pick(others));
      loop.setTimer(again, CALL_EVERY_MS * chance.between(0.5, 1.5));
    };
    loop.setTimer(again, chance.between(0, CALL_EVERY_MS));
  }
  await loop.run(loop.time + 1000);
  const died = loop.time;
  dead.die();
  loop.inWorld(PROMOTED_AFTER_MS - 100, () => cluster.loseSlots(0, 100));
  await loop.run(died + WATCHED_MS);
  const promoted = cluster.node(cluster.truth.primaries[0] as number).name;
  const upToDate = connected.filter(
    (client) => client.topology.primaryOf(slotOf(own[0] as string))?.address === promoted,
  );
  isOver = true;
  for (const client of connected) client.destroy();

  const asked = questions.filter(({ at }) => at >= died);
  const mostBy = (keyOf: (question: Question) => string) =>
    Array.from({ length: WATCHED_MS / 1000 }, (_, second) =>
      most(asked.filter(({ at }) => Math.floor((at - died) / 1000) === second).map(keyOf)),
    );
  return {
    clients,
    nodes: cluster.nodes.length,
    mostOfOneClient: mostBy(({ client, node }) => `${client} ${node}`),
    mostOfAll: mostBy(({ node }) => node),
    mostAtOnce: most(asked.map(({ at, node }) => `${Math.floor((at - died) / 10)} ${node}`)),
    failedCalls,
    calls,
    upToDate: upToDate.length,
  };
}

/** How often the most frequent one of `names` comes. */
function most(names: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = { clients: { type: "string", default: "1000" }, seed: { type: "string", default: "1" } } as const;
  const { values } = parseArgs({ options });
  const result = await fleet(Number(values.clients), Number(values.seed));
  const rows = [
    ["second after the death of a primary", ...result.mostOfAll.map((_, second) => second + 1)],
    ["most topology queries of one client to one node", ...result.mostOfOneClient],
    [`most of ${result.clients} clients to one node of ${result.nodes}`, ...result.mostOfAll],
  ];
  for (const row of rows) console.log(row.map((cell, at) => String(cell).padEnd(at === 0 ? 50 : 6)).join(""));
  console.log(`most within 10 ms to one node: ${result.mostAtOnce}`);
  console.log(`the replica is promoted after ${PROMOTED_AFTER_MS} ms; ${result.upToDate} clients know it at the end`);
  console.log(`${result.calls} calls, ${result.failedCalls} of them with errors`);
}
