import { isListed, keyPositionsOf } from "../commands/keys.ts";
import { type LuaToken, luaTokens } from "./lua-tokens.ts";

/*
 * Whether a script's source shows that it reads no keys but those it was given. If so, an invalidation of another key
 * does not concern its replies. A script for which nothing is shown is taken for one that may read any: a wrong "no" costs
 * hits, a wrong "yes" would cost the truth. So every form that is accepted here is listed, and everything else is not.
 */

/** Members of `redis` that call no command. */
const HARMLESS = /^(error_reply|status_reply|log|sha1hex|LOG_\w+|REPL_\w+|REDIS_\w+|SERVER_\w+)$/;
/** Names with which a source could get at commands, or change names, in ways that are not seen here. */
const OPAQUE = /^(_G|load|loadstring|dofile|require|setmetatable|getmetatable|rawset|rawget|getfenv|setfenv|debug)$/;
/** They read keys that servers do not track for them, or what servers do not tell of: the groups of a stream. */
const UNTOLD = /^(sort|sort_ro|xinfo|xpending)$/;
const NAME = /^[A-Za-z_]\w*$/;

/** Whether the source shows that the script reads only keys that it was given. */
export function readsOnlyGivenKeys(source: string): boolean {
  const tokens = luaTokens(source);
  return tokens !== undefined && new Source(tokens).readsOnlyGivenKeys();
}

class Source {
  readonly #tokens: readonly LuaToken[];
  /** Names that always stand for a key that was given. */
  readonly #keyNames: ReadonlySet<string>;

  constructor(tokens: readonly LuaToken[]) {
    this.#tokens = tokens;
    this.#keyNames = keyNamesIn(tokens);
  }

  readsOnlyGivenKeys(): boolean {
    const tokens = this.#tokens;
    for (const [at, token] of tokens.entries()) {
      const isMember = tokens[at - 1] === "." || tokens[at - 1] === ":";
      if (OPAQUE.test(token) && !isMember) return false;
      // Whoever gives these another meaning is not followed.
      if (/^(ipairs|pairs|unpack)$/.test(token) && !isMember && tokens[at + 1] !== "(") return false;
      if (/^(ipairs|pairs|unpack|redis|server|KEYS)$/.test(token) && /^(function|local)$/.test(tokens[at - 1] ?? "")) {
        return false;
      }
      if (token === "KEYS" && !isMember && !this.#onlyReadsKeys(at)) return false;
      if ((token === "redis" || token === "server") && !isMember && !this.#isHarmlessUse(at)) return false;
    }
    return true;
  }

  /** Whether the word `KEYS` is used in a way that neither changes nor hands on the table. */
  #onlyReadsKeys(at: number): boolean {
    const tokens = this.#tokens;
    if (tokens[at + 1] === "[") return tokens[closing(tokens, at + 1) + 1] !== "=";
    if (tokens[at - 1] === "#") return true;
    return tokens[at - 1] === "(" && tokens[at + 1] === ")" && /^(ipairs|pairs|unpack)$/.test(tokens[at - 2] ?? "");
  }

  #isHarmlessUse(at: number): boolean {
    const tokens = this.#tokens;
    if (tokens[at + 1] !== ".") return false;
    const member = tokens[at + 2] ?? "";
    if (HARMLESS.test(member)) return tokens[at + 3] !== "=";
    return (member === "call" || member === "pcall") && tokens[at + 3] === "(" && this.#readsGivenKeys(at + 3);
  }

