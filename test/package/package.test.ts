import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { environment, type Installed, installedIn, run, runWithin } from "../support/package-run.ts";
import { type PackedPackage, packedPackage } from "../support/packed-package.ts";
import { ask } from "../support/page-client.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const bin = (name: string) => join(root, "node_modules", ".bin", name);
/** The time limit for tools that look at all types, on a machine that is busy. */
const TOOL_MS = 240_000;
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
  let cluster: LocalCluster;
  let packed: PackedPackage;
  let project: string;
  before(async () => {
    // Without TLS: the ten lines are for a cluster without.
    const starting = startCluster({ primaries: 3, tls: false });
    packed = await packedPackage();
    project = packed.projectFor("package");
    cluster = await starting;
  });
  after(() => cluster?.stop());

  /** Runs a file of the project, and gives what it prints. */
  async function output(name: string, code: string, ...nodeOptions: string[]): Promise<string> {
    writeFileSync(join(project, name), code);
    return (await run(project, process.execPath, ...nodeOptions, name)).trim();
  }

  it("holds what was just built and nothing else", () => {
    const others = packed.files.filter((path) => !/^dist\/[\w/-]+\.(d\.ts|js)$/.test(path));
    assert.deepEqual(others.sort(), [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist/cjs/package.json",
      "dist/cli/web/page/index.html",
      "dist/cli/web/page/row-lines.json",
      "dist/cli/web/page/style.css",
      "package.json",
      "src/COMMANDS.md",
      "src/HOW-A-CLUSTER-CLIENT-WORKS.md",
      "src/MIGRATION.md",
      "src/README.md",
      "src/cli/README.md",
    ]);
    const page = readdirSync(join(root, "src/cli/web/page")).filter((name) => /\.(html|css|js)$/.test(name));
    assert.deepEqual(
      page.filter((name) => !packed.files.includes(`dist/cli/web/page/${name}`)),
      [],
    );
    for (const file of ["index.js", "testing/index.d.ts", "cjs/index.js", "cjs/testing/index.d.ts"]) {
      assert.ok(packed.files.includes(`dist/${file}`), `${file} is missing`);
    }
    assert.deepEqual(
      packed.files.filter((path) => path.includes("stale")),
      [],
    );
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

  it("is loaded from CommonJS by require", async () => {
    const load = 'const { connect, defineScript } = require("slotwire");';
    const code = `${load}\nasync function main() {\n${tenLines(cluster).plain}}\nmain();`;
    assert.equal(await output("require.cjs", code), "OK");
  });

  it("brings its command", async () => {
    const said = await run(project, join(project, "node_modules", ".bin", "slotwire"), "slot", "foo");
    assert.match(said, /12182/);
  });

  it("serves its live page, with all files that the page loads", async () => {
    const program = join(project, "node_modules", ".bin", "slotwire");
    const args = ["cluster", "--web", "--json", "--replicas", "0"];
    const serving = spawn(program, args, { cwd: project, env: environment, stdio: ["pipe", "pipe", "inherit"] });
    const ended = once(serving, "close");
    try {
      let greeting = "";
      for await (const text of serving.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
        greeting += text;
        if (greeting.includes("\n")) break;
      }
      serving.stdout.resume();
      const url = JSON.parse(greeting.slice(0, greeting.indexOf("\n"))).web as string;
      const met = new Set([""]);
      for (const name of met) {
        const { status, text } = await ask(`${url}${name}`);
        assert.equal(status, 200, name);
        const loaded = name.endsWith(".js")
          ? text.matchAll(/\bfrom "\.\/([\w-]+\.js)"/g)
          : text.matchAll(/\b(?:src|href)="([\w-]+\.(?:js|css))"/g);
        for (const [, other = ""] of loaded) met.add(other);
      }
      assert.ok(met.has("style.css") && met.has("reduce.js") && met.size > 20, [...met].join());
      const { status, text } = await ask(`${url}record.html`);
      assert.equal(status, 200);
      assert.match(text, /<\/html>\s*$/);
    } finally {
      serving.stdin.end();
      const [status] = await ended;
      assert.equal(status, 0);
    }
  });

  it("is found clean by publint and by arethetypeswrong, for every kind of resolution", async () => {
    assert.match(await run(root, bin("publint"), packed.tarball, "--strict"), /All good/);
    const options = ["--no-definitely-typed", "--no-color"];
    const verdict = await runWithin(TOOL_MS, root, bin("attw"), packed.tarball, ...options);
    assert.match(verdict, /No problems found/);
    for (const entry of ["", "/testing", "/opentelemetry", "/ioredis"]) {
      assert.match(verdict, new RegExp(`"slotwire${entry}"`));
    }
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
    const expected = ["@ioredis/commands", "cluster-key-slot", "lru-cache", "redis-errors", "redis-parser", "slotwire"];
    assert.deepEqual(packages, expected);
    assert.equal(Number(said[1]), packages.length);
    const off = Math.abs(Number(said[2]) - bytes / 1000) / (bytes / 1000);
    assert.ok(off < 0.1, `the README is wrong by ${(off * 100).toFixed(0)}%; right is: "${sentence}"`);
  });
});
