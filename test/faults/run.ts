/*
 * Causes faults on real servers and shows what became of the calls: npm run test:faults [-- NAME...]
 * A name that ends in "-" stands for all that begin so: npm run test:faults -- cached cached-
 * One table; status 1 when a fault showed something else than it must.
 */
import { batchOrder } from "./batch-order.ts";
import { brokenWays, cut, halfOpen } from "./broken-ways.ts";
import { cachedReads } from "./cached.ts";
import { deadAndFrozen, primaryKilled } from "./dead-and-frozen.ts";
import { besideFrozenReplica, type Fault, type Finding } from "./fault.ts";
import { forgedErrors } from "./forged-errors.ts";
import { hedged } from "./hedged.ts";
import { hostile } from "./hostile.ts";
import { identity } from "./identity.ts";
import { loadAndLimits } from "./load-and-limits.ts";
import { crowds } from "./many-nodes.ts";
import { askBeforeOwning, flushed, moving, pausedWrites } from "./moving-and-flushing.ts";
import { Noise } from "./noise.ts";
import { paces } from "./paces.ts";
import { pressure } from "./pressure.ts";
import { signsOfLife } from "./signs-of-life.ts";
import { subscriptionSlots } from "./subscription-slots.ts";
import { subscriptions } from "./subscriptions.ts";
import { RULE, row, rowOf } from "./table.ts";
import { givenUp } from "./unavailable.ts";

const faults: readonly Fault[] = [
  ...deadAndFrozen,
  ...brokenWays,
  ...signsOfLife,
  moving,
  askBeforeOwning,
  flushed,
  pausedWrites,
  ...batchOrder,
  ...[primaryKilled, halfOpen, cut, moving, askBeforeOwning, flushed].map(besideFrozenReplica),
  forgedErrors,
  ...hostile,
  givenUp,
  hedged,
  ...pressure,
  ...paces,
  ...identity,
  ...loadAndLimits,
  ...crowds,
  ...subscriptions,
  ...subscriptionSlots,
  ...cachedReads,
];

async function finding({ cause }: Fault): Promise<Finding> {
  const noise = new Noise();
  const found = await cause({ frozenReplica: false }).catch((error: unknown) => ({ seen: String(error), ok: false }));
  const heard = noise.end();
  return heard.length === 0 ? found : { seen: `${found.seen}, noise (!) ${heard.slice(0, 5).join(" / ")}`, ok: false };
}

const wanted = process.argv.slice(2);
const isMeant = (wanted: string, name: string) => name === wanted || (wanted.endsWith("-") && name.startsWith(wanted));
const unknown = wanted.filter((each) => !faults.some(({ name }) => isMeant(each, name)));
if (unknown.length > 0) {
  console.error(`There is no fault ${unknown.join(", ")}; there are ${faults.map(({ name }) => name).join(", ")}.`);
  process.exit(1);
}

console.log(`${row("fault", "must show", "was seen", "")}\n${RULE}`);
let failures = 0;
for (const fault of faults) {
  if (wanted.length > 0 && !wanted.some((each) => isMeant(each, fault.name))) continue;
  const found = await finding(fault);
  if (!found.ok) failures++;
  console.log(rowOf(fault, found));
}
console.log(failures === 0 ? "Every fault showed what it must." : `${failures} failed.`);
process.exit(failures === 0 ? 0 : 1);
