import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/*
 * The tables of src/commands/replies as values: types have no form at run time, so the sources are read. The grammar is that
 * of the types which the tables use; anything else is an error.
 *
 *   type    = item { "|" item }
 *   item    = ( name | text | number | "(" type ")" | tuple ) { "[]" }
 *   tuple   = "[" [ element { "," element } ] "]"
 *   element = [ "..." ] [ name [ "?" ] ":" ] type
 */

export type ReplyType =
  | { readonly kind: "string" | "number" | "null" | "never" | "Reply" }
  | { readonly kind: "literal"; readonly value: string | number }
  | { readonly kind: "union"; readonly members: readonly ReplyType[] }
  | { readonly kind: "array"; readonly element: ReplyType }
  | { readonly kind: "tuple"; readonly elements: readonly Element[] };
interface Element {
  readonly type: ReplyType;
  readonly isOptional: boolean;
  readonly isRest: boolean;
}

const folder = fileURLToPath(new URL("../../src/commands/replies/", import.meta.url));

/** The types of all replies, by the command's name, or its name and subcommand. */
export function replyTypes(): Map<string, ReplyType> {
  const table = new Map<string, ReplyType>();
  for (const file of readdirSync(folder)) {
    for (const [name, type] of typesIn(readFileSync(folder + file, "utf8"))) {
      if (table.has(name)) throw new Error(`${name} is there twice`);
      table.set(name, type);
    }
  }
  return table;
}

/** The members of the interfaces in one source. */
export function typesIn(source: string): Map<string, ReplyType> {
  const text = source.replace(/\/\*.*?\*\/|\/\/[^\n]*|^import [^\n]*/gms, "");
  const aliases = new Map(
    [...text.matchAll(/^type (\w+) =([^;]*);/gm)].map(([, name = "", type = ""]) => [name, type]),
  );
  const table = new Map<string, ReplyType>();
  for (const [, body = ""] of text.matchAll(/^export interface \w+ \{([^}]*)\}/gm)) {
    for (const member of body.split(";")) {
      if (member.trim() === "") continue;
      const [, quoted, plain, type = ""] = /^\s*(?:"([^"]+)"|([A-Z_]+)):(.*)$/s.exec(member) ?? [];
      const name = quoted ?? plain;
      if (name === undefined) throw new Error(`This is no member: ${member}`);
      table.set(name, new Parser(type, aliases).whole());
    }
  }
  return table;
}

class Parser {
  readonly #tokens: string[];
  readonly #aliases: ReadonlyMap<string, string>;

  constructor(text: string, aliases: ReadonlyMap<string, string>) {
    this.#tokens = text.match(/"[^"]*"|\.\.\.|\w+|\S/g) ?? [];
    this.#aliases = aliases;
  }

