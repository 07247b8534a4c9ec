import { type Cluster, defineScript } from "../../src/index.ts";
import { slotOf } from "../../src/protocol/hash-slot.ts";
import { markOf } from "./ledger.ts";
import type { Plan } from "./plan.ts";
import type { Chance } from "./random.ts";
import type { SimLoop } from "./sim-loop.ts";
import { type ScriptName, SOURCES } from "./sim-scripts.ts";
import type { Story } from "./story.ts";

const keysOf: Readonly<Record<ScriptName, number>> = { count: 1, put: 1, read: 1, pair: 2, fail: 1, echo: 0, slow: 1 };

/** The scripts that runs use. */
export const SCRIPTS = Object.fromEntries(
  Object.entries(SOURCES).map(([name, source]) => {
    const numberOfKeys = keysOf[name as ScriptName];
    return [name, defineScript({ name, source, numberOfKeys, readOnly: name === "read", idempotent: name === "put" })];
  }),
) as Readonly<Record<ScriptName, ReturnType<typeof defineScript>>>;

/** Errors that a script raises after it has written. None is a whole error of a server. */
const FORGED = [
  "MOVEDOUT x",
  "ERR inner NOSCRIPT thing",
  "TRYAGAIN later",
  "CLUSTERDOWN x",
  "ASK me",
  "NOSCRIPT x",
  "LOADING x",
  "READONLY x",
  "MOVED 16383 10.0.0.1:7000",
];

/** An error of slotwire, as far as promises go. */
export interface Failure {
  readonly code: string;
  readonly outcome: string;
  readonly message: string;
  readonly reply?: string;
}

/** A call as its caller sees it. */
export interface Made {
  readonly number: number;
  readonly what: string;
  readonly slot: number;
  /** Carries its number, so that servers can tell it from others. */
  readonly isMarked: boolean;
  /** May run twice. */
  readonly mayRepeat: boolean;
  /** On the slot's primary, so that its place among the slot's other calls counts. */
  readonly inOrder: boolean;
  readonly timeoutMs: number;
  /** The batch or transaction that it is part of. */
  readonly group: Group | undefined;
  readonly madeAt: number;
  /** What is wrong with a reply, if anything. */
  readonly wrongIn: (reply: unknown) => string | undefined;
  /** The error that the script itself raises. */
  readonly mustFailWith: string | undefined;
  settledAt: number | undefined;
  timesSettled: number;
  reply: unknown;
  failure: Failure | undefined;
}

export interface Group {
  readonly kind: "batch" | "transaction";
  readonly number: number;
}

/** Makes calls, and keeps what became of each. */
export class Workload {
  readonly made: Made[] = [];
  readonly tags: readonly string[];
  readonly slots: readonly number[];
  readonly #plan: Plan;
  readonly #chance: Chance;
  readonly #loop: SimLoop;
  readonly #story: Story;

  constructor(plan: Plan, chance: Chance, loop: SimLoop, story: Story) {
    this.#plan = plan;
    this.#chance = chance;
    this.#loop = loop;
    this.#story = story;
    this.tags = Array.from({ length: plan.tags }, (_, index) => `{${chance.whole(0, 9999)}-${index}}`);
    this.slots = this.tags.map((tag) => slotOf(tag));
  }

  /** Schedules all calls, many of them in one tick. */
  schedule(cluster: Cluster): void {
    const chance = this.#chance;
    for (let left = this.#plan.calls; left > 0; ) {
      const together = Math.min(left, chance.pick([1, 1, 2, 5, 20]));
      left -= together;
      this.#loop.setTimer(
        () => {
          for (let call = 0; call < together; call++) this.#makeOne(cluster);
        },
        chance.between(0, this.#plan.durationMs),
      );
    }
  }

  /** Calls on the slot of a tag, as many as fit into the bounds, which must all succeed. */
  probe(cluster: Cluster, tag: string): Made[] {
    const first = this.made.length;
    for (let turn = 0; turn < 3; turn++) this.#run(cluster, "count", tag, 5000, undefined);
    return this.made.slice(first);
  }

  get unsettled(): number {
    return this.made.reduce((sum, { settledAt }) => sum + (settledAt === undefined ? 1 : 0), 0);
  }

