import type { Cluster, Script } from "../../src/index.ts";

/** The results of the calls of one step. */
export interface LoadResult {
  readonly calls: number;
  readonly errors: readonly unknown[];
  readonly redirections: number;
  /** The number of NOSCRIPT answers that caused a SCRIPT LOAD. */
  readonly missing: number;
  readonly slowestMs: number;
}

/** Makes calls of one script over 300 keys, and counts each call. */
export class Load {
  readonly keys = Array.from({ length: 300 }, (_, index) => `load:${index}`);
  readonly #client: Cluster;
  readonly #script: Script<1>;
  readonly #pending = new Set<Promise<void>>();
  readonly #errors: unknown[] = [];
  readonly #stopCounting: (() => void)[];
  #calls = 0;
  #redirections = 0;
  #missing = 0;
  #slowestMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(client: Cluster, script: Script<1>) {
    this.#client = client;
    this.#script = script;
    this.#stopCounting = [
      client.on("redirection", () => {
        this.#redirections++;
      }),
      client.on("scriptMissing", () => {
        this.#missing++;
      }),
    ];
  }

  /** Makes about 500 calls per second until `end`. */
  start(): void {
    this.#timer = setInterval(() => this.burst(5), 10);
  }

  burst(calls: number): void {
    for (let call = 0; call < calls; call++) this.#call();
  }

  async end(): Promise<LoadResult> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    for (const stop of this.#stopCounting) stop();
    return {
      calls: this.#calls,
      errors: this.#errors,
      redirections: this.#redirections,
      missing: this.#missing,
      slowestMs: this.#slowestMs,
    };
  }

  #call(): void {
    const before = performance.now();
    const key = this.keys[this.#calls++ % this.keys.length] as string;
    const call = this.#client
      .run(this.#script, [key], [1])
      .then(
        () => {},
        (error: unknown) => void this.#errors.push(error),
      )
      .then(() => {
        this.#slowestMs = Math.max(this.#slowestMs, performance.now() - before);
        this.#pending.delete(call);
      });
    this.#pending.add(call);
  }
}
