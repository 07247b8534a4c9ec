import { binaryOf, bulk } from "../protocol/encode.ts";
import type { Argument } from "../protocol/reply.ts";

/** How long a command may block its connection, and which argument says so. */
export interface BlockingTime {
  /** The blocking time in milliseconds: 0 without a limit, NaN when the server will refuse the argument. */
  readonly ms: number;
  /** The index of the argument that states the time. */
  readonly at: number;
  readonly unitMs: 1 | 1000;
}

/**
 * For a command that ends the script that a node runs. It does not block, but gets a connection of its own as those do
 * that may block.
 */
export const ENDS_SCRIPTS: BlockingTime = { ms: Number.NaN, at: -1, unitMs: 1 };

/** The commands that state their blocking time in seconds, each with the argument that does. */
const SECONDS: ReadonlyMap<string, "first" | "last"> = new Map([
  ...["blpop", "brpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax"].map((name): [string, "last"] => [name, "last"]),
  ...["blmpop", "bzmpop"].map((name): [string, "first"] => [name, "first"]),
]);

/** Commands that always block, or block with an option. */
export const blockingNames: ReadonlySet<string> = new Set([...SECONDS.keys(), "xread", "xreadgroup"]);

/** The blocking time of a command; undefined when the command does not block. `args` are the arguments as text. */
export function blockingTimeOf(lower: string, args: readonly string[]): BlockingTime | undefined {
  const position = SECONDS.get(lower);
  if (position !== undefined) return timeAt(args, position === "first" ? 0 : args.length - 1, 1000);
  const at = lower === "xread" || lower === "xreadgroup" ? blockOptionIn(args) : undefined;
  return at === undefined ? undefined : timeAt(args, at + 1, 1);
}

function timeAt(args: readonly string[], at: number, unitMs: 1 | 1000): BlockingTime {
  const ms = Math.ceil(Number(args[at]) * unitMs);
  return { ms: Number.isFinite(ms) && ms >= 0 ? ms : Number.NaN, at, unitMs };
}

/** The options of XREAD and XREADGROUP, each with its number of values. A value can look like an option's name. */
const VALUES: ReadonlyMap<string, number> = new Map([
  ["GROUP", 2],
  ["COUNT", 1],
  ["CLAIM", 1],
  ["BLOCK", 1],
]);

function blockOptionIn(args: readonly string[]): number | undefined {
  for (let at = 0; at < args.length; at++) {
    const option = (args[at] as string).toUpperCase();
    if (option === "BLOCK") return at;
    // Behind STREAMS come the streams, whose names can look like options.
    if (option === "STREAMS") return undefined;
    at += VALUES.get(option) ?? 0;
  }
  return undefined;
}

/** The longest delay that a Node timer can have. */
const LONGEST_MS = 2 ** 31 - 1;

/** A refusal that comes this long after the attempt shows that the server had let the command block. */
const HELD_MS = 1000;

/** The frames of a blocking command. When the command is sent again, it blocks for the rest of its time. */
export class BlockingFrame {
  /** Whether the command blocks without a time limit. */
  readonly isEndless: boolean;
  /** Whether the command is for a node that is busy with a script. */
  readonly endsScripts: boolean;
  readonly #ms: number;
  readonly #unitMs: number;
  readonly #whole: string;
  readonly #before: string;
  readonly #behind: string;
  #startedAt: number | undefined;
  #sentAt = 0;

  constructor(name: string, args: readonly Argument[], time: BlockingTime) {
    const { ms, at, unitMs } = time;
    this.endsScripts = time === ENDS_SCRIPTS;
    const bulks = [name, ...args].map((value, index) => bulk(binaryOf(value, "argument", index)));
    this.isEndless = ms === 0 || ms > LONGEST_MS;
    this.#ms = ms;
    this.#unitMs = unitMs;
    this.#before = `*${bulks.length}\r\n${bulks.slice(0, at + 1).join("")}`;
    this.#behind = bulks.slice(at + 2).join("");
    this.#whole = this.#before + (bulks[at + 1] ?? "") + this.#behind;
  }

  /** The frame to send at `now`, in milliseconds. The blocking time begins with the first call of this method. */
  frameAt(now: number): string {
    const startedAt = this.#startedAt;
    this.#startedAt ??= now;
    this.#sentAt = now;
    // A command without a time limit, and one that the server will refuse, is sent unchanged.
    if (startedAt === undefined || !(this.#ms > 0)) return this.#whole;
    const left = Math.max(1, Math.ceil(this.#ms - (now - startedAt)));
    return this.#before + bulk(String(left / this.#unitMs)) + this.#behind;
  }

  /** Whether the last attempt, which ended at `now`, had been blocking on the server. */
  wasHeld(now: number): boolean {
    return now - this.#sentAt >= HELD_MS;
  }
}

/**
 * The time limit of a blocking call in milliseconds: its blocking time plus the time that any call may take. 0 for
 * none.
 * @param timeoutMs  The time that any call may take, in milliseconds; 0 for no limit.
 */
export function deadlineOf({ ms }: BlockingTime, timeoutMs: number): number {
  if (timeoutMs === 0 || ms === 0 || ms + timeoutMs > LONGEST_MS) return 0;
  return Number.isNaN(ms) ? timeoutMs : ms + timeoutMs;
}
