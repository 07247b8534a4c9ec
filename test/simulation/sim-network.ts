import type { Endpoint, Transport, TransportHandlers } from "../../src/environment.ts";
import type { Chance } from "./random.ts";
import type { SimLoop } from "./sim-loop.ts";
import { type Story, shown } from "./story.ts";

/** A server's side of a connection. */
export interface Session {
  receive(binary: string): void;
  /** The client is gone; all that it sent has been received. */
  onClosed(): void;
}

/** Who listens at an address. */
export interface Listener {
  readonly name: string;
  /** It is not of the cluster that the client is connected to. */
  readonly isStranger: boolean;
  /** `refuses`: nobody listens. `vanished`: nothing ever comes back, not even from the system. */
  readonly reachability: "accepts" | "refuses" | "vanished";
  accept(link: Link): Session;
}

/** How all connections of a run behave. */
export interface NetworkProfile {
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** Bytes that pass in a millisecond, in each direction of a connection. */
  readonly bytesPerMs: number;
  /** Bytes of the longest piece in which bytes arrive. */
  readonly pieceBytes: number;
  /** Bytes that a system takes before the other side has read them. */
  readonly kernelBytes: number;
  /** Bytes that wait in the process from which on `write` says stop. */
  readonly highWaterMark: number;
}

/** Who looks at what the client writes. */
export type Wiretap = (binary: string, link: Link) => void;

/** Connections between the client and the simulated servers. */
export class SimNetwork {
  readonly loop: SimLoop;
  readonly chance: Chance;
  readonly story: Story;
  profile: NetworkProfile;
  readonly wiretap: Wiretap;
  readonly links = new Set<Link>();
  /** Connections that were cut, or let bytes vanish. */
  broken = 0;
  readonly #listeners = new Map<string, Listener>();
  #number = 0;

  constructor(loop: SimLoop, chance: Chance, story: Story, profile: NetworkProfile, wiretap: Wiretap) {
    this.loop = loop;
    this.chance = chance;
    this.story = story;
    this.profile = profile;
    this.wiretap = wiretap;
  }

  /** From now on `listener` is found at an address; nobody when it is undefined. */
  listen(address: string, listener: Listener | undefined): void {
    if (listener === undefined) this.#listeners.delete(address);
    else this.#listeners.set(address, listener);
  }

  listenerAt(address: string): Listener | undefined {
    return this.#listeners.get(address);
  }

  readonly open = ({ host, port }: Endpoint, handlers: TransportHandlers): Transport => {
    const link = new Link(this, ++this.#number, `${host}:${port}`, handlers);
    this.links.add(link);
    return link;
  };

  /** When bytes arrive that leave now, behind others that arrive at `earlier`. */
  arrival(earlier: number, bytes: number): number {
    const takesMs = bytes / this.profile.bytesPerMs;
    return Math.max(earlier + takesMs, this.loop.time + this.latency() + takesMs);
  }

  /** It is as fast as any other. */
  mend(): void {
    this.profile = { ...this.profile, bytesPerMs: Number.POSITIVE_INFINITY };
  }

  latency(): number {
    return this.profile.latencyMs + this.profile.jitterMs * this.chance.next();
  }
}

/** Bytes read by the client, in a buffer that is overwritten as soon as the reader is done. */
const READ_BUFFER = Buffer.alloc(64 * 1024);
const SPOILT = 0x21;
/** Until a system has found out that nobody is on the other side any more. */
const KEEP_ALIVE_MS = 25_000;
/** In which bytes come on a slow network. */
const STEP_MS = 50;
/** In which one write or reply arrives. */
const MOST_PIECES = 8;

/** One connection: the client's transport, and the way to the server's session. */
export class Link implements Transport {
  readonly number: number;
  /** The address that it leads to. */
  readonly server: string;
  /** Who accepted it is not of the client's cluster. */
  leadsAstray = false;
  readonly #network: SimNetwork;
  readonly #handlers: TransportHandlers;
  #session: Session | undefined;
  #state: "connecting" | "open" | "closed" = "connecting";
  #serverClosed = false;
  /** The client knows that the connection has ended. */
  #isOver = false;
  /** Nothing passes any more, and nobody is told. */
  #halfOpen = false;
  /** When the client wrote to it last. */
  #writtenAt = 0;
  /** What was written last may wait at the server for as long as it likes. */
  #mayWait = false;
  #unsent = "";
  #inKernel = 0;
  #wantsDrain = false;
  /** When the last byte of each direction arrives: later ones come no earlier. */
  #upstreamAt = 0;
  #downstreamAt = 0;
  /** What is on its way in this direction is lost, and whatever follows it. */
  #upstreamLost = false;
  #downstreamLost = false;

