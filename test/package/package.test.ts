import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { type Installed, installedIn, run } from "../support/package-run.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const bin = (name: string) => join(root, "node_modules", ".bin", name);
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The code of the README's ten lines, and of their form without `await using`, for a node of ours. */
function tenLines(cluster: LocalCluster): { readonly typescript: string; readonly plain: string } {
  const [, section = ""] = readme.split("## Ten lines");
  const blockOf = (language: string) => new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(section)?.[1] ?? "";
  const here = (code: string) => code.replace("127.0.0.1:7000", cluster.nodes[0] as string);
  const [typescript, plain] = [here(blockOf("ts")), here(blockOf("js"))];
  assert.match(typescript, /await using cluster = await connect/);
  assert.match(plain, /finally {\s*await cluster\.close\(\)/);
  const definition = typescript.slice(typescript.indexOf("const "), typescript.indexOf("await using"));
  return { typescript: shown(typescript), plain: shown(`${definition}${plain}`) };
}

/** Prints what the call gives. */
function shown(code: string): string {
  return code.replace(/await cluster\.run\((.*)\);/, "console.log(await cluster.run($1));");
}

describe("the packed package, installed into an empty project", () => {
  const work = mkdtempSync(join(tmpdir(), "slotwire-package-"));
  const project = join(work, "project");
  let cluster: LocalCluster;
  let tarball: string;
  let packed: string[];
  before(async () => {
    // Without TLS: the ten lines are for a cluster without.
    const starting = startCluster({ primaries: 3, tls: false });
    const checkout = join(work, "checkout");
    mkdirSync(join(checkout, "dist"), { recursive: true });
    writeFileSync(join(checkout, "dist", "stale.js"), "");
    for (const name of ["src", "package.json", "tsconfig.json", "README.md", "CHANGELOG.md", "LICENSE"]) {
      cpSync(join(root, name), join(checkout, name), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"));
    const [pack] = JSON.parse(await run(checkout, "npm", "pack", "--json")) as [
      { filename: string; files: { path: string }[] },
    ];
    packed = pack.files.map(({ path }) => path);
    tarball = join(checkout, pack.filename);
    mkdirSync(project);
    writeFileSync(join(project, "package.json"), '{ "private": true }');
    await run(project, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline", tarball);
    cluster = await starting;
  });
  after(async () => {
    rmSync(work, { recursive: true, force: true });
    await cluster?.stop();
  });

  /** Runs a file of the project, and gives what it prints. */
  async function output(name: string, code: string, ...nodeOptions: string[]): Promise<string> {
    writeFileSync(join(project, name), code);
    return (await run(project, process.execPath, ...nodeOptions, name)).trim();
  }

  it("holds what was just built and nothing else", () => {
    const others = packed.filter((path) => !/^dist\/[\w/-]+\.(d\.ts|js)$/.test(path));
    assert.deepEqual(others.sort(), [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "package.json",
      "src/COMMANDS.md",
      "src/MIGRATION.md",
      "src/README.md",
      "src/cli/README.md",
    ]);
    assert.ok(packed.includes("dist/index.js") && packed.includes("dist/testing/index.d.ts"));
    assert.ok(!packed.includes("dist/stale.js"));
  });

  it("runs the ten lines with tsx", async () => {
    const tsx = join(root, "node_modules", "tsx", "dist", "loader.mjs");
    assert.equal(await output("ten-lines.mts", tenLines(cluster).typescript, "--import", tsx), "OK");
  });

  it("runs their try/finally form as a plain ES module", async () => {
    const code = `import { connect, defineScript } from "slotwire";\n${tenLines(cluster).plain}`;
    assert.equal(await output("plain.mjs", code), "OK");
  });

  it("is loaded from CommonJS by import()", async () => {
    const load = 'const { connect, defineScript } = await import("slotwire");';
    const code = `async function main() {\n${load}\n${tenLines(cluster).plain}}\nmain();`;
    assert.equal(await output("dynamic.cjs", code), "OK");
  });

  it("is loaded from CommonJS by require, where Node can", async (test) => {
    const canRequire = (process.features as { require_module?: boolean }).require_module === true;
    const load = 'const { connect, defineScript } = require("slotwire");';
    const code = `${load}\nasync function main() {\n${tenLines(cluster).plain}}\nmain();`;
    if (canRequire) assert.equal(await output("require.cjs", code), "OK");
    else {
      test.diagnostic(`this Node (${process.version}) loads no ES module by require`);
      await assert.rejects(output("require.cjs", code), /ERR_REQUIRE_ESM/);
    }
  });

  it("brings its command", async () => {
    const said = await run(project, join(project, "node_modules", ".bin", "slotwire"), "slot", "foo");
    assert.match(said, /12182/);
  });

  for (const [module, moduleResolution] of [
    ["NodeNext", "NodeNext"],
    ["ESNext", "bundler"],
  ] as const) {
    it(`has types for a strict consumer that checks its libraries (${moduleResolution})`, async () => {
      const compilerOptions = {
        ...{ target: "ES2022", lib: ["ES2022"], module, moduleResolution, noEmit: true, skipLibCheck: false },
        ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noImplicitOverride: true },
        ...{ types: ["node"], typeRoots: [join(root, "node_modules", "@types")] },
      };
      const check = async (code: string) => {
        const folder = join(project, moduleResolution);
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, "consumer.mts"), code);
        writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.mts"] }));
        return run(project, bin("tsc"), "-p", folder);
      };
      const consumer = readFileSync(join(root, "test", "package", "consumer.mts.txt"), "utf8");
      await check(consumer);
      await assert.rejects(check(consumer.replace('["stock:1"]', "[]")), /consumer\.mts\(\d+,\d+\): error TS/);
    });
  }

  it("is found clean by publint and by arethetypeswrong, as a package of ES modules", async () => {
    assert.match(await run(root, bin("publint"), tarball, "--strict"), /All good/);
    const verdict = await run(root, bin("attw"), tarball, "--no-definitely-typed", "--no-color");
    assert.match(verdict, /slotwire\/testing/);
  });

  it("brings OpenTelemetry for who has its API, and asks nobody else for it", async () => {
    const code = 'import { instrument } from "slotwire/opentelemetry"; instrument()(); console.log("instrumented");';
    await assert.rejects(output("instrumented.mjs", code), /Cannot find package '@opentelemetry\/api'/);
    const api = join(project, "node_modules", "@opentelemetry");
    mkdirSync(api);
    try {
      symlinkSync(join(root, "node_modules", "@opentelemetry", "api"), join(api, "api"));
      assert.equal(await output("instrumented.mjs", code), "instrumented");
    } finally {
      rmSync(api, { recursive: true });
    }
  });

  it("weighs what the README says", () => {
    const { packages, bytes }: Installed = installedIn(join(project, "node_modules"));
    const sentence = `Installed, slotwire is ${packages.length} packages and ${Math.ceil(bytes / 10_000) * 10} kB`;
    const said = /Installed, slotwire is (\d+) packages and (\d+) kB/.exec(readme);
    assert.ok(said, `the README does not say: "${sentence}"`);
    assert.deepEqual(packages, ["@ioredis/commands", "cluster-key-slot", "redis-errors", "redis-parser", "slotwire"]);
    assert.equal(Number(said[1]), packages.length);
    const off = Math.abs(Number(said[2]) - bytes / 1000) / (bytes / 1000);
    assert.ok(off < 0.1, `the README is wrong by ${(off * 100).toFixed(0)}%; right is: "${sentence}"`);
  });
});
