import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { admit, MOST_BODY_BYTES, newToken, type Refusal, tooLarge } from "./admission.ts";
import { EventStreams, MOST_STREAMS } from "./event-streams.ts";
import { HEADERS } from "./headers.ts";
import type { LiveRecord } from "./live-record.ts";
import { pageFile } from "./page-files.ts";
import type { Done, Hello } from "./protocol.ts";

const HOST = "127.0.0.1";
const REQUEST_TIMEOUT_MS = 10_000;

/** What the live page shows and does. */
export interface LiveSource {
  readonly record: LiveRecord;
  hello(): Hello;
  /** Performs what the page asks for. Never rejects. Undefined for a cluster that is only watched. */
  readonly perform: ((asked: Readonly<Record<string, unknown>>) => Promise<Done>) | undefined;
  /** The record as one HTML file. */
  recordPage(): Promise<string>;
}

/** The server of the live page. It listens on loopback alone, and serves whoever knows the token in the page's address. */
export class LiveServer {
  /** The page's address, with its token. */
  readonly url: string;
  readonly #server: Server;
  readonly #streams: EventStreams;
  readonly #source: LiveSource;
  readonly #port: number;
  readonly #token = newToken();

  /**
   * @param port  The port to listen on; 0 for a free one.
   * @throws {Error} The port is taken, or may not be used.
   */
  static async start(source: LiveSource, port = 0): Promise<LiveServer> {
    const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        reject(new Error(`port ${port} cannot be used for the page: ${error.code ?? error.message}.`));
      });
      server.listen(port, HOST, resolve);
    });
    return new LiveServer(server, source);
  }

  private constructor(server: Server, source: LiveSource) {
    this.#server = server;
    this.#source = source;
    this.#streams = new EventStreams(source.record, () => source.hello());
    this.#port = (server.address() as AddressInfo).port;
    this.url = `http://${HOST}:${this.#port}/${this.#token}/`;
    server.on("request", (request, response) => this.#serve(request, response));
  }

  /** The number of pages that listen to events. */
  get listeners(): number {
    return this.#streams.size;
  }

  /** The bytes that wait for pages to read them. */
  get unreadBytes(): number {
    return this.#streams.unreadBytes;
  }

  /** Ends all connections, and the server. */
  async close(): Promise<void> {
    this.#streams.close();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", () => {});
    const admitted = admit(request, this.#port, this.#token);
    if ("status" in admitted) {
      refuse(request, response, admitted);
      return;
    }
    this.#answer(admitted.path, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else refuse(request, response, { status: 500, why: error instanceof Error ? error.message : String(error) });
    });
  }

  async #answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (path === "do") return this.#perform(request, response);
    if (path === "events") return this.#listen(request, response);
    if (path === "record.html") {
      const page = await this.#source.recordPage();
      const headers = { "Content-Disposition": 'attachment; filename="slotwire-record.html"' };
      return send(response, 200, "text/html; charset=utf-8", page, headers);
    }
    const file = await pageFile(path);
    if (file === undefined) return refuse(request, response, { status: 404, why: "there is nothing here." });
    send(response, 200, file.type, file.content);
  }

  #listen(request: IncomingMessage, response: ServerResponse): void {
    if (this.#streams.size >= MOST_STREAMS) {
      refuse(request, response, { status: 503, why: `at most ${MOST_STREAMS} pages can listen.` });
      return;
    }
    response.writeHead(200, { ...HEADERS, "Content-Type": "text/event-stream; charset=utf-8" });
    if (request.method === "HEAD") response.end();
    else this.#streams.add(response);
  }

  async #perform(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { perform } = this.#source;
    if (perform === undefined) {
      return refuse(request, response, { status: 403, why: "this page only watches; it changes nothing." });
    }
    const body = await bodyOf(request);
    if (body === undefined) return refuse(request, response, tooLarge());
    const asked = objectIn(body);
    if (asked === undefined) {
      return refuse(request, response, { status: 400, why: "the body is no JSON object; accepted is { name, ... }." });
    }
    sendJson(response, 200, await perform(asked));
  }
}

/** The text of the body; undefined if it is too large. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length;
    if (bytes > MOST_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function objectIn(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function refuse(request: IncomingMessage, response: ServerResponse, { status, why, headers }: Refusal): void {
  // What is left of the request's body is not read. The connection ends with the answer.
  const hasBody = request.method !== "GET" && request.method !== "HEAD";
  if (hasBody) response.once("finish", () => request.destroy());
  sendJson(response, status, { ok: false, error: why }, { ...headers, ...(hasBody && { Connection: "close" }) });
}

function sendJson(response: ServerResponse, status: number, value: unknown, headers?: Record<string, string>): void {
  send(response, status, "application/json; charset=utf-8", JSON.stringify(value), headers);
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  content: string | Buffer,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    ...HEADERS,
    ...headers,
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(content),
  });
  response.end(content);
}
