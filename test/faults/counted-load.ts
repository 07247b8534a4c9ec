import { type Cluster, defineScript, type SlotwireError } from "../../src/index.ts";

/** Records a unique id: what ran, and how often, can be counted afterwards. */
export const recordScript = defineScript({
  name: "record",
  source: "redis.call('rpush', KEYS[1], ARGV[1]) return ARGV[1]",
  keys: ["list"],
  args: ["id"],
});

/** The same, declared repeatable: it may be found twice. */
export const repeatableScript = defineScript({
  name: "record, repeatable",
  source: `${recordScript.source} -- may run twice`,
  keys: ["list"],
  args: ["id"],
  idempotent: true,
});

interface Made {
  readonly key: string;
  readonly id: string;
  readonly startedAt: number;
  settledAt: number;
  error: SlotwireError | undefined;
}

/** What a load came to, held against what the servers recorded. */
export interface LoadReport {
  readonly calls: number;
  readonly errors: readonly SlotwireError[];
  /** Ids that the servers have more than once. */
  readonly doubles: number;
  /** Calls that were acknowledged and are not recorded. */
  readonly lost: number;
  /** Calls that were said not to have run, and are recorded. */
  readonly lies: number;
  /** Replies that were another call's. */
  readonly wrongReplies: number;
  readonly slowestMs: number;
  readonly hanging: number;
  /** The longest time without an answer, for calls of the keys asked for. */
  longestGapMs(keys: readonly string[]): number;
}

/** About 500 calls a second, over given keys in turn, until `end`. */
export class CountedLoad {
  readonly #client: Cluster;
  readonly #script: typeof recordScript | typeof repeatableScript;
  readonly #keys: readonly string[];
  readonly #made: Made[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #wrongReplies = 0;

  constructor(
    client: Cluster,
    keys: readonly string[],
    script: typeof recordScript | typeof repeatableScript = recordScript,
  ) {
    this.#client = client;
    this.#keys = keys;
    this.#script = script;
    this.#timer = setInterval(() => this.burst(5), 10);
  }

  burst(calls: number): void {
    for (let call = 0; call < calls; call++) this.#call();
  }

  /** Calls that are not answered yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Makes no more calls. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** @param patienceMs  How long calls may take to settle after the last one was made. */
  async end(patienceMs: number): Promise<LoadReport> {
    this.stop();
    const late = new Promise<void>((resolve) => setTimeout(resolve, patienceMs).unref());
    await Promise.race([Promise.all(this.#pending), late]);
    const hanging = this.#pending.size;
    const recorded = await this.#recorded();
    const made = this.#made;
    const count = ({ id }: Made) => recorded.get(id) ?? 0;
    const settled = made.filter(({ settledAt }) => settledAt > 0);
    return {
      calls: made.length,
      errors: made.flatMap(({ error }) => error ?? []),
      doubles: made.filter((call) => count(call) > 1).length,
      lost: settled.filter((call) => call.error === undefined && count(call) === 0).length,
      lies: settled.filter((call) => call.error?.outcome === "not-executed" && count(call) > 0).length,
      wrongReplies: this.#wrongReplies,
      slowestMs: Math.max(...settled.map(({ startedAt, settledAt }) => settledAt - startedAt)),
      hanging,
      longestGapMs: (keys) => {
        const served = settled.filter(({ key, error }) => error === undefined && keys.includes(key));
        const times = served.map(({ settledAt }) => settledAt).sort((a, b) => a - b);
        return Math.max(...times.slice(1).map((time, index) => time - (times[index] as number)));
      },
    };
  }

  #call(): void {
    const id = String(this.#made.length);
    const key = this.#keys[this.#made.length % this.#keys.length] as string;
    const call: Made = { key, id, startedAt: performance.now(), settledAt: 0, error: undefined };
    this.#made.push(call);
    const done = this.#client
      .run(this.#script, [key], [id])
      .then(
        (reply) => {
          if (reply !== id) this.#wrongReplies++;
        },
        (error: SlotwireError) => {
          call.error = error;
        },
      )
      .then(() => {
        call.settledAt = performance.now();
        this.#pending.delete(done);
      });
    this.#pending.add(done);
  }

  async #recorded(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const patient = this.#client.with({ timeout: 30_000 });
    for (const key of this.#keys) {
      for (const id of await patient.command<string[]>("LRANGE", key, 0, -1)) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }
}

/** How many errors there are of each kind, for tables. */
export function kindsOf(errors: readonly SlotwireError[]): string {
  const counts = new Map<string, number>();
  for (const { code, outcome } of errors) counts.set(`${code} ${outcome}`, (counts.get(`${code} ${outcome}`) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(" + ") || "0";
}
