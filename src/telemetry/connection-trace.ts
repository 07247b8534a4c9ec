import { type ClientInfo, type DisconnectReason, disconnectChannel } from "./channels.ts";
import { nextSeq } from "./sequence.ts";

/** A connection that is open, as messages tell of it. */
export interface OpenConnection {
  readonly id: number;
  /** As announced. */
  readonly address: string;
  readonly readOnly: boolean;
}

/** The open connections of one client, by their numbers. Publishes their ends. */
export class OpenConnections {
  readonly #client: ClientInfo;
  readonly #open = new Map<number, OpenConnection>();
  #newest = 0;

  constructor(client: ClientInfo) {
    this.#client = client;
  }

  /** The number of a connection that is about to be opened. */
  nextId(): number {
    return ++this.#newest;
  }

  /** Those that are open, oldest first. */
  get all(): readonly OpenConnection[] {
    return [...this.#open.values()];
  }

  opened(connection: OpenConnection): void {
    this.#open.set(connection.id, connection);
  }

  /** @param awaiting  The number of calls whose answers are lost with it. */
  closed(id: number, reason: DisconnectReason, awaiting: number): void {
    const connection = this.#open.get(id);
    if (connection === undefined) return;
    this.#open.delete(id);
    if (!disconnectChannel.hasSubscribers) return;
    const { address } = connection;
    disconnectChannel.publish({ seq: nextSeq(), client: this.#client, id, address, reason, awaiting });
  }
}
