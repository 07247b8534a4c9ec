import { type Cluster, defineScript, type SlotwireError } from "../../src/index.ts";
import { BROKEN_REPLIES } from "../support/broken-replies.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { bulk } from "../support/fake-node.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { recordScript } from "./counted-load.ts";
import { atMost, type Fault, finding, none } from "./fault.ts";
import { withShards } from "./shards.ts";

const NEXT_MS = 100;
/** Half a reply, then silence: noticed as a half-open connection is. */
const UNFINISHED: readonly (readonly [what: string, bytes: string])[] = [
  ["half a bulk string", "$100\r\nhalf"],
  ["half an array", "*3\r\n:1\r\n"],
  ["half a length", "$1"],
  ["half a line", "+OK"],
];

interface Suffered {
  /** Replies of another call, or of none. */
  readonly wrong: number;
  /** Calls in flight behind the broken reply that were not told that they may have run. */
  readonly untold: number;
  readonly nextMs: number;
}

/** Four calls in one write, of which the second gets `bytes` for an answer, and one call afterwards. */
async function suffer(bytes: string): Promise<Suffered> {
  const cluster = await FakeCluster.start(1);
  try {
    const client = await cluster.connect({ scripts: [recordScript] });
    const node = cluster.node(0);
    const unfinished = UNFINISHED.some(([, half]) => half === bytes);
    node.always("EVALSHA", (args) => {
      const value = args.at(-1) as string;
      if (value === "broken") return bytes;
      // Behind half a reply nothing comes.
      return unfinished && value.startsWith("behind") ? "" : bulk(value);
    });
    const run = (value: string) => client.run(recordScript, [keyForSlot(0)], [value]);
    const values = ["before", "broken", "behind 1", "behind 2"];
    const results = await Promise.allSettled(values.map(run));
    const start = performance.now();
    const next = await run("next").catch(String);
    return {
      nextMs: performance.now() - start,
      wrong:
        results.filter((result, index) => result.status === "fulfilled" && result.value !== values[index]).length +
        Number(next !== "next"),
      untold: results.slice(1).filter((result) => (result as PromiseRejectedResult).reason?.outcome !== "unknown")
        .length,
    };
  } finally {
    await cluster.stop();
  }
}

const noResp: Fault = {
  name: "no-resp",
  must: "replies that are no RESP, 30 or more hostile cases: calls in flight rejected with their outcome, no reply for the wrong caller, nothing uncaught, the next call served within 100 ms",
  cause: async () => {
    const suffered: Suffered[] = [];
    for (const [, bytes] of [...BROKEN_REPLIES, ...UNFINISHED]) suffered.push(await suffer(bytes));
    return finding({
      cases: [suffered.length, suffered.length >= 30],
      "wrong replies": none(suffered.reduce((sum, { wrong }) => sum + wrong, 0)),
      "not told": none(suffered.reduce((sum, { untold }) => sum + untold, 0)),
      "next call": atMost(Math.max(...suffered.map(({ nextMs }) => nextMs)), NEXT_MS),
    });
  },
};

const nested = defineScript({
  name: "nested",
  source: "local t = {1} for _ = 1, tonumber(ARGV[1]) do t = {t} end return t",
  numberOfKeys: 1,
  args: ["depth"],
});

/** Calls that each have to get their own answer. How many got another. */
async function wrongAnswers(client: Cluster, key: string, count: number): Promise<number> {
  const ids = Array.from({ length: count }, (_, index) => `own ${index}`);
  const replies = await Promise.allSettled(ids.map((id) => client.run(recordScript, [key], [id])));
  return replies.filter((reply, index) => reply.status === "rejected" || reply.value !== ids[index]).length;
}

const deep: Fault = {
  name: "nested",
  must: "a Lua reply nested 7,000 deep from a real server: a typed error or the reply; afterwards every answer goes to its caller",
  cause: (setting) =>
    withShards(setting, {}, async ({ client, own: [key = ""] }) => {
      const codes = new Set<string>();
      let wrong = 0;
      for (let time = 0; time < 5; time++) {
        const [outcome, ...others] = await Promise.all([
          client.run(nested, [key], [7000]).then(
            () => "reply",
            ({ code, outcome }: SlotwireError) => `${code} ${outcome}`,
          ),
          wrongAnswers(client, key, 100),
        ]);
        codes.add(outcome);
        wrong += others[0] + (await wrongAnswers(client, key, 100));
      }
      return finding({
        "the call": [
          [...codes].join(" + "),
          [...codes].every((code) => /^(reply|(REPLY|PROTOCOL) executed)$/.test(code)),
        ],
        "wrong answers to 1,000 others": none(wrong),
      });
    }),
};

const SLOW_MS = 120;
const slow = defineScript({
  name: "slow",
  source: `
    local function now() local t = redis.call('time') return t[1] * 1000 + t[2] / 1000 end
    local ends = now() + ${SLOW_MS}
    while now() < ends do end
    return ARGV[1]`,
  numberOfKeys: 1,
  args: ["id"],
});

const givenUp: Fault = {
  name: "given-up",
  must: "abort and deadline of a call that is already written: rejects at once, its late reply is swallowed, its neighbours unharmed",
  cause: (setting) =>
    withShards(setting, {}, async ({ client, own: [key = ""] }) => {
      await client.preload(slow);
      let wrong = 0;
      let slowest = 0;
      const codes = new Map<string, number>();
      for (let time = 0; time < 10; time++) {
        const abort = new AbortController();
        // The first keeps the server busy: those behind it are written, and unanswered.
        const first = client.run(slow, [key], ["slow"]);
        const before = wrongAnswers(client, key, 50);
        const start = performance.now();
        const late = [{ signal: abort.signal }, { timeout: 30 }].map((options) =>
          client.run(recordScript, [key], ["given up"], options).then(
            () => "reply",
            ({ code, outcome }: SlotwireError) => {
              slowest = Math.max(slowest, performance.now() - start - 30);
              return `${code} ${outcome}`;
            },
          ),
        );
        const behind = wrongAnswers(client, key, 50);
        setTimeout(() => abort.abort(), 30);
        for (const code of await Promise.all(late)) codes.set(code, (codes.get(code) ?? 0) + 1);
        if ((await first) !== "slow") wrong++;
        wrong += (await before) + (await behind) + (await wrongAnswers(client, key, 50));
      }
      return finding({
        "given up": [
          [...codes].map(([code, count]) => `${count} ${code}`).join(" + "),
          codes.get("ABORTED unknown") === 10 && codes.get("DEADLINE unknown") === 10,
        ],
        "late by at most": atMost(slowest, 50),
        "wrong answers to 1,510 others": none(wrong),
      });
    }),
};

export const hostile: readonly Fault[] = [noResp, deep, givenUp];
