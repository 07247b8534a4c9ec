import type { Environment, Transport, TransportHandlers } from "../../environment.ts";
import { formatAddress } from "../../protocol/node-address.ts";
import type { StudyEvent, StudyEventOf } from "./events.ts";
import {
  commandsIn,
  hasSecrets,
  ReplySplitter,
  redactedCommand,
  redactedReply,
  type WrittenCommand,
} from "./wire-text.ts";

/** What goes over a connection, one command or reply each. The recorder adds `seq` and `at`. */
export type WireEvent = Omit<StudyEventOf<"bytes">, "seq" | "at">;

/** Takes what goes over the connections. */
export interface WireListener {
  /** Whether it is shown arguments and replies. */
  showsArguments: boolean;
  readonly hear: (event: WireEvent) => void;
}

/** An attempt that is about to be written, as the record says. */
interface Due {
  readonly call: number;
  readonly attempt: number;
  readonly connection: number;
  readonly queued: StudyEventOf<"queued"> | undefined;
}

/** The attempt that a command belongs to. */
type Owner = Pick<Due, "call" | "attempt">;

const ASKING_BYTES = 16;
/** Of longer commands and replies only the beginning is kept. */
export const MOST_TEXT = 256 * 1024;
/** After these, a server sends replies that nobody asked for. */
const SUBSCRIBES = /^(S|P)?(UN)?SUBSCRIBE$|^MONITOR$/i;

/**
 * Hears the bytes between a client and its nodes: it stands between the client and its environment's `open`. The client's
 * record tells it which attempts are about to be written, and so it knows whose bytes they are.
 *
 *   record: written(call, attempt) ... -> the client writes, in the same tick -> frames of these attempts and others
 *   replies come in the order of the commands
 *
 * Passwords are never shown. Other arguments, and what replies say of the data, are shown only if they are asked for.
 */
export class WireTap {
  /** Takes what was heard, in its order. Nothing is kept while it is undefined. */
  sink: ((event: WireEvent) => void) | undefined;
  /** Whether arguments and replies are shown. */
  showsArguments: boolean;
  /** Others that take the same, as long as they are in here. */
  readonly others = new Set<WireListener>();
  readonly #queued = new Map<string, StudyEventOf<"queued">>();
  #due: Due[] = [];
  #connecting: StudyEventOf<"connecting"> | undefined;

  constructor({ showsArguments = false }: { readonly showsArguments?: boolean } = {}) {
    this.showsArguments = showsArguments;
  }

