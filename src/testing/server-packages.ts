import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Guard } from "./guard.ts";

/** The time limit for fetching packages, long enough for a slow mirror. */
export const FETCH_TIMEOUT_MS = 180_000;
const APT_GET = "/usr/bin/apt-get";
const DPKG_DEB = "/usr/bin/dpkg-deb";
const STATUS = "/var/lib/dpkg/status";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const SERVER_PACKAGE = /^(redis|valkey)(-|$)/;
const SETTINGS = { timeout: FETCH_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 };

type Run = (program: string, args: readonly string[]) => Promise<unknown>;

/** Whether this machine has the programs that fetch and unpack packages. */
export function hasPackages(): boolean {
  return existsSync(APT_GET) && existsSync(DPKG_DEB);
}

/**
 * Unpacks packages and their dependencies into `target`, and installs nothing. Package lists and caches are kept in a
 * separate folder, so neither root nor an up-to-date system is needed.
 *
 * @param target    The folder to replace. The work is done in a new folder beside it.
 * @param packages  Alternatives, best first. Each alternative is a list of packages that belong together.
 * @param suites    The Debian suites to take the packages from, the first one preferred. All libraries are then unpacked,
 *                  including libc. Default: the machine's own sources, the whole server, and only the libraries that the
 *                  machine lacks.
 */
export async function unpackPackages(
  target: string,
  packages: readonly (readonly string[])[],
  suites?: readonly string[],
): Promise<void> {
  const work = await mkdtemp(`${target}-`);
  const guard = new Guard(work);
  const run: Run = (program, args) => {
    // apt-get makes temporary files, which must be removed with the folder.
    const running = promisify(execFile)(program, args, { ...SETTINGS, env: { ...process.env, TMPDIR: work } });
    guard.watch(running.child);
    return running;
  };
  try {
    await mkdir(join(work, "lists", "partial"), { recursive: true });
    await mkdir(join(work, "archives", "partial"), { recursive: true });
    const options = [
      `Dir::State::lists=${join(work, "lists")}`,
      `Dir::Cache=${work}`,
      `Dir::Cache::archives=${join(work, "archives")}`,
      "Debug::NoLocking=true",
      "APT::Sandbox::User=root",
      "Acquire::Languages=none",
      "Acquire::http::Timeout=20",
      "Acquire::https::Timeout=20",
      ...(suites === undefined ? await ownSources(work) : await suiteSources(work, suites)),
    ].flatMap((option) => ["-o", option]);
    // A source may not answer. The download below shows whether the packages can be had without it.
    const updated = await run(APT_GET, [...options, "update", "-qq"]).catch((error: unknown) => error);
    const preferred = suites === undefined ? [] : ["-t", suites[0] as string];
    await download(run, [...options, ...preferred], packages).catch((error: unknown) => {
      const reasons = [...complaintsIn(error), ...complaintsIn(updated)];
      throw new Error(reasons.length === 0 ? (error as Error).message : reasons.join("; "), { cause: error });
    });
    const unpacked = join(work, "root");
    await mkdir(unpacked);
    for (const file of await readdir(join(work, "archives"))) {
      if (file.endsWith(".deb")) await run(DPKG_DEB, ["-x", join(work, "archives", file), unpacked]);
    }
    await rm(target, { recursive: true, force: true });
    await rename(unpacked, target);
  } finally {
    await guard.release();
  }
}

/** The errors that apt-get reported. It may have succeeded in spite of them. */
function complaintsIn(process: unknown): string[] {
  const { stderr = "" } = process as { stderr?: string };
  const lines = stderr.split("\n").filter((line) => /^E: |^W: Failed to fetch/.test(line));
  return lines.slice(0, 2).map((line) => line.slice(3).trim());
}

async function download(run: Run, options: readonly string[], packages: readonly (readonly string[])[]): Promise<void> {
  const install = ["install", "--download-only", "-y", "-qq", "--no-install-recommends"];
  let failure: unknown = new Error("no package was named");
  for (const names of packages) {
    try {
      await run(APT_GET, [...options, ...install, ...names]);
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/**
 * Limits apt-get to the distribution's own sources, if these have a separate file, because other sources may be slow or
 * closed. apt-get is told that no part of a server is installed, so that it leaves no part out.
 */
async function ownSources(work: string): Promise<string[]> {
  const own = sourcesFile();
  const status = join(work, "status");
  await writeFile(status, withoutServers(await readFile(STATUS, "utf8").catch(() => "")));
  const sources = own ? [`Dir::Etc::sourcelist=${own}`, "Dir::Etc::sourceparts=-"] : [];
  return [...sources, `Dir::State::status=${status}`];
}

/**
 * dpkg's list of installed packages, without those that servers consist of and those that depend on them. apt-get downloads
 * only what is not installed, and a server's program can be in a package that a machine has without the server: Debian's
 * `redis-server` is a link to a program of `redis-tools`, which brings redis-cli.
 */
export function withoutServers(status: string): string {
  let left = status.split(/\n\n+/).filter((entry) => entry.trim() !== "");
  const gone = new Set<string>();
  for (let before = -1; before !== left.length; ) {
    before = left.length;
    left = left.filter((entry) => {
      const name = /^Package: (\S+)/m.exec(entry)?.[1] ?? "";
      const needed = [...entry.matchAll(/^(?:Pre-)?Depends: (.*)$/gm)].flatMap(([, list = ""]) =>
        list.split(/[,|]/).map((each) => each.trim().split(/[ :(]/)[0] as string),
      );
      const stays = !SERVER_PACKAGE.test(name) && !needed.some((each) => gone.has(each));
      if (!stays) gone.add(name);
      return stays;
    });
  }
  return left.map((entry) => `${entry}\n\n`).join("");
}

function sourcesFile(): string | undefined {
  return ["debian.sources", "ubuntu.sources"]
    .map((name) => join("/etc/apt/sources.list.d", name))
    .find((path) => existsSync(path));
}

/**
 * Makes apt-get use other suites from the machine's mirror, and believe that nothing is installed, so that it leaves
 * out no dependency.
 */
async function suiteSources(work: string, suites: readonly string[]): Promise<string[]> {
  if (!existsSync(KEYRING)) throw new Error(`${KEYRING} is not there, which proves Debian's packages`);
  const own = sourcesFile();
  const mirror = own && /^URIs:\s*(\S*debian\S*)/m.exec(await readFile(own, "utf8"))?.[1];
  const list = suites.map(
    (suite) => `deb [signed-by=${KEYRING}] ${mirror ?? "http://deb.debian.org/debian"} ${suite} main`,
  );
  await writeFile(join(work, "sources.list"), `${list.join("\n")}\n`);
  await writeFile(join(work, "status"), "");
  for (const folder of ["apt.conf.d", "preferences.d", "sources.list.d"])
    await mkdir(join(work, "etc", folder), { recursive: true });
  return [
    `Dir::Etc=${join(work, "etc")}`,
    `Dir::Etc::sourcelist=${join(work, "sources.list")}`,
    "Dir::Etc::sourceparts=-",
    `Dir::State=${work}`,
    `Dir::State::status=${join(work, "status")}`,
  ];
}
