import type { Connection, ConnectionSettings } from "../connection/connection.ts";
import type { NodePool } from "../connection/node-pool.ts";
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
  /** The connections of the server that calls use. */
  readonly pool: NodePool;
}

/**
 * A name can lead to another server tomorrow: behind one name, a service without cluster mode swaps a primary and its
 * replica, and closes no connection. The connections then stay with a server that refuses every write. So after such a
 * refusal the server is asked by its name, through a fresh connection, whether it is a primary.
 *
 *   quiet --a call was refused as by a replica--> asking -- a primary, unlike the present connection's server
 *     ^                                            ^  |       '--> the connections are replaced --> quiet
 *     |                                            |  |-- a replica, or no answer
 *     |                                            |  |       '--> after 1 s, until 60 s after the last refusal --.
 *     |                                            '--|-----------------------------------------------------------'
 *     '-- both are primaries: the refusal was old ----'
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
    // It may be the answer of a connection that was replaced already. The next refusal is not.
    if (this.#parts.pool.lanes.some((lane) => lane.isReplacing)) return;
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
    const present = this.#presentRole();
    const role = await this.#roleByName().catch(() => "no-answer" as const);
    this.#isAsking = false;
    const fresh = this.#connection;
    this.#connection = undefined;
    const isRight = (role === "primary" || role === "unknown") && present.role !== "primary";
    if (isRight && !this.#closed) this.#parts.pool.replaceConnections(fresh);
    else fresh?.close(new Error("answered"));
    if (this.#closed || role === "primary" || role === "unknown") return;
    if (clock.now() - this.#refusedAt < PATIENCE_MS) this.#askSoon();
  }

  /** The role of the server behind the connection that calls use. Undefined as long as it has not said so. */
  #presentRole(): { role: Role | undefined } {
    const present: { role: Role | undefined } = { role: undefined };
    if (this.#parts.settings().isPlain) return present;
    const connection = this.#parts.pool.lanes.find(({ ready }) => ready)?.useConnection();
    const told = (reply: Reply) => {
      present.role = roleIn(reply);
    };
    connection?.exchange(["ROLE"])[0]?.then(told, () => {});
    return present;
  }

  /** The role of the server that the name leads to. */
  async #roleByName(): Promise<Role> {
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

type Role = "primary" | "replica" | "unknown";

function roleIn(reply: Reply): Role {
  const role = Array.isArray(reply) ? reply[0] : undefined;
  if (role === "master" || role === "primary") return "primary";
  return role === "slave" || role === "replica" ? "replica" : "unknown";
}