  /** Whether the call, whose arguments begin behind `open`, names only keys that were given. */
  #readsGivenKeys(open: number): boolean {
    const [name, ...args] = argumentsIn(this.#tokens, open);
    const word = name?.length === 1 ? name[0] : undefined;
    if (word?.startsWith('"') !== true) return false;
    const lower = word.slice(1).toLowerCase();
    if (!isListed(lower) || UNTOLD.test(lower)) return false;
    const spread = args.length === 1 && args[0]?.join(" ") === "unpack ( KEYS )";
    if (spread) return true;
    // A list of unknown length may hold keys.
    if (args.some((arg) => arg[0] === "unpack" || arg[0] === "...")) {
      if (!this.#isGiven(args[0]) || !isOfOneKey(lower)) return false;
      return args[0]?.[0] !== "unpack";
    }
    let positions: readonly number[];
    try {
      positions = keyPositionsOf(
        lower,
        args.map((arg) => literalOf(arg) ?? "0"),
      );
    } catch {
      return false;
    }
    // Where the arguments say which of them are keys, they have to be known.
    if (!isOfOneKey(lower) && args.some((arg, index) => !positions.includes(index) && literalOf(arg) === undefined)) {
      return false;
    }
    return positions.length > 0 && positions.every((position) => this.#isGiven(args[position]));
  }

  /** Whether an expression is one key that was given: `KEYS[...]`, or a name for it. */
  #isGiven(expression: readonly LuaToken[] | undefined): boolean {
    if (expression === undefined) return false;
    const [first = ""] = expression;
    if (expression.length === 1) return this.#keyNames.has(first);
    return first === "KEYS" && expression[1] === "[" && closing(expression, 1) === expression.length - 1;
  }
}

/** Whether a command has one key, and it is the first argument, whatever the other arguments are. */
function isOfOneKey(lower: string): boolean {
  try {
    return [1, 2, 3, 5].every((count) => keyPositionsOf(lower, new Array(count).fill("0")).join() === "0");
  } catch {
    return false;
  }
}

/** The text of an expression that is one string or number. */
function literalOf(expression: readonly LuaToken[]): string | undefined {
  const [only = ""] = expression;
  if (expression.length !== 1) return undefined;
  if (only.startsWith('"')) return only.slice(1);
  return /^\d+$/.test(only) ? only : undefined;
}

/** The index of the bracket that closes the one at `open`. */
function closing(tokens: readonly LuaToken[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (/^[([{]$/.test(tokens[at] as string)) depth++;
    else if (/^[)\]}]$/.test(tokens[at] as string) && --depth === 0) return at;
  }
  return tokens.length;
}

/** The expressions between the brackets that open at `open`. */
function argumentsIn(tokens: readonly LuaToken[], open: number): LuaToken[][] {
  const all: LuaToken[][] = [];
  let current: LuaToken[] = [];
  let depth = 0;
  const end = closing(tokens, open);
  for (let at = open + 1; at < end; at++) {
    const token = tokens[at] as string;
    if (/^[([{]$/.test(token)) depth++;
    else if (/^[)\]}]$/.test(token)) depth--;
    if (token === "," && depth === 0) {
      all.push(current);
      current = [];
    } else current.push(token);
  }
  if (current.length > 0) all.push(current);
  return all;
}

/**
 * The names that stand for a given key wherever they occur: bound once, by `local name = KEYS[...]` or by
 * `for _, name in ipairs(KEYS) do`.
 */
function keyNamesIn(tokens: readonly LuaToken[]): ReadonlySet<string> {
  const bound = new Map<string, number>();
  const good = new Set<string>();
  const bind = (name: string) => bound.set(name, (bound.get(name) ?? 0) + 1);
  for (const [at, token] of tokens.entries()) {
    if (token === "function") for (const name of namesUntil(tokens, at + 1, ")")) bind(name);
    else if (token === "for") {
      const end = tokens.indexOf("do", at);
      const head = tokens.slice(at + 1, end).join(" ");
      const over = /^\w+ , (\w+) in i?pairs \( KEYS \)$/.exec(head);
      if (over !== null) good.add(over[1] as string);
      for (const name of namesUntil(tokens, at + 1, tokens[at + 2] === "=" ? "=" : "in")) bind(name);
    } else if (token === "local" && tokens[at + 1] !== "function") {
      const name = tokens[at + 1] as string;
      const end = closing(tokens, at + 4);
      // What stands behind `KEYS[...]` must not go on with the expression.
      const isWhole = !/^(\.\.|or|and|[-+*/%^.:,[({]|==|~=|<=|>=|<|>|")/.test(tokens[end + 1] ?? "");
      const isKey = tokens[at + 2] === "=" && tokens[at + 3] === "KEYS" && tokens[at + 4] === "[" && isWhole;
      if (isKey) good.add(name);
      if (tokens[at + 2] !== "=") for (const each of listFrom(tokens, at + 1)) bind(each);
    }
    // `a, b = ...`, with or without `local` in front.
    if (token === "=")
      for (let name = at - 1; NAME.test(tokens[name] ?? ""); name -= 2) {
        bind(tokens[name] as string);
        if (tokens[name - 1] !== ",") break;
      }
  }
  return new Set([...good].filter((name) => bound.get(name) === 1));
}

function namesUntil(tokens: readonly LuaToken[], from: number, end: string): readonly string[] {
  const to = tokens.indexOf(end, from);
  return tokens.slice(from, to === -1 ? tokens.length : to).filter((token) => NAME.test(token));
}

/** The names of `a, b, c` from `from` on, unless an assignment follows, which binds them by itself. */
function listFrom(tokens: readonly LuaToken[], from: number): readonly string[] {
  const names: string[] = [];
  let at = from;
  for (; NAME.test(tokens[at] ?? ""); at += 2) {
    names.push(tokens[at] as string);
    if (tokens[at + 1] !== ",") break;
  }
  return tokens[at + 1] === "=" ? [] : names;
}
