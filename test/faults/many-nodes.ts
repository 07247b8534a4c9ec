import { type Cluster, connect, defineScript } from "../../src/index.ts";
import { BusiestTurn } from "../support/busiest-turn.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { startFleet } from "../support/many-nodes.ts";
import { TurnMeter } from "../support/turn-meter.ts";
import { atMost, type Fault, finding } from "./fault.ts";
import { pause, withShards } from "./shards.ts";

const SCRIPTS = 50;
const MIB = 2 ** 20;
const INTERLEAVED = 16_384;

const scripts = Array.from({ length: SCRIPTS }, (_, index) =>
  defineScript({
    name: `script ${index}`,
    source: `-- ${String(index).padStart(1000, "x")}\nreturn 1`,
    numberOfKeys: 1,
  }),
);

function prepared(client: Cluster): number {
  return client.scripts().filter(({ loaded }) => loaded.length === SCRIPTS).length;
}

interface Connecting {
  readonly tookMs: number;
  readonly cpuMs: number;
  readonly longestMs: number;
  readonly prepared: number;
  readonly memory: number;
}

/** Connects to `count` nodes with 50 scripts. */
async function connectTo(count: number): Promise<Connecting> {
  const fleet = await startFleet(count, 0, count);
  const before = process.memoryUsage.rss();
  const meter = new TurnMeter();
  const client = await connect({ nodes: [fleet.seed], scripts });
  const { wallMs, cpuMs, longestMs } = meter.end();
  const memory = process.memoryUsage.rss() - before;
  const found = { tookMs: wallMs, cpuMs, longestMs, prepared: prepared(client), memory };
  client.destroy();
  fleet.stop();
  return found;
}

/** The longest turn by the time of the loop's own thread: V8 collects garbage and compiles in others beside it. */
async function busiestTurnMs(count: number): Promise<number> {
  const fleet = await startFleet(count, 0, count);
  using turns = new BusiestTurn();
  const client = await connect({ nodes: [fleet.seed], scripts });
  const { ms } = turns;
  client.destroy();
  fleet.stop();
  return ms;
}

const manyNodes: Fault = {
  name: "many-nodes",
  must: "1,000 scripted nodes in another process, 50 scripts: connected and preloaded in 5 s, no turn of the loop over 50 ms of CPU in the loop's own thread; from 500 to 2,000 nodes CPU grows as their number does",
  cause: async () => {
    await connectTo(100);
    const [few, thousand, many] = [await connectTo(500), await connectTo(1000), await connectTo(2000)];
    const perNode = ({ cpuMs }: Connecting, count: number) => cpuMs / count;
    const growth = perNode(many, 2000) / perNode(few, 500);
    const ownThreadMs = await busiestTurnMs(1000);
    const turns = [few, thousand, many].map(({ longestMs }) => `${longestMs.toFixed(0)} ms`);
    return finding({
      "connected in": atMost(thousand.tookMs, 5000),
      prepared: [thousand.prepared, thousand.prepared === 1000],
      // A turn holds up what runs in the loop's thread. V8 collects garbage and compiles in other threads meanwhile.
      "longest turn": atMost(ownThreadMs, 50),
      "the same with V8's other threads": [`${thousand.longestMs.toFixed(0)} ms`, true],
      memory: [`${Math.round(thousand.memory / MIB)} MB`, true],
      "longest turns with 500, 1,000, 2,000": [turns.join(" "), true],
      "CPU a node, 2,000 to 500": [growth.toFixed(2), growth <= 2],
    });
  },
};

const manyNodesDown: Fault = {
  name: "many-nodes-down",
  must: "60 nodes with interleaved slots, 59 down: under 5% CPU, no turn over 20 ms of this process's CPU",
  cause: async () => {
    const fleet = await startFleet(60, 59, INTERLEAVED);
    const client = await connect({ nodes: [fleet.seed] });
    await pause(1000);
    const [cpu, start] = [process.cpuUsage(), performance.now()];
    await pause(5000);
    const { user, system } = process.cpuUsage(cpu);
    const share = (user + system) / 10 / (performance.now() - start);
    // The meter takes some per cent itself.
    const meter = new TurnMeter();
    await pause(5000);
    const { longestMs } = meter.end();
    client.destroy();
    fleet.stop();
    return finding({
      CPU: [`${share.toFixed(1)} %`, share < 5],
      "longest turn": [`${longestMs.toFixed(0)} ms`, longestMs <= 20],
    });
  },
};

const manyNodesDead: Fault = {
  name: "many-nodes-dead",
  must: "5,000 nodes listed, one of them alive: connect resolves in about connectTimeout (2 s), and the one serves",
  cause: async () => {
    const fleet = await startFleet(5000, 4999, 5000);
    const start = performance.now();
    const client = await connect({ nodes: [fleet.seed] });
    const tookMs = performance.now() - start;
    const served = await client.command("SET", keyForSlot(0), "v").catch(String);
    client.destroy();
    fleet.stop();
    return finding({ "connected in": atMost(tookMs, 4000), served: [String(served), served === "OK"] });
  },
};

const REPLY_BYTES = 200 * MIB;

const largeReply: Fault = {
  name: "large-reply",
  must: "a reply of 200 MB, as a string and as a Buffer: at most 2.2 times its size in memory",
  cause: (setting) =>
    withShards(setting, { commandTimeout: 60_000 }, async ({ client, own }) => {
      const key = own[0] as string;
      await client.command("SETRANGE", key, REPLY_BYTES - 1, "x");
      // Not the process's memory: what earlier faults left free would be used again, and not be seen.
      const held = () => {
        globalThis.gc?.();
        const { heapUsed, external } = process.memoryUsage();
        return heapUsed + external;
      };
      const before = held();
      const grownBy = async (replies: "string" | "buffer") => {
        let most = before;
        const look = () => {
          const { heapUsed, external } = process.memoryUsage();
          most = Math.max(most, heapUsed + external);
        };
        const timer = setInterval(look, 2);
        const { length } = await client.with({ replies }).command<string | Buffer>("GET", key);
        look();
        clearInterval(timer);
        held();
        const times = (most - before) / REPLY_BYTES;
        return [times.toFixed(2), length === REPLY_BYTES && times <= 2.2] as const;
      };
      return finding({ "as a string": await grownBy("string"), "as a Buffer": await grownBy("buffer") });
    }),
};

export const crowds: readonly Fault[] = [manyNodes, manyNodesDown, manyNodesDead, largeReply];
