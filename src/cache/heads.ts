import { LRUCache } from "lru-cache";
import { mentionsFields } from "../commands/cacheable.ts";
import type { Script } from "../scripts/script.ts";
import { readsOnlyGivenKeys } from "./declared-keys.ts";

/** So many scripts have a head at a time. What was kept of one that lost it is not found any more. */
const MOST_HEADS = 10_000;

/**
 * Numbers that stand for a script or a command, and for how strings are wanted. A script or a name has a head once a call of
 * it was right.
 */
export class Heads {
  readonly #heads = new LRUCache<string, number>({ max: MOST_HEADS });
  readonly #views = new Map<string | undefined, ViewHeads>();
  readonly #given = new WeakMap<Script, boolean>();
  readonly #fields = new WeakMap<Script, boolean>();
  #next = 0;

  /** The heads for views with these `replies`. */
  of(replies: "string" | "buffer" | undefined): ViewHeads {
    let heads = this.#views.get(replies);
    if (heads === undefined) {
      heads = new ViewHeads(this);
      this.#views.set(replies, heads);
    }
    return heads;
  }

  /** Whether a script may read keys that it was not given, as far as its source shows. */
  mayDerive(script: Script): boolean {
    let given = this.#given.get(script);
    if (given === undefined) {
      given = readsOnlyGivenKeys(script.source);
      this.#given.set(script, given);
    }
    return !given;
  }

  /** Whether a script may read fields of hashes. */
  readsFields(script: Script): boolean {
    let reads = this.#fields.get(script);
    if (reads === undefined) {
      reads = mentionsFields(script.source);
      this.#fields.set(script, reads);
    }
    return reads;
  }

  headFor(whose: string): number {
    let head = this.#heads.get(whose);
    if (head === undefined) {
      head = this.#next++;
      this.#heads.set(whose, head);
    }
    return head;
  }
}

/** The heads for all views in which strings of replies are given alike. */
export class ViewHeads {
  readonly scripts = new WeakMap<Script, number>();
  /** By the name as it was given. */
  readonly commands = new Map<string, number>();
  readonly #all: Heads;

  constructor(all: Heads) {
    this.#all = all;
  }

  addScript(script: Script, wantsBuffers: boolean): number {
    const head = this.#all.headFor(`${wantsBuffers ? "buffer" : "string"} ${script.sha}`);
    this.scripts.set(script, head);
    return head;
  }

  addCommand(name: string, wantsBuffers: boolean): number {
    const head = this.#all.headFor(`${wantsBuffers ? "buffer" : "string"} ${name.toLowerCase()}`);
    this.commands.set(name, head);
    return head;
  }
}
