import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isNativeError } from "node:util/types";
import * as errors from "../../src/errors.ts";
import { type InvalidArgumentError, type SlotwireError, withOutcome, withParticulars } from "../../src/errors.ts";
import { type defineLibrary, isLibrary, libraryOfFunction } from "../../src/scripts/library.ts";
import { defineScript, isScript } from "../../src/scripts/script.ts";

/** One error of each class, as it is made before a call's particulars are added. */
function oneOfEach(of: typeof errors): SlotwireError[] {
  const lost = new Error("read ECONNRESET");
  return [
    new of.ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    new of.ReplyError("ERR no", "executed", { script: "transfer", line: 3, sourceLine: "error('no')" }),
    new of.CrossSlotError([
      { key: "a", slot: 15495 },
      { key: "b", slot: 3300 },
    ]),
    new of.InvalidArgumentError("argument 1 is null; accepted are string and Buffer."),
    new of.DeadlineError(50, "unknown"),
    new of.AbortedError("not-executed", undefined),
    new of.ConnectionLostError("h:1", "unknown", lost),
    new of.RedirectionsError(1, [
      { address: "h:1", answer: "MOVED" },
      { address: "h:2", answer: "MOVED" },
    ]),
    new of.UnavailableError("No node serves slot 7", new Map([["h:1", lost]])),
    new of.QueueFullError("h:1", "maxPendingPerNode is 1"),
    new of.AuthError("h:1", "WRONGPASS invalid username-password pair or user is disabled."),
    new of.ProtocolError("The server sent a reply that cannot be decoded."),
    new of.ClosedError(),
  ];
}

const call = { command: "get", address: "h:1", slot: 7 };
const run = { ...call, command: "transfer", isScript: true };

describe("the error of a call", () => {
  it("names the command, the slot and the node that was asked last, whatever its class", () => {
    assert.deepEqual(
      oneOfEach(errors).map((error) => withParticulars(error, call).message),
      [
        "WRONGTYPE Operation against a key holding the wrong kind of value [GET, slot 7, node h:1]",
        `ERR no (script "transfer", line 3: error('no')) [GET, slot 7, node h:1]`,
        'Keys of one call must be in one slot; these are not: "a" (slot 15495), "b" (slot 3300). A common hash tag, as in "{user:1}:a" and "{user:1}:b", puts keys in one slot. [GET, slot 7, node h:1]',
        "argument 1 is null; accepted are string and Buffer. [GET, slot 7, node h:1]",
        "The call was not answered within 50 ms; it was sent and may have run. [GET, slot 7, node h:1]",
        "The call was aborted by its signal. [GET, slot 7, node h:1]",
        "The connection to h:1 was lost (read ECONNRESET). [GET, slot 7]",
        "More than 1 redirections: h:1 (MOVED) -> h:2 (MOVED). [GET, slot 7]",
        "No node serves slot 7: h:1 (read ECONNRESET). [GET]",
        "Too much is waiting for h:1: maxPendingPerNode is 1. [GET, slot 7]",
        "h:1 refused the credentials: WRONGPASS invalid username-password pair or user is disabled. [GET, slot 7]",
        "The server sent a reply that cannot be decoded. [GET, slot 7, node h:1]",
        "The client is closed. [GET, slot 7, node h:1]",
      ],
    );
  });

  it("names the script in place of the command, once", () => {
    const [, ofScript, , , , , , , , , , , closed] = oneOfEach(errors).map(
      (error) => withParticulars(error, run).message,
    );
    assert.equal(ofScript, `ERR no (script "transfer", line 3: error('no')) [slot 7, node h:1]`);
    assert.equal(closed, 'The client is closed. [script "transfer", slot 7, node h:1]');
  });

  it("has them as properties, and is an error like any other", () => {
    for (const error of oneOfEach(errors)) {
      const told = withParticulars(error, call);
      assert.deepEqual([told.command, told.address, told.slot], ["GET", "h:1", 7]);
      assert.deepEqual([told.code, told.name, told.outcome], [error.code, error.name, error.outcome]);
      assert.equal(told.cause, error.cause);
      assert.ok(isNativeError(told), "a copy is a native error");
      assert.match(String(told.stack), new RegExp(`^${error.name}: `));
      assert.equal(error.command, undefined, "the error that others share is left alone");
    }
  });

  it("keeps what it names already, and gets the rest", () => {
    const part = withParticulars(new errors.ClosedError(), { command: "mget", slot: 3 });
    const whole = withParticulars(withOutcome(part, "executed"), { command: "DEL", address: "h:2", slot: 4 });
    assert.deepEqual([whole.command, whole.slot, whole.address, whole.outcome], ["MGET", 3, "h:2", "executed"]);
    assert.equal(
      whole.message,
      "The client is closed. (one part of the call failed; another part ran) [MGET, slot 3, node h:2]",
    );
  });

  it("names no command that can hold arguments, and no slot of a call without keys", () => {
    for (const command of ["SET k secret", "AUTH\r\nsecret", "", "x".repeat(50), undefined]) {
      assert.equal(withParticulars(new errors.ClosedError(), { command, slot: -1 }).message, "The client is closed.");
    }
  });

  it("of another kind is left as it is", () => {
    for (const thrown of [new Error("x"), "x", undefined]) assert.equal(withParticulars(thrown, call), thrown);
  });
});

