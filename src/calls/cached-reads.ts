import type { Cache } from "../cache/cache.ts";
import { copyOf, type Entry, frozen } from "../cache/entry.ts";
import type { ViewHeads } from "../cache/heads.ts";
import { alone, Question } from "../cache/question.ts";
import { type NotCacheable, readsFields, whyNotCacheable } from "../commands/cacheable.ts";
import { traitsOf } from "../commands/traits.ts";
import { withParticulars } from "../errors.ts";
import { argumentsOf, binaryOf } from "../protocol/encode.ts";
import type { Argument, CommandArguments, Reply } from "../protocol/reply.ts";
import { type Call, resultOf } from "../routing/call.ts";
import type { Script } from "../scripts/script.ts";
import type { Host } from "./host.ts";
import { carryOut, sendParts } from "./planned-command.ts";

/** What a call asks for, besides its bytes. */
interface Asked {
  /** Undefined where `why` says why the reply is not kept. */
  readonly question: Question | undefined;
  readonly why: NotCacheable | undefined;
  readonly keys: readonly Argument[];
  readonly isScript: boolean;
  readonly mayDerive: boolean;
  readonly readsFields: boolean;
}

const NONE: readonly Argument[] = [];

/** Commands that go in parts, each of which can be kept. */
const READ_IN_PARTS = /^(mget|exists)$/i;

// As in cluster.ts: one function takes the `resolve` of every promise.
let resolveNext: (value: never) => void;
const capture = (resolve: (value: never) => void) => {
  resolveNext = resolve;
};

/** The calls of a view with `cached: true`. What is not in memory goes through the cache, or past it. */
export class CachedReads {
  readonly #host: Host;
  readonly #cache: Cache;
  readonly #heads: ViewHeads;
  /** The script that was run last: a look into a WeakMap costs more than this comparison. */
  #last: Script | undefined;
  #lastHead = 0;

  constructor(host: Host, cache: Cache) {
    this.#host = host;
    this.#cache = cache;
    this.#heads = cache.heads.of(host.view.replies);
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
    // What is no array is left to the ordinary checks.
    const isKnown = head !== undefined && Array.isArray(keys) && Array.isArray(args);
    const entry = isKnown ? this.#cache.hit(head, keys, args) : undefined;
    if (entry === undefined) return this.#runMissing(script, keys, args, timeoutMs, signal);
    if (script.parse !== undefined || entry.hasBuffers) return served(entry, script);
    return Promise.resolve(entry.reply);
  }

  /** As `command` of `Cluster`. `signal` is not aborted. */
  command(name: string, given: CommandArguments, signal: AbortSignal | undefined): Promise<unknown> {
    const head = this.#heads.commands.get(name);
    const values = given.length === 1 && Array.isArray(given[0]) ? given[0] : (given as readonly Argument[]);
    const entry = head === undefined ? undefined : this.#cache.hit(head, values, NONE);
    if (entry !== undefined) return Promise.resolve(entry.hasBuffers ? copyOf(entry.reply) : entry.reply);
    const args = argumentsOf(given);
    const plan = this.#host.factory.planOf(name, args);
    if (plan.kind === "one") return this.#commandMissing(name, args, signal);
    if (plan.kind === "parts") {
      const ask = (part: readonly Argument[]) => this.command(name, part, signal) as Promise<Reply>;
      return sendParts(this.#host, name, plan.division, signal, READ_IN_PARTS.test(name) ? ask : undefined).then(
        frozen,
      );
    }
    this.#cache.counters.notePassed("no-keys");
    return carryOut(this.#host, plan, name, args).then(frozen);
  }

  #headOf(script: Script): number | undefined {
    const head = this.#heads.scripts.get(script);
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
  ): Promise<unknown> {
    const promise = new Promise<unknown>(capture as never);
    const call = this.#host.factory.run(script, keys, args, timeoutMs, resolveNext, undefined);
    const { registered, wantsBuffers } = call.kind;
    const why = !script.readOnly
      ? "not-read-only"
      : registered?.kind !== "script"
        ? "function"
        : call.slot < 0
          ? "no-keys"
          : undefined;
    let question: Question | undefined;
    if (why === undefined) {
      question = new Question(this.#headOf(script) ?? this.#heads.addScript(script, wantsBuffers), keys, args);
    }
    const mayDerive = why === undefined && this.#cache.heads.mayDerive(script);
    const readsFields = why === undefined && this.#cache.heads.readsFields(script);
    return this.#send(call, signal, { question, why, keys, isScript: true, mayDerive, readsFields }) ?? promise;
  }

  #commandMissing(name: string, args: readonly Argument[], signal: AbortSignal | undefined): Promise<unknown> {
    const { factory, view, client } = this.#host;
    const promise = new Promise<unknown>(capture as never);
    let keys: readonly Argument[] = [];
    const noteKeys = (found: readonly Argument[]) => {
      keys = found;
    };
    const call = factory.command(name, args, view.timeoutMs, resolveNext, undefined, undefined, noteKeys);
    const traits = traitsOf(name, args, client.commands);
    const why = whyNotCacheable(name.toLowerCase(), args, traits);
    let question: Question | undefined;
    if (why === undefined) {
      const head = this.#heads.commands.get(name) ?? this.#heads.addCommand(name, call.wantsBuffers);
      question = new Question(head, args, NONE);
    }
    const isScript = traits.runsCode;
    const asked = { question, why, keys, isScript, mayDerive: true, readsFields: readsFields(name.toLowerCase()) };
    return this.#send(call, signal, asked) ?? promise;
  }

  /** Sends a call, through the cache or past it. Returns the reply instead if it is in memory. */
  #send(call: Call, signal: AbortSignal | undefined, asked: Asked): Promise<unknown> | undefined {
    const { door } = this.#host.client;
    const { question, why: whyNot, isScript, mayDerive, readsFields: hasFields } = asked;
    if (question === undefined) {
      this.#cache.counters.notePassed(whyNot ?? "no-keys");
      door.send(call, signal);
      return undefined;
    }
    // A view that is new meets here what others have asked for.
    const entry = this.#cache.hit(question.head, question.keys, question.args);
    if (entry !== undefined) return served(entry, call.kind.script);
    const { frame, slot, wantsBuffers } = call;
    const keys = [...new Set(asked.keys.map((key, index) => alone(binaryOf(key, "key", index))))];
    const read = { question, frame, slot, wantsBuffers, keys, isScript, mayDerive, readsFields: hasFields };
    const why = this.#cache.whyPass(read);
    if (why === undefined) {
      door.admit(call, signal);
      this.#cache.answer(call, read);
      return undefined;
    }
    this.#cache.counters.notePassed(why);
    // A replica may not have the write yet.
    if (why === "write-under-way") call.kind = { ...call.kind, readFrom: "primary" };
    door.send(call, signal);
    return undefined;
  }
}

function served(entry: Entry, script: Script | undefined): Promise<unknown> {
  const reply = entry.hasBuffers ? copyOf(entry.reply) : entry.reply;
  const parse = script?.parse;
  if (parse === undefined) return Promise.resolve(reply);
  try {
    return Promise.resolve(resultOf({ parse, script }, reply));
  } catch (error) {
    const { slot, reader } = entry.facts;
    return Promise.reject(
      withParticulars(error, { command: script?.name, isScript: true, address: reader.address, slot }),
    );
  }
}
