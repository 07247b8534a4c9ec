import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

/** Raw bytes of a reply, at once or when the promise resolves, or what to do instead of one. */
export type Answer = string | "hang" | "disconnect";
type LaterAnswer = Answer | Promise<string>;

export const ok = "+OK\r\n";
export const error = (text: string): Answer => `-${text}\r\n`;
/** A node writes its answers as latin1: each character is one byte. */
export const bulk = (text: string): Answer => `$${text.length}\r\n${text}\r\n`;
export const array = (...items: string[]): Answer => `*${items.length}\r\n${items.join("")}`;
export const noCluster = error("ERR This instance has cluster support disabled");
export const noScript = error("NOSCRIPT No matching script. Please use EVAL.");

/** A command as a node received it. */
export interface Received {
  readonly args: readonly string[];
  /** Which arrival of bytes it came with: commands of one write share it. */
  readonly write: number;
  readonly connection: number;
}

/**
 * A scripted RESP server, for what a real one cannot be made to do on command. It keeps scripts and answers what a
 * client needs to connect; `expect` scripts the rest, and must be used up.
 */
export class FakeNode {
  readonly received: Received[] = [];
  readonly scripts = new Set<string>();
  /** Answer to CLUSTER SHARDS; set by the cluster. */
  shards: () => Answer = () => noCluster;
  /** The node's id in its cluster; set by the cluster. */
  id: string | undefined;
  /** How many bytes the node takes at a time from a connection, and what happens whenever it took so many: more may wait. */
  bytesPerRead = Number.POSITIVE_INFINITY;
  onFullRead: () => void = () => {};
  connections = 0;
  readonly port: number;
  /** Commands at which the node falls silent, connection by connection, until `goOn`. */
  readonly silentAt = new Set<string>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #lines = new Map<Socket, Line>();
  readonly #expected: { readonly command: string; readonly answer: LaterAnswer }[] = [];
  readonly #always = new Map<string, (args: readonly string[], connection: number) => LaterAnswer>();
  #writes = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** With `tls` it is a TLS server with that key and certificate. */
  static async start(tls?: { readonly key: string; readonly cert: string }): Promise<FakeNode> {
    const server = tls ? createTlsServer(tls) : createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const node = new FakeNode(server);
    server.on(tls ? "secureConnection" : "connection", (socket: Socket) => node.#serve(socket));
    server.on("tlsClientError", () => {});
    return node;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Scripts the answer to the next `command` that nothing was scripted for yet, `times` times over. */
  expect(command: string, answer: LaterAnswer, times = 1): void {
    for (let time = 0; time < times; time++) this.#expected.push({ command, answer });
  }

  /** The answer to `command` whenever nothing else was scripted. The function gets the connection's number as well. */
  always(command: string, answer: (args: readonly string[], connection: number) => LaterAnswer): void {
    this.#always.set(command, answer);
  }

  /** What arrived, as text, of the commands named. */
  got(...commands: string[]): string[] {
    return this.received
      .map(({ args }) => args)
      .filter((args) => commands.includes(nameOf(args)))
      .map((args) =>
        nameOf(args) === "SCRIPT LOAD" ? "SCRIPT LOAD" : [nameOf(args), ...args.slice(3)].join(" ").trim(),
      );
  }

  count(command: string): number {
    return this.received.filter(({ args }) => nameOf(args) === command).length;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** On how many connections the node is silent because of `command`. */
  silentOn(command: string): number {
    return [...this.#lines.values()].filter(({ held: [first] }) => first && nameOf(first) === command).length;
  }

  /** Each silent connection gets the answer that is due, and those to what came behind it, up to the next silence. */
  goOn(): void {
    for (const line of this.#lines.values()) {
      if (line.held.length > 0 && !line.waits) this.#answerFirst(line);
      line.take();
    }
  }

  /** Sends what nobody asked for, on one connection. */
  say(connection: number, text: string): void {
    for (const [socket, line] of this.#lines) {
      if (line.connection !== connection) continue;
      line.replies += text;
      writeReplies(socket, line);
    }
  }

  /** Ends every connection, as a server that dies. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Ends one connection. */
  hangUp(connection: number): void {
    for (const [socket, line] of this.#lines) if (line.connection === connection) socket.destroy();
  }

  /** Ends the oldest connection. */
  dropConnection(): void {
    const [oldest] = this.#sockets;
    oldest?.destroy();
  }

  /** Everything that was scripted has been asked for. */
  verify(): void {
    assert.deepEqual(this.#expected, [], `${this.address} was not asked for all that was expected`);
  }

  async stop(): Promise<void> {
    this.dropConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    const connection = ++this.connections;
    let write = 0;
    let pending = Buffer.alloc(0);
    const take = () => {
      this.#answerHeld(line);
      for (let parsed = parseCommand(pending); parsed && !line.waits && !line.ended; parsed = parseCommand(pending)) {
        pending = pending.subarray(parsed.end);
        this.received.push({ args: parsed.args, write, connection });
        if (!line.hangs) line.held.push(parsed.args);
        if (line.held.length === 1) this.#answerHeld(line);
      }
      writeReplies(socket, line);
    };
    const line: Line = { connection, held: [], replies: "", waits: false, hangs: false, ended: false, take };
    this.#sockets.add(socket);
    this.#lines.set(socket, line);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#lines.delete(socket);
    });
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      write = ++this.#writes;
      for (let at = 0; at < chunk.length; at += this.bytesPerRead) {
        const part = chunk.subarray(at, at + this.bytesPerRead);
        pending = Buffer.concat([pending, part]);
        take();
        if (part.length === this.bytesPerRead) this.onFullRead();
      }
    });
  }

  #answerHeld(line: Line): void {
    for (let [first] = line.held; first && !line.waits && !this.silentAt.has(nameOf(first)); [first] = line.held) {
      this.#answerFirst(line);
    }
  }

  #answerFirst(line: Line): void {
    const answer = this.#answer(line.held.shift() as string[], line.connection);
    if (answer instanceof Promise) {
      line.waits = true;
      void answer.then((text) => {
        line.waits = false;
        line.replies += text;
        line.take();
      });
    } else if (answer === "disconnect") line.ended = true;
    else if (answer === "hang") line.hangs = true;
    else line.replies += answer;
    if (line.ended || line.hangs) line.held.length = 0;
  }

