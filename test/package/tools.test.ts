import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { run, runWithin } from "../support/package-run.ts";
import { type PackedPackage, packedPackage } from "../support/packed-package.ts";

/** What a test framework gets for one file: it starts servers. */
const TEST_MS = 120_000;

/** A test as a user writes it, with a cluster of its own. `beforeAll`, `afterAll` and `test` are the framework's. */
const USERS_TEST = `
  const increase = defineScript({ name: "increase", source: "return redis.call('INCR', KEYS[1])", numberOfKeys: 1 });
  let local, cluster, shaped;
  beforeAll(async () => {
    local = await startCluster({ primaries: 3, tls: false });
    cluster = await connect({ ...local.connectOptions, scripts: [increase] });
    shaped = new Cluster(local.nodes);
  }, ${TEST_MS / 2});
  afterAll(async () => {
    await shaped?.quit();
    await cluster?.close();
    await local?.stop();
  }, ${TEST_MS / 2});
  test("runs scripts, commands and batches", async () => {
    equal(await cluster.run(increase, ["visits"]), 1);
    equal(await cluster.command("SET", Buffer.from("bytes"), new Uint8Array([65])), "OK");
    equal(await cluster.command("GET", "bytes"), "A");
    equal((await cluster.batch([increase.call(["visits"]), increase.call(["others"])])).join(), "2,1");
    equal(await shaped.get("visits"), "2");
  });
  test("gives errors that are recognised", async () => {
    const error = await cluster.command("INCR", "bytes").catch((error) => error);
    equal(error instanceof ReplyError && error instanceof SlotwireError, true);
    equal(await cluster.command("GET", {}).catch(({ code }) => code), "INVALID_ARGUMENT");
  });`;
const NAMES = "{ connect, defineScript, ReplyError, SlotwireError }";
const REQUIRED = `
  const ${NAMES} = require("slotwire");
  const { startCluster } = require("slotwire/testing");
  const { Cluster } = require("slotwire/ioredis");`;
const IMPORTED = `
  import ${NAMES} from "slotwire";
  import { startCluster } from "slotwire/testing";
  import { Cluster } from "slotwire/ioredis";`;
const EXPECT = "const equal = (given, wanted) => expect(given).toBe(wanted);";

/** How an application that bundlers make one file of gets the package, by its file. */
const APPLICATIONS = {
  "application.mjs":
    'import { connect, defineScript, SlotwireError } from "slotwire"; import Redis from "slotwire/ioredis";',
  "application.cjs": `
    const { connect, defineScript, SlotwireError } = require("slotwire");
    const { default: Redis } = require("slotwire/ioredis");`,
};
const APPLICATION = `
  const get = defineScript({ name: "get", source: "return redis.call('GET', KEYS[1])", numberOfKeys: 1, readOnly: true });
  async function main(nodes) {
    const cluster = await connect({ nodes, scripts: [get], cache: {} });
    const shaped = new Redis.Cluster(nodes);
    await shaped.set("bundled", "yes");
    // What CommonJS loads when it is used.
    await (await cluster.subscribe("news")).close();
    for await (const _ of cluster.scan());
    for await (const _ of shaped.scanStream());
    await cluster.transaction("bundled", { watch: ["bundled"] }, (watching) => watching.multi().command("GET", "bundled"));
    await cluster.with({ cached: true }).run(get, ["bundled"]);
    const error = await cluster.command("INCR", "bundled").catch((error) => error);
    console.log(await cluster.run(get, ["bundled"]), error instanceof SlotwireError, error.name);
    await shaped.quit();
    await cluster.close();
  }
  main(process.argv.slice(2));`;

