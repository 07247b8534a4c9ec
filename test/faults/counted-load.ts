import { type Cluster, defineScript, type SlotwireError } from "../../src/index.ts";

/** Records a unique id under its first key: what ran, and how often, can be counted afterwards. Looks at its other keys. */
export const recordScript = defineScript({
  name: "record",
  source: "for i = 2, #KEYS do redis.call('exists', KEYS[i]) end redis.call('rpush', KEYS[1], ARGV[1]) return ARGV[1]",
});

/** The same, declared repeatable: it may be found twice. */
export const repeatableScript = defineScript({
  name: "record, repeatable",
  source: `${recordScript.source} -- may run twice`,
  idempotent: true,
});

/** One call, from when it was made until it settled. */
export interface Made {
  /** The first is where its id is recorded. */
  readonly keys: readonly string[];
  readonly id: string;
  readonly startedAt: number;
  /** 0 until then. */
  settledAt: number;
  error: SlotwireError | undefined;
}

/** What a load came to, held against what the servers recorded. */
export interface LoadReport {
  readonly calls: number;
  readonly perSecond: number;
  readonly failed: readonly Made[];
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
  /** How many of these calls the servers have recorded. */
  ran(calls: readonly Made[]): number;
  /** The longest time without an answer, for calls of the keys asked for. */
  longestGapMs(keys: readonly string[]): number;
}

const PER_SECOND = 500;
const TURN_MS = 5;

/** 500 calls a second, over given keys in turn, until `end`. */
export class CountedLoad {
  readonly #client: Cluster;
  readonly #script: typeof recordScript;
  readonly #keys: readonly (readonly string[])[];
  readonly #made: Made[] = [];
  readonly #pending = new Map<Made, Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  readonly #start = performance.now();
  #wrongReplies = 0;

  /** @param keys  Of the calls; where one is a list, a call has all of them. */
  constructor(
    client: Cluster,
    keys: readonly (string | readonly string[])[],
    script: typeof recordScript = recordScript,
  ) {
    this.#client = client;
    this.#keys = keys.map((each) => (typeof each === "string" ? [each] : each));
    this.#script = script;
    let paced = 0;
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - this.#start) / 1000) * PER_SECOND);
      // After a turn of the event loop that took long, what is overdue does not come all at once.
      const calls = Math.min(due - paced, PER_SECOND / 10);
      paced = due;
      this.burst(calls);
    }, TURN_MS);
  }

  burst(calls: number): void {
    for (let call = 0; call < calls; call++) this.#call();
  }

  /** Calls that are not answered yet, of these keys if some are given. */
  pending(keys?: readonly string[]): Made[] {
    const pending = [...this.#pending.keys()];
    return keys === undefined ? pending : pending.filter((call) => keys.includes(call.keys[0] as string));
  }

  /** How calls have failed so far. */
  get codes(): Set<string> {
    return new Set(this.#made.flatMap(({ error }) => (error ? `${error.code} ${error.outcome}` : [])));
  }

  /** Makes no more calls. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** @param patienceMs  How long calls may take to settle after the last one was made. */
  async end(patienceMs: number): Promise<LoadReport> {
    this.stop();
    const seconds = (performance.now() - this.#start) / 1000;
    const late = new Promise<void>((resolve) => setTimeout(resolve, patienceMs).unref());
    await Promise.race([Promise.all(this.#pending.values()), late]);
    const hanging = this.#pending.size;
    const recorded = await this.#recorded();
    const made = this.#made;
    const count = ({ id }: Made) => recorded.get(id) ?? 0;
    const settled = made.filter(({ settledAt }) => settledAt > 0);
    const failed = settled.filter(({ error }) => error !== undefined);
    return {
      calls: made.length,
      perSecond: Math.round(made.length / seconds),
      failed,
      errors: failed.flatMap(({ error }) => error ?? []),
      doubles: made.filter((call) => count(call) > 1).length,
      lost: settled.filter((call) => call.error === undefined && count(call) === 0).length,
      lies: settled.filter((call) => call.error?.outcome === "not-executed" && count(call) > 0).length,
      wrongReplies: this.#wrongReplies,
      slowestMs: Math.max(...settled.map(({ startedAt, settledAt }) => settledAt - startedAt)),
      hanging,
      ran: (calls) => calls.filter((call) => count(call) > 0).length,
      longestGapMs: (keys) => {
        const served = settled.filter(({ keys: [key], error }) => error === undefined && keys.includes(key as string));
        const times = served.map(({ settledAt }) => settledAt).sort((a, b) => a - b);
        return Math.max(...times.slice(1).map((time, index) => time - (times[index] as number)));
      },
    };
  }

  #call(): void {
    const id = String(this.#made.length);
    const keys = this.#keys[this.#made.length % this.#keys.length] as readonly string[];
    const call: Made = { keys, id, startedAt: performance.now(), settledAt: 0, error: undefined };
    this.#made.push(call);
    const done = this.#client
      .run(this.#script, keys, [id])
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
        this.#pending.delete(call);
      });
    this.#pending.set(call, done);
  }

  async #recorded(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const patient = this.#client.with({ timeout: 30_000 });
    for (const [key] of this.#keys) {
      const ids = await patient.command<string[]>("LRANGE", key as string, 0, -1);
      for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
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
