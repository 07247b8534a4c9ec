import { setTimeout as sleep } from "node:timers/promises";
import { Latencies } from "../../src/cli/bench/latency.ts";
import { openLoop } from "../../src/cli/bench/open-loop.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { ByteProxy } from "../../test/support/byte-proxy.ts";
import { type Build, KEYS } from "./cached-ways.ts";
import type { Finally } from "./conducted.ts";

export const HELD_MS = 50;
export const EVERY_MS = 5000;
export const AFTER_MS = 10;
const RATE = 1000;
const SLICE_MS = 10_000;

/** The latencies of reads while one replica is slow again and again. */
export interface Tail {
  readonly name: string;
  readonly latencies: Latencies;
  /** The requests that were sent besides the calls, by the client's count. */
  sentTwice: number;
}

/**
 * Reads at a steady rate, while the replies of one replica are held by a proxy for a while. The ways take turns.
 * @param turns  So many slices for each way.
 */
export async function slowReplica(
  { connect }: Build,
  nodes: readonly string[],
  turns: number,
  undo: Finally,
  step: (name: string) => void,
): Promise<readonly Tail[]> {
  const setup = await connect({ nodes });
  const replica = setup.topology.nodes.find(({ role }) => role === "replica")?.address as string;
  setup.destroy();
  const proxy = await ByteProxy.start(replica);
  undo(() => proxy.stop());
  const natMap = (address: string) => (address === replica ? { host: proxy.host, port: proxy.port } : undefined);
  const reader: Cluster = await connect({ nodes, natMap, readFrom: "replica" });
  undo(() => reader.destroy());
  const ways: readonly (Tail & { readonly view: Cluster; readonly isHeld: boolean })[] = [
    { name: "nothing is held", view: reader, isHeld: false, latencies: new Latencies(), sentTwice: 0 },
    { name: "without a hedge", view: reader, isHeld: true, latencies: new Latencies(), sentTwice: 0 },
    {
      name: `hedge after ${AFTER_MS} ms`,
      view: reader.with({ hedge: { after: AFTER_MS } }),
      isHeld: true,
      latencies: new Latencies(),
      sentTwice: 0,
    },
  ];
  const read = (view: Cluster) => (index: number) => view.command("GET", KEYS[index % KEYS.length] as string);
  await openLoop(read(reader), { rate: RATE, milliseconds: 1000 });
  for (let turn = 0; turn < turns; turn++) {
    for (const way of turn % 2 === 0 ? ways : ways.toReversed()) {
      step(way.name);
      const before = reader.metrics().counters.hedges.sent;
      const reading = openLoop(read(way.view), { rate: RATE, milliseconds: SLICE_MS });
      if (way.isHeld) await holdNowAndThen(proxy);
      way.latencies.join((await reading).latencies);
      way.sentTwice += reader.metrics().counters.hedges.sent - before;
    }
  }
  return ways;
}

async function holdNowAndThen(proxy: ByteProxy): Promise<void> {
  const began = performance.now();
  for (let at = EVERY_MS / 2; at < SLICE_MS; at += EVERY_MS) {
    await sleep(at - (performance.now() - began));
    const release = proxy.holdReplies();
    await sleep(HELD_MS);
    release();
  }
}
