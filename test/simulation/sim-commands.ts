import { marksIn } from "./ledger.ts";
import { ErrorReply, HELD_UP, OK, QUEUED, SimpleString, type Value, Waits } from "./resp.ts";
import type { Describer } from "./sim-description.ts";
import { increment, load, NUMBERED_KEYS, noted, runScript, WRONG_TYPE_OF_NUMBER } from "./sim-effects.ts";
import { pop, push, scanStep } from "./sim-lists.ts";
import type { SimNode } from "./sim-node.ts";
import { isDenied, NO_CHANNEL, notNow, PUBSUB_COMMANDS, SUBSCRIBES, WHILE_SUBSCRIBED } from "./sim-pubsub-commands.ts";
import { redirectionOf, shardRedirectionOf, slotOfKey } from "./sim-routing.ts";
import type { NodeSession } from "./sim-session.ts";
import { TRACKING_COMMANDS } from "./sim-tracking-commands.ts";

export interface Command {
  readonly keys: (args: readonly string[], node: SimNode) => readonly string[];
  readonly isWrite: boolean;
  readonly whileBusy: boolean;
  readonly whileLoading: boolean;
  /** Its keys are sharded channels. */
  readonly isSharded: boolean;
  readonly run: (session: NodeSession, args: readonly string[]) => Value | Waits;
}

const NO_KEYS = (): readonly string[] => [];
const ONE_KEY = (args: readonly string[]) => args.slice(1, 2);
const ALL_KEYS = (args: readonly string[]) => args.slice(1);

const UNBLOCKED = new ErrorReply(
  "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
);
const PONG = new SimpleString("PONG");
const NO_CLUSTER = new ErrorReply("ERR This instance has cluster support disabled");
const PRODUCT = "Redis";
const BUSY = `BUSY ${PRODUCT} is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.`;

/** The commands that simulated servers know, with the checks in front of them in the servers' order. */
export class Commands {
  readonly #table = new Map<string, Command>();
  readonly #isCluster: boolean;

  /** @param isCluster  Whether the server has cluster mode. */
  constructor(describer: Describer, isCluster = true) {
    this.#isCluster = isCluster;
    this.#defineConnection();
    this.#defineStrings();
    this.#defineLists();
    this.#defineScripts();
    this.#defineTransactions();
    for (const [each, command] of Object.entries(PUBSUB_COMMANDS)) this.#add(each, command);
    for (const [each, command] of Object.entries(TRACKING_COMMANDS)) this.#add(each, command);
    this.#add("cluster|shards", { whileLoading: true, run: ({ node }) => describer.shards(node) });
    this.#add("cluster|nodes", { whileLoading: true, run: ({ node }) => describer.nodes(node) });
    this.#add("cluster|slots", { whileLoading: true, run: ({ node }) => describer.slots(node) });
    this.#add("cluster|myid", { run: ({ node }) => node.id });
    const info = (node: SimNode) =>
      `cluster_enabled:1\r\ncluster_state:${node.view.servesNothing ? "fail" : "ok"}\r\ncluster_slots_assigned:16384\r\n`;
    this.#add("cluster|info", { whileLoading: true, run: ({ node }) => info(node) });
  }

