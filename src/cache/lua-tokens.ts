/** A word, number, symbol or string of Lua. Strings are given as `"` and what stands between their quotes. */
export type LuaToken = string;

const TOKEN =
  /--\[(=*)\[[\s\S]*?\]\1\]|--[^\n]*|\s+|\[(=*)\[([\s\S]*?)\]\2\]|"((?:\\[\s\S]|[^"\\])*)"|'((?:\\[\s\S]|[^'\\])*)'|[A-Za-z_]\w*|0[xX][\da-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}[\];:,.]/y;

/** The tokens of a source, without comments. Undefined where it has something that is not Lua. */
export function luaTokens(source: string): LuaToken[] | undefined {
  const tokens: LuaToken[] = [];
  // A shebang is no Lua.
  TOKEN.lastIndex = source.startsWith("#!") ? source.indexOf("\n") + 1 || source.length : 0;
  while (TOKEN.lastIndex < source.length) {
    const found = TOKEN.exec(source);
    if (found === null) return undefined;
    const [whole, , , long, double, single] = found;
    const text = long ?? double ?? single;
    if (text !== undefined) tokens.push(`"${text}`);
    else if (!/^(--|\s)/.test(whole)) tokens.push(whole);
  }
  return tokens;
}
