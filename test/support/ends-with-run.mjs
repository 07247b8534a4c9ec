/*
 * Preloaded by test/run.ts into every test file's process: notes the process in the run's folder for as long as it lives. When
 * the run ends before it, in whatever way, the run's guard ends the processes that are noted there, also those that hang.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";

const folder = process.env.SLOTWIRE_TEST_RUN;
if (folder !== undefined && isMainThread) {
  const note = join(folder, String(process.pid));
  writeFileSync(note, "");
  process.once("exit", () => rmSync(note, { force: true }));
}
