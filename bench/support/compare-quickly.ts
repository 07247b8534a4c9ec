import { type Cluster, defineScript } from "../../src/index.ts";
import { sourceOf } from "./bench-script.ts";
import { closedLoop } from "./closed-loop.ts";
import { median } from "./statistics.ts";

const CALLS = 6_000;
const IN_FLIGHT = 64;
const ROUNDS = 3;

/** Compares EVALSHA with EVAL in a few seconds: medians of three rounds, in turns. */
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
    // The first calls of a process, and of a cluster after a failover, are slower than all later ones.
    if (size === 100) for (const call of [bySha, bySource]) await rate(call);
    const rates = { bySha: [] as number[], bySource: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      rates.bySha.push(await rate(bySha));
      rates.bySource.push(await rate(bySource));
    }
    const rest = "$1\r\n1\r\n$9\r\nbench:123\r\n$5\r\nvalue\r\n".length;
    const bytesBySha = "*5\r\n$7\r\nEVALSHA\r\n$40\r\n".length + 42 + rest;
    const bytesBySource = `*5\r\n$4\r\nEVAL\r\n$${source.length}\r\n`.length + source.length + 2 + rest;
    const cells = [
      label.padEnd(6),
      Math.round(median(rates.bySha)).toLocaleString("en").padStart(15),
      Math.round(median(rates.bySource)).toLocaleString("en").padStart(12),
      bytesBySha.toLocaleString("en").padStart(13),
      bytesBySource.toLocaleString("en").padStart(10),
    ];
    print(`  ${cells.join(" | ")}`);
  }
}

async function rate(call: (index: number) => Promise<unknown>): Promise<number> {
  const { calls, seconds } = await closedLoop(call, IN_FLIGHT, CALLS);
  return calls / seconds;
}
