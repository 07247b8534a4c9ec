import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { run } from "../support/package-run.ts";
import { CLI } from "../support/slotwire-cli.ts";
import { type Block, blocksOf, withChecks } from "./blocks.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const pages = [
  "README.md",
  "src/MIGRATION.md",
  "src/COMMANDS.md",
  "src/HOW-A-CLUSTER-CLIENT-WORKS.md",
  "src/cli/README.md",
];
const all = pages.flatMap((page) => {
  const name = page.replaceAll("/", "-");
  return blocksOf(readFileSync(join(root, page), "utf8")).map((block) => ({ ...block, name: `${name}-${block.line}` }));
});
const inLanguage = (...languages: string[]) => all.filter(({ language }) => languages.includes(language));
const code = inLanguage("ts", "js");
/** The addresses 127.0.0.1:7000, :7001, ... of the pages, and ports behind -p, stand for those of a cluster of ours. */
const here = (text: string, { nodes }: LocalCluster) =>
  text
    .replace(/\b127\.0\.0\.1:700(\d)/g, (_, at) => nodes[at] as string)
    .replace(/(?<= -p )700(\d)\b/g, (_, at) => (nodes[at] as string).split(":")[1] as string);
const { name: packageName, scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  name: string;
  scripts: Record<string, string>;
};

/** A file for a block of code, of so many results: what it is given on the line of its fence, so that lines are the page's. */
function fileOf({ language, name, line, given, code }: Block & { readonly name: string }, folder: string) {
  const checked = withChecks(code);
  const names = [...given, ...(checked.results > 0 ? ["shows"] : [])];
  const from = JSON.stringify(join(root, "test", "docs", "given.ts"));
  const imported = names.length === 0 ? "export {};" : `import { ${names.join(", ")} } from ${from};`;
  const text = `${"\n".repeat(line - 1)}${imported}\n${checked.code}\n`;
  return { path: join(folder, `${name}.m${language}`), text, results: checked.results };
}

describe("the blocks of the README and of the pages beside the sources", () => {
  const folder = mkdtempSync(join(tmpdir(), "slotwire-docs-"));
  const tsconfig = join(folder, "tsconfig.json");
  const files = code.map((block) => fileOf(block, folder));
  let cluster: LocalCluster;
  before(async () => {
    // Without TLS: the addresses on the page are of a cluster without.
    const starting = startCluster({ primaries: 3, tls: false });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    for (const { code } of inLanguage("lua")) {
      const path = join(folder, pathOf(code));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, code);
    }
    const source = (path: string) => [join(root, "src", path)];
    const paths = {
      slotwire: source("index.ts"),
      "slotwire/testing": source("testing/index.ts"),
      "slotwire/opentelemetry": source("telemetry/opentelemetry/index.ts"),
      "slotwire/ioredis": source("ioredis/index.ts"),
    };
    // A block shows what there is: not all of it needs a use. What it is given is imported from where it is.
    const lenient = { noUnusedLocals: false, rewriteRelativeImportExtensions: false };
    const compilerOptions = { paths, allowJs: true, checkJs: true, ...lenient };
    writeFileSync(tsconfig, JSON.stringify({ extends: join(root, "tsconfig.json"), compilerOptions, include: ["*"] }));
    cluster = await starting;
    for (const { path, text } of files) writeFileSync(path, here(text, cluster));
  });
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await cluster?.stop();
  });

  it("are of languages that are tested here, or what programs print", () => {
    const others = all.filter(({ language }) => !["ts", "js", "lua", "sh", ""].includes(language));
    assert.deepEqual(others, []);
    assert.ok(code.length > 10 && inLanguage("lua").length > 0 && inLanguage("sh").length > 0);
  });

  it("compile, in strict mode", async () => {
    await run(folder, join(root, "node_modules", ".bin", "tsc"), "-p", tsconfig);
  });

  it("run on a real cluster, and give what they state", async () => {
    const environment = `SLOTWIRE_DOCS_NODES=${cluster.nodes.join(",")} TSX_TSCONFIG_PATH=${tsconfig}`.split(" ");
    const node = [process.execPath, "--import", join(root, "node_modules", "tsx", "dist", "loader.mjs")];
    const runner = join(root, "test", "docs", "run-blocks.ts");
    const printed = await run(folder, "env", ...environment, ...node, runner, ...files.map(({ path }) => path));
    const told = printed.split("\n").flatMap((line) => (line.startsWith('{"path"') ? [JSON.parse(line)] : []));
    assert.deepEqual(
      told,
      files.map(({ path, results }) => ({ path, results })),
    );
    assert.ok(files.some(({ results }) => results > 0));
  });

  it("in Lua name their file, and every server compiles them", async () => {
    for (const { code } of inLanguage("lua")) {
      assert.match(code, /^-- lua\/\w+\.lua\n/);
      const sha = await cluster.command(cluster.nodes[0] as string, "SCRIPT", "LOAD", code);
      assert.match(String(sha), /^[0-9a-f]{40}$/);
    }
  });

  it("for the shell name scripts of package.json, and commands that succeed", async () => {
    for (const { code } of inLanguage("sh")) {
      for (const line of code.split("\n")) {
        const [commands = ""] = line.split(" #");
        for (const command of commands.split(" && ")) await runs(here(command.trim(), cluster));
      }
    }
  });

  /** An npm command is one that exists, or installs slotwire; one of slotwire's runs, with the folder of the Lua blocks. */
  async function runs(command: string): Promise<void> {
    const [program, name = "", ...args] = command.split(/ +/).map((word) => word.replace(/^'(.*)'$/, "$1"));
    if (program === "npx") {
      assert.equal(name, "slotwire");
      mkdirSync(join(folder, "src"), { recursive: true });
      await run(folder, process.execPath, CLI, ...args);
    } else if (program === "npm" && name === "install") {
      assert.deepEqual(args, [packageName]);
    } else {
      assert.equal(program, "npm", command);
      const script = name === "run" ? args[0] : name;
      assert.ok(script === "ci" || scripts[script as string] !== undefined, `there is no npm script "${script}"`);
    }
  }
});

function pathOf(lua: string): string {
  return /^-- (\S+)/.exec(lua)?.[1] ?? "nameless.lua";
}
