import { CommandReader, encodeReply, HELD_UP, type Value, Waits } from "./resp.ts";
import type { Link, Session } from "./sim-network.ts";
import type { SimNode } from "./sim-node.ts";

/** A client's connection, seen from the server. */
export class NodeSession implements Session {
  readonly node: SimNode;
  readonly link: Link;
  isLoggedIn: boolean;
  isReadOnly = false;
  /** The command that comes next may be for a slot that is on its way here. */
  asking = false;
  /** ASKING came last, whether it was heeded or not. */
  wasAsked = false;
  /** Commands behind MULTI. */
  queued: string[][] | undefined;
  isDiscarded = false;
  /** What it is subscribed to. */
  readonly topics = { channel: new Set<string>(), pattern: new Set<string>(), shard: new Set<string>() };
  /** The connection that hears of changes to what this one reads. Undefined: this one's reads are not tracked. */
  redirect: number | undefined;
  /** Something was to be told to it when it was gone. */
  isRedirectBroken = false;
  readonly watched = new Map<string, number>();
  /** How many keys the last EXEC had watched. */
  watchedAtExec = 0;
  /** What the first of them held then. */
  heldAtExec: string | null | undefined;
  readonly #reader = new CommandReader();
  #unread: string[] = [];
  /** Calls that have run since the last reply left. */
  ran: number[] = [];
  /** The reply to the script that runs for this session. */
  #late: string | undefined;
  /** A command that a pause holds up. It has not been looked at. */
  #heldUp: string[] | undefined;
  /** Until when the server has something of this connection in hand, and answers others. */
  #busyUntil = 0;
  #gone = false;
  #isAtWork = false;
  /** What leaves when it has done its work. */
  #out = "";
  /** The command that waits, and until when. */
  #waits: { readonly args: readonly string[]; readonly until: number } | undefined;

  constructor(node: SimNode, link: Link) {
    this.node = node;
    this.link = link;
    this.isLoggedIn = node.world.password === undefined;
  }

  get isSubscribed(): boolean {
    const { channel, pattern, shard } = this.topics;
    return channel.size + pattern.size + shard.size > 0;
  }

  /** Something that no command has asked for now. `isNews`: whether it tells the end of a subscription. */
  push(values: readonly Value[], isNews = false): void {
    const { bus, story } = this.node.world;
    story.tell(() => `    ${this.link} is sent ${encodeReply(values).replaceAll("\r\n", " ")}`);
    const bytes = encodeReply(values);
    // What comes while commands are executed keeps its place among their replies.
    if (this.#isAtWork) this.#out += bytes;
    else if (isNews) this.link.send(bytes, (time) => bus.onNews(this.link, String(values[1]), time));
    else this.link.send(bytes);
  }

  /** What CLIENT INFO and CLIENT LIST say of it. */
  get description(): string {
    const isWaiting =
      this.#waits !== undefined || this.#heldUp !== undefined || this.#late !== undefined || this.#isBusy;
    const [qbuf, argv] = [this.#reader.length, this.#heldUp === undefined ? 0 : 100];
    const state = `flags=${isWaiting ? "b" : "N"} db=0 qbuf=${qbuf} argv-mem=${argv} obl=0 oll=0 omem=0`;
    return `id=${this.link.number} addr=10.1.0.1:${20_000 + this.link.number} age=0 idle=0 ${state}`;
  }

  get #isBusy(): boolean {
    return this.#busyUntil > this.node.world.loop.time;
  }

  /** The server is busy for this connection alone, as with a command in a thread. */
  keepBusy(milliseconds: number): void {
    const { loop } = this.node.world;
    this.#busyUntil = loop.time + milliseconds;
    loop.inWorld(milliseconds, () => this.work());
  }

  receive(binary: string): void {
    if (this.#waits !== undefined) this.node.world.ledger.noteQueuing(binary, this.node.name);
    this.#unread.push(binary);
    this.work();
  }

  onClosed(): void {
    this.#gone = true;
    this.#waits = undefined;
    this.node.waiting.delete(this);
    if (!this.node.isFrozen && this.#unread.length === 0) this.#leave();
  }

  #leave(): void {
    this.node.sessions.delete(this);
    this.node.pubsub.forget(this);
  }

  /** Executes what has come, as far as the server can. */
  work(): void {
    const { node } = this;
    if (node.isFrozen || !node.sessions.has(this)) return;
    for (const binary of this.#unread.splice(0)) {
      this.#reader.push(binary);
      this.link.hasRead(binary.length);
    }
    const now = node.world.loop.time;
    this.#isAtWork = true;
    this.#out += this.#answerWaiting();
    while (this.#waits === undefined && !this.#isBusy) {
      if (node.blockedUntil > now && (this.#late !== undefined || now < node.busyFrom)) break;
      if (this.#late !== undefined) {
        this.#out += this.#late;
        this.#late = undefined;
      }
      const args = this.#heldUp ?? this.#reader.next();
      if (args === undefined) break;
      this.#heldUp = undefined;
      const value = this.#execute(args);
      if (value === HELD_UP) {
        this.#heldUp = args;
        break;
      }
      if (value instanceof Waits) {
        this.#wait(args, value.ms);
        break;
      }
      const reply = encodeReply(value);
      if (node.blockedUntil > now && this.#startedScript) this.#late = reply;
      else this.#out += reply;
    }
    const out = this.#out;
    this.#out = "";
    this.#isAtWork = false;
    if (this.#gone && this.#late === undefined) this.#leave();
    // While a script runs, its call is among those that have run, and has no reply.
    if (this.#late !== undefined || this.ran.length === 0) this.link.send(out);
    else {
      const { ran } = this;
      this.ran = [];
      this.link.send(out, (time) => node.world.ledger.noteArrival(ran, time));
    }
    if (node.hasPushed) {
      node.hasPushed = false;
      node.serveWaiting();
    }
  }

  #wait(args: readonly string[], ms: number): void {
    const { node } = this;
    const { loop } = node.world;
    this.#waits = { args, until: loop.time + ms };
    node.waiting.add(this);
    loop.inWorld(ms, () => this.work());
  }

  #answerWaiting(): string {
    const { node } = this;
    const { commands, loop, story } = node.world;
    if (this.#waits === undefined || node.blockedUntil > loop.time) return "";
    const { args, until } = this.#waits;
    const reply = commands.answerTo(this, args, until <= loop.time);
    if (reply === undefined) return "";
    this.#waits = undefined;
    node.waiting.delete(this);
    story.tell(() => `    ${this.link}: ${args.join(" ")} has waited -> ${encodeReply(reply).replaceAll("\r\n", " ")}`);
    return encodeReply(reply);
  }

  #startedScript = false;

  #execute(args: string[]): Value | Waits {
    const { node } = this;
    const { commands, story } = node.world;
    const wasBlocked = node.blockedUntil > node.world.loop.time;
    const reply = commands.execute(this, args);
    this.#startedScript = !wasBlocked;
    story.tell(() => {
      const text = reply instanceof Waits ? "waits" : encodeReply(reply).replaceAll("\r\n", " ");
      return `    ${this.link}: ${args.join(" ").slice(0, 120)} -> ${text.slice(0, 160)}`;
    });
    return reply;
  }
}
