import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { access, constants, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join, resolve, sep } from "node:path";
import { promisify } from "node:util";
import { realTime } from "../environment.ts";
import { Guard } from "./guard.ts";
import { FETCH_TIMEOUT_MS, hasPackages, unpackPackages } from "./server-packages.ts";

const run = promisify(execFile);

/** A server program that runs on this machine. */
export interface ServerBinary {
  readonly path: string;
  /** Folders of libraries that the server needs and the system does not have. */
  readonly libraryPath: string;
  /** The first line that the server prints for `--version`. */
  readonly version: string;
  /** Where the server was found, for messages. */
  readonly source: "SLOTWIRE_SERVER" | "option" | "PATH" | "cache" | "packages";
}

const NAMES = ["redis-server", "valkey-server"];
const LOCK_RETRY_MS = 200;

/**
 * Finds a server program. It is searched in this order: `wanted` (a path, or a name on the PATH), `SLOTWIRE_SERVER`,
 * the PATH, the cache folder, and last the distribution's packages, which are unpacked into the cache folder and not
 * installed.
 *
 * @throws {Error} when there is no server program; the message says what to do.
 */
export async function findServer(wanted?: string): Promise<ServerBinary> {
  if (wanted !== undefined) return mustRun(wanted, "option");
  const fromEnvironment = process.env.SLOTWIRE_SERVER;
  if (fromEnvironment) return mustRun(fromEnvironment, "SLOTWIRE_SERVER");
  for (const folder of foldersOfPath()) {
    for (const name of NAMES) {
      const found = await tryRun(join(folder, name), "", "PATH");
      if (found) return found;
    }
  }
  return (await fromCache("cache")) ?? (await fetchServer());
}

/** The folder for a fetched server: `SLOTWIRE_CACHE`, or `slotwire` in the user's cache folder. */
export function cacheFolder(): string {
  const own = process.env.SLOTWIRE_CACHE;
  if (own) return resolve(own);
  // A relative path is not valid there, and would run a program of the working directory.
  // @see https://specifications.freedesktop.org/basedir-spec/latest/#variables
  const { XDG_CACHE_HOME: user = "" } = process.env;
  return join(isAbsolute(user) ? user : join(homedir(), ".cache"), "slotwire");
}

/** Looks for `wanted` and throws if it is not found. As in a shell, a name without a folder is searched on the PATH. */
async function mustRun(wanted: string, source: ServerBinary["source"]): Promise<ServerBinary> {
  const paths = wanted.includes(sep) ? [wanted] : foldersOfPath().map((folder) => join(folder, wanted));
  for (const path of paths) {
    const found = await tryRun(path, "", source);
    if (found) return found;
  }
  throw new Error(`${source} names ${wanted}, which is no server program that runs on this machine.`);
}

function foldersOfPath(): string[] {
  return (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
}

async function tryRun(
  name: string,
  libraryPath: string,
  source: ServerBinary["source"],
): Promise<ServerBinary | undefined> {
  // The path must be absolute, because each server is started in a folder of its own.
  const path = resolve(name);
  try {
    await access(path, constants.X_OK);
    const { stdout } = await run(path, ["--version"], { env: environmentFor(libraryPath), timeout: 10_000 });
    const version = stdout.split("\n")[0] ?? "";
    return / server v=/.test(version) ? { path, libraryPath, source, version } : undefined;
  } catch {
    return undefined;
  }
}

/** The environment with which a server finds its libraries. */
export function environmentFor(libraryPath: string): NodeJS.ProcessEnv {
  return libraryPath === "" ? process.env : { ...process.env, LD_LIBRARY_PATH: libraryPath };
}

async function fromCache(source: "cache" | "packages"): Promise<ServerBinary | undefined> {
  const root = join(cacheFolder(), "server");
  if (!existsSync(root)) return undefined;
  const libraryPath = (await libraryFolders(root)).join(":");
  for (const name of NAMES) {
    const found = await tryRun(join(root, "usr", "bin", name), libraryPath, source);
    if (found) return found;
  }
  return undefined;
}

/** The library folders below `root`: `lib`, `usr/lib`, and the folder of the architecture in each. */
export async function libraryFolders(root: string): Promise<string[]> {
  const folders: string[] = [];
  for (const base of [join(root, "usr", "lib"), join(root, "lib")]) {
    if (!existsSync(base)) continue;
    for (const entry of await readdir(base, { withFileTypes: true })) {
      if (entry.isDirectory() && entry.name.includes("linux")) folders.push(join(base, entry.name));
    }
    folders.push(base);
  }
  return folders;
}

/** Fetches a server. If several test files need one at the same time, one of them fetches it and the others wait. */
async function fetchServer(): Promise<ServerBinary> {
  if (!hasPackages()) throw new Error(whatToDo());
  await mkdir(cacheFolder(), { recursive: true });
  const lock = join(cacheFolder(), "fetching");
  const deadline = realTime.wallNow() + FETCH_TIMEOUT_MS;
  while (!(await takeLock(lock))) {
    if (realTime.wallNow() > deadline) throw new Error(whatToDo(`${lock} was held for too long`));
    await new Promise((resolve) => realTime.setTimeout(resolve, LOCK_RETRY_MS));
  }
  const guard = new Guard(lock);
  try {
    const already = await fromCache("cache");
    if (already) return already;
    process.stderr.write("slotwire: no server here, fetching one from the distribution's packages ...\n");
    await unpackPackages(join(cacheFolder(), "server"), [["redis-server"], ["valkey-server"]]);
    const fetched = await fromCache("packages");
    if (fetched) return fetched;
    throw new Error("the unpacked server does not run");
  } catch (error) {
    throw new Error(whatToDo(error instanceof Error ? error.message : String(error)), { cause: error });
  } finally {
    await guard.release();
  }
}

/** Takes the lock: a folder with a file named after the owner's process. A lock whose owner is gone is removed. */
async function takeLock(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
    await writeFile(join(lock, String(process.pid)), "");
    return true;
  } catch {
    const [owner] = await readdir(lock).catch(() => []);
    if (owner !== undefined && !isAlive(Number(owner))) await rm(lock, { recursive: true, force: true });
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function whatToDo(reason?: string): string {
  return [
    `No redis-server or valkey-server was found${reason === undefined ? "" : `, and none could be fetched: ${reason.trim()}`}`,
    "Install one, or name one in SLOTWIRE_SERVER:",
    "  Debian, Ubuntu   apt-get install redis-server",
    "  Fedora           dnf install valkey",
    "  macOS            brew install redis",
    "  Docker           docker compose -f docker/compose.yaml up, for a cluster to connect to",
  ].join("\n");
}