describe("the packed package, in the tools of those who use it", { concurrency: 2 }, () => {
  let packed: PackedPackage;
  let cluster: LocalCluster;
  /** Loads a package of the tools. */
  let load: (name: string) => Promise<never>;
  before(async () => {
    const starting = startCluster({ primaries: 3, tls: false });
    packed = await packedPackage();
    const require = createRequire(packed.tool("package.json"));
    load = (name) => import(pathToFileURL(require.resolve(name)).href) as Promise<never>;
    cluster = await starting;
  });
  after(() => cluster?.stop());

  it("passes a user's test with Jest's defaults", async () => {
    const project = packed.projectFor("jest");
    writeFileSync(join(project, "user.test.js"), `${REQUIRED}\n${EXPECT}\n${USERS_TEST}`);
    const jest = packed.tool("jest", "bin", "jest.js");
    const printed = await runWithin(TEST_MS, project, process.execPath, jest, "--json");
    const { numPassedTests, numTotalTests, openHandles } = JSON.parse(printed);
    assert.deepEqual([numPassedTests, numTotalTests, openHandles], [2, 2, []]);
  });

  it("passes a user's test with Vitest", async () => {
    const project = packed.projectFor("vitest");
    const names = 'import { afterAll, beforeAll, expect, test } from "vitest";';
    writeFileSync(join(project, "user.test.mjs"), `${names}\n${IMPORTED}\n${EXPECT}\n${USERS_TEST}`);
    const vitest = packed.tool("vitest", "vitest.mjs");
    const printed = await runWithin(TEST_MS, project, process.execPath, vitest, "run", "--reporter=json");
    const { numPassedTests, numTotalTests } = JSON.parse(printed);
    assert.deepEqual([numPassedTests, numTotalTests], [2, 2]);
  });

  for (const [format, file, head] of [
    [
      "CommonJS",
      "user.test.cjs",
      `const { after: afterAll, before, test } = require("node:test"); const { equal } = require("node:assert");${REQUIRED}`,
    ],
    [
      "ES modules",
      "user.test.mjs",
      `import { after as afterAll, before, test } from "node:test"; import { equal } from "node:assert";${IMPORTED}`,
    ],
  ] as const) {
    it(`passes a user's test with node:test, in ${format}`, async () => {
      const project = packed.projectFor(`node-${format.replace(" ", "-")}`);
      const renamed = USERS_TEST.replace("beforeAll(", "before(").replaceAll(`, ${TEST_MS / 2});`, ");");
      writeFileSync(join(project, file), `${head}\n${renamed}`);
      const printed = await runWithin(TEST_MS, project, process.execPath, "--test", "--test-reporter=tap", file);
      assert.match(printed, /^# pass 2$/m);
    });
  }

  /** Makes one file of each application of the file's format, away from all packages, and runs it. */
  async function bundled(name: string, bundle: (entry: string, file: string) => Promise<unknown>, file: string) {
    const project = packed.projectFor(name);
    for (const [application, head] of Object.entries(APPLICATIONS)) {
      // What an ES module requires cannot be one ES module: esbuild says so when it is run.
      if (application.endsWith(".cjs") && file.endsWith(".mjs")) continue;
      const entry = join(project, application);
      writeFileSync(entry, head + APPLICATION);
      // A folder of its own, from which no package is in reach.
      const away = join(packed.away, `${name}-of-${application.slice(-3)}`);
      mkdirSync(away, { recursive: true });
      await bundle(entry, join(away, file));
      const printed = await run(away, process.execPath, file, ...cluster.nodes);
      assert.equal(printed.trim(), "yes true ReplyError", application);
    }
  }

  for (const [format, file] of [
    ["esm", "bundle.mjs"],
    ["cjs", "bundle.cjs"],
  ] as const) {
    it(`is joined to one file by esbuild (${format})`, () =>
      bundled(
        `esbuild-${format}`,
        async (entry, outfile) => {
          const { build } = (await load("esbuild")) as typeof import("esbuild");
          const { warnings } = await build({
            ...{ entryPoints: [entry], outfile, format, bundle: true, platform: "node", logLevel: "silent" },
          });
          assert.deepEqual(warnings, []);
        },
        file,
      ));

    it(`is joined to one file by rollup (${format})`, () =>
      bundled(
        `rollup-${format}`,
        async (entry, output) => {
          interface Rollup {
            rollup(options: object): Promise<{ write(options: object): Promise<unknown>; close(): Promise<void> }>;
          }
          type Plugin = { readonly default: (options?: object) => object };
          const [{ rollup }, resolve, commonjs, json] = await Promise.all<[Rollup, Plugin, Plugin, Plugin]>([
            ...[load("rollup"), load("@rollup/plugin-node-resolve"), load("@rollup/plugin-commonjs")],
            load("@rollup/plugin-json"),
          ] as never);
          const made = await rollup({
            ...{ input: entry, onwarn: (warning: { message: string }) => assert.fail(warning.message) },
            plugins: [resolve.default({ preferBuiltins: true }), commonjs.default(), json.default()],
          });
          await made.write({ file: output, format });
          await made.close();
        },
        file,
      ));
  }

  it("is joined to one file by webpack", () =>
    bundled(
      "webpack",
      async (entry, output) => {
        interface Stats {
          toJson(options: object): { readonly errors: readonly object[]; readonly warnings: readonly object[] };
        }
        type Webpack = (options: object, done: (error: Error | null, stats: Stats) => void) => void;
        const { default: webpack } = (await load("webpack")) as { readonly default: Webpack };
        const [path, filename] = [join(output, ".."), "bundle.cjs"];
        const stats = await new Promise<Stats>((resolve, reject) => {
          webpack({ ...{ entry, target: "node", mode: "production", output: { path, filename } } }, (error, made) => {
            if (error) reject(error);
            else resolve(made);
          });
        });
        const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
        assert.deepEqual([errors, warnings], [[], []]);
      },
      "bundle.cjs",
    ));
});
