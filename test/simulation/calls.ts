import { type Argument, type Cluster, defineScript, type Script, type SlotwireError } from "../../src/index.ts";
import { slotOf } from "../../src/protocol/hash-slot.ts";
import { markOf } from "./ledger.ts";
import type { Chance } from "./random.ts";
import type { SimLoop } from "./sim-loop.ts";
import { type ScriptName, SOURCES } from "./sim-scripts.ts";
import type { Story } from "./story.ts";

const KEYS: Readonly<Record<ScriptName, number>> = { count: 1, put: 1, read: 1, pair: 2, fail: 1, echo: 0, slow: 1 };

/** The scripts that runs use. */
export const SCRIPTS = Object.fromEntries(
  Object.entries(SOURCES).map(([name, source]) => {
    const numberOfKeys = KEYS[name as ScriptName];
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
  // For a slot that no call is for.
  "MOVED 16383 10.0.0.1:7000",
];

/** Several calls that are sent together. */
export interface Group {
  /** `aside`: a write by the function of a watching transaction, which is not in the transaction. */
  readonly kind: "batch" | "transaction" | "watch" | "aside";
  readonly number: number;
  /** What the function of a watching transaction read of the watched key, last; undefined when it does not matter. */
  saw?: string | null | undefined;
  /** What the function of a watching transaction wrote aside. */
  aside?: number | undefined;
}

/** A call as its caller sees it. */
export interface Made {
  readonly number: number;
  readonly what: CallName;
  /** -1 without keys. */
  readonly slot: number;
  readonly key: string | undefined;
  readonly timeoutMs: number;
  readonly group: Group | undefined;
  readonly madeAt: number;
  /** What its own reply looks like; anything else is wrong in the way that this says. */
  readonly wrongIn: (reply: unknown) => string | undefined;
  /** The error that the script itself raises. */
  readonly mustFailWith: string | undefined;
  settledAt: number | undefined;
  timesSettled: number;
  reply: unknown;
  failure: Pick<SlotwireError, "code" | "outcome" | "message"> | undefined;
}

export type CallName = ScriptName | "get" | "set" | "push" | "pop";

/** A call that can be made by itself or in a group. */
export interface Draft {
  readonly made: Made;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** Carries its number, so that servers can tell it from others. */
export function isMarked({ what }: Made): boolean {
  return what !== "get";
}

/** May run twice. A transaction never may, whatever is in it. */
export function mayRepeat({ what, group }: Made): boolean {
  if (group !== undefined && group.kind !== "batch") return false;
  return what === "get" || what === "read" || what === "put";
}

/** Calls as their callers know them. */
export class Calls {
  readonly made: Made[] = [];
  readonly #largestBytes: number;
  readonly #chance: Chance;
  readonly #loop: SimLoop;
  readonly #story: Story;

  /** @param largestBytes  Of values; 0 where all are short. */
  constructor(chance: Chance, loop: SimLoop, story: Story, largestBytes = 0) {
    this.#largestBytes = largestBytes;
    this.#chance = chance;
    this.#loop = loop;
    this.#story = story;
  }

  draft(what: CallName, tag: string, timeoutMs: number, group?: Group): Draft {
    const number = this.made.length;
    const mark = markOf(number);
    const value = `value:${tag}`;
    const forged = what === "fail" ? this.#chance.pick(FORGED) : undefined;
    const keys = keysOf(what, tag, mark);
    const blockMs = what === "pop" ? this.#chance.pick([20, 200, 1500]) : 0;
    const made: Made = {
      number,
      what,
      slot: keys.length === 0 ? -1 : slotOf(tag),
      key: keys[0],
      timeoutMs: timeoutMs === 0 ? 0 : timeoutMs + blockMs,
      group,
      madeAt: this.#loop.time,
      wrongIn: (reply) => {
        if (what === "get") return wrongInValue(reply, value);
        if (what === "set") return reply === "OK" ? undefined : "is not OK";
        if (what === "push") return typeof reply === "number" ? undefined : "is no length";
        if (what === "pop") return wrongInElement(reply, keys[0] as string);
        return wrongInReply(reply, mark, what === "read" ? value : undefined);
      },
      mustFailWith: forged,
      settledAt: undefined,
      timesSettled: 0,
      reply: undefined,
      failure: undefined,
    };
    this.made.push(made);
    this.#story.tell(() => {
      const where = group === undefined ? "" : ` in ${group.kind} ${group.number}`;
      return `call ${mark} ${what}${where}, slot ${made.slot}, ${timeoutMs} ms`;
    });
    const bulk =
      this.#largestBytes > 0 && what === "set"
        ? "-".repeat(this.#largestBytes * this.#chance.pick([0, 0, 0.1, 1]))
        : "";
    const args =
      what === "get"
        ? []
        : what === "set"
          ? [`${mark}${bulk}k=${value}`]
          : what === "pop"
            ? [String(blockMs / 1000)]
            : [mark];
    if (forged !== undefined) args.push(forged);
    if (what === "slow") args.push(String(this.#chance.pick([10, 300, 900])));
    return { made, keys, args };
  }

  /** Makes a call by itself. */
  make(cluster: Cluster, { made, keys, args }: Draft, signal?: AbortSignal): void {
    const { what } = made;
    // A call that blocks has its blocking time in addition.
    const timeout = what === "pop" && made.timeoutMs > 0 ? made.timeoutMs - Number(args[0]) * 1000 : made.timeoutMs;
    const options = { timeout, ...(signal && { signal }) };
    const command = commandOf(what);
    const reply =
      command === undefined
        ? cluster.run(SCRIPTS[what as ScriptName], keys, args, options)
        : cluster.with(options).command(command, ...keys, ...args);
    reply.then(
      (value) => this.settled(made, value, undefined),
      (error: SlotwireError) => this.settled(made, undefined, error),
    );
  }

  settled(made: Made, reply: unknown, failure: Made["failure"]): void {
    made.timesSettled++;
    made.settledAt = this.#loop.time;
    made.reply = reply;
    made.failure = failure;
    this.#story.tell(() => {
      const how = failure ? `${failure.code}, ${failure.outcome}: ${failure.message}` : JSON.stringify(reply);
      return `call ${markOf(made.number)} settled: ${how}`;
    });
  }

  get unsettled(): number {
    return this.made.reduce((sum, { settledAt }) => sum + (settledAt === undefined ? 1 : 0), 0);
  }
}

const COMMANDS: Partial<Readonly<Record<CallName, string>>> = { get: "GET", set: "SET", push: "RPUSH", pop: "BLPOP" };

/** The command of a call that is no script. */
export function commandOf(what: CallName): string | undefined {
  return COMMANDS[what];
}

/** What takes calls: a batch or a transaction. */
interface Builder {
  run(script: Script, keys: readonly Argument[], args: readonly Argument[]): unknown;
  command(name: string, ...args: readonly Argument[]): unknown;
}

export function addTo(builder: Builder, { made: { what }, keys, args }: Draft): void {
  const command = commandOf(what);
  if (command === undefined) builder.run(SCRIPTS[what as ScriptName], keys, args);
  else builder.command(command, ...keys, ...args);
}

function keysOf(what: CallName, tag: string, mark: string): string[] {
  if (what === "push") return [`queue:${tag}`];
  // Its number is in a key that never is one, because it has no other argument.
  if (what === "pop") return [`queue:${tag}`, `${mark}${tag}`];
  if (what === "echo") return [];
  if (what === "pair") return [`count:${tag}`, `other:${tag}`];
  return [`${what === "get" || what === "set" || what === "read" || what === "put" ? "value" : "count"}:${tag}`];
}

function wrongInReply(reply: unknown, mark: string, readKey: string | undefined): string | undefined {
  if (!Array.isArray(reply) || reply.length !== 2) return "is no pair";
  if (reply[0] !== mark) return `belongs to ${String(reply[0])}`;
  return readKey === undefined ? undefined : wrongInValue(reply[1], readKey);
}

function wrongInElement(reply: unknown, queue: string): string | undefined {
  if (reply === null) return undefined;
  if (!Array.isArray(reply) || reply.length !== 2) return "is no pair";
  return reply[0] === queue && /^@\d+;$/.test(reply[1]) ? undefined : "is no element of its list";
}

function wrongInValue(value: unknown, key: string): string | undefined {
  if (value === null || value === "") return undefined;
  return String(value).endsWith(`k=${key}`) ? undefined : `is a value of another key than ${key}`;
}
