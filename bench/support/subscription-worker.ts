import { connect as connectTcp } from "node:net";
import RedisParser from "redis-parser";
import type { Message } from "../../src/index.ts";
import { encodeCommand } from "../../src/protocol/encode.ts";
import { CHANNELS, PATTERN, type SubscriptionLoad, type SubscriptionResult } from "./subscription-load.ts";

/** Subscribes, and calls `listener` with each message. Resolves when the server has confirmed. */
type Subscriber = (
  address: string,
  load: SubscriptionLoad,
  listener: (message: { channel: string | Buffer; payload: string | Buffer }) => void,
) => Promise<() => void>;

const METHODS = { channel: "subscribe", pattern: "psubscribe", sharded: "ssubscribe" } as const;

/** A bare socket, and redis-parser. It calls one listener for all, and notices nothing that goes wrong. */
const bare: Subscriber = async (address, { kind, replies }, listener) => {
  const [host, port] = address.split(":") as [string, string];
  const socket = connectTcp({ host, port: Number(port), noDelay: true });
  const names = kind === "pattern" ? [PATTERN] : CHANNELS;
  let confirmed = 0;
  const at = kind === "pattern" ? 2 : 1;
  await new Promise<void>((resolve, reject) => {
    const parser = new RedisParser({
      returnBuffers: replies === "buffer",
      returnReply: (reply: (string | Buffer)[]) => {
        if (typeof reply[2] === "number") {
          confirmed++;
          if (confirmed === names.length) resolve();
        } else listener({ channel: reply[at] as string, payload: reply[at + 1] as string });
      },
      returnError: reject,
    });
    socket.on("error", reject);
    socket.on("data", (bytes: Buffer) => parser.execute(bytes));
    socket.write(encodeCommand([METHODS[kind], ...names]), "latin1");
  });
  return () => socket.destroy();
};

/** The built client, as users get it, and not the source. */
const slotwire: Subscriber = async (address, { kind, replies }, listener) => {
  const built = new URL("../../dist/index.js", import.meta.url).href;
  const { connect } = (await import(built)) as typeof import("../../src/index.ts");
  const client = await connect({ nodes: [address] });
  const view = client.with({ replies });
  await view[METHODS[kind]](kind === "pattern" ? PATTERN : CHANNELS, listener as (message: Message) => void);
  return () => client.destroy();
};

const [name, address, given] = process.argv.slice(2) as ["bare" | "slotwire", string, string];
const load = JSON.parse(given) as SubscriptionLoad;
let messages = 0;
let bytes = 0;
let before: NodeJS.CpuUsage | undefined;
let stop = () => {};
const listener = ({ payload }: { payload: string | Buffer }) => {
  messages++;
  bytes += payload.length;
  if (messages === load.warmUp) before = process.cpuUsage();
  if (messages < load.warmUp + load.messages) return;
  const { user, system } = process.cpuUsage(before);
  if (bytes !== messages * load.payloadBytes) throw new Error("a message is not what was published");
  const result: SubscriptionResult = { cpuMicroseconds: (user + system) / load.messages };
  console.log(JSON.stringify(result));
  stop();
};
stop = await { bare, slotwire }[name](address, load, listener);
console.log("ready");
