import type { StudyEvent, StudyEventOf } from "../../src/cli/study/events.ts";
import type { Environment, Transport, TransportHandlers } from "../../src/environment.ts";
import { CommandReader } from "../simulation/resp.ts";

type Written = StudyEventOf<"queued">;

/** What a reply on a connection answers. */
interface Awaited {
  /** The call and its attempt; undefined for a command of slotwire's own, or of a group. */
  readonly call: Written | undefined;
}

/** Bytes of the ASKING in front of a command. */
const ASKING_BYTES = "*1\r\n$6\r\nASKING\r\n".length;

/** What slotwire sends by itself. */
const OWN = new Set(
  (
    "ASKING AUTH CLIENT CLUSTER COMMAND FUNCTION HELLO INFO PING READONLY ROLE SCRIPT SELECT " +
    "SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE UNWATCH"
  ).split(" "),
);

/** One connection, as seen from outside the client. */
class Wire {
  readonly id: number;
  readonly address: string;
  isOver = false;
  /** It carries subscriptions, whose messages are no replies. */
  isFeed = false;
  /** It carries reads of the cache, each of which may answer many calls. They are told as no call's. */
  isReader = false;
  /** What was told as written and has not been seen yet. */
  readonly told: Written[] = [];
  readonly reader = new CommandReader();
  readonly awaited: Awaited[] = [];
  /** Bytes of a reply that has not come as a whole. */
  heard = "";
  /** Inside MULTI to EXEC: the transaction's own call, or undefined for a group. */
  within: { readonly call: Written | undefined } | undefined;

  constructor(id: number, address: string) {
    this.id = id;
    this.address = address;
  }
}

/**
 * Looks at all bytes between a client and its servers, and compares them with what is told of the client: a command that was
 * told as written is on that very connection and in that order, no other call is, and what was told as answered is what came.
 */
export class WireTruth {
  /** What was told wrong. */
  readonly broken: string[] = [];
  readonly #wires = new Map<number, Wire>();
  readonly #queued = new Map<string, Written>();
  readonly #settled = new Set<number>();
  /** Attempts in a group: a reply answers all calls of it. */
  readonly #grouped = new Set<string>();
  #opening: StudyEventOf<"connecting"> | undefined;
  #answered: StudyEventOf<"answered">[] = [];
  /** So many commands were seen that were told as written, and so many answers that were told. */
  readonly seen = { written: 0, answered: 0 };

  /** Wraps what opens connections. */
  wrap(open: Environment["open"]): Environment["open"] {
    return (endpoint, handlers) => {
      const opening = this.#opening;
      this.#opening = undefined;
      if (opening === undefined) this.broken.push("a connection was opened and not told");
      const wire = new Wire(opening?.connection ?? 0, opening?.address ?? "");
      this.#wires.set(wire.id, wire);
      return this.#watched(wire, handlers, (watching) => open(endpoint, watching));
    };
  }

  /** Hears an event of the record. */
  onEvent(event: StudyEvent): void {
    if (event.type === "connecting") this.#opening = event;
    else if (event.type === "queued") this.#queued.set(`${event.call} ${event.attempt}`, event);
    else if (event.type === "settled") this.#settled.add(event.call);
    else if (event.type === "answered") this.#answered.push(event);
    else if (event.type === "written") {
      const queued = this.#queued.get(`${event.call} ${event.attempt}`);
      const wire = this.#wires.get(event.connection);
      if (queued === undefined) this.broken.push(`call ${event.call} was told as written, and not as queued`);
      else if (wire === undefined) this.broken.push(`call ${event.call} was written on a connection that is not known`);
      else if (wire.address !== event.address) {
        this.broken.push(
          `call ${event.call} was told as written to ${event.address}, on a connection to ${wire.address}`,
        );
      } else wire.told.push(queued);
    }
  }

  /** Whether the connection of this number is there, from what can be seen from outside. */
  isAlive(connection: number): boolean {
    return this.#wires.get(connection)?.isOver === false;
  }

  /** To be called when the client has done all that it does now. */
  check(): void {
    for (const { told, id } of this.#wires.values()) {
      for (const { call } of told.splice(0)) {
        this.broken.push(`call ${call} was told as written on connection ${id}, and no byte of it was`);
      }
    }
    for (const { call } of this.#answered.splice(0)) {
      this.broken.push(`call ${call} was told as answered, and no reply to it came`);
    }
  }

