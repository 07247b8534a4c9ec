import { floorClient } from "./floor-client.ts";
import type { LoadClient } from "./load-script.ts";
import { slotwireClient } from "./slotwire-client.ts";
import { median } from "./statistics.ts";

/** The result of a worker, printed as one line of JSON. */
export interface LoadResult {
  /** The CPU time of this process, user and system, in microseconds per call. */
  readonly cpuMicroseconds: number;
  readonly callsPerSecond: number;
  /** Median latency in microseconds. */
  readonly p50Microseconds: number;
}

const CLIENTS = { floor: floorClient, slotwire: slotwireClient };

/** A closed loop of `inFlight` callers. Each caller makes its next call when its last one is answered. */
async function closedLoop(client: LoadClient, inFlight: number, calls: number): Promise<number[]> {
  let next = 0;
  const latencies: number[] = [];
  const caller = async () => {
    while (next < calls) {
      const index = next++;
      // Every 16th call is enough for a median. Two clock readings for each call would add to the measured cost.
      if (index % 16 !== 0) await client.call(index);
      else {
        const start = performance.now();
        await client.call(index);
        latencies.push(performance.now() - start);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return latencies;
}

const [name, inFlight, calls, ...nodes] = process.argv.slice(2) as [keyof typeof CLIENTS, string, string, ...string[]];
const client = await CLIENTS[name](nodes);
await closedLoop(client, Number(inFlight), Number(calls) / 2);
const cpuBefore = process.cpuUsage();
const start = performance.now();
const latencies = await closedLoop(client, Number(inFlight), Number(calls));
const seconds = (performance.now() - start) / 1000;
const cpu = process.cpuUsage(cpuBefore);
await client.close();
const result: LoadResult = {
  cpuMicroseconds: (cpu.user + cpu.system) / Number(calls),
  callsPerSecond: Number(calls) / seconds,
  p50Microseconds: median(latencies) * 1000,
};
console.log(JSON.stringify(result));
