import { connect } from "node:net";
import { encodeCommand } from "../../src/protocol/encode.ts";
import { CHANNELS, type SubscriptionLoad } from "./subscription-load.ts";

/** Publishes at an even pace until it is ended. */
const [address, given] = process.argv.slice(2) as [string, string];
const { kind, messagesPerSecond, payloadBytes } = JSON.parse(given) as SubscriptionLoad;
const [host, port] = address.split(":") as [string, string];
const command = kind === "sharded" ? "SPUBLISH" : "PUBLISH";
const frames = CHANNELS.map((channel) => encodeCommand([command, channel, "x".repeat(payloadBytes)]));
const socket = connect({ host, port: Number(port), noDelay: true });
socket.on("data", () => {});
socket.once("connect", () => {
  const begin = performance.now();
  let sent = 0;
  setInterval(() => {
    const due = ((performance.now() - begin) / 1000) * messagesPerSecond;
    let out = "";
    for (; sent < due; sent++) out += frames[sent % frames.length];
    if (out !== "") socket.write(out, "latin1");
  }, 1);
});
