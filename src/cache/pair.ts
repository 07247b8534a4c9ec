import { type BackoffRange, backoffMs } from "../connection/backoff.ts";
import { StrangerError } from "../connection/identity.ts";
import { retryDelayMs } from "../connection/retry-policy.ts";
import type { Environment, Timer } from "../environment.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { CacheTrace } from "../telemetry/cache-trace.ts";
import type { CacheDropReason, CacheLossReason } from "../telemetry/channels.ts";
import { NoTrackingError, Session, type SessionEvents, type SessionTerms } from "./session.ts";

/** Rights and servers change seldom, and users' logs note each refusal. */
const REFUSED: BackoffRange = { firstMs: 2000, mostMs: 60_000 };

const RENEWED = "the credentials were renewed";

/** What a pair works with. */
export interface PairParts {
  readonly environment: Environment;
  readonly terms: Pick<SessionTerms, "maxStaleness" | "now" | "keyToProve">;
  readonly events: SessionEvents;
  readonly trace: CacheTrace;
  /** A slot that the node owns. Undefined where it owns none. */
  slotOf(node: ClusterNode): number | undefined;
  /** The least milliseconds until the next try: the more pairs wait for theirs, the longer. */
  leastWaitMs(): number;
}

/**
 * The sessions with one primary, one after the other, for as long as it is one.
 *
 *   opening --> open --lost, silent, refused--> pausing --> opening
 *                 '--credentials renewed--> the next one opens; when it is open, this one reads nothing more, and ends when
 *                                           nothing is left of what it has read
 */
export class Pair {
  readonly node: ClusterNode;
  /** Settles when the first try has ended. */
  readonly firstTry: Promise<void>;
  readonly #parts: PairParts;
  /** The session that is open. */
  #session: Session | undefined;
  #opening: Session | undefined;
  /** A session is being opened, or waits for its turn to be. */
  #isOpening = false;
  /** The session in whose place the open one is. It hears of changes of what it has read. */
  #retired: Session | undefined;
  /** The session that is being opened may have been given credentials of before. */
  #isOutdated = false;
  #pause: Timer | undefined;
  #failures = 0;
  #why: string | undefined;
  #isOver = false;

  constructor(node: ClusterNode, parts: PairParts) {
    this.node = node;
    this.#parts = parts;
    this.firstTry = this.#open();
  }

  /** The session through which reads go; undefined while there is none. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Those that may have read what is kept. */
  get sessions(): readonly Session[] {
    return [this.#session, this.#retired].filter((session) => session !== undefined);
  }

  /** Why nothing is kept of what the node answers; undefined while something may be. */
  get unavailable(): string | undefined {
    return this.#session === undefined ? (this.#why ?? "its connections are being opened") : undefined;
  }

  /** The last try failed, and the next one is to come. */
  get isPausing(): boolean {
    return this.#pause !== undefined;
  }

  /** Both connections of the session are gone. */
  noteEnded(session: Session, why: CacheDropReason, cause: Error): void {
    if (this.#retired === session) this.#retired = undefined;
    if (this.#session !== session) return;
    this.#session = undefined;
    const reason = cause instanceof NoTrackingError ? "not-allowed" : why;
    if (!this.#isOpening && !this.isPausing) this.#failed(cause, reason);
    else this.#parts.trace.unavailable(this.node.address, reason);
  }

  /**
   * There are new credentials. A connection that is subscribed cannot log in again, so there will be a new session; what
   * the present one has read stays.
   */
  renew(): void {
    if (this.#isOpening) {
      this.#isOutdated = true;
      return;
    }
    this.#pause?.cancel();
    this.#pause = undefined;
    void this.#open();
  }

  /** Ends for good. */
  end(cause: Error): void {
    this.#isOver = true;
    this.#pause?.cancel();
    this.#pause = undefined;
    this.#opening?.end(cause);
    for (const session of this.sessions) session.end(cause);
    this.#session = undefined;
    this.#retired = undefined;
  }

  async #open(): Promise<void> {
    if (this.#isOver) return;
    this.#isOpening = true;
    const { terms, events, slotOf } = this.#parts;
    const { settings } = this.node.pool;
    const { crowd } = settings;
    // Connections to a crowd of nodes begin in turns: else they would take all of this one.
    if (crowd !== undefined) await new Promise<void>((resolve) => crowd.begin(resolve));
    this.#isOutdated = false;
    try {
      if (this.#isOver) return;
      const slot = slotOf(this.node) ?? 0;
      const session = await Session.open(settings, { ...terms, slot }, events, (begun) => {
        this.#opening = begun;
      });
      this.#opened();
      if (this.#isOver) session.end(new Error("not needed any more"));
      else if (session.isOver)
        this.#failed(new Error("the connections were lost before they were used"), "connection-lost");
      else this.#take(session);
    } catch (error) {
      this.#opened();
      if (error instanceof StrangerError) this.node.dropConnections(error);
      this.#failed(error as Error, error instanceof NoTrackingError ? "not-allowed" : "unreachable");
    }
  }

  #opened(): void {
    this.#opening = undefined;
    this.#isOpening = false;
  }

  #take(session: Session): void {
    const former = this.#session;
    this.#retired?.fail("renewed", new Error(RENEWED));
    this.#session = session;
    this.#retired = former;
    former?.retire(new Error(RENEWED));
    this.#failures = 0;
    this.#why = undefined;
    if (former === undefined) this.#parts.trace.ready(this.node.address);
    if (this.#isOutdated) void this.#open();
  }

  #failed(cause: Error, why: CacheLossReason): void {
    if (this.#isOver) return;
    const { clock, random } = this.#parts.environment;
    this.#why = cause.message;
    const failures = this.#failures++;
    const delayMs =
      cause instanceof NoTrackingError
        ? backoffMs(failures, REFUSED, random())
        : retryDelayMs(cause, failures, random(), this.#parts.leastWaitMs());
    this.#pause = clock.setTimer(
      () => {
        this.#pause = undefined;
        void this.#open();
      },
      delayMs,
      true,
    );
    if (this.#session === undefined) this.#parts.trace.unavailable(this.node.address, why);
  }
}
