import { Readable } from "node:stream";
import type { Argument, Cluster } from "../index.ts";

/** The options of the stream methods. */
export interface ScanStreamOptions {
  readonly match?: string | undefined;
  readonly count?: number | undefined;
  readonly type?: string | undefined;
  readonly objectMode?: boolean | undefined;
  readonly highWaterMark?: number | undefined;
  readonly [other: string]: unknown;
}

/** So many keys come in one element of the stream, unless `count` says otherwise. */
const KEYS = 100;
/** So many scans that were begun by `scan(0)` are kept for their next step. */
const MOST_SCANS = 100;

/** The keys of the whole cluster, in arrays. */
export function keyStream(ready: () => Promise<Cluster>, options: ScanStreamOptions, buffers: boolean): Readable {
  return Readable.from(pagesOf(ready, options, buffers), { objectMode: true });
}

async function* pagesOf(ready: () => Promise<Cluster>, options: ScanStreamOptions, buffers: boolean) {
  const cluster = await ready();
  const { match, count, type } = options;
  const view = buffers ? cluster.with({ replies: "buffer" }) : cluster;
  let page: (string | Buffer)[] = [];
  for await (const key of view.scan({
    ...(match !== undefined && { match }),
    ...(count !== undefined && { count: Number(count) }),
    ...(type !== undefined && { type }),
  })) {
    page.push(key);
    if (page.length < (Number(count) || KEYS)) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

/** The elements of one collection, by HSCAN, SSCAN or ZSCAN; with no key, the keys of one node, by SCAN. */
export function elementStream(
  step: (args: readonly Argument[]) => Promise<[string | Buffer, unknown[]]>,
  key: readonly Argument[],
  { match, count, type }: ScanStreamOptions,
): Readable {
  return Readable.from(elementsOf(), { objectMode: true });
  async function* elementsOf() {
    let cursor = "0";
    do {
      const [next, elements] = await step([
        ...key,
        cursor,
        ...(match === undefined ? [] : ["MATCH", match]),
        ...(count === undefined ? [] : ["COUNT", count]),
        ...(type === undefined ? [] : ["TYPE", type]),
      ]);
      cursor = String(next);
      yield elements;
    } while (cursor !== "0");
  }
}

/**
 * The scans of the whole cluster that are under way, by cursors of this client's own. A cursor that was never used again
 * is forgotten when many others came after it.
 */
export class Scans {
  readonly #open = new Map<string, AsyncIterator<(string | Buffer)[]>>();
  #last = 0;

  /** One step of `scan(cursor, ...)`: the next cursor, "0" at the end, and keys. */
  async step(
    ready: () => Promise<Cluster>,
    [cursor, ...rest]: readonly Argument[],
    buffers: boolean,
  ): Promise<[string, (string | Buffer)[]]> {
    const given = String(cursor);
    const iterator = given === "0" ? pagesOf(ready, scanOptionsOf(rest), buffers) : this.#open.get(given);
    if (iterator === undefined) return ["0", []];
    this.#open.delete(given);
    const { value, done } = await iterator.next();
    if (done === true) return ["0", []];
    const next = String(++this.#last);
    this.#open.set(next, iterator);
    for (const [oldest] of this.#open) {
      if (this.#open.size <= MOST_SCANS) break;
      this.#open.delete(oldest);
    }
    return [next, value];
  }
}

function scanOptionsOf(rest: readonly Argument[]): ScanStreamOptions {
  const options: Record<string, unknown> = {};
  for (let index = 0; index + 1 < rest.length; index += 2) {
    options[String(rest[index]).toLowerCase()] = String(rest[index + 1]);
  }
  return options;
}
