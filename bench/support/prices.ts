import { type Cluster, type Script, slotOf } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { median } from "./statistics.ts";

/** What a detour adds to one call, in milliseconds: medians of calls made one at a time. */
export interface Price {
  readonly detour: string;
  readonly straight: number;
  readonly withDetour: number;
}

/** What NOSCRIPT, MOVED and ASK cost a call: the same call of the same key, straight and with the detour, in turns. */
export async function prices(
  cluster: LocalCluster,
  client: Cluster,
  script: Script<1>,
  repeats: number,
): Promise<Price[]> {
  const key = "price:{1}";
  const slot = slotOf(key);
  await client.preload(script);
  const call = async () => {
    const start = performance.now();
    await client.run(script, [key], ["value"]);
    return performance.now() - start;
  };
  const straightAnd = async (
    detour: string,
    before: () => Promise<void>,
    after: () => Promise<void>,
  ): Promise<Price> => {
    const straight: number[] = [];
    const withDetour: number[] = [];
    for (let time = 0; time < repeats; time++) {
      await call();
      straight.push(await call());
      await before();
      withDetour.push(await call());
      await after();
    }
    return { detour, straight: median(straight), withDetour: median(withDetour) };
  };
  const owner = () => client.topology.primaryOf(slot)?.address as string;
  const other = () => cluster.nodes.find((address) => address !== owner()) as string;
  const idOf = async (address: string) => String(await cluster.command(address, "CLUSTER", "MYID"));
  const nothing = async () => {};
  const flush = async () => void (await cluster.command(owner(), "SCRIPT", "FLUSH"));

  const noscript = await straightAnd("NOSCRIPT, load and replay", flush, nothing);

  // The slot changes hands while it is empty, so every call is the first to notice.
  const moved = await straightAnd(
    "MOVED, followed",
    async () => {
      const [from, to] = [owner(), other()];
      await cluster.command(from, "DEL", key);
      const id = await idOf(to);
      await cluster.command(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(from));
      await cluster.command(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", id);
      for (const address of new Set([to, from, ...cluster.nodes])) {
        await cluster.command(address, "CLUSTER", "SETSLOT", slot, "NODE", id);
      }
    },
    nothing,
  );

  const [from, to] = [owner(), other()];
  const ask = await straightAnd(
    "ASK, followed",
    async () => {
      await cluster.command(from, "DEL", key);
      await cluster.command(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(from));
      await cluster.command(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", await idOf(to));
    },
    async () => {
      for (const address of [from, to]) await cluster.command(address, "CLUSTER", "SETSLOT", slot, "STABLE");
    },
  );
  return [noscript, moved, ask];
}