  /** One command, from its checks to its reply. What becomes of the calls in it goes into the ledger. */
  execute(session: NodeSession, args: readonly string[]): Value | Waits {
    const { node } = session;
    node.follow(node.world.loop.time - node.world.replicationLagMs);
    const name = nameOf(args);
    const command = this.#table.get(name);
    const refusal = command === undefined ? unknown(args) : this.#refusalOf(session, name, command, args);
    if (refusal === undefined && node.isPaused && this.#mayWrite(session, name, command)) return HELD_UP;
    const { asking: wasAsking, wasAsked } = session;
    // MULTI passes it on to the commands behind it.
    if (session.queued === undefined) session.wasAsked = name === "asking" || (wasAsked && name === "multi");
    if (session.queued === undefined && name !== "asking") session.asking = false;
    if (refusal !== undefined || command === undefined) {
      const { text } = refusal as ErrorReply;
      const marks = name === "exec" ? queuedMarks(session) : marksIn(args);
      const needsAsking = !wasAsked && node.importing.has(Number(text.split(" ")[1]));
      // What is subscribed to is no call, and any node may be asked for it.
      if (name !== "ssubscribe") node.world.ledger.noteRefusal(marks, text, node.name, needsAsking);
      if (name === "ssubscribe" && text.startsWith("CROSSSLOT")) node.world.ledger.noteTwoSlots(node.name);
      return this.#refuse(session, name, refusal as ErrorReply);
    }
    if (session.queued !== undefined && !["exec", "discard", "multi", "watch"].includes(name)) {
      // What can no longer be executed is not kept, but answered.
      if (!session.isDiscarded && !hasWatchedChanged(session)) session.queued.push([...args]);
      return QUEUED;
    }
    const reply = command.run(session, args);
    if (session.queued !== undefined) session.asking ||= wasAsking;
    else if (name !== "asking") session.asking = false;
    return reply;
  }

  #refusalOf(session: NodeSession, name: string, command: Command, args: readonly string[]): ErrorReply | undefined {
    const { node } = session;
    const now = node.world.loop.time;
    if (!session.isLoggedIn && name !== "auth") return new ErrorReply("NOAUTH Authentication required.");
    if (node.deniedChannels.size > 0 && SUBSCRIBES.test(name) && isDenied(node, args)) return NO_CHANNEL;
    if (node.denied.has(name)) {
      return new ErrorReply(`NOPERM this user has no permissions to run the '${name}' command`);
    }
    if (!this.#isCluster && (name.startsWith("cluster|") || name === "readonly" || name === "asking"))
      return NO_CLUSTER;
    const { keys, isWrite } =
      name === "exec" ? this.#ofQueued(session) : { keys: command.keys(args, node), isWrite: command.isWrite };
    const redirection = command.isSharded
      ? shardRedirectionOf(node, keys, session.asking)
      : redirectionOf(session, keys, isWrite);
    if (redirection) return redirection;
    if (isWrite && !node.isPrimary) return new ErrorReply("READONLY You can't write against a read only replica.");
    if (session.isSubscribed && !WHILE_SUBSCRIBED.test(name)) return notNow(name);
    if (now < node.loadingUntil && !command.whileLoading) {
      return new ErrorReply(`LOADING ${PRODUCT} is loading the dataset in memory`);
    }
    if (now < node.blockedUntil && !command.whileBusy) return new ErrorReply(BUSY);
    return undefined;
  }

  /** Scripts and messages wait as well; of scripts, only those that say so are known to read. */
  #mayWrite(session: NodeSession, name: string, command: Command | undefined): boolean {
    if (name !== "exec") return command?.isWrite === true || MAY_REPLICATE.has(name);
    const queued = (session.queued ?? []).map(nameOf);
    return queued.some((each) => this.#mayWrite(session, each, this.#table.get(each)));
  }

  #ofQueued(session: NodeSession): { keys: readonly string[]; isWrite: boolean } {
    const commands = (session.queued ?? []).map((args) => ({
      args,
      command: this.#table.get(nameOf(args)) as Command,
    }));
    return {
      keys: commands.flatMap(({ args, command }) => command.keys(args, session.node)),
      isWrite: commands.some(({ command }) => command.isWrite),
    };
  }

