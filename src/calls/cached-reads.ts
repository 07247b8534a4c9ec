import type { Cache } from "../cache/cache.ts";
import { copyOf, type Entry, frozen } from "../cache/entry.ts";
import { type NotCacheable, whyNotCacheable } from "../commands/cacheable.ts";
import { traitsOf } from "../commands/traits.ts";
import { argumentsOf, binaryOf } from "../protocol/encode.ts";
import type { Argument, CommandArguments, Reply } from "../protocol/reply.ts";
import { type Call, type CallKind, resultOf } from "../routing/call.ts";
import type { Script } from "../scripts/script.ts";
import type { Host } from "./host.ts";
import { type CommandLookup, lookupOfCommand, lookupOfScript } from "./lookups.ts";
import { carryOut, sendParts } from "./planned-command.ts";

// As in cluster.ts: one function takes the `resolve` of every promise.
let resolveNext: (value: never) => void;
const capture = (resolve: (value: never) => void) => {
  resolveNext = resolve;
};

/** The calls of a view with `cached: true`. What is not in memory goes through the cache, or past it. */
export class CachedReads {
  readonly #host: Host;
  readonly #cache: Cache;
  readonly #buffers: boolean;
  /** By a script's handle, the beginning of its look-ups. A script is there once a call of it was right. */
  readonly #scripts = new WeakMap<Script, string>();
  #last: Script | undefined;
  #lastHead = "";
  /** By a command's name as it was given. A name is there once a call of it was right. */
  readonly #commands = new Map<string, CommandLookup>();

  constructor(host: Host, cache: Cache) {
    this.#host = host;
    this.#cache = cache;
    this.#buffers = host.view.replies === "buffer";
  }

  /** As `run` of `Cluster`. `signal` is not aborted. */
  run(
    script: Script,
    keys: readonly Argument[],
    args: readonly Argument[],
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const head = script === this.#last ? this.#lastHead : this.#headOf(script);
    let lookup: string | undefined;
    if (head !== undefined) {
      lookup = lookupOfScript(head, keys, args);
      const entry = lookup === undefined ? undefined : this.#cache.hit(lookup);
      if (entry !== undefined) return served(entry, script);
    }
    return this.#runMissing(script, keys, args, timeoutMs, signal, lookup);
  }

  /** As `command` of `Cluster`. `signal` is not aborted. */
  command(name: string, given: CommandArguments, signal: AbortSignal | undefined): Promise<unknown> {
    const known = this.#commands.get(name);
    if (known !== undefined) {
      const lookup = lookupOfCommand(known, given);
      const entry = lookup === undefined ? undefined : this.#cache.hit(lookup);
      if (entry !== undefined) return Promise.resolve(entry.hasBuffers ? copyOf(entry.reply) : entry.reply);
    }
    const args = argumentsOf(given);
    const plan = this.#host.factory.planOf(name, args);
    if (plan.kind === "one") return this.#commandMissing(name, args, signal);
    if (plan.kind === "parts") {
      return sendParts(this.#host, name, plan.division, signal, (part) => {
        const promise = this.command(name, part, signal);
        return promise as Promise<Reply>;
      }).then(frozen);
    }
    this.#cache.notePassed("no-keys");
    return carryOut(this.#host, plan, name, args).then(frozen);
  }

  #headOf(script: Script): string | undefined {
    const head = this.#scripts.get(script);
    if (head === undefined) return undefined;
    this.#last = script;
    this.#lastHead = head;
    return head;
  }

  #runMissing(
    script: Script,
    keys: readonly Argument[],
    args: readonly Argument[],
    timeoutMs: number,
    signal: AbortSignal | undefined,
    known: string | undefined,
  ): Promise<unknown> {
    const promise = new Promise<unknown>(capture as never);
    const call = this.#host.factory.run(script, keys, args, timeoutMs, resolveNext, undefined);
    const { registered, wantsBuffers } = call.kind;
    const why: NotCacheable | undefined = !script.readOnly
      ? "not-read-only"
      : registered?.kind !== "script"
        ? "function"
        : call.slot < 0
          ? "no-keys"
          : undefined;
    if (why === undefined && !this.#scripts.has(script)) {
      const head = this.#cache.headFor(`${wantsBuffers ? "b" : "s"}${script.sha}`);
      this.#scripts.set(script, head);
    }
    const lookup =
      known ?? (why === undefined ? lookupOfScript(this.#headOf(script) as string, keys, args) : undefined);
    this.#send(call, signal, why, lookup, keys, { isScript: true, mayDerive: true });
    return promise;
  }

  #commandMissing(name: string, args: readonly Argument[], signal: AbortSignal | undefined): Promise<unknown> {
    const { factory, view, client } = this.#host;
    const promise = new Promise<unknown>(capture as never);
    const resolve = resolveNext;
    let keys: readonly Argument[] = [];
    const noteKeys = (found: readonly Argument[]) => {
      keys = found;
    };
    const call = factory.command(name, args, view.timeoutMs, resolve, undefined, undefined, noteKeys);
    const lower = name.toLowerCase();
    const traits = traitsOf(name, args, client.commands);
    const why = whyNotCacheable(lower, args, traits);
    let lookup: string | undefined;
    if (why === undefined) {
      let known = this.#commands.get(name);
      if (known === undefined) {
        const head = this.#cache.headFor(`${this.#buffers ? "b" : "s"}${lower}`);
        known = { one: `${head}=`, several: `${head}*` };
        this.#commands.set(name, known);
      }
      lookup = lookupOfCommand(known, args);
    }
    this.#send(call, signal, why, lookup, keys, { isScript: traits.runsCode, mayDerive: true });
    return promise;
  }

  #send(
    call: Call,
    signal: AbortSignal | undefined,
    whyNot: NotCacheable | undefined,
    lookup: string | undefined,
    keys: readonly Argument[],
    of: { readonly isScript: boolean; readonly mayDerive: boolean },
  ): void {
    const { door } = this.#host.client;
    // Whichever way the call goes, its reply is frozen.
    call.kind = freezing(call.kind);
    if (whyNot !== undefined || lookup === undefined) {
      this.#cache.notePassed(whyNot ?? "no-keys");
      door.send(call, signal);
      return;
    }
    const { frame, slot, wantsBuffers } = call;
    const binaries = [...new Set(keys.map((key, index) => binaryOf(key, "key", index)))];
    const read = { lookup, frame, slot, wantsBuffers, keys: binaries, ...of };
    const why = this.#cache.whyPass(read);
    if (why === undefined) {
      door.admit(call, signal);
      this.#cache.answer(call, read);
      return;
    }
    this.#cache.notePassed(why);
    // A replica may not have the write yet.
    if (why === "write-under-way") call.kind = { ...call.kind, readFrom: "primary" };
    door.send(call, signal);
  }
}

const freezingKinds = new WeakMap<CallKind, CallKind>();

/** The kind of a call whose reply is frozen before anybody gets it. */
function freezing(kind: CallKind): CallKind {
  let other = freezingKinds.get(kind);
  if (other === undefined) {
    const { parse } = kind;
    other = { ...kind, parse: parse === undefined ? frozen : (reply) => parse(frozen(reply)) };
    freezingKinds.set(kind, other);
  }
  return other;
}

function served(entry: Entry, script: Script): Promise<unknown> {
  const reply = entry.hasBuffers ? copyOf(entry.reply) : entry.reply;
  const { parse } = script;
  if (parse === undefined) return Promise.resolve(reply);
  try {
    return Promise.resolve(resultOf({ parse, script }, reply));
  } catch (error) {
    return Promise.reject(error);
  }
}
