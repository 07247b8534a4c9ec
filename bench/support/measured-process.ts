import { Latencies } from "../../src/cli/bench/latency.ts";
import type { Slice, Way } from "../../src/cli/bench/rounds.ts";
import { AskedProcess } from "./asked-process.ts";

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

/**
 * A way that is measured in a process of its own, so that its CPU is that of the process, and what another way did to the heap
 * does not count. The process stays, and waits while others are measured.
 */
export class MeasuredProcess implements Way {
  readonly name: string;
  readonly #process: AskedProcess<SliceRequest, ProcessSlice>;

  private constructor(name: string, process: AskedProcess<SliceRequest, ProcessSlice>) {
    this.name = name;
    this.#process = process;
  }

  /**
   * @param worker  The file of its program, beside this one; it calls `measureSlices`.
   * @param args    The words that it is given.
   */
  static async start(name: string, worker: string, args: readonly string[]): Promise<MeasuredProcess> {
    return new MeasuredProcess(name, await AskedProcess.start(name, new URL(worker, import.meta.url), args));
  }

  async slice(milliseconds: number): Promise<Slice> {
    const { calls, seconds, clientCpu, latencies } = await this.#process.ask({ slice: milliseconds });
    const histogram = new Latencies();
    for (const each of latencies) histogram.add(each);
    return { calls, seconds, latencies: histogram, costs: { clientCpu } };
  }

  end(): void {
    this.#process.end();
  }
}
