import { SLOT_COUNT } from "../../protocol/hash-slot.ts";
import type { ServerState } from "../study/events.ts";
import type { Servers } from "../study/servers.ts";

/** A server that is silent for so long is shown as silent. The others wait for it in each look. */
const PATIENCE_MS = 600;
/** Changes of the numbers of keys alone are told at most so often. */
const KEYS_EVERY_MS = 1000;
/** Slots whose keys are counted in each look, in turn: all slots have had their turn after 16 looks. */
const SLOTS_AT_ONCE = 1024;
/** Slots that calls have touched lately are counted in each look. */
const MOST_TOUCHED = 256;

/** What a look is for. */
interface Asked {
  /** Milliseconds from one look to the next. */
  readonly everyMs: number;
  /** The SHA-1s of the scripts to ask for. */
  readonly scripts: () => readonly string[];
  /** Told of all servers when any has changed. A state that has not changed is the same object as before. */
  readonly onChange: (nodes: readonly ServerState[]) => void;
}

/** Looks at the servers again and again, and tells what has changed. */
export class ServersPoll {
  readonly #servers: Servers;
  readonly #asked: Asked;
  #states: readonly ServerState[] = [];
  #texts = new Map<string, string>();
  readonly #counts = new Map<string, Map<number, number>>();
  readonly #touched = new Set<number>();
  #nextSlot = 0;
  #toldKeysAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<readonly ServerState[]> | undefined;
  #isClosed = false;

  constructor(servers: Servers, asked: Asked) {
    this.#servers = servers;
    this.#asked = asked;
  }

  /** What the servers said last. */
  get states(): readonly ServerState[] {
    return this.#states;
  }

  /** Looks for the first time, and from then on again and again. */
  async begin(): Promise<void> {
    await this.look();
    this.#again();
  }

  /** A call goes to this slot, so its keys may change. */
  touch(slot: number): void {
    if (slot < 0 || this.#touched.has(slot)) return;
    this.#touched.add(slot);
    if (this.#touched.size <= MOST_TOUCHED) return;
    for (const oldest of this.#touched) {
      this.#touched.delete(oldest);
      break;
    }
  }

  /** Looks now, or joins the look that is under way. */
  look(): Promise<readonly ServerState[]> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Looks now, so that what was done before is seen. */
  async lookAgain(): Promise<readonly ServerState[]> {
    await this.#looking;
    return this.look();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#servers.close();
  }

  #again(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.look().finally(() => this.#again()), this.#asked.everyMs);
  }

  async #look(): Promise<readonly ServerState[]> {
    const slots = this.#slotsToCount();
    const states = await this.#servers.ask({
      scripts: this.#asked.scripts(),
      count: slots,
      patienceMs: PATIENCE_MS,
    });
    if (!this.#isClosed) this.#compare(states.map((state) => this.#withCounts(state, slots)));
    return this.#states;
  }

  #slotsToCount(): number[] {
    const slots = new Set(this.#touched);
    for (let each = 0; each < SLOTS_AT_ONCE; each++) slots.add((this.#nextSlot + each) % SLOT_COUNT);
    this.#nextSlot = (this.#nextSlot + SLOTS_AT_ONCE) % SLOT_COUNT;
    return [...slots];
  }

  /** The state with all numbers of keys that the server has told, now or before, of the slots that it still has. */
  #withCounts(state: ServerState, asked: readonly number[]): ServerState {
    const { id, keysBySlot, slots, open } = state;
    const counts = this.#counts.get(id) ?? new Map<number, number>();
    this.#counts.set(id, counts);
    if (keysBySlot !== undefined) {
      for (const slot of asked) counts.delete(slot);
      for (const [slot, keys] of Object.entries(keysBySlot)) counts.set(Number(slot), keys);
      for (const slot of counts.keys()) {
        const isIts = slots.some(({ start, end }) => start <= slot && slot <= end);
        if (!isIts && !open.some((each) => each.slot === slot)) counts.delete(slot);
      }
    }
    return { ...state, keysBySlot: Object.fromEntries(counts) };
  }

  #compare(states: readonly ServerState[]): void {
    const before = new Map(this.#states.map((state) => [state.id, state]));
    const texts = new Map<string, string>();
    let hasChanged = states.length !== this.#states.length;
    let haveKeysChanged = false;
    const compared = states.map((state) => {
      const { keys, keysBySlot, ...others } = state;
      const [text, keysText] = [JSON.stringify(others), JSON.stringify([keys, keysBySlot])];
      texts.set(state.id, text + keysText);
      const old = before.get(state.id);
      const oldText = this.#texts.get(state.id);
      if (old !== undefined && oldText === text + keysText) return old;
      if (oldText?.startsWith(text) && old !== undefined) haveKeysChanged = true;
      else hasChanged = true;
      return state;
    });
    const now = performance.now();
    if (!hasChanged && !(haveKeysChanged && now - this.#toldKeysAt >= KEYS_EVERY_MS)) return;
    this.#toldKeysAt = now;
    this.#states = compared;
    this.#texts = texts;
    this.#asked.onChange(compared);
  }
}
