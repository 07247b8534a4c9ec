import { connect } from "node:net";
import { PageClient } from "../support/page-client.ts";

/*
 * The pages of `run.ts`, in a process of their own: one that reads everything, and one that stops reading at once. Each
 * second they say how much the first has read.
 */
const [, , url = ""] = process.argv;
const { port, pathname } = new URL(url);
const reader = new PageClient(url, false);
const stalled = connect(Number(port), "127.0.0.1", () => {
  stalled.write(`GET ${pathname}events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
});
stalled.pause();
stalled.on("error", () => {});
setInterval(() => {
  const { bytes, beginnings, rates } = reader;
  process.send?.({ bytes, beginnings, rate: rates.at(-1) });
  rates.length = 0;
}, 1000);
process.on("disconnect", () => process.exit());
