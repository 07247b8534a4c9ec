import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { API, type Checker, type InterfaceType, type Symbol as Named, SymbolFlags } from "typescript/unstable/sync";

const root = fileURLToPath(new URL("../../", import.meta.url));
const entries = ["src/index.ts", "src/testing/index.ts", "src/telemetry/opentelemetry/index.ts"];

// Every exported name, and every member of it that is public, says what it is: `npm run docs` and editors show no more.
describe("docstrings", () => {
  const api = new API({ cwd: root });
  after(() => api.close());
  const project = api.updateSnapshot({ openProject: `${root}tsconfig.json` }).getProject(`${root}tsconfig.json`);
  assert.ok(project);
  const { checker, program } = project;

  /** What a module exports. */
  function namesOf(entry: string): Named[] {
    const file = program.getSourceFile(`${root}${entry}`);
    const module = file && checker.getSymbolAtLocation(file);
    assert.ok(module);
    const exported = checker.getExportsOfModule(module);
    return exported.map((name) => (isAlias(name) ? checker.getAliasedSymbol(name) : name));
  }

  for (const entry of entries) {
    it(`are at every public name of ${entry}`, () => {
      const names = namesOf(entry);
      assert.ok(names.length > 0);
      assert.deepEqual(
        names.flatMap((name) => withoutDocstring(checker, name, name.name)),
        [],
      );
    });

    it(`say what holds where an option is left out, in ${entry}`, () => {
      assert.deepEqual(
        namesOf(entry).flatMap((name) => withoutDefault(checker, name)),
        [],
      );
    });
  }
});

/** The paths of options that may be left out and do not say what holds then. */
function withoutDefault(checker: Checker, symbol: Named): string[] {
  const isOptions = /Options$|Definition$/.test(symbol.name) && (symbol.flags & SymbolFlags.Interface) !== 0;
  const optional = isOptions
    ? [...symbol.getMembers().values()].filter(({ flags }) => flags & SymbolFlags.Optional)
    : [];
  const silent = optional.filter((option) => !option.getJsDocTags(checker).some(({ name }) => name === "default"));
  return silent.map(({ name }) => `${symbol.name}.${name}`);
}

const isAlias = ({ flags }: Named) => (flags & SymbolFlags.Alias) !== 0;

/** The paths of `symbol` and its members that say nothing. */
function withoutDocstring(checker: Checker, symbol: Named, path: string): string[] {
  if (symbol.getJsDocTags(checker).some(({ name }) => name === "internal")) return [];
  const isContainer = (symbol.flags & (SymbolFlags.Class | SymbolFlags.Interface)) !== 0;
  const members = isContainer ? [...symbol.getMembers().values()].filter(isPublic) : [];
  const inherited = isContainer ? basesOf(checker, symbol).flatMap((base) => checker.getPropertiesOfType(base)) : [];
  const silent = members.flatMap((member) => {
    const inBase = inherited.find(({ name }) => name === member.name);
    if (inBase?.getDocumentationComment(checker)) return [];
    return withoutDocstring(checker, member, `${path}.${member.name}`);
  });
  return symbol.getDocumentationComment(checker) === "" ? [path, ...silent] : silent;
}

const basesOf = (checker: Checker, symbol: Named) =>
  checker.getBaseTypes(checker.getDeclaredTypeOfSymbol(symbol) as InterfaceType);

/** Neither `#private` nor a constructor: those that are public take what `throw` needs. */
function isPublic({ name, flags }: Named): boolean {
  const isOther = (flags & (SymbolFlags.Constructor | SymbolFlags.TypeParameter)) !== 0;
  return !isOther && !name.includes("#");
}
