import type { Cluster } from "../../cluster/cluster.ts";
import type { BenchCall, CallNumbers } from "./bench-call.ts";
import { closedLoop, type Meter } from "./closed-loop.ts";
import type { Way } from "./rounds.ts";
import type { ServerMeter } from "./servers.ts";

/** EVAL, which is the base, and EVALSHA. */
export function scriptWays(
  cluster: Cluster,
  call: BenchCall,
  inFlight: number,
  servers: ServerMeter,
  numbers: CallNumbers,
): readonly CountedWay[] {
  return [
    new CountedWay("EVAL", call.eval(cluster), inFlight, meterOf(cluster, servers), numbers),
    new CountedWay("EVALSHA", call.evalsha(cluster), inFlight, meterOf(cluster, servers), numbers),
  ];
}

/** A way that knows how many calls it has made in all, with those of the warm-up. */
export class CountedWay implements Way {
  readonly name: string;
  readonly slice: Way["slice"];
  #calls = 0;

  constructor(
    name: string,
    call: (number: number) => Promise<void>,
    inFlight: number,
    meter: Meter,
    numbers: CallNumbers,
  ) {
    this.name = name;
    const next = () => {
      this.#calls++;
      return call(numbers.take());
    };
    this.slice = (milliseconds) => closedLoop(next, { milliseconds, inFlight, meter });
  }

  get calls(): number {
    return this.#calls;
  }
}

function meterOf(cluster: Cluster, servers: ServerMeter): Meter {
  return {
    now() {
      const { bytesWritten, bytesRead } = cluster.metrics().counters;
      const { user, system } = process.cpuUsage();
      return { bytesSent: bytesWritten, bytesReceived: bytesRead, clientCpu: user + system };
    },
    asked: async () => ({ ...(await servers.cpu()) }),
  };
}
