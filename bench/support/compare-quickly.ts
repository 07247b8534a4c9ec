import { closedLoop } from "../../src/cli/bench/closed-loop.ts";
import { median } from "../../src/cli/bench/estimate.ts";
import { callsPerSecond, measureRounds, type Way } from "../../src/cli/bench/rounds.ts";
import { type Cluster, defineScript } from "../../src/index.ts";
import { sourceOf } from "./bench-script.ts";

const IN_FLIGHT = 64;
const SECONDS = 0.15;

/** Compares EVALSHA with EVAL in a few seconds: medians of paired rounds. */
export async function compareQuickly(client: Cluster, print: (line: string) => void): Promise<void> {
  print(`  ${IN_FLIGHT} calls in flight`);
  print("  script | EVALSHA calls/s | EVAL calls/s | EVALSHA bytes | EVAL bytes");
  for (const [label, size] of [
    ["100 B", 100],
    ["1 KB", 1024],
    ["10 KB", 10_240],
  ] as const) {
    const source = sourceOf(size);
    const script = defineScript({ name: label, source, numberOfKeys: 1 });
    await client.preload(script);
    const bySha = (index: number) => client.run(script, [`bench:${index % 512}`], ["value"]);
    const bySource = (index: number) => client.command("EVAL", source, 1, `bench:${index % 512}`, "value");
    const rounds = await measureRounds([wayOf("EVALSHA", bySha), wayOf("EVAL", bySource)], { seconds: SECONDS });
    const rate = (name: string) => median(rounds.flatMap((round) => round.get(name) ?? []).map(callsPerSecond));
    const rest = "$1\r\n1\r\n$9\r\nbench:123\r\n$5\r\nvalue\r\n".length;
    const bytesBySha = "*5\r\n$7\r\nEVALSHA\r\n$40\r\n".length + 42 + rest;
    const bytesBySource = `*5\r\n$4\r\nEVAL\r\n$${source.length}\r\n`.length + source.length + 2 + rest;
    const cells = [
      label.padEnd(6),
      Math.round(rate("EVALSHA")).toLocaleString("en").padStart(15),
      Math.round(rate("EVAL")).toLocaleString("en").padStart(12),
      bytesBySha.toLocaleString("en").padStart(13),
      bytesBySource.toLocaleString("en").padStart(10),
    ];
    print(`  ${cells.join(" | ")}`);
  }
}

function wayOf(name: string, call: (index: number) => Promise<unknown>): Way {
  let calls = 0;
  const checked = async () => {
    const reply = await call(calls++);
    if (reply !== 1) throw new Error(`A script that returns 1 was answered by ${JSON.stringify(reply)}.`);
  };
  const meter = { now: () => ({}) };
  return { name, slice: (milliseconds) => closedLoop(checked, { milliseconds, inFlight: IN_FLIGHT, meter }) };
}
