import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Latencies } from "../../src/cli/bench/latency.ts";
import type { Slice, Way } from "../../src/cli/bench/rounds.ts";

/** What a process of its own measured in one slice. */
export interface ProcessSlice {
  readonly calls: number;
  readonly seconds: number;
  /** The CPU time of the process, user and system, in microseconds. */
  readonly clientCpu: number;
  /** Of those calls that were timed, in milliseconds. */
  readonly latencies: readonly number[];
}

/** A slice that a process is asked for, in milliseconds. */
export interface SliceRequest {
  readonly slice: number;
}

/** All slices of a process, and its start, are over within this time. */
const TIMEOUT_MS = 120_000;

/**
 * A way that is measured in a process of its own, so that its CPU is that of the process, and what another way did to the heap
 * does not count. The process stays, and waits while others are measured.
 */
export class MeasuredProcess implements Way {
  readonly name: string;
  readonly #child: ChildProcess;
  #said = "";
  #ended: Error | undefined;
  #hear: { resolve(slice: ProcessSlice | "ready"): void; reject(error: Error): void } | undefined;

  private constructor(name: string, worker: string, args: readonly string[]) {
    this.name = name;
    const file = fileURLToPath(new URL(worker, import.meta.url));
    this.#child = fork(file, args, { execArgv: ["--import", "tsx"], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-4000);
    });
    this.#child.on("message", (message) => this.#hear?.resolve(message as ProcessSlice | "ready"));
    this.#child.on("error", (error) => this.#fail(error));
    this.#child.on("close", (status, signal) => {
      const error = /^\w*Error.*$/m.exec(this.#said)?.[0];
      this.#fail(new Error(`The process of "${name}" ended (${signal ?? status})${error ? `: ${error}` : ""}.`));
    });
  }

  /**
   * @param worker  The file of its program, beside this one; it calls `measureSlices`.
   * @param args    The words that it is given.
   */
  static async start(name: string, worker: string, args: readonly string[]): Promise<MeasuredProcess> {
    const started = new MeasuredProcess(name, worker, args);
    await started.#next();
    return started;
  }

  async slice(milliseconds: number): Promise<Slice> {
    const next = this.#next();
    this.#child.send({ slice: milliseconds } satisfies SliceRequest);
    const { calls, seconds, clientCpu, latencies } = (await next) as ProcessSlice;
    const histogram = new Latencies();
    for (const each of latencies) histogram.add(each);
    return { calls, seconds, latencies: histogram, costs: { clientCpu } };
  }

  end(): void {
    this.#hear = undefined;
    if (this.#ended === undefined) this.#child.kill("SIGKILL");
  }

  /** The next message of the process. */
  async #next(): Promise<ProcessSlice | "ready"> {
    if (this.#ended !== undefined) throw this.#ended;
    const late = setTimeout(() => this.#child.kill("SIGKILL"), TIMEOUT_MS);
    try {
      return await new Promise((resolve, reject) => {
        this.#hear = { resolve, reject };
      });
    } finally {
      clearTimeout(late);
    }
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    this.#hear?.reject(this.#ended);
  }
}
