import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const src = fileURLToPath(new URL("../../src/", import.meta.url));

/** The folders of src, and the files at its root, from top to bottom: an import points to a later element. */
const LAYERS = [
  "cli",
  "index.ts",
  "cluster.ts",
  "calls",
  "client",
  "options.ts",
  "options",
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

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));

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
    const text = 'import { Dispatcher } from "../routing/dispatcher.ts";\n';
    assert.deepEqual(upwardImportsIn("connection/lane.ts", text), ["connection/lane.ts -> routing/dispatcher.ts"]);
    assert.deepEqual(upwardImportsIn("calls/batch.ts", text), []);
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
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].flatMap(([, to = ""]) => {
    const target = relative(src, join(src, dirname(path), to));
    return (layerOf(target) ?? -1) < own ? [`${path} -> ${target}`] : [];
  });
}
