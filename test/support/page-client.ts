import { request } from "node:http";
import type { StudyEvent } from "../../src/cli/study/events.ts";
import type { Done, Hello, Rate } from "../../src/cli/web/protocol.ts";

/** An answer of the page's server. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

interface Asked {
  readonly method?: string;
  /** The path as it is sent: nothing is resolved or encoded. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends one request to the server of a page. */
export function ask(url: string, { method = "GET", path, headers = {}, body }: Asked = {}): Promise<Answer> {
  const { hostname, port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path: path ?? pathname, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Performs a control of the page. */
export async function perform(url: string, asked: Readonly<Record<string, unknown>>): Promise<Done> {
  const headers = { "Content-Type": "application/json" };
  const { text } = await ask(`${url}do`, { method: "POST", headers, body: JSON.stringify(asked) });
  return JSON.parse(text) as Done;
}

/** Listens to the events of a page, as a browser does, and keeps them. */
export class PageClient {
  hello: Hello | undefined;
  /** How often it was told to begin anew. */
  beginnings = 0;
  events: StudyEvent[] = [];
  readonly rates: Rate[] = [];
  /** The bytes that were read. */
  bytes = 0;
  readonly #request;
  #text = "";

  /** @param keeps  Whether the events are kept, or only counted. */
  constructor(url: string, keeps = true) {
    this.#request = request(`${url}events`, { agent: false }, (response) => {
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        this.bytes += chunk.length;
        this.#text += chunk;
        this.#read(keeps);
      });
      response.on("error", () => {});
    });
    this.#request.on("error", () => {});
    this.#request.end();
  }

  close(): void {
    this.#request.destroy();
  }

  #read(keeps: boolean): void {
    const messages = this.#text.split("\n\n");
    this.#text = messages.pop() ?? "";
    for (const each of messages) {
      const [, event, data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(each) ?? [];
      if (event === "hello") {
        this.hello = JSON.parse(data) as Hello;
        this.beginnings++;
        this.events = [];
      } else if (event === "record" && keeps) this.events.push(...(JSON.parse(data) as StudyEvent[]));
      else if (event === "rate") this.rates.push(JSON.parse(data) as Rate);
    }
  }
}
