import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Connection } from "../connection/connection.ts";
import { nodeEnvironment } from "../connection/node-environment.ts";
import { openConnection } from "../connection/open-connection.ts";
import { ControlRequest } from "../connection/request.ts";
import { realTime } from "../environment.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { Certificate } from "./certificate.ts";
import { freePort, HOST, type NextPort, takeBack } from "./free-ports.ts";
import { Guard } from "./guard.ts";
import { environmentFor, type ServerBinary } from "./server-binary.ts";

const LOG_FILE = "server.log";
const START_TIMEOUT_MS = 10_000;
/** Another program can take a port between the check that it is free and the start of the server. */
const MOST_PORTS_TRIED = 10;

/** The servers of one cluster, and their folder. When this process ends, in whatever way, both are removed. */
export class ServerHerd {
  readonly folder = mkdtempSync(join(tmpdir(), "slotwire-"));
  readonly #guard = new Guard(this.folder);
  readonly #children = new Set<ChildProcess>();
  #isKilled = false;

  watch(server: ChildProcess): void {
    this.#guard.watch(server);
    this.#children.add(server);
    server.once("exit", () => this.#children.delete(server));
  }

  /** Writes a file into the folder, and returns its path. */
  write(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** @throws {Error} when no more servers are wanted. */
  checkWanted(): void {
    if (this.#isKilled) throw new Error("The start of the servers was ended.");
  }

  /** Kills the servers. No more of them are started. */
  kill(): void {
    this.#isKilled = true;
    for (const child of this.#children) child.kill("SIGKILL");
  }

  release(): Promise<void> {
    this.kill();
    return this.#guard.release();
  }
}

/** The settings that the servers of one cluster share. */
export interface ServerSettings {
  readonly binary: ServerBinary;
  readonly args: readonly string[];
  /** Present for TLS, both to clients and between the servers. */
  readonly certificate: Certificate | undefined;
  /** The password of the default user. */
  readonly password?: string | undefined;
}

/** An open connection to one server. */
export interface Line {
  command(...args: readonly Argument[]): Promise<Reply>;
  /** The same, with strings as Buffers: a key need not be UTF-8. */
  commandForBytes(...args: readonly Argument[]): Promise<Reply>;
}

/** One server process in cluster mode, on a free loopback port. */
export class ServerProcess {
  readonly host = HOST;
  readonly port: number;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #folder: string;
  readonly #settings: ServerSettings;
  #alive = true;

  private constructor(port: number, child: ChildProcess, folder: string, settings: ServerSettings) {
    this.port = port;
    this.#settings = settings;
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

  /**
   * @param nextPort   Returns a port to try, a different one at each call.
   * @param mostTried  How many ports are tried, if others take them.
   */
  static async start(
    herd: ServerHerd,
    settings: ServerSettings,
    nextPort: NextPort = freePort,
    mostTried = MOST_PORTS_TRIED,
  ): Promise<ServerProcess> {
    for (let left = mostTried; ; left--) {
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
    const { binary, args, certificate, password } = settings;
    const folder = join(herd.folder, String(port));
    herd.checkWanted();
    await mkdir(folder, { recursive: true });
    const file = password === undefined ? [] : [await passwordFile(folder, password)];
    const out = openSync(join(folder, LOG_FILE), "a");
    const ports = certificate ? await tlsArguments(folder, port, certificate) : ["--port", String(port)];
    herd.checkWanted();
    const own = [...ports, "--bind", HOST, "--dir", folder, "--save", "", "--appendonly", "no"];
    const cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"];
    const child = spawn(binary.path, [...file, ...own, ...cluster, ...args], {
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
    return new ServerProcess(port, child, folder, settings);
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Sends one command on a new connection. */
  command(...args: readonly Argument[]): Promise<Reply> {
    return this.use((line) => line.command(...args));
  }

  /** Opens a connection for several commands, and closes it behind them. */
  async use<T>(what: (line: Line) => Promise<T>): Promise<T> {
    const connection = await this.#connect();
    const send = (args: readonly Argument[], wantsBuffers: boolean) => {
      const request = new ControlRequest(args, wantsBuffers);
      if (connection.cause === undefined) connection.carry(request);
      else request.onLost(connection.cause);
      return request.reply;
    };
    try {
      return await what({
        command: (...args) => send(args, false),
        commandForBytes: (...args) => send(args, true),
      });
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
    const { certificate, password } = this.#settings;
    return openConnection({
      address: this.address,
      endpoint: { host: this.host, port: this.port, tls: certificate && { ca: certificate.cert } },
      environment: nodeEnvironment,
      connectTimeoutMs: START_TIMEOUT_MS,
      connectionName: undefined,
      readOnly: false,
      credentials: () => (password === undefined ? undefined : { password }),
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

/** Writes a configuration file, because everybody on the machine can read the arguments of a process. */
async function passwordFile(folder: string, password: string): Promise<string> {
  const path = join(folder, "server.conf");
  const hex = [...Buffer.from(password)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  await writeFile(path, `requirepass "${hex}"\nmasterauth "${hex}"\n`, { mode: 0o600 });
  return path;
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
