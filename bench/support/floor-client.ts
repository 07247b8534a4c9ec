import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import { encodeCommand } from "../../src/protocol/encode.ts";
import { slotOf } from "../../src/protocol/hash-slot.ts";
import { BATCH, LOAD_KEYS, LOAD_SCRIPT, LOAD_VALUE, type LoadClient } from "./load-script.ts";

/**
 * Shows what the protocol itself costs: raw sockets, commands that are encoded beforehand, one write per tick and node,
 * replies counted by their line feeds, one promise per call. It has no parsing, no errors and no limits, so it is of no
 * practical use.
 */
export async function floorClient(nodes: readonly string[]): Promise<LoadClient> {
  const sha = createHash("sha1").update(LOAD_SCRIPT).digest("hex");
  const lanes = await Promise.all(nodes.map(openLane));
  const ranges = await slotRanges(nodes[0] as string);
  const laneOf = (slot: number) => {
    const owner = ranges.find(([start, end]) => slot >= start && slot <= end)?.[2] as string;
    return lanes[nodes.indexOf(owner)] as Lane;
  };
  const frames = LOAD_KEYS.map((key) => encodeCommand(["EVALSHA", sha, 1, key, LOAD_VALUE]));
  const owners = LOAD_KEYS.map((key) => laneOf(slotOf(key)));
  const load = encodeCommand(["SCRIPT", "LOAD", LOAD_SCRIPT]);
  await Promise.all(lanes.map((lane) => lane.exchange(load)));
  const call = (index: number) => {
    const at = index % frames.length;
    return (owners[at] as Lane).send(frames[at] as string);
  };
  const batched = Array.from({ length: BATCH }, (_, index) => index);
  return {
    call,
    batch: () => Promise.all(batched.map(call)),
    async close() {
      for (const lane of lanes) lane.close();
    },
  };
}

class Lane {
  readonly #socket: Socket;
  #out = "";
  #waiting: (() => void)[] = [];
  #answered = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) {
        (this.#waiting[this.#answered++] as () => void)();
      }
      if (this.#answered > 4096) {
        this.#waiting.splice(0, this.#answered);
        this.#answered = 0;
      }
    });
  }

  send(frame: string): Promise<void> {
    if (this.#out === "") process.nextTick(this.#flush);
    this.#out += frame;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Sends a command whose reply has two lines; only for the set-up. */
  async exchange(frame: string): Promise<void> {
    const done = this.send(frame);
    this.#waiting.push(() => {});
    await done;
  }

  close(): void {
    this.#socket.destroy();
  }

  readonly #flush = () => {
    const out = this.#out;
    this.#out = "";
    this.#socket.write(out, "latin1");
  };
}

function openLane(address: string): Promise<Lane> {
  const [host, port] = address.split(":") as [string, string];
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), noDelay: true }, () => resolve(new Lane(socket)));
    socket.once("error", reject);
  });
}

async function slotRanges(address: string): Promise<[number, number, string][]> {
  const { connect: connectCluster } = await import("../../src/index.ts");
  const cluster = await connectCluster({ nodes: [address] });
  const ranges = cluster.topology.ranges.map(({ start, end, primary }): [number, number, string] => [
    start,
    end,
    primary.address,
  ]);
  await cluster.close();
  return ranges;
}
