/*
 * Whether a connection that is silent is dead: the decisions, without clock and sockets. The table in src/README.md,
 * under "Signs of life", shows them all.
 */

/** What was found out on another connection about one that is silent. */
export type Evidence =
  /** The server says that a command of the connection is blocked, or that it runs a script (BUSY). */
  | { readonly kind: "blocked" | "busy" }
  /** The server holds parts of a command, or replies. `amounts` changes as long as they move. */
  | { readonly kind: "held"; readonly amounts: string }
  /** The server has nothing of the connection in hand. */
  | { readonly kind: "empty" }
  /** The server does not know the connection. */
  | { readonly kind: "gone" }
  /** The server may not be asked, but has answered a question that a pause or a script would have held. */
  | { readonly kind: "unheld" }
  /** The question failed or was refused. It proves nothing. */
  | { readonly kind: "nothing" }
  /** Nobody answers at the server's address. */
  | { readonly kind: "silent" };

/** What was seen of a connection in a while. */
export interface Sight {
  /** Milliseconds that this process has listened. */
  readonly passedMs: number;
  readonly hasSign: boolean;
  /** Whether something is awaited. */
  readonly isAwaiting: boolean;
}

/** What to do next. */
export type Action =
  /** Nothing is awaited. */
  | { readonly next: "rest"; readonly news?: "speaking" | undefined }
  | { readonly next: "look"; readonly afterMs: number; readonly news?: "silent" | "speaking" | undefined }
  /** Ask the server on another connection. */
  | { readonly next: "ask" }
  | { readonly next: "give-up"; readonly why: string };

/** The time between two looks. */
export const LOOK_MS = 250;
/** The shortest silence after which the server is asked. */
export const SILENCE_MS = 500;
/** A second answer that speaks against the connection comes this long after the first. */
const AGAIN_MS = 250;
/** The same where the server may not be asked about the connection itself. */
const AGAIN_UNHELD_MS = 1200;
/** Parts of a command, or replies, that have not moved for so long are on no way. */
const STUCK_MS = 2000;
/** Bytes that the server sent before it answered have arrived by then. */
const GRACE_MS = 30;
/** The times between questions to which the answer was no reason for doubt. They double. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 4000;

const AGAINST: Readonly<Record<"empty" | "gone" | "unheld" | "held", string>> = {
  empty: "while the node answers on another connection and has nothing of this one in hand",
  gone: "while the node answers on another connection and does not know this one any more",
  held: "while the node answers on another connection and what it holds of this one does not move",
  unheld: "while the node answers on another connection",
};

/**
 * The judgement on one connection. Each event returns the action to take.
 *
 *   resting --begin--> watching --500 ms of silence--> asking --evidence--> watching, until it is asked again
 *      ^------ nothing is awaited ------' ^                                    |  '-- evidence against it, twice
 *                                         '---- a sign of life: all forgotten -'            --> condemned
 *   condemned --30 ms without a sign of life--> given up
 *
 * All times are of this process's attention: how long it listened.
 */
export class Vigil {
  readonly #slackMs: number;
  readonly #longestLookMs: number;
  readonly #silenceMs: number;
  #phase: "resting" | "watching" | "asking" | "condemned" = "resting";
  #quietMs = 0;
  /** The silence at which the server is asked next. */
  #askAtMs = 0;
  #pauseMs = FIRST_PAUSE_MS;
  /** Evidence that speaks against the connection, if it is confirmed, and the silence at which it was first seen. */
  #against:
    | { readonly kind: "empty" | "unheld" | "held"; readonly amounts: string; readonly sinceMs: number }
    | undefined;
  #why = "";
  /** The last evidence was that the server has the connection in hand. */
  #isInHand = false;
  #isSilent = false;

  /**
   * @param slackMs        On a slow network no limit is shorter: some round trips.
   * @param longestLookMs  The longest time between two looks. Where `rest` is called it may be long.
   * @param silenceMs      The shortest silence after which the server is asked.
   */
  constructor(slackMs: number, longestLookMs = LOOK_MS, silenceMs = SILENCE_MS) {
    this.#slackMs = slackMs;
    this.#longestLookMs = longestLookMs;
    this.#silenceMs = silenceMs;
  }

  /** The silence until the last look, in milliseconds. */
  get quietMs(): number {
    return this.#quietMs;
  }

  get isResting(): boolean {
    return this.#phase === "resting";
  }

  /** Whether nothing has come for long, for a reason that is not known. */
  get inDoubt(): boolean {
    return !this.isResting && this.#quietMs >= this.#atLeast(this.#silenceMs) && !this.#isInHand;
  }

