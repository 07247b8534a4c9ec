import type { Cluster } from "../cluster/cluster.ts";
import { SlotwireError } from "../errors/slotwire-error.ts";
import { defineScript } from "../scripts/script.ts";

/** What came of the calls of a load so far. */
export interface LoadFigures {
  /** The calls that are wanted each second. */
  readonly perSecond: number;
  readonly made: number;
  readonly answered: number;
  readonly inFlight: number;
  /** Calls that were not made, because too many were in flight. */
  readonly heldBack: number;
  /** Failed calls by their code, such as `DEADLINE`. */
  readonly errors: Readonly<Record<string, number>>;
  /** What the last failed call said; null without one. */
  readonly lastError: string | null;
}

/** The most calls in flight. While calls wait for a failover, the others are held back, so memory stays bounded. */
const MOST_IN_FLIGHT = 1000;
/** The number of keys that are written, so that the servers' memory stays bounded, too. They are in as many slots. */
const KEYS = 1000;
const TICK_MS = 10;

const count = defineScript({
  name: "load",
  source: "return redis.call('incr', KEYS[1])",
  numberOfKeys: 1,
});

/** A steady load of calls to a script, on keys of all slots: `load:0` to `load:999`, each counted up by INCR. */
export class SteadyLoad {
  readonly #cluster: Cluster;
  readonly #perSecond: number;
  readonly #errors = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #startedAt = performance.now();
  #due = 0;
  #made = 0;
  #answered = 0;
  #inFlight = 0;
  #heldBack = 0;
  #lastError: string | null = null;
  #onIdle = () => {};

  constructor(cluster: Cluster, perSecond: number) {
    this.#cluster = cluster;
    this.#perSecond = perSecond;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get figures(): LoadFigures {
    return {
      perSecond: this.#perSecond,
      made: this.#made,
      answered: this.#answered,
      inFlight: this.#inFlight,
      heldBack: this.#heldBack,
      errors: Object.fromEntries(this.#errors),
      lastError: this.#lastError,
    };
  }

  /** Makes no more calls. Resolves to the figures when all calls have ended. */
  async stop(): Promise<LoadFigures> {
    clearInterval(this.#timer);
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    return this.figures;
  }

  #tick(): void {
    const due = Math.floor(((performance.now() - this.#startedAt) / 1000) * this.#perSecond);
    for (; this.#due < due; this.#due++) {
      if (this.#inFlight >= MOST_IN_FLIGHT) this.#heldBack++;
      else this.#call();
    }
  }

  #call(): void {
    const key = `load:${this.#made++ % KEYS}`;
    this.#inFlight++;
    this.#cluster.run(count, [key]).then(
      () => this.#ended(undefined),
      (error: Error) => this.#ended(error),
    );
  }

  #ended(error: Error | undefined): void {
    this.#inFlight--;
    if (error === undefined) this.#answered++;
    else {
      const code = error instanceof SlotwireError ? error.code : error.name;
      this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
      this.#lastError = error.message;
    }
    if (this.#inFlight === 0) this.#onIdle();
  }
}

/** The figures in words. */
export function loadInWords({ perSecond, made, answered, heldBack, errors, lastError }: LoadFigures): string {
  const failed = Object.entries(errors).map(([code, times]) => `${times} ${code}`);
  const parts = [`${made} calls made, ${answered} answered`];
  if (heldBack > 0) parts.push(`${heldBack} held back because ${MOST_IN_FLIGHT} were in flight`);
  parts.push(failed.length === 0 ? "no errors" : `errors: ${failed.join(", ")}; the last: ${lastError}`);
  return `load of ${perSecond} calls/s: ${parts.join(", ")}`;
}
