import type { Script } from "./script.ts";

/** What nodes are given ahead of calls: a script, or a library of functions. */
export interface Loadable {
  readonly kind: "script" | "library";
  /** Position in the registry, from 0: nodes keep what they hold in an array by it. */
  readonly index: number;
  readonly name: string;
  /** SHA-1 of the source. */
  readonly sha: string;
  readonly source: string;
  /** Where its lines came from, for errors. */
  readonly origin: Script["origin"] | undefined;
  /** False from a flush through this client until it is run or preloaded again: nobody loads it unasked. */
  wanted: boolean;
  /** The command that loads it, whole. */
  readonly loadFrame: string;
  /** What a node answers that has loaded it. */
  readonly loadReply: string;
}
