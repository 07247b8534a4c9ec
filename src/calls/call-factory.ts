import { frozen } from "../cache/entry.ts";
import type { Client } from "../client/client.ts";
import { BlockingFrame, type BlockingTime, deadlineOf } from "../commands/blocking.ts";
import { isListedName, mayWriteKeys } from "../commands/cacheable.ts";
import { textOf } from "../commands/keys.ts";
import { type CommandTraits, traitsOf } from "../commands/traits.ts";
import { InvalidArgumentError, withParticulars } from "../errors.ts";
import {
  asArgumentError,
  binaryOf,
  bulk,
  bulkHead,
  encodeCommand,
  kindOf,
  withinLimit,
  withNextBulk,
} from "../protocol/encode.ts";
import { slotOf, slotOfKeys } from "../protocol/hash-slot.ts";
import type { Argument, Reply } from "../protocol/reply.ts";
import type { CallKeys } from "../routing/batch-order.ts";
import { type Call, type CallKind, makeCall } from "../routing/call.ts";
import type { ClusterNode } from "../routing/cluster-node.ts";
import type { RegisteredLibrary } from "../scripts/registered-library.ts";
import { checkCounts, isScript, type Script } from "../scripts/script.ts";
import type { RegisteredScript } from "../scripts/script-registry.ts";
import { isSingle } from "../topology/view-judgement.ts";
import { isUnlearned, type Plan, planOf } from "./plan.ts";
import type { ViewSettings } from "./view.ts";
import { noteWrite } from "./written-keys.ts";

const NONE: readonly Argument[] = [];

/** Takes the result of a call. */
export type Resolve = (value: never) => void;
/** Takes the error of a call. Undefined: `Resolve` gets a promise that is rejected with the error. */
export type Reject = ((error: Error) => void) | undefined;

/**
 * Checks and encodes calls, for one view. The error of a call that is wrong is thrown here, before its script is
 * registered and before anything is sent.
 */
export class CallFactory {
  readonly #client: Client;
  readonly #view: ViewSettings;
  /** There is a cache, which has to know what calls may write. */
  readonly #notesWrites: boolean;
  /** Weak, so that a script that the application forgets is forgotten here. */
  readonly #kinds = new WeakMap<Script, CallKind>();
  /** The kind of the script that was run last: a look into a WeakMap costs more than this comparison. */
  #last: CallKind | undefined;

  constructor(client: Client, view: ViewSettings) {
    this.#client = client;
    this.#notesWrites = client.cache !== undefined;
    this.#view = view;
  }