  whole(): ReplyType {
    const type = this.#type();
    if (this.#tokens.length > 0) throw new Error(`Not understood: ${this.#tokens.join(" ")}`);
    return type;
  }

  #take(token: string): boolean {
    if (this.#tokens[0] !== token) return false;
    this.#tokens.shift();
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw new Error(`Expected ${token} before ${this.#tokens.join(" ")}`);
  }

  #type(): ReplyType {
    this.#take("|");
    const members = [this.#item()];
    while (this.#take("|")) members.push(this.#item());
    const [only] = members;
    return members.length === 1 ? (only as ReplyType) : { kind: "union", members };
  }

  #item(): ReplyType {
    let type = this.#single();
    while (this.#tokens[0] === "[" && this.#tokens[1] === "]") {
      this.#tokens.splice(0, 2);
      type = { kind: "array", element: type };
    }
    return type;
  }

  #single(): ReplyType {
    if (this.#take("(")) {
      const type = this.#type();
      this.#expect(")");
      return type;
    }
    if (this.#take("[")) return this.#tuple();
    const word = this.#tokens.shift() ?? "nothing";
    if (word.startsWith('"')) return { kind: "literal", value: word.slice(1, -1) };
    if (/^\d+$/.test(word)) return { kind: "literal", value: Number(word) };
    if (word === "string" || word === "number" || word === "null" || word === "never" || word === "Reply") {
      return { kind: word };
    }
    const alias = this.#aliases.get(word);
    if (alias === undefined) throw new Error(`There is no type ${word}`);
    return new Parser(alias, this.#aliases).whole();
  }

  #tuple(): ReplyType {
    const elements: Element[] = [];
    while (!this.#take("]")) {
      const isRest = this.#take("...");
      const isNamed = this.#tokens[1] === ":" || (this.#tokens[1] === "?" && this.#tokens[2] === ":");
      const isOptional = isNamed && this.#tokens[1] === "?";
      if (isNamed) this.#tokens.splice(0, isOptional ? 3 : 2);
      const type = this.#type();
      elements.push({ type: isRest && type.kind === "array" ? type.element : type, isOptional, isRest });
      if (this.#tokens[0] !== "]") this.#expect(",");
    }
    return { kind: "tuple", elements };
  }
}

/** Holds replies against types, and remembers which members of unions only some reply can have had. */
export class Comparison {
  readonly #seen: Set<ReplyType>;
  readonly #strings: "string" | "buffer";

  /** @param seen  Gets the members of unions that a reply had, and no other member of the union. */
  constructor(strings: "string" | "buffer", seen: Set<ReplyType>) {
    this.#strings = strings;
    this.#seen = seen;
  }

  fits(type: ReplyType, value: unknown): boolean {
    switch (type.kind) {
      case "string":
        return this.#textOf(value) !== undefined;
      case "number":
        return typeof value === "number";
      case "null":
        return value === null;
      case "never":
        return false;
      case "Reply":
        return true;
      case "literal":
        return type.value === (typeof type.value === "number" ? value : this.#textOf(value));
      case "array":
        return Array.isArray(value) && value.every((each) => this.fits(type.element, each));
      case "tuple":
        return Array.isArray(value) && this.#fitsTuple(type.elements, value);
      case "union":
        return type.members.some((member) => this.fits(member, value));
    }
  }

  /** Notes which members of unions a reply that fits has. */
  note(type: ReplyType, value: unknown): void {
    if (type.kind === "array") for (const each of value as unknown[]) this.note(type.element, each);
    else if (type.kind === "tuple") {
      for (const [index, each] of (value as unknown[]).entries()) {
        const element = type.elements[index] ?? type.elements.at(-1);
        if (element !== undefined) this.note(element.type, each);
      }
    } else if (type.kind === "union") {
      const fitting = type.members.filter((member) => this.fits(member, value));
      const [only] = fitting;
      if (only === undefined || fitting.length > 1) return;
      this.#seen.add(only);
      this.note(only, value);
    }
  }

  #fitsTuple(elements: readonly Element[], values: readonly unknown[]): boolean {
    const rest = elements.find(({ isRest }) => isRest);
    const least = elements.filter(({ isOptional, isRest }) => !isOptional && !isRest).length;
    if (values.length < least || (rest === undefined && values.length > elements.length)) return false;
    return values.every((value, index) => {
      const element = elements[index];
      return this.fits((element ?? (rest as Element)).type, value);
    });
  }

  #textOf(value: unknown): string | undefined {
    if (this.#strings === "string") return typeof value === "string" ? value : undefined;
    return Buffer.isBuffer(value) ? value.toString() : undefined;
  }
}

/** The members of the unions in a type, each with the text that names it. */
export function alternativesIn(type: ReplyType): [text: string, member: ReplyType][] {
  switch (type.kind) {
    case "union":
      return type.members.flatMap((member): [string, ReplyType][] => [
        [`${inWords(member)} of ${inWords(type)}`, member],
        ...alternativesIn(member),
      ]);
    case "array":
      return alternativesIn(type.element);
    case "tuple":
      return type.elements.flatMap((element) => alternativesIn(element.type));
    default:
      return [];
  }
}

export function inWords(type: ReplyType): string {
  switch (type.kind) {
    case "literal":
      return JSON.stringify(type.value);
    case "union":
      return type.members.map(inWords).join(" | ");
    case "array":
      return type.element.kind === "union" ? `(${inWords(type.element)})[]` : `${inWords(type.element)}[]`;
    case "tuple":
      return `[${type.elements.map(({ type: each, isOptional, isRest }) => `${isRest ? "..." : ""}${inWords(each)}${isOptional ? "?" : ""}`).join(", ")}]`;
    default:
      return type.kind;
  }
}
