import { type Cluster, defineScript, type SlotwireError, slotOf } from "../../src/index.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { commandStats } from "../support/command-stats.ts";
import { type Fault, finding, none } from "./fault.ts";
import { pause, withShards } from "./shards.ts";

/** Answers with the error given, which is worded as the server's own are. The server is a real one, and does so each time. */
const answers = defineScript({
  name: "answers",
  source: "return redis.error_reply(ARGV[1])",
  numberOfKeys: 1,
  args: ["error"],
});

/** Seconds that each is measured. */
const SECONDS = 4;

/** How often all nodes together were asked for something, by their own count, in each second. */
async function askedEachSecond(cluster: LocalCluster, command: string): Promise<number[]> {
  const count = async () => {
    const stats = await Promise.all(cluster.nodes.map((address) => commandStats(cluster, address)));
    return stats.reduce((sum, of) => sum + of(command).calls, 0);
  };
  const rates: number[] = [];
  for (let second = 0; second < SECONDS; second++) {
    const [before, start] = [await count(), performance.now()];
    await pause(1000);
    const after = await count();
    rates.push(((after - before) * 1000) / Math.max(1000, performance.now() - start));
  }
  return rates;
}

/** Calls that are answered with an error each time, made until `end`; how they have ended. */
async function keepCalling(
  client: Cluster,
  key: string,
  text: string,
  end: Promise<unknown>,
): Promise<Map<string, number>> {
  const ends = new Map<string, number>();
  let isOver = false;
  void end.then(() => {
    isOver = true;
  });
  const one = async () => {
    while (!isOver) {
      const how = await client.run(answers, [key], [text], { timeout: 1500 }).then(
        () => "served",
        ({ code, outcome }: SlotwireError) => `${code} ${outcome}`,
      );
      ends.set(how, (ends.get(how) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 50 }, one));
  return ends;
}

const shown = (ends: Map<string, number>) => [...ends].map(([how, count]) => `${count} ${how}`).join(" + ");
const rounded = (rates: readonly number[]) => rates.map((rate) => rate.toFixed(0)).join(" ");

const movedToStrangers: Fault = {
  name: "moved-to-strangers",
  must: `50 callers whose calls are answered MOVED to an address that nobody lists, each time: at most 10 CLUSTER SHARDS a second at all nodes together; nothing connects to that address`,
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, client, own: [key = ""] }) => {
      const opened = client.metrics().counters.connectionsOpened;
      const rates = askedEachSecond(cluster, "cluster|shards");
      const ends = await keepCalling(client, key, `MOVED ${slotOf(key)} 127.1.1.1:7000`, rates);
      const seen = await rates;
      const { counters } = client.metrics();
      return finding({
        "CLUSTER SHARDS in each second": [rounded(seen), seen.some((rate) => rate > 0) && Math.max(...seen) <= 10],
        "calls ended in": [shown(ends), !ends.has("served")],
        "other connections tried": none(counters.connectionFailures + counters.connectionsOpened - opened),
      });
    }),
};

const noScriptEachTime: Fault = {
  name: "noscript-each-time",
  must: `50 callers whose calls are answered NOSCRIPT each time, whatever is loaded: at most 100 SCRIPT LOAD a second and node`,
  cause: (setting) =>
    withShards(setting, {}, async ({ cluster, client, own: [key = ""] }) => {
      await client.preload(answers);
      const rates = askedEachSecond(cluster, "script|load");
      const ends = await keepCalling(client, key, "NOSCRIPT No matching script. Please use EVAL.", rates);
      const seen = await rates;
      return finding({
        "loads in each second": [rounded(seen), seen.some((rate) => rate > 0) && Math.max(...seen) <= 100],
        "calls ended in": [shown(ends), !ends.has("served")],
      });
    }),
};

export const paces: readonly Fault[] = [movedToStrangers, noScriptEachTime];
