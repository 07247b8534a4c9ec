import { type Cluster, connect, slotOf } from "../../src/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { ByteProxy } from "../support/byte-proxy.ts";
import { atMost, type Fault, finding, none } from "./fault.ts";
import { pause } from "./shards.ts";

const AFTER_MS = 10;
const BUDGET = 0.05;
const READS_PER_MS = 1;
const HELD_MS = 50;
const EVERY_MS = 5000;
/** How long after a hold reads may still feel it. */
const SETTLING_MS = 100;
const MARGIN_MS = 2;

/** One read of an open loop. */
interface Read {
  /** Milliseconds since the loop began. */
  readonly at: number;
  /** Milliseconds until its reply. */
  readonly ms: number;
}

/** What a loop of reads saw. */
interface Seen {
  readonly reads: readonly Read[];
  readonly wrong: number;
  readonly failed: number;
}

/** Makes reads at a steady rate, whether earlier ones are answered or not. */
async function readSteadily(view: Cluster, keys: readonly string[], durationMs: number): Promise<Seen> {
  const reads: Read[] = [];
  const underWay: Promise<void>[] = [];
  let [wrong, failed] = [0, 0];
  const start = performance.now();
  for (let made = 0; ; ) {
    const now = performance.now() - start;
    if (now >= durationMs) break;
    for (; made < now * READS_PER_MS; made++) {
      const key = keys[made % keys.length] as string;
      const at = performance.now();
      const read = view.command("GET", key).then(
        (reply) => {
          reads.push({ at: at - start, ms: performance.now() - at });
          if (reply !== key) wrong++;
        },
        () => void failed++,
      );
      underWay.push(read);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(underWay);
  return { reads, wrong, failed };
}

function percentile(reads: readonly Read[], share: number): number {
  const sorted = reads.map(({ ms }) => ms).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Holds the replies of the proxy for a while, again and again, during a loop of reads. */
async function disturbed(proxy: ByteProxy, durationMs: number, loop: () => Promise<Seen>) {
  const holds: number[] = [];
  const start = performance.now();
  const reading = loop();
  for (let at = EVERY_MS / 2; at < durationMs; at += EVERY_MS) {
    await pause(at - (performance.now() - start));
    holds.push(performance.now() - start);
    const release = proxy.holdReplies();
    await pause(HELD_MS);
    release();
  }
  const seen = await reading;
  const isDisturbed = ({ at, ms }: Read) => holds.some((hold) => at + ms > hold && at < hold + HELD_MS + SETTLING_MS);
  return { ...seen, undisturbed: seen.reads.filter((read) => !isDisturbed(read)) };
}

export const hedged: Fault = {
  name: "hedged",
  must: `a proxy holds one replica's replies for ${HELD_MS} ms every ${EVERY_MS / 1000} s, 1,000 reads/s, hedge after ${AFTER_MS} ms: p99.9 at most ${AFTER_MS} ms + the undisturbed p99.9 of the same run + ${MARGIN_MS} ms; at most ${BUDGET * 100} % more requests, by the servers' count; no wrong reply; without a hedge it is slower`,
  async cause() {
    await using cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    await using setup = await connect({ ...cluster.connectOptions });
    const replica = setup.topology.nodes.find(({ role }) => role === "replica");
    if (replica === undefined) throw new Error("the cluster has a replica");
    const keys = Array.from({ length: 300 }, (_, index) => `hedged:${index}`);
    for (const key of keys) await setup.command("SET", key, key);
    const own = keys.filter((key) => setup.topology.replicasOf(slotOf(key)).includes(replica));
    const proxy = await ByteProxy.start(replica.address);
    try {
      await using client = await connect({
        ...cluster.connectOptions,
        natMap: (address: string) => (address === replica.address ? { host: proxy.host, port: proxy.port } : undefined),
        readFrom: "replica",
      });
      // Replication is not awaited by the writer.
      for (const key of own) while ((await client.command("GET", key)) !== key) await pause(5);
      const view = client.with({ hedge: { after: AFTER_MS, budget: BUDGET } });
      await readSteadily(view, keys, 2000);
      const plain = await disturbed(proxy, 20_000, () => readSteadily(client, keys, 20_000));
      const [before, gets] = [client.metrics().counters.hedges.sent, await getsOf(setup)];
      const { reads, undisturbed, wrong, failed } = await disturbed(proxy, 40_000, () =>
        readSteadily(view, keys, 40_000),
      );
      const sent = client.metrics().counters.hedges.sent - before;
      const more = (await getsOf(setup)) - gets - reads.length;
      const quiet = percentile(undisturbed, 0.999);
      const bound = AFTER_MS + quiet + MARGIN_MS;
      return finding({
        reads: [reads.length, reads.length > 35_000],
        "undisturbed p99.9": [`${quiet.toFixed(1)} ms`, true],
        "p99.9": atMost(percentile(reads, 0.999), bound),
        bound: [`${bound.toFixed(1)} ms`, true],
        "p99.9 without a hedge": [
          `${percentile(plain.reads, 0.999).toFixed(1)} ms`,
          percentile(plain.reads, 0.999) > bound,
        ],
        "more requests": [more, more <= BUDGET * reads.length && more === sent && sent > 0],
        "wrong replies": none(wrong + plain.wrong),
        failed: none(failed + plain.failed),
      });
    } finally {
      await proxy.stop();
    }
  },
};

/** How many GETs all nodes have run, by their own count. */
async function getsOf(client: Cluster): Promise<number> {
  const stats = await Promise.all(
    client.topology.nodes.map(({ address }) => client.node(address).command("INFO", "commandstats")),
  );
  return stats.reduce<number>((sum, text) => sum + Number(/^cmdstat_get:calls=(\d+)/m.exec(String(text))?.[1] ?? 0), 0);
}
