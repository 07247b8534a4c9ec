import type { CallNumbers } from "../../src/cli/bench/bench-call.ts";
import { closedLoop, type Meter } from "../../src/cli/bench/closed-loop.ts";
import type { Slice, Way } from "../../src/cli/bench/rounds.ts";
import type { Cluster, Script } from "../../src/index.ts";
import type { CalledScript } from "./called-script.ts";
import { type ScriptCommand, type ServerCosts, type ServerMeter, summed } from "./server-costs.ts";

/** The client and the settings of a comparison. */
export interface Bed {
  readonly client: Cluster;
  /** Undefined where the servers refuse INFO. The client then counts the bytes, and nobody the servers' CPU. */
  readonly meter: ServerMeter | undefined;
  /** Whether no other client uses the cluster, so that the servers' count of calls must equal ours. */
  readonly alone: boolean;
  readonly numbers: CallNumbers;
}

/** One way to make the n-th call. */
export interface WayOfCalling {
  readonly name: string;
  /** The command that the servers count. */
  readonly command: ScriptCommand;
  readonly inFlight: number;
  /** Makes the call of that number and checks the reply. With `callsEach`, the next numbers are its own as well. */
  readonly call: (number: number) => Promise<void>;
  /** The number of calls that `call` makes at once. @default 1 */
  readonly callsEach?: number;
  /** The nodes that must have run the calls. @default any */
  readonly ranOn?: ReadonlySet<string>;
}

/** A way that is measured in slices, with the servers' own count of its costs. */
export function measuredWay({ client, meter, alone, numbers }: Bed, way: WayOfCalling): Way {
  const { name, call, inFlight, callsEach = 1 } = way;
  const own = meter === undefined ? withBytesOf(client) : CLIENT_CPU;
  const loop = (milliseconds: number) => {
    return closedLoop(() => call(numbers.take(callsEach)), { milliseconds, inFlight, callsEach, meter: own });
  };
  return {
    name,
    async slice(milliseconds) {
      if (meter === undefined) return loop(milliseconds);
      let slice: Slice | undefined;
      const costs = await meter.during(async () => {
        slice = await loop(milliseconds);
      });
      const done = slice as Slice;
      if (alone) checkCount(way, done.calls, costs);
      const { bytesIn, bytesOut, cpuMicroseconds, commands } = summed(costs.values());
      const inCommand = commands[way.command].microseconds;
      const counted = { bytesSent: bytesIn, bytesReceived: bytesOut, serverCpu: cpuMicroseconds, inCommand };
      return { ...done, costs: { ...done.costs, ...counted } };
    },
  };
}

/** EVAL, which is the base, and EVALSHA. */
export function evalAndEvalsha(client: Cluster, called: CalledScript, inFlight: number): readonly WayOfCalling[] {
  const { script, keysOf, argsOf, check } = called;
  const { source } = script;
  return [
    {
      name: "EVAL",
      command: "eval",
      inFlight,
      call: async (number) => {
        const keys = keysOf(number);
        check(await client.command("EVAL", source, keys.length, ...keys, ...argsOf(number)));
      },
    },
    byRun("EVALSHA", client, script, called, inFlight),
  ];
}

/** A script or a function, called one by one. */
export function byRun(
  name: string,
  client: Cluster,
  script: Script,
  { keysOf, argsOf, check }: CalledScript,
  inFlight: number,
  command: ScriptCommand = script.readOnly ? "evalsha_ro" : "evalsha",
): WayOfCalling {
  return {
    name,
    command,
    inFlight,
    call: async (number) => check(await client.run(script, keysOf(number), argsOf(number))),
  };
}

/** Checks that the servers ran each call exactly once, without a replay and without another command in its place. */
function checkCount(way: WayOfCalling, calls: number, costs: ReadonlyMap<string, ServerCosts>): void {
  const { name, command, ranOn } = way;
  const counted = (each: Iterable<ServerCosts>) => {
    const commands = Object.entries(summed(each).commands);
    return commands.filter(([, { calls: some }]) => some !== 0).map(([one, { calls: some }]) => `${some} ${one}`);
  };
  const right = calls === 0 ? [] : [`${calls} ${command}`];
  const nodes = [...costs].filter(([address]) => ranOn?.has(address) ?? true).map(([, each]) => each);
  for (const seen of [counted(nodes), counted(costs.values())]) {
    if (seen.join() === right.join()) continue;
    throw new Error(`The servers counted ${seen.join(" and ") || "nothing"} for ${calls} calls by ${name}.`);
  }
}

const CLIENT_CPU: Meter = {
  now() {
    const { user, system } = process.cpuUsage();
    return { clientCpu: user + system };
  },
};

/** The client's own count of bytes, where the servers do not tell theirs. */
function withBytesOf(client: Cluster): Meter {
  return {
    now() {
      const { bytesWritten, bytesRead } = client.metrics().counters;
      return { ...CLIENT_CPU.now(), bytesSent: bytesWritten, bytesReceived: bytesRead };
    },
  };
}
