import { type Cluster, slotOf } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { sourceOf } from "./bench-script.ts";
import type { DefineScript } from "./comparison.ts";
import { median, quantile } from "./statistics.ts";

/** What a detour adds to one call. Microseconds, of calls made one at a time. */
export interface Price {
  readonly detour: string;
  /** Medians. */
  readonly straight: number;
  readonly withDetour: number;
  /** Of pairs of calls, one straight and one with the detour: the median, and the quarters around it. */
  readonly added: number;
  readonly addedFrom: number;
  readonly addedTo: number;
}

interface Detour {
  readonly name: string;
  /** What the client must meet on the way, and nothing else. */
  readonly event: "NOSCRIPT" | "MOVED" | "ASK";
  readonly before: () => Promise<unknown>;
  readonly after?: () => Promise<unknown>;
}

/** What NOSCRIPT, MOVED and ASK cost a call: the same call of the same key, straight and with the detour, in turns. */
export async function prices(
  cluster: LocalCluster,
  client: Cluster,
  defineScript: DefineScript,
  repeats: number,
): Promise<Price[]> {
  const script = defineScript({ name: "price", source: sourceOf(1024), numberOfKeys: 1 });
  await client.preload(script);
  const key = "price:{1}";
  const slot = slotOf(key);
  const owner = () => client.topology.primaryOf(slot)?.address as string;
  const other = () => cluster.nodes.find((address) => address !== owner()) as string;
  const setSlot = (address: string, ...words: string[]) =>
    cluster.command(address, "CLUSTER", "SETSLOT", slot, ...words);
  const startMoving = async (from: string, to: string) => {
    // Without its key a migrating slot is not served where it was.
    await cluster.command(from, "DEL", key);
    await setSlot(to, "IMPORTING", await idOf(cluster, from));
    await setSlot(from, "MIGRATING", await idOf(cluster, to));
  };
  const met: string[] = [];
  const stopListening = [
    client.on("redirection", ({ kind }) => void met.push(kind)),
    client.on("scriptMissing", () => void met.push("NOSCRIPT")),
  ];
  const call = async () => {
    // Connections and code are awake in both cases.
    for (let warm = 0; warm < 8; warm++) await client.command("GET", `warm:${warm}`);
    met.length = 0;
    const start = performance.now();
    const reply = await client.run(script, [key], ["value"]);
    const time = (performance.now() - start) * 1000;
    if (reply !== 1) throw new Error(`A script that returns 1 gave ${String(reply)}.`);
    return { time, met: met.join() };
  };
  const priceOf = async ({ name, event, before, after }: Detour): Promise<Price> => {
    const straight: number[] = [];
    const withDetour: number[] = [];
    for (let tries = 0; straight.length < repeats; tries++) {
      if (tries > 3 * repeats) throw new Error(`${name}: the client hardly ever met it.`);
      const first = await call();
      await before();
      const second = await call();
      await after?.();
      // A refresh or an audit in the background can learn of the change before the call does: no pair.
      if (first.met !== "" || second.met !== event) continue;
      straight.push(first.time);
      withDetour.push(second.time);
    }
    const added = withDetour.map((time, index) => time - (straight[index] as number)).sort((a, b) => a - b);
    return {
      detour: name,
      straight: median(straight),
      withDetour: median(withDetour),
      added: median(added),
      addedFrom: quantile(added, 0.25),
      addedTo: quantile(added, 0.75),
    };
  };

  try {
    await client.run(script, [key], ["value"]);
    const noscript = await priceOf({
      name: "NOSCRIPT, load and replay",
      event: "NOSCRIPT",
      before: () => cluster.command(owner(), "SCRIPT", "FLUSH"),
    });
    // The slot changes hands while it is empty, so every call is the first to notice.
    const moved = await priceOf({
      name: "MOVED, followed",
      event: "MOVED",
      before: async () => {
        const [from, to] = [owner(), other()];
        await startMoving(from, to);
        const id = await idOf(cluster, to);
        for (const address of new Set([to, from, ...cluster.nodes])) await setSlot(address, "NODE", id);
      },
    });
    const [from, to] = [owner(), other()];
    const ask = await priceOf({
      name: "ASK, followed",
      event: "ASK",
      before: () => startMoving(from, to),
      after: () => Promise.all([from, to].map((address) => setSlot(address, "STABLE"))),
    });
    return [noscript, moved, ask];
  } finally {
    for (const stop of stopListening) stop();
  }
}

async function idOf(cluster: LocalCluster, address: string): Promise<string> {
  return String(await cluster.command(address, "CLUSTER", "MYID"));
}
