import { pathToFileURL } from "node:url";
import { LOAD_KEYS, LOAD_SCRIPT, LOAD_VALUE } from "./load-script.ts";
import { type Listening, listen } from "./tracing-listeners.ts";

/** The result of the worker, printed as one line of JSON: the CPU time of this process, user and system. */
export interface TracingResult {
  readonly cpuMicroseconds: number;
}

const [dist = "", listening = "nobody", inFlight = "1", calls = "1", ...nodes] = process.argv.slice(2);
const { connect, defineScript } = (await import(
  pathToFileURL(`${dist}/index.js`).href
)) as typeof import("../../src/index.ts");
await listen(listening as Listening, dist);
const script = defineScript({ name: "set", source: LOAD_SCRIPT, numberOfKeys: 1 });
const cluster = await connect({ nodes, scripts: [script], durations: listening === "durations" });

async function burst(count: number): Promise<void> {
  let next = 0;
  const caller = async () => {
    while (next < count) {
      const index = next++;
      await cluster.run(script, [LOAD_KEYS[index % LOAD_KEYS.length] as string], [LOAD_VALUE]);
    }
  };
  await Promise.all(Array.from({ length: Number(inFlight) }, caller));
}

await burst(Number(calls) / 2);
const before = process.cpuUsage();
await burst(Number(calls));
const { user, system } = process.cpuUsage(before);
await cluster.close();
const result: TracingResult = { cpuMicroseconds: (user + system) / Number(calls) };
console.log(JSON.stringify(result));
