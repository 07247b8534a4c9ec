import { setTimeout as sleep } from "node:timers/promises";
import { type Estimate, estimateOf, estimateOfDifferences } from "../../src/cli/bench/estimate.ts";
import { type Cluster, slotOf } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { ownScript } from "./called-script.ts";

/** The time that a detour adds to one call, in microseconds. Calls are made one at a time. */
export interface Price {
  readonly detour: string;
  /** The number of pairs of calls, one straight and one with the detour. */
  readonly pairs: number;
  readonly straight: Estimate;
  readonly withDetour: Estimate;
  /** The differences within the pairs. */
  readonly added: Estimate;
}

interface Detour {
  readonly name: string;
  /** The answer that the client must get on the way, and the only one. */
  readonly event: "NOSCRIPT" | "MOVED" | "ASK";
  /** The key of the next pair of calls. */
  readonly keys: Iterator<string, never>;
  readonly before: (key: string) => Promise<unknown>;
  readonly after?: (key: string) => Promise<unknown>;
}

/** A script is loaded on a node once in 10 ms at most (`scripts/load-pace.ts`), and a flush is rarer than these pairs. */
const LOAD_REST_MS = 15;

/** Measures what NOSCRIPT, MOVED and ASK cost a call. The same call is made straight and with the detour, in turns. */
export async function prices(cluster: LocalCluster, client: Cluster, repeats: number): Promise<Price[]> {
  const { script, check } = ownScript(1024);
  await client.preload(script);
  // A slot can only change hands while it is empty.
  await client.command("FLUSHALL");
  const [from, to] = cluster.nodes as [string, string];
  const keys = keysOf(client, from);
  const fromId = String(await cluster.command(from, "CLUSTER", "MYID"));
  const toId = String(await cluster.command(to, "CLUSTER", "MYID"));
  const setSlot = (address: string, key: string, ...words: string[]) =>
    cluster.command(address, "CLUSTER", "SETSLOT", slotOf(key), ...words);
  const startMoving = async (key: string) => {
    // The old owner of a migrating slot does not serve a key that is missing there.
    await cluster.command(from, "DEL", key);
    await setSlot(to, key, "IMPORTING", fromId);
    await setSlot(from, key, "MIGRATING", toId);
  };
  const met: string[] = [];
  const stopListening = [
    client.on("redirection", ({ kind }) => void met.push(kind)),
    client.on("scriptMissing", () => void met.push("NOSCRIPT")),
  ];
  const call = async (key: string) => {
    // The connections and the code are warm in both cases.
    for (let warm = 0; warm < 8; warm++) await client.command("GET", `warm:${warm}`);
    met.length = 0;
    const start = performance.now();
    const reply = await client.run(script, [key], ["value"]);
    const time = (performance.now() - start) * 1000;
    check(reply);
    return { time, met: met.join() };
  };
  const priceOf = async ({ name, event, keys, before, after }: Detour): Promise<Price> => {
    const straight: number[] = [];
    const withDetour: number[] = [];
    for (let tries = 0; straight.length < repeats; tries++) {
      if (tries > 3 * repeats) throw new Error(`${name}: the client hardly ever met it.`);
      const key = keys.next().value;
      const first = await call(key);
      await before(key);
      const second = await call(key);
      await after?.(key);
      // A background refresh or audit can learn of the change before the call does. Such a pair does not count.
      if (first.met !== "" || second.met !== event) continue;
      straight.push(first.time);
      withDetour.push(second.time);
    }
    return {
      detour: name,
      pairs: repeats,
      straight: estimateOf(straight),
      withDetour: estimateOf(withDetour),
      added: estimateOfDifferences(withDetour.map((time, index) => time - (straight[index] as number))),
    };
  };

  try {
    const noscript = await priceOf({
      name: "NOSCRIPT, load and replay",
      event: "NOSCRIPT",
      keys,
      before: async () => {
        await sleep(LOAD_REST_MS);
        await cluster.command(from, "SCRIPT", "FLUSH");
      },
    });
    const ask = await priceOf({
      name: "ASK, followed",
      event: "ASK",
      keys,
      before: startMoving,
      after: (key) => Promise.all([from, to].map((address) => setSlot(address, key, "STABLE"))),
    });
    // Each time another slot is used. A slot that moves back and forth quickly could be claimed through outdated
    // gossip.
    const moved = await priceOf({
      name: "MOVED, followed",
      event: "MOVED",
      keys,
      before: async (key) => {
        await startMoving(key);
        for (const address of new Set([to, from, ...cluster.nodes])) await setSlot(address, key, "NODE", toId);
      },
    });
    return [noscript, moved, ask];
  } finally {
    for (const stop of stopListening) stop();
  }
}

/** Keys in slots of one node, each in another slot. */
function* keysOf({ topology }: Cluster, address: string): Generator<string, never> {
  const slots = new Set<number>();
  for (let number = 0; ; number++) {
    const key = `price:${number}`;
    const slot = slotOf(key);
    if (slots.has(slot) || topology.primaryOf(slot)?.address !== address) continue;
    slots.add(slot);
    yield key;
  }
}
