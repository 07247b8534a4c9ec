import type { Connection, ConnectionSettings } from "../connection/connection.ts";
import { openConnection } from "../connection/open-connection.ts";
import type { Environment, Timer } from "../environment.ts";
import { ReplyError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";

/** The least time between two questions. */
const SPACING_MS = 1000;
/** So long after the last refusal the question is repeated. Somebody who writes to a replica is not wrong for ever. */
const PATIENCE_MS = 60_000;

/** What the checks of one server need, and what they lead to. */
export interface NameCheckParts {
  readonly environment: Environment;
  /** The settings of a connection to the server by its name. */
  settings(): ConnectionSettings;
  /** Milliseconds that the server may take to answer. */
  readonly answerTimeoutMs: number;
  /** Every call from now on goes over fresh connections, which are opened by name as well. */
  replaceConnections(): void;
}

/**
 * A name can lead to another server tomorrow: behind one name, a service without cluster mode swaps a primary and its
 * replica, and closes no connection. The connections then stay with a server that refuses every write. So after such a
 * refusal the server is asked by its name, through a fresh connection, whether it is a primary.
 *
 *   quiet --a call was refused as by a replica--> asking --a primary--> the connections are replaced --> quiet
 *                                    ^               |---a replica, or no answer --.
 *                                    '-- 1 s, until 60 s after the last refusal ---'
 *
 * Where ROLE may not be asked, and in `mode: "single"`, it is enough that a fresh connection can be opened: the
 * connections are replaced, and the next refusal asks again. No call is repeated here.
 */
export class NameCheck {
  readonly #parts: NameCheckParts;
  #askedAt = Number.NEGATIVE_INFINITY;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #isAsking = false;
  #connection: Connection | undefined;
  #closed = false;

  constructor(parts: NameCheckParts) {
    this.#parts = parts;
  }

  /** A call was refused in a way that only a replica refuses. */
  noteRefusal(): void {
    this.#refusedAt = this.#parts.environment.clock.now();
    this.#askSoon();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#connection?.close(new Error("no longer needed"));
  }

  #askSoon(): void {
    if (this.#closed || this.#isAsking || this.#timer !== undefined) return;
    const { clock } = this.#parts.environment;
    const ask = () => {
      this.#timer = undefined;
      void this.#ask();
    };
    this.#timer = clock.setTimer(ask, Math.max(0, this.#askedAt + SPACING_MS - clock.now()), true);
  }

  async #ask(): Promise<void> {
    const { clock } = this.#parts.environment;
    this.#isAsking = true;
    this.#askedAt = clock.now();
    const finding = await this.#find().catch(() => "no-answer" as const);
    this.#isAsking = false;
    this.#connection?.close(new Error("answered"));
    this.#connection = undefined;
    if (this.#closed) return;
    if (finding === "primary" || finding === "unknown") this.#parts.replaceConnections();
    else if (clock.now() - this.#refusedAt < PATIENCE_MS) this.#askSoon();
  }

  async #find(): Promise<"primary" | "replica" | "unknown"> {
    const { environment, answerTimeoutMs } = this.#parts;
    const settings = this.#parts.settings();
    const connection = await openConnection(settings, (created) => {
      this.#connection = created;
    });
    if (settings.isPlain) return "unknown";
    const limit = environment.clock.setTimer(() => connection.close(new Error("no answer")), answerTimeoutMs);
    try {
      return roleIn(await (connection.exchange(["ROLE"])[0] as Promise<Reply>));
    } catch (error) {
      if (error instanceof ReplyError) return "unknown";
      throw error;
    } finally {
      limit.cancel();
    }
  }
}

function roleIn(reply: Reply): "primary" | "replica" | "unknown" {
  const role = Array.isArray(reply) ? reply[0] : undefined;
  if (role === "master" || role === "primary") return "primary";
  return role === "slave" || role === "replica" ? "replica" : "unknown";
}
