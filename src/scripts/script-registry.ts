import { InvalidArgumentError } from "../errors.ts";
import type { Library } from "./library.ts";
import type { Loadable } from "./loadable.ts";
import { RegisteredLibrary } from "./registered-library.ts";
import { type Dialect, RegisteredScript, type ScriptSource } from "./registered-script.ts";

export type { RegisteredScript, ScriptSource } from "./registered-script.ts";

/** So many scripts that were not preloaded stay registered. */
const MOST_PASSING = 1000;
/** Fewer holders are not looked at for some that are gone. */
const LEAST_PRUNED = 16;

/** Keeps something for each registered script, by its index. */
export interface ScriptHolder {
  /** The script is about to leave the registry, and its index may become another script's. */
  onEvicted(script: Loadable): void;
}

/**
 * The scripts and libraries that this client may send, by SHA-1.
 *
 *   keep, registerLibrary --> kept, for the client's life
 *   register --> passing --keep--> kept
 *                   '--- 1,000 others were registered since ---> evicted: not registered any more
 *
 * Scripts that were not preloaded pass because an application may define one for each call, and would otherwise fill its
 * own memory and that of every node. An evicted script is registered anew when it is run again.
 */
export class ScriptRegistry {
  readonly #kept = new Map<string, RegisteredScript>();
  /** In the order of their last registration. */
  readonly #passing = new Map<string, RegisteredScript>();
  readonly #libraries = new Map<string, RegisteredLibrary>();
  /** Scripts and libraries, in the order of their first registration. */
  readonly #all = new Set<Loadable>();
  readonly #dialect: Dialect = { readOnlyVariants: true };
  /** Held weakly, because a node that leaves the cluster takes its beliefs along without a word. */
  #holders: WeakRef<ScriptHolder>[] = [];
  /** At so many holders, those that are gone are left out. */
  #prunedAt = LEAST_PRUNED;
  /** Places that evicted scripts have left. */
  readonly #vacant: number[] = [];
  #lastIndex = 0;
  /** Counts the items that became wanted. */
  changes = 0;
  #hasWarned = false;

  get all(): readonly Loadable[] {
    return [...this.#all];
  }

  get(sha: string): RegisteredScript | undefined {
    return this.#kept.get(sha) ?? this.#passing.get(sha);
  }

  getLibrary(sha: string): RegisteredLibrary | undefined {
    return this.#libraries.get(sha);
  }

  /** The scripts and libraries that nodes should hold. */
  get wanted(): readonly Loadable[] {
    return this.all.filter(({ wanted }) => wanted);
  }

  /** From now on, `holder` is told when a script leaves. */
  follow(holder: ScriptHolder): void {
    // Now and then, because looking at all of them for each new node would take quadratic time.
    if (this.#holders.length >= this.#prunedAt) {
      this.#holders = this.#holders.filter((each) => each.deref() !== undefined);
      this.#prunedAt = Math.max(LEAST_PRUNED, this.#holders.length * 2);
    }
    this.#holders.push(new WeakRef(holder));
  }

  /** Registers a library for good. Of two versions of a library the newest is wanted. */
  registerLibrary(library: Library): RegisteredLibrary {
    let registered = this.#libraries.get(library.sha);
    if (registered === undefined) {
      registered = new RegisteredLibrary(this.#freeIndex(), library);
      this.#all.add(registered);
      this.changes++;
      this.#libraries.set(library.sha, registered);
    }
    for (const other of this.#libraries.values()) if (other.name === library.name) other.wanted = other === registered;
    return registered;
  }

  /** Registers a script that is to be preloaded, for good. */
  keep(script: ScriptSource): RegisteredScript {
    const registered = this.get(script.sha) ?? this.#enter(script);
    this.#passing.delete(script.sha);
    this.#kept.set(script.sha, registered);
    this.#want(registered);
    return registered;
  }

  /** Registers a script that is run, until 1,000 others were registered after it. */
  register(script: ScriptSource): RegisteredScript {
    const registered = this.get(script.sha) ?? this.#enter(script);
    this.#want(registered);
    if (this.#kept.has(script.sha)) return registered;
    // A Map keeps the order in which its keys were added: deleting it first makes this script the newest.
    this.#passing.delete(script.sha);
    this.#passing.set(script.sha, registered);
    if (this.#passing.size > MOST_PASSING) this.#evictLeastUsed(registered);
    return registered;
  }

  #enter(script: ScriptSource): RegisteredScript {
    refuseTooLarge(script);
    const registered = new RegisteredScript(this.#freeIndex(), script, this.#dialect);
    this.#all.add(registered);
    this.changes++;
    return registered;
  }

  #want(script: RegisteredScript): void {
    if (!script.wanted) this.changes++;
    script.wanted = true;
  }

  #freeIndex(): number {
    return this.#vacant.pop() ?? ++this.#lastIndex;
  }

  /** @param newest  The script that is registered now, and stays. */
  #evictLeastUsed(newest: RegisteredScript): void {
    this.#warnOnce();
    const oldest = this.#leastUsed(newest);
    if (oldest === undefined) return;
    this.#passing.delete(oldest.sha);
    this.#all.delete(oldest);
    for (const holder of this.#holders) holder.deref()?.onEvicted(oldest);
    this.#vacant.push(oldest.index);
    oldest.unregister();
  }

  /** The oldest script that was not run since it was the oldest before. One that was run becomes the newest. */
  #leastUsed(newest: RegisteredScript): RegisteredScript | undefined {
    for (const script of this.#passing.values()) {
      if (!script.wasUsed && script !== newest) return script;
      script.wasUsed = false;
      this.#passing.delete(script.sha);
      this.#passing.set(script.sha, script);
    }
    return undefined;
  }

  #warnOnce(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    process.emitWarning(
      "More than 1,000 scripts were run without having been preloaded. The client forgets the one that was used least " +
        "recently, and loads it again when it is run. Define each script once, and pass values as arguments (ARGV) " +
        "instead of writing them into its source.",
      "SlotwireWarning",
    );
  }
}

/** The longest string of V8, less the words around a source in its load. */
const LONGEST_SOURCE_BYTES = 2 ** 29 - 24 - 64;

/** A source that fits into no load would keep every connection from being prepared. */
function refuseTooLarge({ name, source }: ScriptSource): void {
  // A character has at most three bytes.
  if (source.length * 3 < LONGEST_SOURCE_BYTES || Buffer.byteLength(source) < LONGEST_SOURCE_BYTES) return;
  throw new InvalidArgumentError(`The source of script "${name}" is too large: it has to stay below 512 MiB.`);
}
