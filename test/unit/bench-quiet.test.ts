import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { coresOfOthers, noiseLine, QuietCheck, quietOf, spreadOf } from "../../src/cli/bench/quiet.ts";
import { placeOf } from "../../src/cli/bench/servers.ts";

const QUIET = { cores: 2, atRest: 0.05, meanwhile: 0.1, stolen: 0.001, spread: 0.2, load: 3 };

describe("the look at the machine", () => {
  it("says nothing of what every machine does, and what a benchmark before left behind", () => {
    assert.deepEqual(quietOf(QUIET), { quiet: true, reasons: [], seen: QUIET });
    assert.equal(noiseLine(quietOf(QUIET)), undefined);
    assert.equal(quietOf({ cores: 2, atRest: 0, load: 0 }).quiet, true);
  });

  it("says what was seen, in one line", () => {
    const line = (seen: Partial<typeof QUIET>) => noiseLine(quietOf({ ...QUIET, ...seen }));
    const said = "The machine was not quiet: ";
    assert.equal(line({ meanwhile: 0.84 }), `${said}other processes used 0.8 of 2 cores during the measurement.`);
    assert.equal(line({ atRest: 1.2 }), `${said}other processes used 1.2 of 2 cores before it began (load 3.0).`);
    assert.equal(line({ stolen: 0.1 }), `${said}the hypervisor gave 10% of the processors' time to other machines.`);
    assert.match(
      line({ spread: 0.9, meanwhile: 2 }) ?? "",
      /of 2 cores during the measurement; the middle half of the rounds lies 90% apart\.$/,
    );
    // One busy process is one core, on a large machine as well.
    for (const cores of [1, 2, 8, 64])
      assert.equal(quietOf({ ...QUIET, cores, meanwhile: 1 }).quiet, false, String(cores));
  });

  it("counts neither the own process nor the servers among the others", () => {
    const before = { at: 100, busy: 50, own: 7, steal: 0, total: 0 };
    const after = { ...before, at: 102, busy: 54, own: 9 };
    assert.equal(coresOfOthers(before, after), 1);
    assert.equal(coresOfOthers(before, after, 1.5), 0.25);
    // Counts of the system are coarse.
    assert.equal(coresOfOthers(before, after, 2.1), 0);
  });

  it("sees a busy process at rest and during the measurement", async () => {
    const busy = spawn(process.execPath, ["-e", "process.stdout.write('on'); for (;;);"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      await once(busy.stdout, "data");
      const check = await QuietCheck.begin(300);
      await new Promise((resolve) => setTimeout(resolve, 300));
      const { quiet, reasons, seen } = check.end({ otherOwnCpu: 0, comparisons: [] });
      assert.equal(quiet, false);
      assert.match(reasons[0] ?? "", /^Other processes used [\d.]+ of \d+ cores? during the measurement\.$/);
      assert.ok((seen?.atRest ?? 0) > 0.2 && (seen?.meanwhile ?? 0) > 0.2, JSON.stringify(seen));
      assert.equal(check.end({ otherOwnCpu: undefined, comparisons: [] }).seen?.meanwhile, undefined);
    } finally {
      busy.kill("SIGKILL");
      await once(busy, "close");
    }
  });

  it("measures how far the middle half lies apart", () => {
    assert.equal(spreadOf([1, 2, 3, 4]), 0.8);
    assert.equal(spreadOf([10, 9, 11, 10, 100]), 0.1);
    assert.equal(spreadOf([5, 5, 5]), 0);
  });
});

describe("the place of a server", () => {
  it("is here only if the address is ours", () => {
    assert.deepEqual(
      ["127.0.0.1", "127.8.8.8", "::1", "localhost"].map((host) => placeOf({ host })),
      ["here", "here", "here", "here"],
    );
    assert.equal(placeOf({ host: "198.51.100.9" }), "elsewhere");
    // A name may be anybody's, also that of a container on this machine.
    assert.equal(placeOf({ host: "redis-1" }), "near");
  });
});
