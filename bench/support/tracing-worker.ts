import { pathToFileURL } from "node:url";
import { LOAD_KEYS, LOAD_SCRIPT, LOAD_VALUE } from "./load-script.ts";
import { closedLoopFor, measureSlices } from "./measured-worker.ts";
import { type Listening, listen } from "./tracing-listeners.ts";

/* Makes calls with a build of the client, as its process is asked to: tracing-worker.ts DIST LISTENING IN-FLIGHT NODE... */

const [dist = "", listening = "nobody", inFlight = "1", ...nodes] = process.argv.slice(2);
const { connect, defineScript } = (await import(
  pathToFileURL(`${dist}/index.js`).href
)) as typeof import("../../src/index.ts");
await listen(listening as Listening, dist);
const script = defineScript({ name: "set", source: LOAD_SCRIPT, numberOfKeys: 1 });
const cluster = await connect({ nodes, scripts: [script], durations: listening === "durations" });
measureSlices((milliseconds) =>
  closedLoopFor(milliseconds, Number(inFlight), 16, (index) =>
    cluster.run(script, [LOAD_KEYS[index % LOAD_KEYS.length] as string], [LOAD_VALUE]),
  ),
);
