import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { builtPackage } from "../support/built-package.ts";

interface Target {
  readonly types: string;
  readonly default: string;
}

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<"import" | "require", Target>>>>;
}

// The whole package, installed by npm, is for `npm run test:package`.
describe("the built package", () => {
  const folder = builtPackage();
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;

  it("has the types of every module that it exports", () => {
    const targets = Object.values(exports).flatMap((target) =>
      typeof target === "string" ? [] : Object.values(target),
    );
    const modules = targets.map(({ types }) => types);
    assert.ok(modules.length > 0, "there are modules");
    for (const types of modules) assert.ok(existsSync(join(folder, types)), `${types} is missing`);
  });

  it("gives every module by its name, to plain Node, and the same names to CommonJS", async () => {
    const names = Object.keys(exports).filter((name) => name !== "./package.json");
    const modules = names.map((name) => JSON.stringify(name.replace(".", "slotwire")));
    const program = `
      import { createRequire } from "node:module";
      const require = createRequire(import.meta.url);
      const namesOf = (module) => Object.keys(module).sort().join();
      for (const name of [${modules}]) console.log(namesOf(await import(name)), namesOf(require(name)));
      console.log((await import("slotwire")).slotOf("foo"), require("slotwire").slotOf("foo"));`;
    const args = ["--input-type=module", "-e", program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
    const printed = stdout.trim().split("\n");
    assert.equal(printed.pop(), "12182 12182");
    assert.equal(printed.length, names.length);
    for (const line of printed) {
      const [imported, required] = line.split(" ");
      assert.notEqual(imported, "");
      assert.equal(required, imported);
    }
  });
});
