/*
 * Causes faults on real servers and shows what became of the calls: npm run test:faults [-- NAME...]
 * One table; status 1 when a fault showed something else than it must.
 */
import { brokenWays } from "./broken-ways.ts";
import { deadAndFrozen } from "./dead-and-frozen.ts";
import type { Fault, Finding } from "./fault.ts";
import { forgedErrors } from "./forged-errors.ts";
import { movingAndFlushing } from "./moving-and-flushing.ts";
import { pressure } from "./pressure.ts";

const faults: readonly Fault[] = [...deadAndFrozen, ...brokenWays, ...movingAndFlushing, forgedErrors, ...pressure];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !faults.some((fault) => fault.name === name));
if (unknown.length > 0) {
  console.error(`There is no fault ${unknown.join(", ")}; there are ${faults.map(({ name }) => name).join(", ")}.`);
  process.exit(1);
}

let failures = 0;
for (const { name, must, cause } of faults) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const { seen, ok } = await cause().catch((error: unknown): Finding => ({ seen: String(error), ok: false }));
  if (!ok) failures++;
  console.log(`${ok ? "ok    " : "FAILED"} ${name.padEnd(22)} ${must}\n       ${"".padEnd(22)} seen: ${seen}`);
}
console.log(failures === 0 ? "\nEvery fault showed what it must." : `\n${failures} failed.`);
process.exit(failures === 0 ? 0 : 1);
