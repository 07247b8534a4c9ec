import type { Clock, Timer } from "../environment.ts";
import { ReplyError } from "../errors.ts";
import { parseErrorReply } from "../protocol/error-reply.ts";
import type { Argument } from "../protocol/reply.ts";
import type { Connection, ConnectionSettings } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import { StrangerError } from "./identity.ts";
import { openConnection } from "./open-connection.ts";
import { isNotInTime } from "./open-failure.ts";
import { setPatience } from "./signs-of-life.ts";
import { inHandIn, type Standing, whatIsInHand } from "./standing.ts";
import type { Evidence } from "./vigil.ts";

/** How long the probe is kept for the next question. */
const KEPT_MS = 5000;
/**
 * The question where the server may not be asked about a connection: a script that no server has. A server whose writes
 * are paused (CLIENT PAUSE, a failover on command) answers PING, so PING would prove too little: it keeps this question
 * waiting as it keeps the calls in doubt.
 */
const QUESTION: readonly Argument[] = ["EVALSHA", "0".repeat(40), 0];
/** Failures to connect that show that nobody answers at an address. Other failures can be this machine's own. */
const NOBODY = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"];

const NOTHING: Evidence = { kind: "nothing" };
const SILENT: Evidence = { kind: "silent" };
/** The time to connect was shorter than that for an answer: who asks waits for the rest of it. */
const UNANSWERED: Evidence = { kind: "silent" };

/**
 * A second connection to a node, on which the node is asked about those that are silent. It is opened for the first
 * question and closed some seconds after the last one.
 *
 *   closed --ask--> opening --> open --5 s without a question, or no answer--> closed
 */
export class Probe {
  readonly #settings: ConnectionSettings;
  readonly #clock: Clock;
  readonly #onStranger: (cause: Error) => void;
  #connection: Connection | undefined;
  /** Settles when `#connection` is open. */
  #opening: Promise<Connection> | undefined;
  /** The questions that are not answered, by the connection that they are about. */
  readonly #asked = new Map<Connection, Promise<Evidence>>();
  /** The provider of credentials has not answered yet. */
  #awaitsLogin = false;
  /** The user may not ask about connections. */
  #isForbidden = false;
  /** Counts the connections that were replaced while questions waited on them. */
  #replacements = 0;
  #rest: Timer | undefined;
  #ended = false;
  /** What the node said, if the last answer was BUSY. */
  busy: ReplyError | undefined;
  #saidBusy: ReplyError | undefined;

  /** @param onStranger  Called when another server answers at the node's address. */
  constructor(settings: ConnectionSettings, onStranger: (cause: Error) => void = () => {}) {
    this.#onStranger = onStranger;
    const credentials: ConnectionSettings["credentials"] = () => {
      const login = settings.credentials();
      if (!(login instanceof Promise)) return login;
      this.#awaitsLogin = true;
      return login.finally(() => {
        this.#awaitsLogin = false;
      });
    };
    this.#settings = { ...settings, credentials };
    this.#clock = settings.environment.clock;
  }

  /** Whether the node can say what it has in hand of `connection`. */
  maySay({ standing }: Connection): boolean {
    return standing !== undefined && !this.#isForbidden;
  }

  /** Asks the node about `connection`. Resolves within `limitMs`, or twice that if an earlier probe turned out dead. */
  async ask(connection: Connection, limitMs: number): Promise<Evidence> {
    this.#rest?.cancel();
    const earlier = this.#connection?.wasOpen === true ? this.#connection : undefined;
    let evidence = await this.#within(limitMs, connection);
    if (evidence === SILENT && earlier !== undefined && !this.#ended) {
      // Whatever broke the way of the connection in doubt may have broken that of an earlier probe.
      if (earlier === this.#connection) this.#replace();
      evidence = await this.#within(limitMs, connection);
    }
    this.busy = evidence.kind === "busy" ? this.#saidBusy : undefined;
    this.#rest?.cancel();
    if (!this.#ended) this.#rest = this.#clock.setTimer(() => this.reset(), KEPT_MS, true);
    return evidence;
  }

  /** The next question goes through a new connection. Those that are not answered have proven nothing. */
  reset(): void {
    this.#asked.clear();
    this.#letGo();
  }

  /** Every question goes through a new connection, also those that are not answered: they are others' as well. */
  #replace(): void {
    this.#replacements++;
    this.#letGo();
  }

  #letGo(): void {
    this.#connection?.close(new Farewell("not-needed", "no longer needed"));
    this.#connection = undefined;
    this.#opening = undefined;
  }

