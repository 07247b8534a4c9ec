import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bulk, encodeCommand } from "../../src/protocol/encode.ts";
import { defineScript } from "../../src/scripts/script.ts";
import { ScriptRegistry } from "../../src/scripts/script-registry.ts";

const SOURCE = "return {KEYS[1], 'é€'}";
const script = defineScript({ name: "one", source: SOURCE });

describe("ScriptRegistry", () => {
  it("has one entry for scripts of one source, under the name that came first", () => {
    const registry = new ScriptRegistry();
    const first = registry.register(script);
    const second = registry.register(defineScript({ name: "another", source: SOURCE }));
    assert.equal(first, second);
    assert.equal(first.name, "one");
    assert.deepEqual(registry.all, [first]);
  });

  it("numbers its entries from 1 in the order of registration, and finds them by SHA-1", () => {
    const registry = new ScriptRegistry();
    const added = ["a", "b", "c"].map((name) => registry.register(defineScript({ name, source: `return '${name}'` })));
    assert.deepEqual(
      added.map(({ index }) => index),
      [1, 2, 3],
    );
    for (const each of added) assert.equal(registry.get(each.sha), each);
    assert.equal(registry.get(script.sha), undefined);
  });

  it("refuses a source that fits into no load, and keeps nothing of it", () => {
    const registry = new ScriptRegistry();
    // In memory a character of it has one byte, and on the wire it has two.
    const huge = { name: "huge", sha: "0".repeat(40), source: "é".repeat(2 ** 28 - 40) };
    const error = { code: "INVALID_ARGUMENT", message: /^The source of script "huge" is too large: .* 512 MiB/ };
    assert.throws(() => registry.register(huge), error);
    assert.throws(() => registry.keep(huge), error);
    assert.deepEqual([registry.all, registry.get(huge.sha)], [[], undefined]);
    assert.equal(registry.register(script).index, 1);
  });
});

describe("RegisteredScript", () => {
  const registered = new ScriptRegistry().register(script);

  it("is loaded by SCRIPT LOAD with its source", () => {
    assert.equal(registered.loadFrame, encodeCommand(["SCRIPT", "LOAD", SOURCE]));
  });

  it("is called by a head that fits any number of keys and arguments", () => {
    for (const keys of [0, 1, 2, 10]) {
      for (const args of [0, 1, 3, 12]) {
        const values = Array.from({ length: keys + args }, (_, index) => `v${index}`);
        for (const command of ["EVALSHA", "EVALSHA_RO"]) {
          const frame = registered.head(keys, args, command === "EVALSHA_RO") + values.map(bulk).join("");
          assert.equal(frame, encodeCommand([command, script.sha, keys, ...values]));
        }
      }
    }
  });

  it("turns a call by SHA-1 into the same call by source", () => {
    const args = ["k", "EVALSHA", script.sha, "$7\r\nEVALSHA\r\n"];
    const bySha = encodeCommand(["EVALSHA", script.sha, 1, ...args]);
    assert.equal(registered.evalFrame(bySha), encodeCommand(["EVAL", SOURCE, 1, ...args]));
    const readOnly = encodeCommand(["EVALSHA_RO", script.sha, 1, ...args]);
    assert.equal(registered.evalFrame(readOnly), encodeCommand(["EVAL_RO", SOURCE, 1, ...args]));
  });

  it("turns a call by EVALSHA_RO into the same by EVALSHA, and encodes so once servers are known to be older", () => {
    const args = ["k", "EVALSHA_RO", script.sha, "$10\r\nEVALSHA_RO\r\n"];
    const readOnly = encodeCommand(["EVALSHA_RO", script.sha, 1, ...args]);
    assert.equal(registered.plainFrame(readOnly), encodeCommand(["EVALSHA", script.sha, 1, ...args]));
    registered.noteNoReadOnlyVariants();
    assert.equal(registered.head(1, 0, true), registered.head(1, 0, false));
  });
});
