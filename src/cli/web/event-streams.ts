import type { ServerResponse } from "node:http";
import type { LiveRecord } from "./live-record.ts";
import type { Hello } from "./protocol.ts";

/** At most 20 batches a second. */
const BATCH_MS = 50;
const RATE_MS = 1000;
/** A comment keeps the connection from looking dead. */
const HEARTBEAT_MS = 15_000;
/**
 * A reader with so much unread, beside the state with which it began, gets nothing more until it has read all. Then it
 * begins anew.
 */
const MOST_UNREAD_BYTES = 2 * 1024 * 1024;
export const MOST_STREAMS = 16;

/** The pages that listen. What one of them does not read is not kept for it: it gets the present state later. */
export class EventStreams {
  readonly #record: LiveRecord;
  readonly #hello: () => Hello;
  readonly #streams = new Map<ServerResponse, Stream>();
  readonly #timers: NodeJS.Timeout[];
  #batch: NodeJS.Timeout | undefined;
  #wasBusy = false;

  constructor(record: LiveRecord, hello: () => Hello) {
    this.#record = record;
    this.#hello = hello;
    const everySecond = setInterval(() => this.#tellRate(), RATE_MS);
    const now = setInterval(() => this.#tell(": still here\n\n"), HEARTBEAT_MS);
    this.#timers = [everySecond.unref(), now.unref()];
  }

  /** The number of pages that listen. */
  get size(): number {
    return this.#streams.size;
  }

  /** What the pages have not read yet. */
  get unreadBytes(): number {
    return [...this.#streams.keys()].reduce((sum, { writableLength }) => sum + writableLength, 0);
  }

  /** Begins to send events. The headers are sent already. */
  add(response: ServerResponse): void {
    // It is behind until it has begun, so that nothing comes before its beginning.
    const stream = { isBehind: true, beginning: 0 };
    this.#streams.set(response, stream);
    this.#record.listen(() => this.#soon());
    response.once("close", () => this.#remove(response));
    response.on("error", () => this.#remove(response));
    response.on("drain", () => {
      stream.beginning = 0;
      if (stream.isBehind) this.#begin(response, stream);
    });
    this.#begin(response, stream);
  }

  close(): void {
    this.#record.unlisten();
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#batch);
    for (const response of this.#streams.keys()) response.destroy();
    this.#streams.clear();
  }

  /** Sends all that is needed to know the present state. */
  #begin(response: ServerResponse, stream: Stream): void {
    // What is new belongs to the others, and is in the state of this one.
    this.#flush();
    stream.isBehind = false;
    const beginning = Buffer.from(message("hello", this.#hello()) + message("record", this.#record.state()));
    stream.beginning = beginning.length;
    response.write(beginning);
  }

  #remove(response: ServerResponse): void {
    this.#streams.delete(response);
    if (this.#streams.size === 0) this.#record.unlisten();
  }

  #soon(): void {
    this.#batch ??= setTimeout(() => this.#flush(), BATCH_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#batch);
    this.#batch = undefined;
    const news = this.#record.takeNews();
    if (news.length > 0) this.#tell(message("record", news));
  }

  #tellRate(): void {
    const rate = this.#record.takeRate();
    const isBusy = rate.calls > 0;
    // One more after the last tells that it is quiet now.
    if (isBusy || this.#wasBusy) this.#tell(message("rate", rate));
    this.#wasBusy = isBusy;
  }

  #tell(text: string): void {
    for (const [response, stream] of this.#streams) {
      if (stream.isBehind) continue;
      if (response.writableLength > stream.beginning + MOST_UNREAD_BYTES) stream.isBehind = true;
      else response.write(text);
    }
  }
}

interface Stream {
  /** It has not read for long, and has missed something. */
  isBehind: boolean;
  /** The bytes of the state with which it began, until they are read: a large state alone does not make it late. */
  beginning: number;
}

/** JSON has no line breaks, so that one line of data is enough. */
function message(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
