import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Guard } from "../../src/testing/guard.ts";
import { ROOT } from "./built-package.ts";
import { run, runWithin } from "./package-run.ts";

/** Names the folder of the packed package to the processes of one run. */
const VARIABLE = "SLOTWIRE_PACKED_PACKAGE";
const INSTALL = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"];
/** The most time that npm gets to install the tools of `test/package/tools`, some 200 MB, or to compile and pack. */
const NPM_MS = 240_000;

/** The package as npm packs it, and what its tests try it with. */
export interface PackedPackage {
  readonly tarball: string;
  /** The paths of the files in the tarball. */
  readonly files: readonly string[];
  /** An empty project with the tarball installed. The tools of `test/package/tools` are in reach of it. */
  readonly project: string;
  /** A folder from which no package is in reach. */
  readonly away: string;
  /** Makes another such project, in the folder of a name. */
  projectFor(name: string): string;
  /** The path of a file of the tools' packages. */
  tool(...path: string[]): string;
}

/**
 * Packs and installs the package, and the tools beside it, in a temporary folder that goes with this process, however
 * that ends.
 */
async function pack(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "slotwire-packed-"));
  new Guard(folder, `${folder}-away`);
  await Promise.all([installTools(folder), packAndInstall(folder)]);
  return folder;
}

async function installTools(folder: string): Promise<void> {
  for (const name of ["package.json", "package-lock.json"]) {
    cpSync(join(ROOT, "test", "package", "tools", name), join(folder, name));
  }
  await runWithin(NPM_MS, folder, "npm", "ci", ...INSTALL);
}

async function packAndInstall(folder: string): Promise<void> {
  const checkout = join(folder, "checkout");
  // Two folders of an earlier build, in which a file is that has no source any more.
  for (const name of ["dist", "dist/cjs"]) {
    mkdirSync(join(checkout, name), { recursive: true });
    writeFileSync(join(checkout, name, "stale.js"), "");
  }
  for (const name of [
    ...["src", "package.json", "tsconfig.json", "rolldown.config.js"],
    ...["README.md", "CHANGELOG.md", "LICENSE"],
  ]) {
    cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(checkout, "node_modules"));
  // Where CI is set, the bundler lists all that it wrote: whoever reads this list must not find that in it.
  const printed = await runWithin(NPM_MS, checkout, "env", "CI=true", "npm", "pack", "--json", "--loglevel", "error");
  // Npm before version 9 says there which script it runs.
  writeFileSync(join(folder, "pack.json"), printed.replace(/^(\n|> .*\n)+/, ""));
  const project = join(folder, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true }');
  await run(project, "npm", "install", ...INSTALL, tarballIn(folder).tarball);
}

function tarballIn(folder: string): { readonly tarball: string; readonly files: readonly string[] } {
  const [packed] = JSON.parse(readFileSync(join(folder, "pack.json"), "utf8")) as [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ];
  return { tarball: join(folder, "checkout", packed.filename), files: packed.files.map(({ path }) => path) };
}

/** The packed package, made once for all files of a run. */
export async function packedPackage(): Promise<PackedPackage> {
  process.env[VARIABLE] ??= await pack();
  const folder = process.env[VARIABLE];
  return {
    ...tarballIn(folder),
    project: join(folder, "project"),
    away: join(folder, "..", `${basename(folder)}-away`),
    projectFor(name) {
      const project = join(folder, name);
      cpSync(join(folder, "project"), project, { recursive: true });
      return project;
    },
    tool: (...path) => join(folder, "node_modules", ...path),
  };
}
