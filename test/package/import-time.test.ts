import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { run } from "../support/package-run.ts";
import { packedPackage } from "../support/packed-package.ts";

/** The most of ioredis's time that an import of slotwire may take. */
const MOST = 0.6;
/** Each of them in so many fresh processes, in turns. */
const TIMES = 15;

/*
 * Processor time is compared: it hardly depends on what else the machine does. The median of the quotients of neighbours in
 * time leaves out what remains. Elapsed times are shown beside it.
 */
describe("the time that an import takes", () => {
  let project: string;
  before(async () => {
    project = (await packedPackage()).projectFor("import-time");
  });

  const forms = {
    import: (name: string) => `await import("${name}")`,
    require: (name: string) => `require("${name}")`,
  };
  for (const [form, load] of Object.entries(forms)) {
    it(`is at most ${MOST} of ioredis's, by ${form}`, async (test) => {
      const measured = async (name: string) => {
        const code = `
          const begun = process.cpuUsage(), at = process.hrtime.bigint();
          ${load(name)};
          const elapsed = Number(process.hrtime.bigint() - at) / 1e6, { user, system } = process.cpuUsage(begun);
          console.log((user + system) / 1000, elapsed);`;
        const type = form === "import" ? "module" : "commonjs";
        const printed = await run(project, process.execPath, `--input-type=${type}`, "-e", code);
        const [processor = Number.NaN, elapsed = Number.NaN] = printed.split(" ").map(Number);
        return { processor, elapsed };
      };
      const names = ["slotwire", "slotwire/ioredis"];
      const quotients = names.map(() => ({ processor: [] as number[], elapsed: [] as number[] }));
      const theirs: number[] = [];
      for (let time = 0; time < TIMES; time++) {
        const other = await measured("ioredis");
        theirs.push(other.processor);
        for (const [index, name] of names.entries()) {
          const { processor, elapsed } = await measured(name);
          quotients[index]?.processor.push(processor / other.processor);
          quotients[index]?.elapsed.push(elapsed / other.elapsed);
        }
      }
      for (const [index, name] of names.entries()) {
        const { processor, elapsed } = quotients[index] ?? { processor: [], elapsed: [] };
        const shown = `${name}: ${median(processor).toFixed(2)} of ioredis's processor time`;
        const all = `${shown} (${median(theirs).toFixed(0)} ms), ${median(elapsed).toFixed(2)} of its elapsed time`;
        test.diagnostic(all);
        assert.ok(median(processor) <= MOST, all);
      }
    });
  }
});

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
