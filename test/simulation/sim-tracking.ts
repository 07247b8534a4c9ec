import type { NodeSession } from "./sim-session.ts";

/** What a server publishes to the connection that hears of changes. */
export const INVALIDATE = "__redis__:invalidate";

/** Which connections one server tells of changes: CLIENT TRACKING ON REDIRECT, over RESP2. */
export class Tracking {
  readonly #readers = new Map<string, Set<NodeSession>>();
  readonly #sessions: ReadonlySet<NodeSession>;

  /** @param sessions  Those that the server has. Whoever is not among them is told nothing, without a word. */
  constructor(sessions: ReadonlySet<NodeSession>) {
    this.#sessions = sessions;
  }

  /** A connection has read keys. A key that is not there is tracked as well. */
  noteRead(session: NodeSession, keys: readonly string[]): void {
    if (session.redirect === undefined) return;
    for (const key of keys) {
      const readers = this.#readers.get(key);
      if (readers === undefined) this.#readers.set(key, new Set([session]));
      else readers.add(session);
    }
  }

  /** A key has changed, or the table was too full for it. Its readers are told once. */
  invalidate(key: string): void {
    const readers = this.#readers.get(key);
    if (readers === undefined) return;
    this.#readers.delete(key);
    for (const reader of readers) this.#tell(reader, [key]);
  }

  /** Everything has changed. */
  invalidateAll(): void {
    this.#readers.clear();
    for (const session of this.#sessions) if (session.redirect !== undefined) this.#tell(session, null);
  }

  /** One of the keys that are tracked. */
  keyAt(position: number): string | undefined {
    return [...this.#readers.keys()][Math.floor(position * this.#readers.size)];
  }

  #tell(reader: NodeSession, keys: readonly string[] | null): void {
    if (!this.#sessions.has(reader) || reader.redirect === undefined) return;
    const hearer = this.hearerOf(reader);
    if (hearer === undefined) reader.isRedirectBroken = true;
    else if (hearer.topics.channel.has(INVALIDATE)) hearer.push(["message", INVALIDATE, keys]);
  }

  /** The connection that a reader's invalidations go to, while it lives. */
  hearerOf({ redirect }: NodeSession): NodeSession | undefined {
    for (const session of this.#sessions) if (session.link.number === redirect) return session;
    return undefined;
  }
}
