import type { AuthError } from "../errors.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { StrangerError } from "./identity.ts";
import { type OnCreated, openConnection } from "./open-connection.ts";
import { isRefusal, retryDelayMs } from "./retry-policy.ts";

const AT_ONCE = Number.NEGATIVE_INFINITY;

/**
 * Opens connections to one node, and says how long to wait after a failure. Every failed try counts, however early it
 * fails: a stream that cannot even be created costs a wait like one that is refused by the server.
 */
export class Opener {
  readonly #settings: ConnectionSettings;
  readonly #onStranger: (cause: StrangerError) => void;
  readonly #underWay = new Set<Connection>();
  /** Since the last success. */
  #failures = 0;
  /** When the wait after the last failure ends, on the environment's clock. */
  #restsUntil = AT_ONCE;
  #refusal: AuthError | undefined;

  /** @param onStranger  Called when another server answers at the node's address. */
  constructor(settings: ConnectionSettings, onStranger: (cause: StrangerError) => void) {
    this.#settings = settings;
    this.#onStranger = onStranger;
  }

  /** Whether the last try failed. While it did, one try at a time is enough. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** Milliseconds until the next try should be made; 0 for now. */
  get restMs(): number {
    if (this.#restsUntil === AT_ONCE) return 0;
    return Math.max(0, this.#restsUntil - this.#settings.environment.clock.now());
  }

  /** Why another try is pointless until the wait is over. Undefined after failures that may pass sooner. */
  get refusal(): AuthError | undefined {
    return this.restMs > 0 ? this.#refusal : undefined;
  }

  /** @throws As `openConnection`. */
  async open(onCreated: OnCreated): Promise<Connection> {
    let connection: Connection | undefined;
    try {
      await openConnection(this.#settings, (created) => {
        connection = created;
        this.#underWay.add(created);
        onCreated(created);
      });
      const opened = connection as unknown as Connection;
      if (opened.closed) throw new Error("the connection was lost before it was used");
      this.reset();
      return opened;
    } catch (error) {
      this.#failed(error as Error);
      throw error;
    } finally {
      if (connection !== undefined) this.#underWay.delete(connection);
    }
  }

  /** Forgets earlier failures: the next try may be made at once. */
  reset(): void {
    this.#failures = 0;
    this.#restsUntil = AT_ONCE;
    this.#refusal = undefined;
  }

  /** Ends the tries that are under way. */
  close(cause: Error): void {
    for (const connection of this.#underWay) connection.close(cause);
  }

  #failed(cause: Error): void {
    this.#refusal = isRefusal(cause) ? cause : undefined;
    // Tries that were under way together fail together, for one reason: they count as one.
    if (this.restMs > 0) return;
    const { clock, random } = this.#settings.environment;
    this.#restsUntil = clock.now() + retryDelayMs(cause, this.#failures++, random());
    if (cause instanceof StrangerError) this.#onStranger(cause);
  }
}
