import type { Cluster, SlotwireError } from "../../src/index.ts";
import type { Chance } from "./random.ts";
import type { SimLoop } from "./sim-loop.ts";
import type { Story } from "./story.ts";

/** A scan, as whoever made it sees it. */
export interface Scanned {
  readonly number: number;
  readonly keys: Set<string>;
  failure: SlotwireError | undefined;
  hasEnded: boolean;
}

/** Scans the cluster. Keys that are there all the time must come. */
export class Scans {
  readonly made: Scanned[] = [];
  readonly #chance: Chance;
  readonly #loop: SimLoop;
  readonly #story: Story;

  constructor(chance: Chance, loop: SimLoop, story: Story) {
    this.#chance = chance;
    this.#loop = loop;
    this.#story = story;
  }

  get underWay(): number {
    return this.made.filter(({ hasEnded }) => !hasEnded).length;
  }

  async make(cluster: Cluster, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const scan: Scanned = { number: this.made.length, keys: new Set(), failure: undefined, hasEnded: false };
    this.made.push(scan);
    const view = cluster.with({ timeout: timeoutMs, ...(signal && { signal }) });
    const pauses = this.#chance.pick([0, 0, 5]);
    try {
      for await (const key of view.scan({ count: this.#chance.pick([1, 3, 100]) })) {
        scan.keys.add(key);
        if (pauses > 0) await new Promise<void>((resolve) => this.#loop.setTimer(resolve, pauses));
      }
    } catch (error) {
      scan.failure = error as SlotwireError;
    }
    scan.hasEnded = true;
    this.#story.tell(() => `scan ${scan.number} has ended: ${scan.failure ?? `${scan.keys.size} keys`}`);
  }
}

/** @param kept  Keys that were there all the time. */
export function brokenScans(made: readonly Scanned[], kept: readonly string[]): string[] {
  return made.flatMap(({ number, keys, failure, hasEnded }) => {
    if (!hasEnded) return [`scan ${number} has not ended`];
    if (failure !== undefined)
      return failure.code === undefined ? [`scan ${number} failed without a code: ${failure}`] : [];
    const missed = kept.filter((key) => !keys.has(key));
    return missed.length === 0 ? [] : [`scan ${number} missed ${missed.join(", ")}`];
  });
}
