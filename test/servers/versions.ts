import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, findServer, libraryFolders } from "../../src/testing/server-binary.ts";
import { hasPackages, unpackPackages } from "../../src/testing/server-packages.ts";

/** A version to test on, and where Debian has it. */
export interface ServerVersion {
  readonly name: string;
  readonly product: "redis" | "valkey";
  /** What its version begins with. */
  readonly version: string;
  /** The first is preferred; the others are for libraries. */
  readonly suites: readonly string[];
}

export const VERSIONS: readonly ServerVersion[] = [
  { name: "redis-6.0", product: "redis", version: "6.0.", suites: ["bullseye"] },
  { name: "redis-7.0", product: "redis", version: "7.0.", suites: ["bookworm"] },
  { name: "redis-8.0", product: "redis", version: "8.0.", suites: ["trixie"] },
  // Debian experimental is no suite by itself: its libraries are those of unstable, and what it holds changes.
  { name: "redis-8.6", product: "redis", version: "8.6.", suites: ["experimental", "sid"] },
  { name: "valkey-8.0", product: "valkey", version: "8.0.", suites: ["bookworm-backports", "bookworm"] },
  { name: "valkey-8.1", product: "valkey", version: "8.1.", suites: ["trixie"] },
  // Debian testing: what it holds changes, so the version is looked at.
  { name: "valkey-9.1", product: "valkey", version: "9.1.", suites: ["forky"] },
];

/** A program that runs on this machine, and its exact version. */
export interface Obtained {
  readonly path: string;
  readonly version: string;
}

/**
 * The server from the cache folder, or unpacked into it from Debian's packages.
 * @throws {Error} when it cannot be had, or is another version by now.
 */
export async function obtain(wanted: ServerVersion): Promise<Obtained> {
  const root = join(cacheFolder(), "servers", wanted.name);
  const program = join(root, "run");
  if (!existsSync(program)) {
    if (!hasPackages()) throw new Error("this machine has no apt-get and dpkg-deb to fetch it with");
    await mkdir(join(cacheFolder(), "servers"), { recursive: true });
    await unpackPackages(root, [[`${wanted.product}-server`]], wanted.suites);
    await writeProgram(root, program, `${wanted.product}-server`);
  }
  const line = (await findServer(program)).version;
  const version = / v=(\S+)/.exec(line)?.[1] ?? line;
  if (!version.startsWith(wanted.version)) {
    throw new Error(`${wanted.suites[0]} has version ${version} by now, not ${wanted.version}x`);
  }
  return { path: program, version };
}

/** Another suite's server needs that suite's libc, and that needs its own loader. */
async function writeProgram(root: string, program: string, server: string): Promise<void> {
  const folders = await libraryFolders(root);
  const entries = await Promise.all(
    folders.map(async (folder) => (await readdir(folder)).map((name) => join(folder, name))),
  );
  const loader = entries.flat().find((path) => /\/ld-(linux.*\.so\.\d|2\.\d+\.so)$/.test(path) && existsSync(path));
  if (loader === undefined) throw new Error("its packages brought no loader of libraries");
  const words = [loader, "--library-path", folders.join(":"), join(root, "usr", "bin", server)].map(quoted);
  await writeFile(program, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`);
  await chmod(program, 0o755);
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
