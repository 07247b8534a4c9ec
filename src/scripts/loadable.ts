import type { Script } from "./script.ts";

/** A script or a library of functions, which nodes are given so that calls find it there. */
export interface Loadable {
  readonly kind: "script" | "library";
  /**
   * Whether the registry still has it. A script that was evicted serves the calls that hold it, and is registered anew
   * when it is run again.
   */
  readonly isRegistered: boolean;
  /**
   * Its place, from 1, in the arrays of beliefs about nodes. A place that an evicted script has left may become another script's;
   * a script that is not registered has the place 0, in which nothing is ever kept.
   */
  readonly index: number;
  readonly name: string;
  /** SHA-1 of the source. */
  readonly sha: string;
  readonly source: string;
  /** Where its lines came from, for errors. */
  readonly origin: Script["origin"] | undefined;
  /** Servers check whether it may run before they run it, and not in its middle: its source begins with `#!`. */
  readonly isCheckedFirst: boolean;
  /** False from a flush through this client until it is run or preloaded again: meanwhile only a call loads it. */
  wanted: boolean;
  /** The whole command that loads it. */
  readonly loadFrame: string;
  /** The answer of a node that has loaded it. */
  readonly loadReply: string;
}