  /** The environment for the client whose bytes are to be heard. */
  over(environment: Environment): Environment {
    return {
      ...environment,
      open: (endpoint, handlers) => {
        const wire = new Wire(this, this.#connecting, formatAddress(endpoint));
        this.#connecting = undefined;
        return new TappedTransport(wire, handlers, (tapped) => environment.open(endpoint, tapped));
      },
    };
  }

  /** Tells the tap an event of the client's record, when it happens. */
  hear(event: StudyEvent): void {
    switch (event.type) {
      case "connecting":
        this.#connecting = event;
        return;
      case "connected":
        if (this.#connecting?.connection === event.connection) this.#connecting = undefined;
        return;
      case "queued":
        this.#queued.set(`${event.call} ${event.attempt}`, event);
        return;
      case "written": {
        const { call, attempt, connection } = event;
        const key = `${call} ${attempt}`;
        this.#due.push({ call, attempt, connection, queued: this.#queued.get(key) });
        this.#queued.delete(key);
        return;
      }
      case "settled":
        // Of attempts that were never written, too.
        for (let attempt = 1; attempt <= event.attempts; attempt++) this.#queued.delete(`${event.call} ${attempt}`);
    }
  }

  /** Tells what was heard to all that want it, each with or without arguments. */
  tell(eventWith: (showsArguments: boolean) => WireEvent): void {
    this.sink?.(eventWith(this.showsArguments));
    for (const { showsArguments, hear } of this.others) hear(eventWith(showsArguments));
  }

  /** Takes the attempts that were said to be written since it was last asked. */
  takeDue(): Due[] {
    const due = this.#due;
    if (due.length > 0) this.#due = [];
    return due;
  }
}

/** A command that has been written in this tick. */
interface Sent extends WrittenCommand {
  owner: Owner | undefined;
}

/** The bytes of one connection. */
class Wire {
  readonly #tap: WireTap;
  readonly #address: string;
  #connection: number;
  /** Whose replies are awaited, oldest first. */
  readonly #awaited: (Owner | undefined)[] = [];
  /** Commands of this tick. They are told at its end, because the attempts that they belong to may be told later. */
  #sent: Sent[] = [];
  #due: Due[] = [];
  #isSubscribed = false;
  readonly #replies = new ReplySplitter(MOST_TEXT, (text, length) => this.#received(text, length));

  constructor(tap: WireTap, connecting: StudyEventOf<"connecting"> | undefined, address: string) {
    this.#tap = tap;
    this.#connection = connecting?.connection ?? 0;
    this.#address = connecting?.address ?? address;
  }

  onWrite(binary: string): void {
    if (this.#sent.length === 0) queueMicrotask(() => this.tell());
    for (const command of commandsIn(binary)) this.#sent.push({ ...command, owner: undefined });
    this.#due.push(...this.#tap.takeDue());
    this.#due = this.#due.filter((due) => !this.#claim(due));
  }

  onData(bytes: Buffer): void {
    this.tell();
    this.#replies.push(bytes);
  }

  /** Finds the command of an attempt, with the load and the ASKING in front of it. */
  #claim({ call, attempt, connection, queued }: Due): boolean {
    if (queued === undefined) return true;
    const size = queued.bytes - (queued.asking ? ASKING_BYTES : 0);
    const index = this.#sent.findIndex(({ owner, text, args }) => {
      return owner === undefined && text.length === size && args[0]?.toUpperCase() === queued.command.toUpperCase();
    });
    if (index === -1) return false;
    this.#connection = connection;
    const owner = { call, attempt };
    (this.#sent[index] as Sent).owner = owner;
    const before = this.#sent.slice(0, index);
    const claimLast = (is: (command: Sent) => boolean) => {
      const found = before.findLast((command) => command.owner === undefined && is(command));
      if (found !== undefined) found.owner = owner;
    };
    if (queued.asking) claimLast(({ args }) => args[0] === "ASKING");
    if (queued.loadBytes > 0) claimLast(({ text, args }) => args[1] === "LOAD" && text.length === queued.loadBytes);
    return true;
  }

  tell(): void {
    const sent = this.#sent;
    if (sent.length === 0) return;
    this.#sent = [];
    this.#due = [];
    for (const { args, text, owner } of sent) {
      if (SUBSCRIBES.test(args[0] ?? "")) this.#isSubscribed = true;
      this.#awaited.push(owner);
      this.#tell("sent", owner, text.length, (showsArguments) => {
        const shown = showsArguments && !hasSecrets(args) ? text : redactedCommand(args);
        return [shown.slice(0, MOST_TEXT), Math.max(0, shown.length - MOST_TEXT)];
      });
    }
  }

  #received(text: string, length: number): void {
    // Messages come between the replies, so nobody knows any more whose a reply is.
    const owner = this.#isSubscribed ? undefined : this.#awaited.shift();
    const left = length - text.length;
    this.#tell("received", owner, length, (showsArguments) => [showsArguments ? text : redactedReply(text), left]);
  }

  /** @param textOf  What is told, with or without arguments, and how many bytes behind it are not. */
  #tell(
    direction: WireEvent["direction"],
    owner: Owner | undefined,
    length: number,
    textOf: (showsArguments: boolean) => readonly [text: string, left: number],
  ): void {
    const { call = null, attempt = null } = owner ?? {};
    const where = { connection: this.#connection, address: this.#address, call, attempt };
    this.#tap.tell((showsArguments) => {
      const [text, left] = textOf(showsArguments);
      const told = left > 0 ? `${text}... ${left} more bytes` : text;
      return { type: "bytes", ...where, direction, text: told, length };
    });
  }
}

class TappedTransport implements Transport {
  readonly #wire: Wire;
  readonly #transport: Transport;

  constructor(wire: Wire, handlers: TransportHandlers, open: (tapped: TransportHandlers) => Transport) {
    this.#wire = wire;
    this.#transport = open({
      onOpen: () => handlers.onOpen(),
      onData(bytes) {
        wire.onData(bytes);
        handlers.onData(bytes);
      },
      onDrain: () => handlers.onDrain(),
      onClose: (cause) => handlers.onClose(cause),
    });
  }

  get pendingBytes(): number {
    return this.#transport.pendingBytes;
  }

  write(binary: string): boolean {
    this.#wire.onWrite(binary);
    return this.#transport.write(binary);
  }

  destroy(): void {
    this.#transport.destroy();
  }
}
