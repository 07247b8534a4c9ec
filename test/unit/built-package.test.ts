import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { builtPackage } from "../support/built-package.ts";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
}

// The whole package, installed by npm, is for `npm run test:package`.
describe("the built package", () => {
  const folder = builtPackage();
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;

  it("has the types of every module that it exports", () => {
    const modules = Object.values(exports).flatMap((target) => (typeof target === "string" ? [] : [target.types]));
    assert.ok(modules.length > 0);
    for (const types of modules) assert.ok(existsSync(join(folder, types)), `${types} is missing`);
  });

  it("gives every module by its name, to plain Node", async () => {
    const names = Object.keys(exports).filter((name) => name !== "./package.json");
    const modules = names.map((name) => JSON.stringify(name.replace(".", "slotwire")));
    const program = `
      for (const name of [${modules}]) console.log(Object.keys(await import(name)).length);
      const { slotOf } = await import("slotwire");
      console.log(slotOf("foo"));`;
    const args = ["--input-type=module", "-e", program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
    const printed = stdout.trim().split("\n").map(Number);
    assert.equal(printed.pop(), 12182);
    assert.equal(printed.length, names.length);
    assert.ok(printed.every((count) => count > 0));
  });
});
