import type { Environment, Transport, TransportHandlers } from "../../environment.ts";

/** The server has had the request for so long when the connection is cut, so that it has run by then. */
const HEARD_MS = 50;

/**
 * Loses replies: between a client and its environment's sockets, it can cut a connection after a request was written and
 * before its reply is heard. The servers are real, so the request has run.
 *
 *   written (the request is in it) --> bytes arrive: held back --> 50 ms later: the connection is cut
 */
export class LostReplies {
  #wanted: string | undefined;
  #onCut: (address: string) => void = () => {};

  /** The environment for the client whose replies can be lost. */
  over(environment: Environment): Environment {
    return {
      ...environment,
      open: (endpoint, handlers) => {
        const deaf = new DeafTransport(this, environment, handlers, `${endpoint.host}:${endpoint.port}`);
        deaf.begin((heard) => environment.open(endpoint, heard));
        return deaf;
      },
    };
  }

  /**
   * Loses the reply to the next request that contains these bytes.
   * @param request  A binary string.
   * @param onCut    Called with the address that the connection led to, when it is cut.
   */
  lose(request: string, onCut: (address: string) => void): void {
    this.#wanted = request;
    this.#onCut = onCut;
  }

  /** Loses no reply any more, unless its request has been written. */
  spare(): void {
    this.#wanted = undefined;
  }

  /** Whether what is written contains the request whose reply is to be lost. It is asked for once. */
  takes(binary: string): boolean {
    if (this.#wanted === undefined || !binary.includes(this.#wanted)) return false;
    this.#wanted = undefined;
    return true;
  }

  cut(address: string): void {
    this.#onCut(address);
  }
}

class DeafTransport implements Transport {
  readonly #losing: LostReplies;
  readonly #environment: Environment;
  readonly #handlers: TransportHandlers;
  readonly #address: string;
  #transport!: Transport;
  #state: "hears" | "deaf" | "cutting" = "hears";

  constructor(losing: LostReplies, environment: Environment, handlers: TransportHandlers, address: string) {
    this.#losing = losing;
    this.#environment = environment;
    this.#handlers = handlers;
    this.#address = address;
  }

  begin(open: (heard: TransportHandlers) => Transport): void {
    const handlers = this.#handlers;
    this.#transport = open({
      onOpen: () => handlers.onOpen(),
      onData: (bytes) => (this.#state === "hears" ? handlers.onData(bytes) : this.#holdBack()),
      onDrain: () => handlers.onDrain(),
      onClose: (cause) => handlers.onClose(cause),
    });
  }

  get pendingBytes(): number {
    return this.#transport.pendingBytes;
  }

  write(binary: string): boolean {
    // The request before, because its reply cannot come before this function returns.
    if (this.#state === "hears" && this.#losing.takes(binary)) this.#state = "deaf";
    return this.#transport.write(binary);
  }

  destroy(): void {
    this.#transport.destroy();
  }

  /** Replies come in order, so what arrives first can be another one. The server goes on with the request meanwhile. */
  #holdBack(): void {
    if (this.#state === "cutting") return;
    this.#state = "cutting";
    this.#environment.clock.setTimer(
      () => {
        this.#losing.cut(this.#address);
        this.#transport.destroy();
      },
      HEARD_MS,
      true,
    );
  }
}