  #makeOne(cluster: Cluster): void {
    const chance = this.#chance;
    const { plan } = { plan: this.#plan };
    const tag = chance.pick(this.tags);
    const timeoutMs = chance.of(plan.hurried) ? chance.pick([3, 15, 100]) : (plan.options.commandTimeout ?? 0);
    let signal: AbortSignal | undefined;
    if (chance.of(plan.aborted)) {
      const controller = new AbortController();
      this.#loop.setTimer(() => controller.abort(), chance.pick([1, 3, 20, 200]));
      signal = controller.signal;
    }
    const what = chance.weighted({ count: 8, put: 3, read: 3, pair: 2, fail: 1, echo: 1, slow: 0.1, get: 2, set: 2 });
    if (what === "get" || what === "set") this.#command(cluster, what, tag, timeoutMs, signal);
    else this.#run(cluster, what, tag, timeoutMs, signal);
  }

  #run(cluster: Cluster, name: ScriptName, tag: string, timeoutMs: number, signal: AbortSignal | undefined): void {
    const { keys, args, made } = this.#script(name, tag, timeoutMs, undefined);
    const options = { timeout: timeoutMs, ...(signal && { signal }) };
    this.#note(made, () => cluster.run(SCRIPTS[name], keys, args, options));
  }

  #command(cluster: Cluster, name: "get" | "set", tag: string, timeout: number, signal: AbortSignal | undefined): void {
    const view = cluster.with({ timeout, ...(signal && { signal }) });
    const key = `value:${tag}`;
    const made = this.#newCall(name, tag, timeout, undefined, {
      mayRepeat: name === "get",
      wrongIn: (reply) => (name === "get" ? wrongInValue(reply, key) : reply === "OK" ? undefined : "is not OK"),
    });
    const args = name === "get" ? [key] : [key, `${markOf(made.number)}k=${key}`];
    this.#note(made, () => view.command(name, ...args));
  }

  #script(name: ScriptName, tag: string, timeoutMs: number, group: Group | undefined) {
    const reads = name === "read" || name === "put";
    const keys = name === "echo" ? [] : [`${reads ? "value" : "count"}:${tag}`];
    if (name === "pair") keys.push(`other:${tag}`);
    const forged = this.#chance.pick(FORGED);
    const made = this.#newCall(name, name === "echo" ? undefined : tag, timeoutMs, group, {
      mayRepeat: name === "read" || name === "put",
      wrongIn: (reply) => wrongInReply(reply, markOf(number), name === "read" ? keys[0] : undefined),
      ...(name === "fail" && { mustFailWith: forged }),
    });
    const { number } = made;
    const args = [markOf(number)];
    if (name === "fail") args.push(forged);
    if (name === "slow") args.push(String(this.#chance.pick([10, 300, 900])));
    return { keys, args, made };
  }

  #newCall(
    what: string,
    tag: string | undefined,
    timeoutMs: number,
    group: Group | undefined,
    { mayRepeat, wrongIn, mustFailWith }: Pick<Made, "mayRepeat" | "wrongIn"> & { mustFailWith?: string },
  ): Made {
    const isRead = what === "read" || what === "get";
    const made: Made = {
      number: this.made.length,
      what,
      isMarked: what !== "get",
      slot: tag === undefined ? -1 : slotOf(tag),
      mayRepeat,
      inOrder: tag !== undefined && !isRead,
      timeoutMs,
      group,
      madeAt: this.#loop.time,
      wrongIn,
      mustFailWith,
      settledAt: undefined,
      timesSettled: 0,
      reply: undefined,
      failure: undefined,
    };
    this.made.push(made);
    return made;
  }

  #note(made: Made, call: () => Promise<unknown>): void {
    this.#story.tell(() => `call ${markOf(made.number)} ${made.what} slot ${made.slot}, ${made.timeoutMs} ms`);
    call().then(
      (reply) => this.#settled(made, reply, undefined),
      (error: Failure) => this.#settled(made, undefined, error),
    );
  }

  #settled(made: Made, reply: unknown, failure: Failure | undefined): void {
    made.timesSettled++;
    made.settledAt = this.#loop.time;
    made.reply = reply;
    made.failure = failure;
    this.#story.tell(() => {
      const how = failure ? `${failure.code}, ${failure.outcome}: ${failure.message}` : JSON.stringify(reply);
      return `call ${markOf(made.number)} settled: ${how}`;
    });
  }
}

function wrongInReply(reply: unknown, mark: string, readKey: string | undefined): string | undefined {
  if (!Array.isArray(reply) || reply.length !== 2) return "is no pair";
  if (reply[0] !== mark) return `belongs to ${String(reply[0])}`;
  return readKey === undefined ? undefined : wrongInValue(reply[1], readKey);
}

function wrongInValue(value: unknown, key: string): string | undefined {
  if (value === null || value === "") return undefined;
  return String(value).endsWith(`k=${key}`) ? undefined : `is a value of another key than ${key}`;
}
