import type { Connection } from "../connection/connection.ts";
import { Farewell } from "../connection/farewell.ts";
import type { NodePool } from "../connection/node-pool.ts";
import { openConnection } from "../connection/open-connection.ts";
import { setPatience } from "../connection/signs-of-life.ts";
import type { Clock, Timer } from "../environment.ts";
import { ReplyError } from "../errors.ts";
import type { Reply } from "../protocol/reply.ts";

/** The least time between two questions. */
const SPACING_MS = 1000;
/** So long after the last refusal the question is repeated. Somebody who writes to a replica is not wrong for ever. */
const PATIENCE_MS = 60_000;

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
  readonly #pool: NodePool;
  readonly #clock: Clock;
  readonly #answerTimeoutMs: number;
  #askedAt = Number.NEGATIVE_INFINITY;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #isAsking = false;
  #connection: Connection | undefined;
  #closed = false;

  /**
   * @param pool             The connections of the server that calls use.
   * @param answerTimeoutMs  Milliseconds that the server may take to answer.
   */
  constructor(pool: NodePool, answerTimeoutMs: number) {
    this.#pool = pool;
    this.#clock = pool.settings.environment.clock;
    this.#answerTimeoutMs = answerTimeoutMs;
  }

  /** A call was refused in a way that only a replica refuses. */
  noteRefusal(): void {
    // It may be the answer of a connection that was replaced already. The next refusal is not.
    if (this.#pool.lanes.some((lane) => lane.isReplacing)) return;
    this.#refusedAt = this.#clock.now();
    this.#askSoon();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#connection?.close(new Farewell("not-needed", "no longer needed"));
  }

  #askSoon(): void {
    if (this.#closed || this.#isAsking || this.#timer !== undefined) return;
    const ask = () => {
      this.#timer = undefined;
      void this.#ask();
    };
    this.#timer = this.#clock.setTimer(ask, Math.max(0, this.#askedAt + SPACING_MS - this.#clock.now()), true);
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    this.#askedAt = this.#clock.now();
    const present = this.#presentRole();
    const role = await this.#roleByName().catch(() => "no-answer" as const);
    this.#isAsking = false;
    const fresh = this.#connection;
    this.#connection = undefined;
    const isRight = (role === "primary" || role === "unknown") && present.role !== "primary";
    if (isRight && !this.#closed) this.#pool.replaceConnections(fresh);
    else fresh?.close(new Farewell("not-needed", "answered"));
    if (this.#closed || role === "primary" || role === "unknown") return;
    if (this.#clock.now() - this.#refusedAt < PATIENCE_MS) this.#askSoon();
  }

  /** The role of the server behind the connection that calls use. Undefined as long as it has not said so. */
  #presentRole(): { role: Role | undefined } {
    const present: { role: Role | undefined } = { role: undefined };
    if (this.#pool.settings.isPlain) return present;
    const connection = this.#pool.lanes.find(({ ready }) => ready)?.useConnection();
    const told = (reply: Reply) => {
      present.role = roleIn(reply);
    };
    connection?.exchange(["ROLE"])[0]?.then(told, () => {});
    return present;
  }

  /** The role of the server that the name leads to. */
  async #roleByName(): Promise<Role> {
    const { settings } = this.#pool;
    const connection = await openConnection(settings, (created) => {
      this.#connection = created;
    });
    if (settings.isPlain) return "unknown";
    const limit = setPatience(this.#clock, this.#answerTimeoutMs, () =>
      connection.close(new Farewell("silent", "no answer")),
    );
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
