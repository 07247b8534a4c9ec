import { floorClient } from "./floor-client.ts";
import { BATCH, type LoadClient } from "./load-script.ts";
import { type Burst, closedLoopFor, measureSlices } from "./measured-worker.ts";
import { slotwireClient } from "./slotwire-client.ts";

/* Makes calls with one of the clients, as its process is asked to: load-worker.ts CLIENT LOAD NODE... */

const CLIENTS = { floor: floorClient, slotwire: slotwireClient };
/** Every call is timed where few are made. */
const TIMED_OF_MANY = 16;

const [name, load, ...nodes] = process.argv.slice(2) as [keyof typeof CLIENTS, string, ...string[]];
const client = await CLIENTS[name](nodes);
measureSlices(load === "batch" ? (milliseconds) => batches(client, milliseconds) : closedLoop(Number(load)));

function closedLoop(inFlight: number): (milliseconds: number) => Promise<Burst> {
  const every = inFlight === 1 ? 1 : TIMED_OF_MANY;
  return (milliseconds) => closedLoopFor(milliseconds, inFlight, every, (index) => client.call(index));
}

/** One batch after the other. The latency is that of a batch. */
async function batches({ batch }: LoadClient, milliseconds: number): Promise<Burst> {
  const burst = await closedLoopFor(milliseconds, 1, 1, batch);
  return { calls: burst.calls * BATCH, latencies: burst.latencies };
}