  constructor(network: SimNetwork, number: number, address: string, handlers: TransportHandlers) {
    this.#network = network;
    this.#handlers = handlers;
    this.number = number;
    this.server = address;
    const { loop } = network;
    if (network.listenerAt(address)?.reachability === "vanished") return;
    loop.inWorld(network.latency() * 2, () => {
      const listener = network.listenerAt(address);
      if (this.#state === "closed" || listener?.reachability === "vanished") return;
      if (listener === undefined || listener.reachability !== "accepts") {
        const refused = new Error(`connect ECONNREFUSED ${this.server}`);
        this.#closeAtClient(Object.assign(refused, { code: "ECONNREFUSED" }));
        return;
      }
      if (this.#halfOpen) return;
      this.leadsAstray = listener.isStranger;
      loop.arrive(() => {
        if (this.#state !== "connecting") return;
        this.#state = "open";
        this.#handlers.onOpen();
      });
      // What it says at once comes behind that.
      this.#session = listener.accept(this);
    });
  }

  /** Bytes that had arrived can be read behind the end of the connection, unless a write met that end first. */
  get #isReadable(): boolean {
    return this.#state !== "connecting" && !this.#isOver;
  }

  /** How long ago the client wrote something to it that will never be answered; undefined when it is not half-open. */
  get unansweredMs(): number | undefined {
    return this.#halfOpen && !this.#mayWait && this.#writtenAt > 0
      ? this.#network.loop.time - this.#writtenAt
      : undefined;
  }

  /** Whether bytes pass in both directions. */
  get isWhole(): boolean {
    return this.#state === "open" && !this.#halfOpen;
  }

  get pendingBytes(): number {
    return this.#unsent.length;
  }

  write(binary: string): boolean {
    const { story, profile, wiretap } = this.#network;
    story.tell(() => `client -> ${this} ${shown(binary)}${this.#state === "open" ? "" : ` (${this.#state})`}`);
    wiretap(binary, this);
    this.#writtenAt = this.#network.loop.time;
    this.#mayWait = binary.includes("\r\nBLPOP\r\n");
    if (this.#state === "closed") {
      this.#isOver = true;
      return false;
    }
    this.#unsent += binary;
    const goesOn = this.#unsent.length < profile.highWaterMark;
    if (!goesOn) this.#wantsDrain = true;
    this.#pump();
    return goesOn;
  }

  destroy(): void {
    this.#isOver = true;
    if (this.#state === "closed") return;
    const { loop, chance, story } = this.#network;
    story.tell(() => `client closes ${this}`);
    this.#unsent = "";
    if (chance.of(0.3)) this.#lose("upstream");
    const session = this.#session;
    if (session !== undefined && !this.#halfOpen) {
      loop.inWorld(Math.max(this.#upstreamAt - loop.time, 0) + 0.01, () => {
        if (!this.#serverClosed) session.onClosed();
        this.#serverClosed = true;
      });
    }
    this.#closeAtClient(undefined);
  }

  /** The server's reply. `onArrived` gets the time from which on the client can read all of it. */
  send(binary: string, onArrived?: (time: number) => void): void {
    if (this.#serverClosed || this.#state === "closed" || binary === "") return;
    const { loop, story } = this.#network;
    story.tell(() => `${this} replies ${shown(binary)}`);
    for (const piece of this.#pieces(binary)) {
      this.#downstreamAt = this.#network.arrival(this.#downstreamAt, piece.length);
      loop.inWorldAt(this.#downstreamAt, () => {
        if (this.#downstreamLost) return;
        loop.arrive(() => this.#deliver(piece));
      });
    }
    if (onArrived === undefined) return;
    loop.inWorldAt(this.#downstreamAt, () => {
      const arrivedAt = loop.time;
      if (this.#downstreamLost) return;
      loop.arrive(() => {
        if (this.#isReadable) onArrived(arrivedAt);
      });
    });
  }

  /**
   * What the server sends from now on comes later.
   * @param isLoss  For so long that the connection may be taken for dead.
   */
  delay(milliseconds: number, isLoss = false): void {
    if (isLoss) this.#network.broken++;
    this.#downstreamAt = Math.max(this.#downstreamAt, this.#network.loop.time + milliseconds);
  }

  /** The server says why it does not serve this connection, and ends it. */
  refuse(words: string): void {
    const { loop } = this.#network;
    this.send(words);
    this.#serverClosed = true;
    loop.inWorld(this.#downstreamAt - loop.time + 0.01, () => this.#closeAtClient(new Error("the server ended it")));
  }

  /** The server, or something on the way, ends the connection. Of what is on its way a part may still arrive. */
  cut(why: string): void {
    if (this.#serverClosed || this.#state === "closed") return;
    const { loop, chance, story } = this.#network;
    story.tell(() => `${this} is cut: ${why}`);
    this.#network.broken++;
    if (chance.of(0.5)) this.#lose("upstream");
    if (chance.of(0.5)) this.#lose("downstream");
    const session = this.#session;
    loop.inWorld(Math.max(this.#upstreamAt - loop.time, 0) + 0.01, () => {
      if (!this.#serverClosed) session?.onClosed();
      this.#serverClosed = true;
    });
    const seenAt = Math.max(this.#downstreamAt - loop.time, 0) + this.#network.latency();
    loop.inWorld(seenAt, () => this.#closeAtClient(new Error(why)));
  }

  /** The server is dead: whatever it has not read it never will. */
  serverDied(): void {
    this.#network.broken++;
    this.#lose("upstream");
    this.#serverClosed = true;
    if (this.#halfOpen) return;
    this.#network.loop.inWorld(this.#network.latency(), () => this.#closeAtClient(new Error("read ECONNRESET")));
  }

  /** From now on bytes vanish in both directions, and nobody is told. */
  goHalfOpen(): void {
    this.#network.story.tell(() => `${this} is half-open from now on`);
    this.#halfOpen = true;
    this.#writtenAt = 0;
    this.#network.broken++;
    this.#lose("upstream");
    this.#lose("downstream");
    this.#network.loop.inWorld(KEEP_ALIVE_MS, () => this.#closeAtClient(new Error("read ETIMEDOUT")));
  }

  /** The same, and the server ends its side: what is tracked for the connection is forgotten, and no byte tells of it. */
  endUnheard(): void {
    this.goHalfOpen();
    if (!this.#serverClosed) this.#session?.onClosed();
    this.#serverClosed = true;
  }

  toString(): string {
    return `#${this.number} to ${this.server}`;
  }

  #lose(direction: "upstream" | "downstream"): void {
    if (direction === "upstream") this.#upstreamLost = true;
    else this.#downstreamLost = true;
  }

  #deliver(piece: string): void {
    for (let at = 0; at < piece.length && this.#isReadable; at += READ_BUFFER.length) {
      const bytes = READ_BUFFER.subarray(0, READ_BUFFER.write(piece.slice(at, at + READ_BUFFER.length), "latin1"));
      this.#handlers.onData(bytes);
      bytes.fill(SPOILT);
    }
  }

  /** What the system takes goes on its way. */
  #pump(): void {
    const { loop, profile } = this.#network;
    const taken = this.#unsent.slice(0, Math.max(0, profile.kernelBytes - this.#inKernel));
    if (taken !== "") {
      this.#unsent = this.#unsent.slice(taken.length);
      this.#inKernel += taken.length;
      for (const piece of this.#pieces(taken)) {
        this.#upstreamAt = this.#network.arrival(this.#upstreamAt, piece.length);
        loop.inWorldAt(this.#upstreamAt, () => {
          if (this.#serverClosed || this.#upstreamLost) return;
          this.#session?.receive(piece);
        });
      }
    }
    if (this.#unsent === "" && this.#wantsDrain) {
      this.#wantsDrain = false;
      loop.arrive(() => {
        if (this.#state === "open") this.#handlers.onDrain();
      });
    }
  }

  /** The server has read so much. */
  hasRead(bytes: number): void {
    this.#inKernel -= bytes;
    if (this.#unsent !== "") this.#pump();
  }

  #closeAtClient(cause: Error | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#unsent = "";
    this.#network.links.delete(this);
    this.#network.loop.arrive(() => {
      this.#isOver = true;
      this.#handlers.onClose(cause);
    });
  }

  /** Short pieces first; the rest of what is long comes at once, or a run would be nothing but pieces. */
  #pieces(binary: string): string[] {
    const { profile, chance } = this.#network;
    // On a slow network bytes come as they pass.
    const most = Math.min(binary.length, STEP_MS * profile.bytesPerMs);
    const pieces: string[] = [];
    let at = 0;
    while (binary.length - at > profile.pieceBytes && pieces.length < MOST_PIECES) {
      const length = chance.whole(1, chance.of(0.2) ? binary.length - at : profile.pieceBytes);
      pieces.push(binary.slice(at, at + Math.min(most, length)));
      at += Math.min(most, length);
    }
    for (; at < binary.length; at += most) pieces.push(binary.slice(at, at + most));
    return pieces;
  }
}
