import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { ROOT } from "../support/built-package.ts";
import { runWithin } from "../support/package-run.ts";
import { type PackedPackage, packedPackage } from "../support/packed-package.ts";

const consumer = readFileSync(join(ROOT, "test", "package", "consumer.ts.txt"), "utf8");
const STRICT = {
  ...{ target: "ES2022", lib: ["ES2022"], noEmit: true, skipLibCheck: false, esModuleInterop: true, types: ["node"] },
  ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noImplicitOverride: true },
};
/** The handle of a script from a CommonJS module, used by an ES module. */
const CROSSING = {
  "handles.cts": `
    import { defineScript, ReplyError } from "slotwire";
    export const get = defineScript({ name: "get", source: "return redis.call('GET', KEYS[1])", numberOfKeys: 1 });
    export const failed = (error: unknown) => (error instanceof ReplyError ? error.reply : undefined);`,
  "crossing.mts": `
    import { connect, type Script } from "slotwire";
    import { failed, get } from "./handles.cjs";
    const handle: Script = get;
    const cluster = await connect({ nodes: [], scripts: [handle, get] });
    export const value: unknown = await cluster.run(get, ["key"]).catch(failed);`,
};

type Options = Readonly<Record<string, unknown>>;
const COMMONJS = {
  "CommonJS, node16": { module: "Node16", moduleResolution: "Node16" },
  "CommonJS, nodenext": { module: "NodeNext", moduleResolution: "NodeNext" },
};
const NODE10 = {
  "CommonJS, node10": { module: "CommonJS", moduleResolution: "Node10", esModuleInterop: false },
};
const MODULES = { "ES modules, nodenext": { module: "NodeNext", moduleResolution: "NodeNext" } };
const BUNDLER = { bundler: { module: "ESNext", moduleResolution: "Bundler" } };
const COMPILERS: Readonly<Record<string, Readonly<Record<string, Options>>>> = {
  "5.4": { ...COMMONJS, ...NODE10, ...MODULES },
  "5.9": { ...COMMONJS, ...NODE10, ...BUNDLER },
  // From 6 on, TypeScript has no node10 any more.
  "7": { ...COMMONJS, ...MODULES, ...BUNDLER },
};

describe("the types of the packed package, for a strict consumer that checks its libraries", { concurrency: 2 }, () => {
  let packed: PackedPackage;
  let project: string;
  before(async () => {
    packed = await packedPackage();
    project = packed.projectFor("types");
    symlinkSync(join(ROOT, "node_modules", "@opentelemetry"), join(project, "node_modules", "@opentelemetry"));
  });

  for (const [version, resolutions] of Object.entries(COMPILERS)) {
    for (const [name, options] of Object.entries(resolutions)) {
      it(`TypeScript ${version}, ${name}`, async () => {
        const folder = join(project, `${version} ${name}`.replace(/\W+/g, "-"));
        mkdirSync(folder);
        const files: Record<string, string> = name.startsWith("ES")
          ? { "consumer.mts": consumer, ...CROSSING }
          : { "consumer.ts": consumer };
        for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
        const config = { compilerOptions: { ...STRICT, ...options }, files: Object.keys(files) };
        writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
        const compiler =
          version === "7" ? join(ROOT, "node_modules", "typescript") : packed.tool(`typescript-${version}`);
        const { version: installed } = JSON.parse(readFileSync(join(compiler, "package.json"), "utf8"));
        assert.ok(installed.startsWith(`${version}.`), `it is ${installed}`);
        await runWithin(180_000, folder, process.execPath, join(compiler, "bin", "tsc"), "-p", folder);
      });
    }
  }
});
