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

/** What a pair works with. */
export interface PairParts {
  readonly environment: Environment;
  readonly terms: Pick<SessionTerms, "maxStaleness" | "now" | "keyToProve">;
  readonly events: SessionEvents;
  readonly trace: CacheTrace;
  /** A slot that the node owns. Undefined where it owns none. */
  slotOf(node: ClusterNode): number | undefined;
}

/**
 * The sessions with one primary, one after the other, for as long as it is one.
 *
 *   opening --> open --lost, silent, refused--> pausing --> opening
 */
export class Pair {
  readonly node: ClusterNode;
  /** Settles when the first try has ended. */
  readonly firstTry: Promise<void>;
  readonly #parts: PairParts;
  /** The session that is open. */
  #session: Session | undefined;
  #opening: Session | undefined;
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

  /** Why nothing is kept of what the node answers; undefined while something may be. */
  get unavailable(): string | undefined {
    return this.#session === undefined ? (this.#why ?? "its connections are being opened") : undefined;
  }

  /** Both connections of the session are gone. */
  noteEnded(session: Session, why: CacheDropReason, cause: Error): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    this.#failed(cause, cause instanceof NoTrackingError ? "not-allowed" : why);
  }

  /** Ends for good. */
  end(cause: Error): void {
    this.#isOver = true;
    this.#pause?.cancel();
    this.#opening?.end(cause);
    this.#session?.end(cause);
    this.#session = undefined;
  }

  async #open(): Promise<void> {
    if (this.#isOver) return;
    const { terms, events, slotOf } = this.#parts;
    try {
      const settings = this.node.pool.settings;
      const slot = slotOf(this.node) ?? 0;
      const session = await Session.open(settings, { ...terms, slot }, events, (begun) => {
        this.#opening = begun;
      });
      this.#opening = undefined;
      if (this.#isOver) session.end(new Error("not needed any more"));
      else if (session.isOver)
        this.#failed(new Error("the connections were lost before they were used"), "connection-lost");
      else {
        this.#session = session;
        this.#failures = 0;
        this.#why = undefined;
        this.#parts.trace.ready(this.node.address);
      }
    } catch (error) {
      this.#opening = undefined;
      if (error instanceof StrangerError) this.node.dropConnections(error);
      this.#failed(error as Error, error instanceof NoTrackingError ? "not-allowed" : "unreachable");
    }
  }

  #failed(cause: Error, why: CacheLossReason): void {
    if (this.#isOver) return;
    const { clock, random } = this.#parts.environment;
    this.#why = cause.message;
    const failures = this.#failures++;
    const delayMs =
      cause instanceof NoTrackingError
        ? backoffMs(failures, REFUSED, random())
        : retryDelayMs(cause, failures, random());
    this.#pause = clock.setTimer(
      () => {
        this.#pause = undefined;
        void this.#open();
      },
      delayMs,
      true,
    );
    this.#parts.trace.unavailable(this.node.address, why);
  }
}
