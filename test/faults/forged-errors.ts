import { defineScript, SlotwireError } from "../../src/index.ts";
import { type Fault, finding } from "./fault.ts";
import { withShards } from "./shards.ts";

const increments = defineScript({
  name: "counts, then errs",
  source: "redis.call('incr', KEYS[1]) return redis.error_reply(ARGV[1])",
  numberOfKeys: 1,
  args: ["error"],
});

export const forgedErrors: Fault = {
  name: "forged",
  must: "a script that increments and then returns an error that looks like a refusal: executed exactly once each; the error reaches the caller",
  cause: (setting) =>
    withShards(setting, {}, async ({ client, victim }) => {
      const colon = victim.lastIndexOf(":");
      const forged = [
        "MOVEDOUT x",
        "ERR inner NOSCRIPT thing",
        `MOVED 1 ${victim.slice(0, colon)}:${victim.slice(colon + 1)}`,
        "TRYAGAIN later",
        "CLUSTERDOWN x",
        "Connection is closed.",
        "ASK me",
        "NOSCRIPT x",
        "LOADING x",
        "READONLY x",
      ];
      let once = 0;
      let told = 0;
      for (const [index, text] of forged.entries()) {
        const key = `forged:${index}`;
        const error = await client.run(increments, [key], [text]).catch((reason: unknown) => reason);
        // Servers put a word of their own in front of an error that has none, and what ran it behind.
        if (error instanceof SlotwireError && error.code === "REPLY" && error.message.includes(text)) told++;
        if ((await client.command("GET", key)) === "1") once++;
      }
      return finding({
        "executed once": [`${once} of ${forged.length}`, once === forged.length],
        "told to the caller": [`${told} of ${forged.length}`, told === forged.length],
      });
    }),
};