  close(): void {
    this.#ended = true;
    this.#rest?.cancel();
    this.reset();
  }

  #within(limitMs: number, about: Connection): Promise<Evidence> {
    let answer = this.#asked.get(about);
    if (answer === undefined) {
      const question = this.#question(about).finally(() => {
        if (this.#asked.get(about) === question) this.#asked.delete(about);
      });
      answer = question;
      this.#asked.set(about, answer);
    }
    return new Promise((resolve) => {
      // An application that takes long to hand out its credentials says nothing about the node.
      const isSilent = () => !(this.#awaitsLogin && this.#connection?.wasOpen === true);
      const limit = setPatience(this.#clock, limitMs, () => resolve(isSilent() ? SILENT : NOTHING));
      void answer.then((evidence) => {
        if (evidence === UNANSWERED) return;
        limit.cancel();
        resolve(evidence);
      });
    });
  }

  /** Never rejects. */
  async #question(about: Connection): Promise<Evidence> {
    for (;;) {
      const replacements = this.#replacements;
      const evidence = await this.#attempt(about);
      if (evidence !== NOTHING || replacements === this.#replacements || this.#ended || about.closed) return evidence;
    }
  }

  async #attempt(about: Connection): Promise<Evidence> {
    try {
      const probe = await this.#open();
      if (about.standing !== undefined && !this.#isForbidden) {
        const said = await this.#ofStanding(probe, about.standing);
        if (said !== undefined) return said;
      }
      return await this.#ofPause(probe);
    } catch (error) {
      // The address has passed to another server, and the node is not there any more.
      if (error instanceof StrangerError) this.#onStranger(error);
      if (error instanceof ReplyError && parseErrorReply(error.reply).kind === "busy") {
        this.#saidBusy = error;
        return { kind: "busy" };
      }
      if (isNotInTime(error)) return UNANSWERED;
      const { code = "" } = error as NodeJS.ErrnoException;
      return NOBODY.includes(code) ? SILENT : NOTHING;
    }
  }

  #open(): Promise<Connection> {
    if (this.#ended) throw new Error("no longer needed");
    if (this.#connection?.closed === true) this.#letGo();
    this.#opening ??= openConnection(this.#settings, (created) => {
      this.#connection = created;
    });
    return this.#opening;
  }

  /** Undefined: the user may not ask, or the server is older than the question. */
  async #ofStanding(probe: Connection, standing: Standing): Promise<Evidence | undefined> {
    try {
      const list = await probe.exchange(whatIsInHand(standing))[0];
      // Behind a balancer, another server does not know a connection that is healthy.
      if (list === undefined || probe.standing?.process !== standing.process) return NOTHING;
      return inHandIn(list, standing) ?? NOTHING;
    } catch (error) {
      const kind = error instanceof ReplyError ? parseErrorReply(error.reply).kind : undefined;
      if (kind === undefined || kind === "busy" || kind === "loading") throw error;
      this.#isForbidden = true;
      return undefined;
    }
  }

  async #ofPause(probe: Connection): Promise<Evidence> {
    // Nobody asked for this question. PING, which the handshake sent, is no proof.
    if (this.#settings.isPlain === true) return NOTHING;
    try {
      await probe.exchange(QUESTION)[0];
      return NOTHING;
    } catch (error) {
      if (error instanceof ReplyError && parseErrorReply(error.reply).kind === "noscript") return { kind: "unheld" };
      throw error;
    }
  }
}