describe("another installed copy of slotwire", () => {
  let folder: string;
  let other: typeof errors;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "slotwire-copy-"));
    cpSync(fileURLToPath(new URL("../../src", import.meta.url)), join(folder, "src"), { recursive: true });
    symlinkSync(fileURLToPath(new URL("../../node_modules", import.meta.url)), join(folder, "node_modules"));
    cpSync(fileURLToPath(new URL("../../package.json", import.meta.url)), join(folder, "package.json"));
    other = await import(pathToFileURL(join(folder, "src/errors.ts")).href);
  });
  after(() => rmSync(folder, { recursive: true }));

  it("has errors of classes of its own, which instanceof recognises by their codes", () => {
    const classes = Object.values(errors).filter(
      (each) => each.prototype instanceof Error,
    ) as (typeof InvalidArgumentError)[];
    const foreign = oneOfEach(other);
    for (const [index, error] of oneOfEach(errors).entries()) {
      const theirs = foreign[index] as SlotwireError;
      assert.notEqual(theirs.constructor, error.constructor);
      for (const each of classes)
        assert.equal(theirs instanceof each, error instanceof each, `${error.code} ${each.name}`);
      assert.equal(withParticulars(theirs, call).command, "GET");
    }
  });

  it("has no part in other values and classes", () => {
    class Own extends errors.ReplyError {}
    const theirs = new other.ReplyError("ERR x");
    assert.equal(theirs instanceof Own, false);
    assert.equal(new Own("ERR x") instanceof errors.ReplyError, true);
    for (const value of [null, undefined, 1, {}, new Error("x"), { code: "REPLY" }]) {
      assert.equal(value instanceof errors.SlotwireError, false);
      assert.equal(value instanceof errors.ReplyError, false);
    }
  });

  it("has handles that are scripts and libraries here, too", async () => {
    const scripts: { defineScript: typeof defineScript } = await import(
      pathToFileURL(join(folder, "src/scripts/script.ts")).href
    );
    const libraries: { defineLibrary: typeof defineLibrary } = await import(
      pathToFileURL(join(folder, "src/scripts/library.ts")).href
    );
    assert.notEqual(scripts.defineScript, defineScript);
    const script = scripts.defineScript({ name: "theirs", source: "return 1" });
    assert.deepEqual([isScript(script), isLibrary(script)], [true, false]);
    const library = libraries.defineLibrary({ source: "#!lua name=theirs\n", functions: { one: {} } });
    assert.deepEqual([isLibrary(library), isScript(library)], [true, false]);
    assert.equal(libraryOfFunction(library.functions.one), library);
    assert.equal(libraryOfFunction(script), undefined);
    assert.equal(isScript({ ...script }), false);
  });
});

describe("UnavailableError", () => {
  it("tells the first 20 causes, and how many there are", () => {
    const causes = new Map(Array.from({ length: 5000 }, (_, index) => [`10.0.0.1:${index}`, new Error("refused")]));
    const error = new errors.UnavailableError("Nobody", causes);
    assert.match(error.message, /10\.0\.0\.1:19 \(refused\); and 4980 more\.$/);
    assert.equal(error.causes.size, 5000);
    assert.equal((error.cause as Error).message, "refused");
  });
});
