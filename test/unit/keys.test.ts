import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isListed, keyPositionsOf } from "../../src/commands/keys.ts";
import { wordsOf } from "../support/command-lines.ts";

describe("where the table is corrected", () => {
  const rows: [line: string, keys: string][] = [
    ["SORT a BY w_* GET o_* GET # STORE d", "a d"],
    ["SORT a BY store GET store", "a"],
    ["SORT a STORE b STORE c", "a c"],
    ["SORT_RO a BY w_* GET o_*", "a"],
    ["GEORADIUS a 1 2 3 km STORE b STOREDIST c", "a c"],
    ["GEORADIUSBYMEMBER a store 3 km", "a"],
    ['MIGRATE h 1 "" 0 5 AUTH2 keys keys KEYS a b', "a b"],
    ["MIGRATE h 1 a 0 5 COPY", "a"],
    ["MIGRATE h", ""],
    ["XREADGROUP GROUP streams streams COUNT 1 STREAMS a b > >", "a b"],
    ["XREAD COUNT 1", ""],
    ["MSETEX 2 a 1 b 2 NX", "a b"],
    ["SDIFFCARD 1 a", "a"],
    ["SUNIONCARD 2 a b LIMIT 1", "a b"],
    ["ZUNIONSTORE d 2 a b", "d a b"],
    ["EVAL s", ""],
  ];
  for (const [line, keys] of rows) {
    it(`${line} has ${keys || "none"}`, () => {
      const [name = "", ...args] = wordsOf(line);
      const found = keyPositionsOf(name.toLowerCase(), args).map((position) => args[position]);
      assert.equal(found.join(" "), keys);
      const bytes = args.map((arg) => new Uint8Array(Buffer.from(arg)));
      assert.deepEqual(keyPositionsOf(name.toLowerCase(), bytes), keyPositionsOf(name.toLowerCase(), args));
    });
  }

  it("numbers of keys that are none are refused before a list is made of them", () => {
    for (const line of ["SDIFFCARD 4294967295 a", "SUNIONCARD -1 a", "MSETEX 2 a 1 b", "MSETEX 999999999 a 1"]) {
      const [name = "", ...args] = line.split(" ");
      assert.throws(() => keyPositionsOf(name.toLowerCase(), args), { code: "INVALID_ARGUMENT" }, line);
    }
  });

  it("subcommands may be given as bytes", () => {
    const subcommand = new Uint8Array(Buffer.from("encoding"));
    assert.deepEqual(keyPositionsOf("object", [subcommand, "k"]), [1]);
  });

  it("names of what every object has are no commands", () => {
    for (const name of ["constructor", "__proto__", "tostring", "hasownproperty"]) assert.equal(isListed(name), false);
  });
});