  /** Something is awaited from now on. */
  begin(): Action {
    this.#phase = "watching";
    this.#forget();
    return this.#lookAgain(undefined);
  }

  /** All has been answered. */
  rest(): void {
    this.#phase = "resting";
  }

  /**
   * @param sight      What was seen since the last look, or the last answer.
   * @param isAskable  Whether an answer could prove anything. While it could not, nobody is asked.
   */
  look(sight: Sight, isAskable = true): Action {
    const first = this.#see(sight);
    if (first !== undefined) return first;
    if (this.#phase === "condemned") return { next: "give-up", why: `no answer for ${this.#quietMs} ms, ${this.#why}` };
    if (this.#quietMs < this.#askAtMs) return this.#lookAgain(undefined);
    if (!isAskable) return { next: "look", afterMs: LOOK_MS };
    this.#phase = "asking";
    return { next: "ask" };
  }

  /** The answer to `ask`. It counts if there was no sign of life meanwhile. */
  hear(evidence: Evidence, sight: Sight): Action {
    const first = this.#see(sight);
    if (first !== undefined) return first;
    this.#phase = "watching";
    this.#isInHand = false;
    switch (evidence.kind) {
      case "gone":
        return this.#condemn("gone");
      case "empty":
        return this.#suspect("empty", "", AGAIN_MS, AGAIN_MS);
      case "unheld":
        return this.#suspect("unheld", "", AGAIN_UNHELD_MS, AGAIN_UNHELD_MS);
      case "held":
        this.#isInHand = true;
        return this.#suspect("held", evidence.amounts, STUCK_MS, FIRST_PAUSE_MS);
      case "blocked":
        this.#isInHand = true;
        this.#against = undefined;
        return this.#askLater(this.#speak());
      case "busy":
        this.#against = undefined;
        return this.#askLater(undefined);
      case "nothing":
        return this.#askLater(undefined);
      case "silent":
        this.#askAtMs = this.#quietMs + LOOK_MS;
        return this.#lookAgain(this.#fallSilent());
    }
  }

  /** The action that a sign of life, or the end of all waiting, leads to. */
  #see({ passedMs, hasSign, isAwaiting }: Sight): Action | undefined {
    this.#quietMs += passedMs;
    let news: "speaking" | undefined;
    if (hasSign) {
      news = this.#speak();
      this.#phase = "watching";
      this.#forget();
    }
    if (!isAwaiting) {
      this.#phase = "resting";
      return { next: "rest", news };
    }
    return hasSign ? this.#lookAgain(news) : undefined;
  }

  #suspect(kind: "empty" | "unheld" | "held", amounts: string, enoughMs: number, againMs: number): Action {
    const against = this.#against;
    if (against === undefined || against.kind !== kind || against.amounts !== amounts) {
      this.#against = { kind, amounts, sinceMs: this.#quietMs };
    } else if (this.#quietMs - against.sinceMs >= this.#atLeast(enoughMs)) return this.#condemn(kind);
    this.#askAtMs = this.#quietMs + this.#atLeast(againMs);
    return this.#lookAgain(this.#speak());
  }

  #condemn(kind: keyof typeof AGAINST): Action {
    this.#phase = "condemned";
    this.#why = AGAINST[kind];
    return { next: "look", afterMs: Math.max(GRACE_MS, this.#slackMs / 4), news: this.#speak() };
  }

  /** The answer is no reason for doubt. */
  #askLater(news: "speaking" | undefined): Action {
    this.#askAtMs = this.#quietMs + this.#pauseMs;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * this.#pauseMs);
    return this.#lookAgain(news);
  }

  #lookAgain(news: "silent" | "speaking" | undefined): Action {
    return { next: "look", afterMs: Math.min(this.#longestLookMs, Math.max(1, this.#askAtMs - this.#quietMs)), news };
  }

  #forget(): void {
    this.#quietMs = 0;
    this.#askAtMs = this.#atLeast(this.#silenceMs);
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#against = undefined;
    this.#isInHand = false;
  }

  #fallSilent(): "silent" | undefined {
    if (this.#isSilent) return undefined;
    this.#isSilent = true;
    return "silent";
  }

  #speak(): "speaking" | undefined {
    if (!this.#isSilent) return undefined;
    this.#isSilent = false;
    return "speaking";
  }

  #atLeast(limitMs: number): number {
    return Math.max(limitMs, this.#slackMs);
  }
}
