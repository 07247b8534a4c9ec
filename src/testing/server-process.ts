import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Connection } from "../connection/connection.ts";
import { nodeEnvironment } from "../connection/node-environment.ts";
import { openConnection } from "../connection/open-connection.ts";
import { realTime } from "../environment.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { Certificate } from "./certificate.ts";
import { Guard } from "./guard.ts";
import { environmentFor, type ServerBinary } from "./server-binary.ts";

const HOST = "127.0.0.1";
/** The distance between a cluster node's port and its bus port, which the other nodes use. */
const BUS_OFFSET = 10_000;
const LOG_FILE = "server.log";
const START_TIMEOUT_MS = 10_000;
/** Another program can take a port between the check that it is free and the start of the server. */
const MOST_PORTS_TRIED = 10;

/** The servers of one cluster, and their folder. When this process ends, in whatever way, both are removed. */
export class ServerHerd {
  readonly folder = mkdtempSync(join(tmpdir(), "slotwire-"));
  readonly #guard = new Guard(this.folder);

  watch(server: ChildProcess): void {
    this.#guard.watch(server);
  }

  release(): Promise<void> {
    return this.#guard.release();
  }
}

/** The settings that the servers of one cluster share. */
export interface ServerSettings {
  readonly binary: ServerBinary;
  readonly args: readonly string[];
  /** Present for TLS, both to clients and between the servers. */
  readonly certificate: Certificate | undefined;
}

/** One server process in cluster mode, on a free loopback port. */
export class ServerProcess {
  readonly host = HOST;
  readonly port: number;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #folder: string;
  readonly #certificate: Certificate | undefined;
  #alive = true;

  private constructor(port: number, child: ChildProcess, folder: string, certificate: Certificate | undefined) {
    this.port = port;
    this.#certificate = certificate;
    this.pid = child.pid as number;
    this.#child = child;
    this.#folder = folder;
    this.#exited = new Promise((resolve) => {
      child.once("exit", () => {
        this.#alive = false;
        takeBack(port);
        resolve();
      });
    });
  }

  /** @param nextPort  Returns a port to try, a different one at each call. */
  static async start(
    herd: ServerHerd,
    settings: ServerSettings,
    nextPort: () => Promise<number> = freePort,
  ): Promise<ServerProcess> {
    for (let left = MOST_PORTS_TRIED; ; left--) {
      const server = await ServerProcess.#spawn(herd, settings, await nextPort());
      try {
        await server.#ready();
        return server;
      } catch (error) {
        await server.kill();
        if (left === 1 || !server.#portWasTaken()) throw error;
      }
    }
  }

  static async #spawn(herd: ServerHerd, settings: ServerSettings, port: number): Promise<ServerProcess> {
    const { binary, args, certificate } = settings;
    const folder = join(herd.folder, String(port));
    await mkdir(folder, { recursive: true });
    const out = openSync(join(folder, LOG_FILE), "a");
    const ports = certificate ? await tlsArguments(folder, port, certificate) : ["--port", String(port)];
    const own = [...ports, "--bind", HOST, "--dir", folder, "--save", "", "--appendonly", "no"];
    const cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"];
    const child = spawn(binary.path, [...own, ...cluster, ...args], {
      cwd: folder,
      env: environmentFor(binary.libraryPath),
      stdio: ["ignore", out, out],
      // The server gets a process group of its own, so that Ctrl-C reaches only this process, which then ends the
      // server.
      detached: true,
    });
    closeSync(out);
    if (child.pid === undefined) {
      await new Promise((_, reject) => child.once("error", reject));
    }
    child.unref();
    herd.watch(child);
    return new ServerProcess(port, child, folder, certificate);
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Sends one command on a new connection. */
  async command(...args: readonly Argument[]): Promise<Reply> {
    const connection = await this.#connect();
    try {
      return (await connection.exchange(args)[0]) as Reply;
    } finally {
      connection.close(new Error("done"));
    }
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    process.kill(this.pid, name);
  }

  async kill(): Promise<void> {
    if (!this.#alive) return;
    // Until now the server did not keep this process alive. From here on this process waits for the server's end.
    this.#child.ref();
    process.kill(this.pid, "SIGKILL");
    await this.#exited;
  }

  #connect(): Promise<Connection> {
    return openConnection({
      address: this.address,
      endpoint: { host: this.host, port: this.port, tls: this.#certificate && { ca: this.#certificate.cert } },
      environment: nodeEnvironment,
      connectTimeoutMs: START_TIMEOUT_MS,
      connectionName: undefined,
      readOnly: false,
      credentials: () => undefined,
    });
  }

  async #ready(): Promise<void> {
    const deadline = realTime.wallNow() + START_TIMEOUT_MS;
    for (;;) {
      let cause: unknown;
      try {
        if (await this.#isOurs()) return;
      } catch (error) {
        cause = error;
      }
      if (!this.#alive || realTime.wallNow() > deadline) {
        const log = this.#readLog().trim().split("\n").slice(-5).join("\n");
        throw new Error(`The server on port ${this.port} did not start. Its log ends with:\n${log}`, { cause });
      }
      await new Promise((resolve) => realTime.setTimeout(resolve, 20));
    }
  }

  /**
   * Whether the server that answers works in our folder. If our server could not bind its port, another server may
   * answer there.
   */
  async #isOurs(): Promise<boolean> {
    const [, folder] = (await this.command("CONFIG", "GET", "dir")) as string[];
    return folder?.endsWith(join(basename(dirname(this.#folder)), basename(this.#folder))) === true;
  }

  #portWasTaken(): boolean {
    return /address already in use/i.test(this.#readLog());
  }

  #readLog(): string {
    return readFileSync(join(this.#folder, LOG_FILE), "utf8");
  }
}

/** The arguments for TLS in place of the plain port. Clients need no certificate. */
async function tlsArguments(folder: string, port: number, { key, cert }: Certificate): Promise<string[]> {
  const [keyFile, certFile] = [join(folder, "tls.key"), join(folder, "tls.crt")];
  await Promise.all([writeFile(keyFile, key, { mode: 0o600 }), writeFile(certFile, cert)]);
  return [
    ...["--port", "0", "--tls-port", String(port), "--tls-cluster", "yes", "--tls-replication", "yes"],
    ...["--tls-key-file", keyFile, "--tls-cert-file", certFile, "--tls-ca-cert-file", certFile],
    ...["--tls-auth-clients", "no"],
  ];
}

/** The ports that this process has given out. Servers that start at the same time must not get the same port. */
const given = new Set<number>();

/**
 * A port that is free, and whose bus port is free. Both are below the range that systems use for outgoing connections.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 11_000 + Math.floor(Math.random() * 11_700);
    const both = [port, port + BUS_OFFSET];
    if (both.some((each) => given.has(each))) continue;
    for (const each of both) given.add(each);
    if ((await isFree(port)) && (await isFree(port + BUS_OFFSET))) return port;
    takeBack(port);
  }
}

function takeBack(port: number): void {
  given.delete(port);
  given.delete(port + BUS_OFFSET);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