  /** Where a command goes. @throws {InvalidArgumentError} As `planOf` of plan.ts. */
  planOf(name: string, args: readonly Argument[]): Plan {
    try {
      return planOf(name, args, this.#client.commands, this.#mayAsk, this.#isSingle);
    } catch (error) {
      throw naming(error, name);
    }
  }

  /** Whether a server has to be asked where the keys of a command are. */
  isUnlearned(name: string, args: readonly Argument[]): boolean {
    return isUnlearned(String(name).toLowerCase(), args, this.#client.commands, this.#mayAsk);
  }

  /** Whether the servers may be asked for their commands: the last question was not a short while ago. */
  readonly #mayAsk = (): boolean => this.#client.environment.clock.now() >= this.#client.commands.nextAt;

  readonly #isSingle = (): boolean => isSingle(this.#client.topology);

  /** A call of a script. */
  run(
    script: Script,
    keys: readonly Argument[],
    args: readonly Argument[],
    timeoutMs: number,
    resolve: Resolve,
    reject: Reject,
  ): Call {
    const last = this.#last;
    const known = last !== undefined && last.script === script ? last : this.#kinds.get(script);
    if (known === undefined && !isScript(script)) {
      throw new InvalidArgumentError(`The script is ${kindOf(script)}; accepted is what defineScript returns.`);
    }
    try {
      checkCounts(script, keys, args);
      const slot = keys.length === 0 ? -1 : keys.length === 1 ? slotOf(keys[0] as Argument) : slotOfKeys(keys);
      // A script that was not preloaded can have left the registry since its last call.
      const isKnown = known?.registered?.isRegistered === true;
      const kind = isKnown ? known : this.#kindOfChecked(script, slot, keys, args);
      this.#last = kind;
      const registered = kind.registered as RegisteredScript | RegisteredLibrary;
      // The first run does not count: else everything that is new would count as used.
      if (isKnown && registered.kind === "script") registered.wasUsed = true;
      const call = encodedCall(kind, registered, script, keys, args, slot, timeoutMs, resolve, reject);
      if (this.#notesWrites && !kind.reads) noteWrite(call, keys);
      return call;
    } catch (error) {
      throw namingScript(error, script);
    }
  }

  /**
   * For a script that this view meets for the first time. Its first call is checked before the script is registered.
   */
  #kindOfChecked(script: Script, slot: number, keys: readonly Argument[], args: readonly Argument[]): CallKind {
    withinLimit(() => {
      let frame = "";
      for (const [index, key] of keys.entries()) frame += bulk(binaryOf(key, "key", index));
      for (const [index, arg] of args.entries()) frame += bulk(binaryOf(arg, "argument", index));
      return frame;
    });
    return this.#kindOf(script, slot);
  }

  /**
   * A call of any other command.
   * @param keys      Given where a server has said which arguments are keys.
   * @param noteKeys  Called with the keys.
   */
  command(
    name: string,
    args: readonly Argument[],
    timeoutMs: number,
    resolve: Resolve,
    reject: Reject,
    keys?: readonly Argument[],
    noteKeys?: (keys: readonly Argument[]) => void,
  ): Call {
    try {
      return this.#command(name, args, timeoutMs, resolve, reject, keys, noteKeys);
    } catch (error) {
      throw naming(error, name);
    }
  }

  #command(
    name: string,
    args: readonly Argument[],
    timeoutMs: number,
    resolve: Resolve,
    reject: Reject,
    keys: readonly Argument[] | undefined,
    noteKeys: ((keys: readonly Argument[]) => void) | undefined,
  ): Call {
    const frame = encodeCommand([name, ...args]);
    const traits = traitsOf(name, args, this.#client.commands);
    const routedBy = keys ?? traits.keys;
    const slot = routedBy.length === 0 ? (traits.slot ?? -1) : slotOfKeys(routedBy);
    const kind = this.#commandKind(traits, undefined);
    if (traits.blocking !== undefined) {
      const limitMs = this.#view.hasOwnTimeout ? timeoutMs : deadlineOf(traits.blocking, timeoutMs);
      const blocking = new BlockingFrame(name, args, traits.blocking);
      const call = makeCall(
        { ...kind, blocking, readFrom: "primary", hedge: undefined },
        frame,
        slot,
        limitMs,
        resolve,
        reject,
      );
      return this.#noted(call, name, args, traits, keys);
    }
    const registered = /^evalsha(_ro)?$/i.test(name) ? this.#client.scripts.wantedScript(textOf(args[0])) : undefined;
    if (registered === undefined) {
      noteKeys?.(routedBy);
      return this.#noted(makeCall(kind, frame, slot, timeoutMs, resolve, reject), name, args, traits, keys);
    }
    // Encoded as `run` encodes a call, so that this call can be replayed in the same ways.
    const { length } = traits.keys;
    const bySha = withinLimit(() => {
      const rest = args.slice(2).map((value, index) => bulk(binaryOf(value, "argument", index + 2)));
      return registered.head(length, rest.length - length, traits.readOnly) + rest.join("");
    });
    noteKeys?.(routedBy);
    const call = makeCall({ ...kind, registered }, bySha, slot, timeoutMs, resolve, reject);
    return this.#noted(call, name, args, traits, keys);
  }

  /** A command that only the owner of the keys may serve, whatever `readFrom` of the view says. */
  onPrimary(name: string, args: readonly Argument[], timeoutMs: number, resolve: Resolve, reject: Reject): Call {
    const traits = traitsOf(name, args, this.#client.commands);
    const kind: CallKind = { ...this.#commandKind(traits, undefined), readFrom: "primary", hedge: undefined };
    return makeCall(kind, encodeCommand([name, ...args]), slotOfKeys(traits.keys), timeoutMs, resolve, reject);
  }

  /** A command for one node, whichever slots the node owns. */
  commandFor(
    target: ClusterNode,
    name: string,
    args: readonly Argument[],
    timeoutMs: number,
    resolve: Resolve,
    reject: Reject,
  ): Call {
    const traits = traitsOf(name, args, this.#client.commands);
    const kind = this.#commandKind(traits, target);
    const call = makeCall(kind, encodeCommand([name, ...args]), -1, timeoutMs, resolve, reject);
    return this.#noted(call, name, args, traits);
  }

  /** A command for one node that the user has named. Its refusals are the answer. */
  pinned(target: ClusterNode, name: string, args: readonly Argument[], resolve: Resolve, reject: Reject): Call {
    const { timeoutMs, hasOwnTimeout } = this.#view;
    const traits = traitsOf(name, args, this.#client.commands);
    const kind: CallKind = { ...this.#commandKind(traits, target), isPinned: true };
    const { blocking: time } = traits;
    const frame = encodeCommand([name, ...args]);
    if (time === undefined) {
      return this.#noted(makeCall(kind, frame, -1, timeoutMs, resolve, reject), name, args, traits);
    }
    const blocking = new BlockingFrame(name, args, time);
    const limitMs = hasOwnTimeout === true ? timeoutMs : deadlineOf(time, timeoutMs);
    return this.#noted(makeCall({ ...kind, blocking }, frame, -1, limitMs, resolve, reject), name, args, traits);
  }

  /**
   * The call, with the keys that it may write, if there is a cache.
   * @param known  The keys, where a server has said which they are. A command of which nobody has said so may write any.
   */
  #noted(
    call: Call,
    name: string,
    args: readonly Argument[],
    traits: CommandTraits,
    known?: readonly Argument[],
  ): Call {
    if (!this.#notesWrites || !mayWriteKeys(name, traits)) return call;
    const isGuess =
      known === undefined &&
      !isListedName(name) &&
      isUnlearned(name.toLowerCase(), args, this.#client.commands, () => true);
    noteWrite(call, known ?? (isGuess ? NONE : traits.keys));
    return call;
  }

  /** A command for one node that may block its connection for `time`. It gets a connection of its own. */
  blockingFor(
    target: ClusterNode,
    name: string,
    args: readonly Argument[],
    time: BlockingTime,
    timeoutMs: number,
    resolve: Resolve,
    reject: Reject,
  ): Call {
    const traits: CommandTraits = { keys: [], slot: undefined, readOnly: false, runsCode: false, blocking: time };
    const kind = { ...this.#commandKind(traits, target), blocking: new BlockingFrame(name, args, time) };
    return makeCall(kind, encodeCommand([name, ...args]), -1, deadlineOf(time, timeoutMs), resolve, reject);
  }

  #commandKind({ readOnly, runsCode }: CommandTraits, target: ClusterNode | undefined): CallKind {
    return {
      owner: this.#client.dispatcher,
      wantsBuffers: this.#view.replies === "buffer",
      mayRepeat: readOnly,
      runsCode,
      reads: readOnly,
      readFrom: readOnly && target === undefined ? this.#view.readFrom : "primary",
      hedge: readOnly && target === undefined ? this.#view.hedge : undefined,
      target,
      script: undefined,
      registered: undefined,
      parse: this.#view.cached ? frozen : undefined,
      blocking: undefined,
      transaction: undefined,
    };
  }

  /** Registers a script that this view meets for the first time. */
  #kindOf(script: Script, slot: number): CallKind {
    const kind: CallKind = {
      owner: this.#client.dispatcher,
      wantsBuffers: (this.#view.replies ?? script.replies) === "buffer",
      mayRepeat: script.idempotent || script.readOnly,
      runsCode: true,
      reads: script.readOnly,
      readFrom: script.readOnly ? this.#view.readFrom : "primary",
      hedge: script.readOnly ? this.#view.hedge : undefined,
      target: undefined,
      script,
      registered: this.#client.scripts.registered(script, slot < 0 ? undefined : this.#client.dispatcher.ownerOf(slot)),
      parse: this.#view.cached ? frozenThen(script.parse) : script.parse,
      blocking: undefined,
      transaction: undefined,
    };
    this.#kinds.set(script, kind);
    return kind;
  }
}

/** The replies of a cached view are frozen, wherever they come from. */
function frozenThen(parse: ((reply: Reply) => unknown) | undefined): (reply: Reply) => unknown {
  return parse === undefined ? frozen : (reply) => parse(frozen(reply));
}

/** The keys of a call, by which a batch keeps its order. What the caller may change is copied. */
export function keysOf(keys: readonly Argument[]): CallKeys | undefined {
  const [only] = keys;
  if (only === undefined) return undefined;
  if (keys.length === 1 && typeof only === "string") return only;
  return keys.map((key, index) => binaryOf(key, "key", index));
}

/**
 * The error of a command, with the command's name.
 * @param isWhole  The name takes the place of the name of a step.
 */
export function naming(error: unknown, name: unknown, isWhole = false): unknown {
  return withParticulars(error, { command: typeof name === "string" ? name : undefined, isWhole });
}

/** The error of a script that was not sent, with the script's name. */
export function namingScript(error: unknown, script: Script): unknown {
  return isScript(script) ? withParticulars(error, { command: script.name, isScript: true }) : error;
}

/**
 * The call of `EVALSHA sha number-of-keys key ... arg ...`, or the same of FCALL. The frame and the call are made in one
 * function: where `run` is inlined, the engine's budget for it is spent before it reaches the call's constructor.
 */
function encodedCall(
  kind: CallKind,
  item: RegisteredScript | RegisteredLibrary,
  script: Script,
  keys: readonly Argument[],
  args: readonly Argument[],
  slot: number,
  timeoutMs: number,
  resolve: Resolve,
  reject: Reject,
): Call {
  let frame: string;
  try {
    const numberOfKeys = keys.length;
    if (numberOfKeys + args.length === 0) frame = headOf(item, script, 0, 0, -1);
    else {
      const first = numberOfKeys > 0 ? binaryOf(keys[0], "key", 0) : binaryOf(args[0], "argument", 0);
      frame = headOf(item, script, numberOfKeys, args.length, first.length) + first;
      for (let index = 1; index < numberOfKeys; index++)
        frame = withNextBulk(frame, binaryOf(keys[index], "key", index));
      for (let index = numberOfKeys > 0 ? 0 : 1; index < args.length; index++) {
        frame = withNextBulk(frame, binaryOf(args[index], "argument", index));
      }
      frame = `${frame}\r\n`;
    }
  } catch (error) {
    throw asArgumentError(error);
  }
  return makeCall(kind, frame, slot, timeoutMs, resolve, reject);
}

function headOf(
  item: RegisteredScript | RegisteredLibrary,
  script: Script,
  keys: number,
  args: number,
  firstLength: number,
): string {
  if (item.kind === "script") return item.headFor(keys, args, script.readOnly, firstLength);
  const head = item.head(script.name, keys, args, script.readOnly);
  return firstLength < 0 ? head : head + bulkHead(firstLength);
}