  #answer(args: readonly string[], connection: number): LaterAnswer {
    const name = nameOf(args);
    const next = this.#expected.findIndex(({ command }) => command === name);
    if (next !== -1) return (this.#expected.splice(next, 1)[0] as { answer: LaterAnswer }).answer;
    const always = this.#always.get(name);
    if (always) return always(args, connection);
    switch (name) {
      case "PING":
        return "+PONG\r\n";
      case "CLUSTER MYID":
        return this.id === undefined ? noCluster : bulk(this.id);
      case "CLIENT INFO":
        return bulk(clientLine(connection));
      case "CLIENT LIST": {
        const isOpen = [...this.#lines.values()].some((line) => line.connection === Number(args[3]));
        return bulk(isOpen ? clientLine(Number(args[3])) : "");
      }
      case "CLUSTER SHARDS":
        return this.shards();
      case "SCRIPT EXISTS":
        return array(...args.slice(2).map((sha) => `:${this.scripts.has(sha) ? 1 : 0}\r\n`));
      case "SCRIPT LOAD": {
        const sha = createHash("sha1")
          .update(args[2] as string, "latin1")
          .digest("hex");
        this.scripts.add(sha);
        return bulk(sha);
      }
      case "EVALSHA":
        return this.scripts.has(args[1] as string) ? ok : noScript;
      default:
        return ok;
    }
  }
}

/** One connection, seen from the node. */
interface Line {
  readonly connection: number;
  /** Commands that were received and not answered, oldest first. */
  readonly held: string[][];
  /** Answers that are not written yet. */
  replies: string;
  /** An answer comes later, and nothing is read before it. */
  waits: boolean;
  /** Nothing on it is answered any more. */
  hangs: boolean;
  /** It is closed behind the last answer, and nothing on it is read any more. */
  ended: boolean;
  /** Answers what can be answered by now. */
  readonly take: () => void;
}

function writeReplies(socket: Socket, line: Line): void {
  const { replies } = line;
  line.replies = "";
  if (line.ended) socket.end(replies, "latin1");
  else if (replies !== "" && socket.writable) socket.write(replies, "latin1");
}

/** A line of CLIENT LIST about a connection of which the node has nothing in hand. */
export function clientLine(number: number, more = "flags=N qbuf=0 argv-mem=0 obl=0 oll=0 omem=0"): string {
  return `id=${number} addr=127.0.0.1:${10_000 + number} ${more}\n`;
}

/** `SCRIPT LOAD`, `CLUSTER SHARDS`, `EVALSHA`: containers with their subcommand. */
function nameOf(args: readonly string[]): string {
  const [name = "", subcommand = ""] = args.map((arg) => arg.toUpperCase());
  return ["SCRIPT", "CLUSTER", "CLIENT"].includes(name) ? `${name} ${subcommand}` : name;
}

function parseCommand(bytes: Buffer): { args: string[]; end: number } | undefined {
  let at = 0;
  const line = (): string | undefined => {
    const end = bytes.indexOf("\r\n", at);
    if (end === -1) return undefined;
    const text = bytes.toString("latin1", at + 1, end);
    at = end + 2;
    return text;
  };
  const count = line();
  if (count === undefined) return undefined;
  const args: string[] = [];
  for (let index = 0; index < Number(count); index++) {
    const length = line();
    if (length === undefined || at + Number(length) + 2 > bytes.length) return undefined;
    args.push(bytes.toString("latin1", at, at + Number(length)));
    at += Number(length) + 2;
  }
  return { args, end: at };
}
