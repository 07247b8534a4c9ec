import { setTimeout as pause } from "node:timers/promises";
import { type Cluster, defineScript } from "../../src/index.ts";

const source = "for i = 1, #KEYS do redis.call('rpush', KEYS[i], ARGV[1]) end return ARGV[1]";
/** Appends a number to the list at each of its keys. */
export const pushScript = defineScript({ name: "push", source });

/** What became of chains of calls on one key each. */
export interface ChainReport {
  chains: number;
  /** Chains whose calls ran in another order than they were made. */
  outOfOrder: number;
  /** Calls that ran twice or not at all, although they were answered. */
  miscounted: number;
  failed: number;
  /** Milliseconds. */
  slowestBatch: number;
}

/** How often chains were sent: each time they have keys of their own. */
let times = 0;

/**
 * Sends batches of chains until `until` resolves. In a chain, scripts and commands take turns on one key, and the list
 * at the key shows in which order they ran. Every third call names a second key of the slot as well.
 *
 * @param tags  Hash tags of the keys. Each batch has a short chain for each tag, and a long one for the first.
 */
export async function sendChains(
  client: Cluster,
  tags: readonly string[],
  until: Promise<unknown>,
): Promise<ChainReport> {
  const report: ChainReport = { chains: 0, outOfOrder: 0, miscounted: 0, failed: 0, slowestBatch: 0 };
  const begun = ++times;
  let isOver = false;
  void until.then(() => {
    isOver = true;
  });
  for (let round = 0; !isOver; round++) {
    const chains = tags.map((tag, index) => ({ key: `{${tag}}:${begun}:${round}`, length: index === 0 ? 40 : 4 }));
    const batch = client.batch();
    for (let at = 0; at < 40; at++) {
      for (const { key, length } of chains) {
        if (at >= length) continue;
        const keys = at % 3 === 0 ? [key, `${key}:beside`] : [key];
        if (at % 2 === 0) batch.run(pushScript, keys, [at]);
        else batch.command("RPUSH", key, at);
      }
    }
    const start = performance.now();
    const results = await batch.exec();
    report.slowestBatch = Math.max(report.slowestBatch, performance.now() - start);
    report.failed += results.filter((result) => result instanceof Error).length;
    const lists = await Promise.all(chains.map(({ key }) => client.command<string[]>("LRANGE", key, 0, -1)));
    for (const [index, list] of lists.entries()) {
      const length = chains[index]?.length ?? 0;
      report.chains++;
      if (list.some((value, at) => at > 0 && Number(value) < Number(list[at - 1]))) report.outOfOrder++;
      if (new Set(list).size !== list.length || list.length !== length) report.miscounted++;
    }
  }
  return report;
}

/** Resolves after so many milliseconds, but not before `isEnough`. */
export async function atLeast(milliseconds: number, isEnough: () => boolean): Promise<void> {
  for (await pause(milliseconds); !isEnough(); ) await pause(10);
}

/** Repeats `act` each `everyMs` until `until` resolves. Resolves to how often. */
export async function again(act: () => Promise<unknown>, everyMs: number, until: Promise<unknown>): Promise<number> {
  let isOver = false;
  void until.then(() => {
    isOver = true;
  });
  let acted = 0;
  for (; !isOver; acted++) {
    await act();
    await pause(everyMs);
  }
  return acted;
}