  #refuse(session: NodeSession, name: string, refusal: ErrorReply): ErrorReply {
    if (session.queued === undefined) return refusal;
    if (name !== "exec") {
      session.isDiscarded = true;
      return refusal;
    }
    endTransaction(session);
    session.asking = false;
    const isRedirection = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|CROSSSLOT) /.test(refusal.text);
    return isRedirection ? refusal : new ErrorReply(`EXECABORT Transaction discarded because of: ${refusal.text}`);
  }

  #add(name: string, command: Partial<Command> & Pick<Command, "run">): void {
    this.#table.set(name, {
      keys: NO_KEYS,
      isWrite: false,
      whileBusy: false,
      whileLoading: false,
      isSharded: false,
      ...command,
    });
  }

  #defineConnection(): void {
    this.#add("ping", { run: (session, args) => (session.isSubscribed ? ["pong", args[1] ?? ""] : (args[1] ?? PONG)) });
    this.#add("config|get", { run: () => ["notify-keyspace-events", "AK"] });
    this.#add("echo", { run: (session, args) => noted(session, args, args[1] as string) });
    this.#add("auth", { whileBusy: true, whileLoading: true, run: logIn });
    this.#add("client|setname", { whileLoading: true, run: () => OK });
    this.#add("client|setinfo", { whileLoading: true, run: () => OK });
    this.#add("client|pause", {
      run({ node }, args) {
        node.pause(Number(args[2]));
        return OK;
      },
    });
    this.#add("client|id", { whileLoading: true, run: ({ link }) => link.number });
    this.#add("client|info", { whileLoading: true, run: ({ description }) => `${description}\n` });
    this.#add("client|list", { whileLoading: true, run: listed });
    this.#add("info", { whileLoading: true, run: ({ node }) => `# Server\r\nrun_id:${node.runId}\r\n` });
    this.#add("asking", {
      run(session) {
        session.asking = true;
        return OK;
      },
    });
    this.#add("readonly", {
      run(session) {
        session.isReadOnly = true;
        return OK;
      },
    });
  }

  #defineStrings(): void {
    this.#add("get", {
      keys: ONE_KEY,
      run: (session, args) => noted(session, args, readIn(session, args.slice(1, 2))[0] as string | null),
    });
    this.#add("exists", {
      keys: ALL_KEYS,
      run: (session, args) => readIn(session, args.slice(1)).filter((value) => value !== null).length,
    });
    this.#add("mget", {
      keys: ALL_KEYS,
      run: (session, args) => readIn(session, args.slice(1)),
    });
    this.#add("pttl", {
      keys: ONE_KEY,
      run(session, [, key = ""]) {
        const { node } = session;
        if (readIn(session, [key])[0] === null) return -2;
        const at = node.expiries.get(key);
        return at === undefined ? -1 : Math.floor(at) - Math.floor(node.world.loop.time);
      },
    });
    this.#add("del", {
      keys: ALL_KEYS,
      isWrite: true,
      run(session, args) {
        const there = args.slice(1).filter((key) => session.node.read(key) !== null);
        for (const key of there) session.node.set(key, null);
        return noted(session, args, there.length);
      },
    });
    this.#add("set", {
      keys: ONE_KEY,
      isWrite: true,
      run(session, args) {
        const { loop } = session.node.world;
        const expiresAt = args[3]?.toLowerCase() === "px" ? loop.time + Number(args[4]) : undefined;
        session.node.set(args[1] as string, args[2] as string, "set", expiresAt);
        return noted(session, args, OK);
      },
    });
    this.#add("incr", {
      keys: ONE_KEY,
      isWrite: true,
      run: (session, args) => increment(session.node, args[1] as string) ?? WRONG_TYPE_OF_NUMBER,
    });
  }

  #defineLists(): void {
    const keys = (args: readonly string[]) => args.slice(1, -1);
    this.#add("rpush", {
      keys: ONE_KEY,
      isWrite: true,
      run: (session, args) => noted(session, args, push(session.node, args[1] as string, args.slice(2))),
    });
    this.#add("blpop", {
      keys,
      isWrite: true,
      run(session, args) {
        const found = pop(session.node, keys(args));
        return found === undefined ? new Waits(Number(args.at(-1)) * 1000) : noted(session, args, found);
      },
    });
    this.#add("scan", {
      run({ node }, args) {
        const [cursor, found] = scanStep(node, Number(args[1]), Number(args[3]));
        return [String(cursor), found];
      },
    });
  }

  /** What a command that waits is answered by now; undefined when it waits on. */
  answerTo(session: NodeSession, args: readonly string[], isLate: boolean): Value | undefined {
    const { node } = session;
    const keys = args.slice(1, -1);
    const isLost =
      !node.isPrimary || node.view.servesNothing || node.view.ownerOf(slotOfKey(keys[0] as string)) !== node.index;
    if (isLost) {
      const redirection = redirectionOf(session, keys, true);
      const refusal = node.isPrimary && redirection !== undefined ? redirection : UNBLOCKED;
      node.world.ledger.noteRefusal(marksIn(args), refusal.text, node.name, false);
      return refusal;
    }
    const found = pop(node, keys);
    if (found === undefined && !isLate) return undefined;
    return noted(session, args, found ?? null);
  }

  #defineScripts(): void {
    this.#add("script|load", { run: ({ node }, args) => load(node, args[2] as string, true) });
    this.#add("script|exists", {
      run: ({ node }, args) => args.slice(2).map((sha) => (node.scripts.has(sha) ? 1 : 0)),
    });
    this.#add("script|flush", {
      run({ node }) {
        node.flushScripts();
        return OK;
      },
    });
    for (const [name, bySource, writes] of [
      ["evalsha", false, true],
      ["evalsha_ro", false, false],
      ["eval", true, true],
      ["eval_ro", true, false],
    ] as const) {
      const run = (session: NodeSession, args: readonly string[]) => runScript(session, args, bySource, writes);
      this.#add(name, { keys: NUMBERED_KEYS, run });
    }
  }

  #defineTransactions(): void {
    this.#add("multi", {
      whileBusy: true,
      whileLoading: true,
      run(session) {
        session.queued = [];
        return OK;
      },
    });
    this.#add("discard", {
      whileBusy: true,
      whileLoading: true,
      run(session) {
        endTransaction(session);
        return OK;
      },
    });
    this.#add("watch", {
      keys: ALL_KEYS,
      whileBusy: true,
      whileLoading: true,
      run(session, args) {
        for (const key of args.slice(1)) {
          if (!session.watched.has(key)) session.watched.set(key, session.node.versions.get(key) ?? 0);
        }
        return OK;
      },
    });
    this.#add("exec", { whileLoading: true, run: (session) => this.#exec(session) });
  }

  #exec(session: NodeSession): Value {
    const { queued, isDiscarded } = session;
    if (queued === undefined) return new ErrorReply("ERR EXEC without MULTI");
    const hasChanged = hasWatchedChanged(session);
    session.watchedAtExec = session.watched.size;
    const [watched] = session.watched.keys();
    session.heldAtExec = watched === undefined ? undefined : (session.node.data.get(watched) ?? null);
    if (hasChanged) session.node.world.ledger.noteUntouched(queuedMarks(session), [...session.watched.keys()]);
    endTransaction(session);
    if (isDiscarded) return new ErrorReply("EXECABORT Transaction discarded because of previous errors.");
    if (hasChanged) return null;
    // No client sends a command that waits in a transaction.
    return queued.map((args) => (this.#table.get(nameOf(args)) as Command).run(session, args) as Value);
  }
}

