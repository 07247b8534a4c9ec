import type { SlotwireError } from "../../src/index.ts";
import { atMost, type Fault, finding, none } from "./fault.ts";
import { pause, promotion, withShards } from "./shards.ts";

const AFTER_MS = 500;
const FROZEN_MS = 12_000;
const DEADLINE_MS = 4000;
const EVERY_MS = 2;

/** One call of an open loop. Times count from the freeze. */
interface Made {
  readonly at: number;
  readonly isOwn: boolean;
  readonly ms: number;
  /** `served`, or the error's code and outcome. */
  readonly how: string;
}

export const givenUp: Fault = {
  name: "unavailable-after",
  must: `a primary frozen for ${FROZEN_MS / 1000} s, 500 calls/s to its shard, unavailableAfter ${AFTER_MS}: calls made from ${AFTER_MS / 1000} s on settle within 5 ms (p99), as UNAVAILABLE, not-executed, until the promotion; those written before by their deadlines; other shards are undisturbed; served at most 1 s after the promotion`,
  cause: (setting) =>
    withShards(
      setting,
      { commandTimeout: DEADLINE_MS, unavailableAfter: AFTER_MS },
      async ({ cluster, client, victim, heir, own, others }) => {
        const calls: Made[] = [];
        const underWay: Promise<void>[] = [];
        let frozenAt = Number.POSITIVE_INFINITY;
        const call = (keys: readonly string[], isOwn: boolean, number: number) => {
          const start = performance.now();
          const note = (how: string) => {
            const end = performance.now();
            calls.push({ at: start - frozenAt, isOwn, ms: end - start, how });
          };
          const key = keys[number % keys.length] as string;
          underWay.push(
            client.command("INCR", key).then(
              () => note("served"),
              ({ code, outcome }: SlotwireError) => note(`${code} ${outcome}`),
            ),
          );
        };
        let isOver = false;
        const loading = (async () => {
          const start = performance.now();
          for (let made = 0; !isOver; await pause(1)) {
            for (; made * EVERY_MS < performance.now() - start; made++) {
              call(own, true, made);
              if (made % 5 === 0) call(others, false, made);
            }
          }
        })();
        await pause(1000);
        cluster.pause(victim);
        frozenAt = performance.now();
        const [promotedMs] = await Promise.all([promotion(cluster, heir), pause(FROZEN_MS)]);
        cluster.resume(victim);
        await pause(1000);
        isOver = true;
        await loading;
        await Promise.all(underWay);
        const firstServed = Math.min(
          ...calls.filter(({ isOwn, at, how }) => isOwn && at > AFTER_MS && how === "served").map(({ at }) => at),
        );
        const given = calls.filter(
          ({ isOwn, at }) => isOwn && at >= AFTER_MS && at < Math.min(promotedMs, firstServed),
        );
        const from = calls.filter(({ isOwn, at }) => isOwn && at >= AFTER_MS && at < FROZEN_MS);
        const early = calls.filter(({ isOwn, at }) => isOwn && at >= 0 && at < AFTER_MS);
        const later = calls.filter(({ isOwn, at }) => isOwn && at > firstServed + 100);
        const other = calls.filter(({ isOwn, at }) => !isOwn && at >= 0);
        const kinds = (list: readonly Made[]) => {
          const counts = new Map<string, number>();
          for (const { how } of list) counts.set(how, (counts.get(how) ?? 0) + 1);
          return [...counts].map(([how, count]) => `${count} ${how}`).join(" + ");
        };
        const times = from.map(({ ms }) => ms).toSorted((a, b) => a - b);
        const refused = given.filter(({ how }) => how === "UNAVAILABLE not-executed").length;
        return finding({
          F: [`${Math.round(promotedMs)} ms`, promotedMs < 15_000],
          "p99 from 0.5 s on": atMost(times[Math.floor(times.length * 0.99)] ?? Number.NaN, 5),
          "made then": [kinds(given), given.length > 100 && refused >= 0.99 * given.length],
          "made before": [kinds(early), early.every(({ ms }) => ms < DEADLINE_MS + 300)],
          "served again after": atMost(firstServed - promotedMs, 1000),
          "later not served": none(later.filter(({ how }) => how !== "served").length),
          "others not served": [kinds(other), other.every(({ how }) => how === "served")],
        });
      },
    ),
};