  #watched(wire: Wire, handlers: TransportHandlers, open: (handlers: TransportHandlers) => Transport): Transport {
    const transport = open({
      ...handlers,
      onData: (bytes) => {
        // The buffer may be used again, so it is read before.
        const replies = this.#repliesIn(wire, bytes.toString("latin1"));
        handlers.onData(bytes);
        this.#compare(wire, replies);
      },
      onClose: (cause) => {
        wire.isOver = true;
        handlers.onClose(cause);
      },
    });
    return {
      get pendingBytes() {
        return transport.pendingBytes;
      },
      write: (binary) => {
        this.#onWrite(wire, binary);
        return transport.write(binary);
      },
      destroy: () => {
        wire.isOver = true;
        transport.destroy();
      },
    };
  }

  #onWrite(wire: Wire, binary: string): void {
    wire.reader.push(binary);
    for (let args = wire.reader.next(); args !== undefined; args = wire.reader.next()) this.#onCommand(wire, args);
  }

  #onCommand(wire: Wire, args: readonly string[]): void {
    const name = args[0] as string;
    if (name.endsWith("SUBSCRIBE")) wire.isFeed = true;
    if (name === "CLIENT" && args[1] === "TRACKING") wire.isReader = true;
    const [told] = wire.told;
    if (wire.within !== undefined) this.#onCommandWithin(wire, wire.within, name);
    else if (told !== undefined && told.command === name && isFrameOf(told, args)) {
      this.#takeTold(wire);
      wire.awaited.push({ call: told });
    } else if (name === "MULTI") {
      const isCall = told?.command === "MULTI";
      wire.within = { call: isCall ? this.#takeTold(wire) : undefined };
      wire.awaited.push({ call: undefined });
    } else {
      if (!OWN.has(name) && !wire.isReader)
        this.broken.push(`${name} was written on connection ${wire.id}, and not told`);
      wire.awaited.push({ call: undefined });
    }
  }

  /** A command between MULTI and EXEC, or EXEC. */
  #onCommandWithin(wire: Wire, { call }: { readonly call: Written | undefined }, name: string): void {
    if (name === "EXEC" || name === "DISCARD") {
      wire.within = undefined;
      wire.awaited.push({ call });
      return;
    }
    wire.awaited.push({ call: undefined });
    if (call !== undefined || name === "SCRIPT") return;
    // Of a group: each call is told by itself, and may be sent by EVAL here.
    if (wire.told.length === 0) this.broken.push(`${name} of a group was written on ${wire.id}, and not told`);
    else {
      const told = this.#takeTold(wire);
      if (told !== undefined) this.#grouped.add(`${told.call} ${told.attempt}`);
    }
  }

  #takeTold(wire: Wire): Written | undefined {
    this.seen.written++;
    return wire.told.shift();
  }

  /** The replies that end in these bytes, each with what it answers. */
  #repliesIn(wire: Wire, bytes: string): { readonly call: Written; readonly reply: string }[] {
    if (wire.isFeed) return [];
    wire.heard += bytes;
    const replies: { call: Written; reply: string }[] = [];
    let start = 0;
    for (let end = endOfReply(wire.heard, 0); end !== undefined; end = endOfReply(wire.heard, end)) {
      const call = wire.awaited.shift()?.call;
      if (call !== undefined) replies.push({ call, reply: wire.heard.slice(start, end) });
      start = end;
    }
    wire.heard = wire.heard.slice(start);
    return replies;
  }

  /** What the client has told while it read these replies. */
  #compare(wire: Wire, replies: readonly { readonly call: Written; readonly reply: string }[]): void {
    const here = this.#answered.filter(({ connection }) => connection === wire.id);
    this.#answered = this.#answered.filter(({ connection }) => connection !== wire.id);
    for (const { call: written, reply } of replies) {
      const { call, attempt } = written;
      const at = here.findIndex((answer) => answer.call === call && answer.attempt === attempt);
      const [told] = at === -1 ? [] : here.splice(at, 1);
      if (told !== undefined) this.#compareAnswer(told, reply);
      else if (!this.#settled.has(call) && !wire.isOver) this.broken.push(`call ${call} was answered, and not told so`);
    }
    for (const { call, attempt, kind } of here) {
      if (!this.#grouped.delete(`${call} ${attempt}`))
        this.broken.push(`call ${call} was told as answered by ${kind}, and no reply to it came`);
    }
  }

  #compareAnswer({ call, kind, bytes, text }: StudyEventOf<"answered">, reply: string): void {
    this.seen.answered++;
    if (bytes !== reply.length)
      this.broken.push(`call ${call} was answered by ${reply.length} bytes, told as ${bytes}`);
    const error = reply.startsWith("-") ? reply.slice(1, -2) : undefined;
    if ((error !== undefined) !== (kind !== "reply")) this.broken.push(`call ${call} was told as answered by ${kind}`);
    if (error === undefined) return;
    if (text !== null && text !== error) this.broken.push(`call ${call} was told as answered by another text`);
    if (kind !== "error" && kind !== error.split(" ", 1)[0])
      this.broken.push(`call ${call} was told as met by ${kind}`);
  }
}

/** Whether a command on the wire has as many bytes as was told. */
function isFrameOf({ bytes, asking }: Written, args: readonly string[]): boolean {
  let length = `*${args.length}\r\n`.length;
  for (const arg of args) length += `$${arg.length}\r\n`.length + arg.length + 2;
  return length === bytes - (asking ? ASKING_BYTES : 0);
}

/** Behind the reply that begins at `at`, or undefined if it has not come as a whole. RESP2. */
function endOfReply(text: string, at: number): number | undefined {
  const lineEnd = text.indexOf("\r\n", at);
  if (at >= text.length || lineEnd === -1) return undefined;
  const type = text[at];
  const number = Number(text.slice(at + 1, lineEnd));
  let end = lineEnd + 2;
  if (type === "$" && number >= 0) {
    end += number + 2;
    return end <= text.length ? end : undefined;
  }
  if (type !== "*") return end;
  for (let index = 0; index < number; index++) {
    const next = endOfReply(text, end);
    if (next === undefined) return undefined;
    end = next;
  }
  return end;
}
