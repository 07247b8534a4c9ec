import { InvalidArgumentError } from "../../errors.ts";
import { SLOT_COUNT, slotOf } from "../../protocol/hash-slot.ts";
import type { ServerState } from "../study/events.ts";

/** What a page asked for, checked. Every error names what was wrong, and what is accepted. */
export class Input {
  readonly #control: string;
  readonly #given: Readonly<Record<string, unknown>>;

  /** @throws {InvalidArgumentError} There is a property that the control does not know. */
  constructor(control: string, given: Readonly<Record<string, unknown>>, accepted: readonly string[]) {
    this.#control = control;
    this.#given = given;
    for (const name of Object.keys(given)) {
      if (name === "name" || accepted.includes(name)) continue;
      const what = accepted.length === 0 ? "nothing but its name" : accepted.join(", ");
      throw new InvalidArgumentError(`${control} does not know ${JSON.stringify(name)}; accepted is ${what}.`);
    }
  }

  has(name: string): boolean {
    return this.#given[name] !== undefined && this.#given[name] !== "";
  }

  text(name: string): string {
    const value = this.#given[name];
    if (typeof value === "string" && value !== "") return value;
    throw this.#wrong(name, "a text");
  }

  /** A word, which may be a number. */
  word(name: string): string {
    const value = this.#given[name];
    return typeof value === "number" ? String(value) : this.text(name);
  }

  flag(name: string): boolean {
    const value = this.#given[name] ?? false;
    if (typeof value === "boolean") return value;
    throw this.#wrong(name, "true or false");
  }

  /** Texts. Numbers are taken as their decimal text. */
  texts(name: string): string[] {
    const value = this.#given[name] ?? [];
    const isText = (each: unknown) => typeof each === "string" || (typeof each === "number" && Number.isFinite(each));
    if (Array.isArray(value) && value.every(isText)) return value.map(String);
    throw this.#wrong(name, "an array of texts");
  }

  /** A whole number, or its decimal text. */
  number(name: string, { least, most, fallback }: { least: number; most: number; fallback?: number }): number {
    const value = this.#given[name];
    if (value === undefined && fallback !== undefined) return fallback;
    const number = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isInteger(number) && number >= least && number <= most) return number;
    throw this.#wrong(name, `a whole number from ${least} to ${most}`);
  }

  /** A slot, given by its number or by a key in it. */
  slot(): number {
    if (this.has("slot")) return this.number("slot", { least: 0, most: SLOT_COUNT - 1 });
    if (this.has("key")) return slotOf(this.text("key"));
    throw new InvalidArgumentError(`${this.#control} needs a slot, or a key in it.`);
  }

  /** A node, given by its name, its address, or its port. */
  node(name: string, nodes: readonly ServerState[]): ServerState {
    const given = this.#given[name];
    const text = typeof given === "number" ? String(given) : given;
    const found = nodes.find(({ name, address }) => {
      if (typeof text !== "string") return false;
      return name === text.toUpperCase() || address === text || address.endsWith(`:${text}`);
    });
    if (found !== undefined) return found;
    throw this.#wrong(name, nodes.map((node) => `${node.name} (${node.address})`).join(", "));
  }

  #wrong(name: string, accepted: string): InvalidArgumentError {
    const value = this.#given[name];
    const shown = value === undefined ? "missing" : JSON.stringify(value).slice(0, 100);
    return new InvalidArgumentError(`${this.#control}: ${name} is ${shown}; accepted is ${accepted}.`);
  }
}