/** Scripts and messages wait for the end of a pause as writes do. */
const MAY_REPLICATE = new Set(["evalsha", "eval", "publish", "spublish"]);
const CONTAINERS = new Set(["script", "cluster", "client", "pubsub", "config"]);

/** `get`, `script|load`: as ACLs write it. */
function nameOf(args: readonly string[]): string {
  const name = (args[0] as string).toLowerCase();
  return CONTAINERS.has(name) ? `${name}|${args[1]?.toLowerCase()}` : name;
}

function unknown(args: readonly string[]): ErrorReply {
  const shown = args.slice(1).map((arg) => `'${arg}' `);
  return new ErrorReply(`ERR unknown command '${args[0]}', with args beginning with: ${shown.join("")}`);
}

/** What a connection reads, and hears of when it changes. */
function readIn(session: NodeSession, keys: readonly string[]): (string | null)[] {
  const values = keys.map((key) => session.node.read(key));
  session.node.tracking.noteRead(session, keys);
  return values;
}

function logIn(session: NodeSession, args: readonly string[]): Value {
  const { password } = session.node.world;
  if (password === undefined || args.at(-1) !== password) {
    return new ErrorReply("WRONGPASS invalid username-password pair or user is disabled.");
  }
  session.isLoggedIn = true;
  return OK;
}

/** CLIENT LIST ID id ... */
function listed({ node }: NodeSession, args: readonly string[]): string {
  const wanted = [...node.sessions].filter(({ link }) => args.slice(3).includes(String(link.number)));
  return wanted.map(({ description }) => `${description}\n`).join("");
}

function queuedMarks({ queued = [] }: NodeSession): number[] {
  return queued.flatMap((args) => marksIn(args));
}

function endTransaction(session: NodeSession): void {
  session.queued = undefined;
  session.isDiscarded = false;
  session.watched.clear();
}

function hasWatchedChanged({ watched, node }: NodeSession): boolean {
  return [...watched].some(([key, version]) => (node.versions.get(key) ?? 0) !== version);
}
