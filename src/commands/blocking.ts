import { binaryOf, bulk } from "../protocol/encode.ts";
import type { Argument } from "../protocol/reply.ts";

/** How long a command may keep its connection waiting, and where it says so. */
export interface BlockingTime {
  /** 0 for ever; NaN where the server will refuse what is said. */
  readonly ms: number;
  /** The index of the argument. */
  readonly at: number;
  readonly unitMs: 1 | 1000;
}

/** Where the seconds stand. */
const SECONDS: ReadonlyMap<string, "first" | "last"> = new Map([
  ...["blpop", "brpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax"].map((name): [string, "last"] => [name, "last"]),
  ...["blmpop", "bzmpop"].map((name): [string, "first"] => [name, "first"]),
]);

/** Undefined for a command that does not block. `args` are text. */
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

/** Options of XREAD and XREADGROUP, with the values that each takes: groups and consumers may have any name. */
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
    // Behind it a stream may have any name.
    if (option === "STREAMS") return undefined;
    at += VALUES.get(option) ?? 0;
  }
  return undefined;
}

/** Longer, a timer cannot be set. */
const LONGEST_MS = 2 ** 31 - 1;

/** A refusal this long after an attempt began did not come at once: the server had it waiting. */
const HELD_MS = 1000;

/** The frames of a command that blocks: one that is sent again blocks for what is left of its time. */
export class BlockingFrame {
  /** Nothing but an event ends it. */
  readonly isEndless: boolean;
  readonly #ms: number;
  readonly #unitMs: number;
  readonly #whole: string;
  readonly #before: string;
  readonly #behind: string;
  #startedAt: number | undefined;
  #sentAt = 0;

  constructor(name: string, args: readonly Argument[], { ms, at, unitMs }: BlockingTime) {
    const bulks = [name, ...args].map((value, index) => bulk(binaryOf(value, "argument", index)));
    this.isEndless = ms === 0 || ms > LONGEST_MS;
    this.#ms = ms;
    this.#unitMs = unitMs;
    this.#before = `*${bulks.length}\r\n${bulks.slice(0, at + 1).join("")}`;
    this.#behind = bulks.slice(at + 2).join("");
    this.#whole = this.#before + (bulks[at + 1] ?? "") + this.#behind;
  }

  /** What to send at `now`, in milliseconds; the first time it is asked for, the blocking begins. */
  frameAt(now: number): string {
    const startedAt = this.#startedAt;
    this.#startedAt ??= now;
    this.#sentAt = now;
    // Not for ever, and not what the server is to refuse.
    if (startedAt === undefined || !(this.#ms > 0)) return this.#whole;
    const left = Math.max(1, Math.ceil(this.#ms - (now - startedAt)));
    return this.#before + bulk(String(left / this.#unitMs)) + this.#behind;
  }

  /** Whether the attempt whose frame was asked for last had found its place, if it ended at `now`. */
  wasHeld(now: number): boolean {
    return now - this.#sentAt >= HELD_MS;
  }
}

/**
 * The deadline of a call that blocks, 0 for none: what it blocks for comes on top of what any call may take.
 * @param timeoutMs  What any call may take, 0 for no limit.
 */
export function deadlineOf({ ms }: BlockingTime, timeoutMs: number): number {
  if (timeoutMs === 0 || ms === 0 || ms + timeoutMs > LONGEST_MS) return 0;
  return Number.isNaN(ms) ? timeoutMs : ms + timeoutMs;
}
