import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const src = fileURLToPath(new URL("../../src/", import.meta.url));

/** The folders of src, and the files at its root, from top to bottom: an import points to a later element. */
const LAYERS = [
  "ioredis",
  "cli",
  "index.ts",
  "cluster",
  "calls",
  "client",
  "options.ts",
  "options",
  "subscriptions",
  "cache",
  "routing",
  "topology",
  "scripts",
  "files",
  "testing",
  "connection",
  "commands",
  "telemetry/opentelemetry",
  "telemetry",
  "environment.ts",
  "protocol",
  "errors.ts",
  "errors",
  "invariant.ts",
] as const;

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((path) => /\.[mc]?ts$/.test(path));

describe("the layers of src", () => {
  it("have a place for every file", () => {
    assert.deepEqual(
      files.filter((path) => layerOf(path) === undefined),
      [],
    );
  });

  it("are imported downwards only", () => {
    assert.ok(files.length > 80);
    assert.deepEqual(files.flatMap(upwardImportsOf), []);
  });

  it("stand in src/README.md as they are here", () => {
    const block = /<!-- layers -->\n```\n(.*?)```/s.exec(readFileSync(join(src, "README.md"), "utf8"))?.[1] ?? "";
    const listed = block.split("\n").flatMap((line) => /^\S+/.exec(line)?.[0].replace(/\/$/, "") ?? []);
    assert.deepEqual(listed, [...LAYERS]);
  });

  it("leave at most six files at the root", () => {
    const atRoot = files.filter((path) => !path.includes("/"));
    assert.ok(atRoot.length <= 6, atRoot.join(" "));
  });

  it("hold no file of more than 400 lines", () => {
    const lengths = files.map((path) => [path, readFileSync(join(src, path), "utf8").split("\n").length - 1] as const);
    assert.deepEqual(
      lengths.filter(([, lines]) => lines > 400),
      [],
    );
  });

  it("are seen to be broken by an import that points upwards", () => {
    const target = "../routing/dispatcher.ts";
    for (const text of [
      `import { Dispatcher } from "${target}";`,
      `import type { Dispatcher } from '${target}';`,
      `export * from "${target}";`,
      `import "${target}";`,
      `const { Dispatcher } = await import(/* late */ \`${target}\`);`,
      `let dispatcher: import("${target}").Dispatcher;`,
      `new Worker(new URL("${target}", import.meta.url));`,
    ]) {
      assert.deepEqual(
        upwardImportsIn("connection/lane.ts", text),
        ["connection/lane.ts -> routing/dispatcher.ts"],
        text,
      );
      assert.deepEqual(upwardImportsIn("calls/batch.ts", text), [], text);
    }
    assert.deepEqual(upwardImportsIn("connection/lane.ts", 'import { connect } from "slotwire";').length, 1);
    assert.deepEqual(
      upwardImportsIn("connection/lane.ts", "const require = createRequire(import.meta.url);").length,
      1,
    );
  });
});

/** The first layer that a path is in; a folder within another folder of the list has its own place. */
function layerOf(path: string): number | undefined {
  const index = LAYERS.findIndex((layer) => path === layer || path.startsWith(`${layer}/`));
  return index === -1 ? undefined : index;
}

function upwardImportsOf(path: string): string[] {
  return upwardImportsIn(path, readFileSync(join(src, path), "utf8"));
}

function upwardImportsIn(path: string, text: string): string[] {
  const own = layerOf(path) ?? 0;
  // The package by its own name, from the start of a statement on: `slotwire types` writes such an import as text.
  const byName =
    /^\s*(?:import|export)\b[^\n]*["'`]slotwire(?:\/[\w-]+)?["'`]|\b(?:import|require)\(\s*["'`]slotwire|\bcreateRequire\b/gm;
  const itself = [...text.matchAll(byName)].map(([found]) => `${path} -> ${found.trim()}`);
  // Whatever names a module of ours does it by a path: a static or dynamic import, a type, or a URL.
  const upward = [...text.matchAll(/(["'`])(\.{1,2}\/[^"'`\s]+\.[mc]?[jt]s)\1/g)].flatMap(([, , to = ""]) => {
    const target = relative(src, join(src, dirname(path), to));
    return (layerOf(target) ?? -1) < own ? [`${path} -> ${target}`] : [];
  });
  return [...upward, ...itself];
}
