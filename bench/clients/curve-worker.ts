/* Makes calls at given rates with one client, in a process of its own, as often as the process that started it asks. */
import { type RateSlice, rateWay } from "../../src/cli/bench/rate-curve.ts";
import { answerRequests } from "../support/asked-process.ts";
import { CURVE_ARGUMENT, CURVE_SCRIPT, type CurveRequest } from "./curves.ts";
import { PEERS, type PeerName } from "./peers.ts";
import { KEYS } from "./workload.ts";

const [name, ...nodes] = process.argv.slice(2) as [PeerName, ...string[]];
const client = await PEERS[name].connect(nodes);
const way = rateWay(name, CURVE_SCRIPT, async (index) => {
  const reply = await client.run("write", KEYS[index % KEYS.length] as string, CURVE_ARGUMENT);
  if (reply !== "OK") throw new Error(`${name} gave a wrong reply: ${String(reply).slice(0, 80)}`);
});
answerRequests(async (request: CurveRequest): Promise<RateSlice | "warm"> => {
  if ("rate" in request) return way.slice(request.rate, request.milliseconds);
  await way.warmUp();
  return "warm";
});
