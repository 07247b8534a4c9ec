import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { perform } from "../../src/cli/commands.ts";
import * as slotwire from "../../src/index.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");
const pages = [
  "README.md",
  "CHANGELOG.md",
  "src/README.md",
  "src/MIGRATION.md",
  "src/COMMANDS.md",
  "src/cli/README.md",
  "bench/README.md",
  "docker/README.md",
];
const readme = read("README.md");
/** The rows of the tables of a section, each the text of its cells. */
const rowsOf = (section: string) => {
  const from = readme.indexOf(`\n## ${section}\n`);
  assert.notEqual(from, -1, `the README has no section "${section}"`);
  const end = readme.indexOf("\n## ", from + 1);
  const rows = readme.slice(from, end === -1 ? undefined : end).matchAll(/^\|(.*)\|$/gm);
  return [...rows].map(([, cells = ""]) => cells.split(/(?<!\\)\|/).map((cell) => cell.trim()));
};
/** The names in the first cells, which are code. */
const namesIn = (section: string) =>
  rowsOf(section).flatMap(([cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string));

/** The compiler sees to it that none is missing. */
const CODES: Readonly<Record<slotwire.ErrorCode, true>> = {
  ...{ REPLY: true, CROSSSLOT: true, INVALID_ARGUMENT: true, DEADLINE: true, ABORTED: true, CONNECTION_LOST: true },
  ...{ REDIRECTIONS: true, UNAVAILABLE: true, QUEUE_FULL: true, AUTH: true, PROTOCOL: true, CLOSED: true },
};

describe("the README", () => {
  it("says on its first screen how to install slotwire, and then gives the two commands for a clone", () => {
    const firstScreen = readme.split("\n").slice(0, 30).join("\n");
    assert.match(firstScreen, /^# slotwire\n\nslotwire is [\s\S]*\n## Install\n\n```sh\nnpm install slotwire\n```\n/);
    const sections = [...readme.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
    assert.deepEqual(sections.slice(0, 4), ["Install", "Ten lines", "Try it from a clone", "Recipes"]);
    assert.match(readme, /\n## Try it from a clone\n\n```sh\nnpm ci && npm start .*\nnpm ci && npm test .*\n```\n/);
  });

  it("explains the words of the protocol, and links to the specification", () => {
    const words = rowsOf("Glossary").map(([cell]) => cell);
    for (const word of ["slot", "hash tag", "MOVED", "ASK", "TRYAGAIN", "NOSCRIPT"])
      assert.ok(words.includes(word), word);
    assert.ok(readme.includes("(https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/)"));
  });

  it("names a test that exists for each thing that slotwire does", () => {
    const rows = rowsOf("What it does that others do not").filter(
      ([first = ""]) => !/^(---|slotwire$|behaviour$)/.test(first),
    );
    assert.ok(rows.length > 15);
    for (const cells of rows) {
      const tests = [...(cells.at(-1) as string).matchAll(/`([^`]+)`/g)].map(([, path]) => path as string);
      assert.ok(tests.length > 0, `no test shows that ${cells[0]}`);
      for (const path of tests)
        assert.ok(/\.test\.ts$/.test(path) && existsSync(join(root, path)), `${path} is missing`);
    }
  });

  it("names every option of connect, and no other", async () => {
    const accepted = await slotwire.connect({ nodes: ["a:1"], nothing: 0 } as never).catch(({ message }) => message);
    const options = /accepted are (.*)\.$/.exec(accepted)?.[1]?.split(", ");
    assert.deepEqual(namesIn("connect(options)").sort(), options?.sort());
  });

  it("names every code of an error", () => {
    const named = namesIn("Errors and outcomes").filter((name) => /^[A-Z_]+$/.test(name));
    assert.deepEqual(named.sort(), Object.keys(CODES).sort());
  });

  it("names every command of slotwire, and no other", async () => {
    const help = await perform(["--help"], {} as never);
    const commands = [...help.matchAll(/^ {2}([a-z]+) /gm)].map(([, command]) => command);
    const named = new Set([...readme.matchAll(/npx slotwire ([a-z]+)/g)].map(([, command]) => command));
    assert.deepEqual([...named].sort(), commands.sort());
  });

  it("names every member of Cluster", () => {
    const members = Object.getOwnPropertyNames(slotwire.Cluster.prototype).filter((name) => name !== "constructor");
    const named = new Set(namesIn("Cluster").map((text) => /^\w+/.exec(text)?.[0]));
    assert.deepEqual(
      members.filter((name) => !named.has(name)),
      [],
    );
  });
});

describe("every page", () => {
  for (const page of pages) {
    it(`links to what exists: ${page}`, () => {
      for (const [, to = ""] of read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
        assert.ok(existsSync(join(root, dirname(page), to)), `${page} links to ${to}`);
      }
    });

    it(`names npm scripts and files of tests that exist: ${page}`, () => {
      const text = read(page);
      const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
      for (const [, name = ""] of text.matchAll(/npm run ([\w:-]+)/g)) assert.ok(scripts[name], `npm run ${name}`);
      for (const [path] of text.matchAll(/(?<![\w/.-])test\/[\w/.-]+\.ts/g)) {
        assert.ok(existsSync(join(root, path)), `${page} names ${path}`);
      }
    });
  }
});
