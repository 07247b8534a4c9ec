import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Connection } from "../../src/connection/connection.ts";
import { ConnectionLostError, ReplyError } from "../../src/errors.ts";
import type { Argument, Reply } from "../../src/protocol/reply.ts";
import { defineLibrary } from "../../src/scripts/library.ts";
import { defineScript } from "../../src/scripts/script.ts";
import { askWhatIsHeld } from "../../src/scripts/script-questions.ts";
import { ScriptRegistry } from "../../src/scripts/script-registry.ts";

const registry = new ScriptRegistry();
const [one, two] = ["one", "two"].map((name) => registry.register(defineScript({ name, source: `return '${name}'` })));
const source = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
const library = registry.registerLibrary(defineLibrary({ source, functions: { f: {} } }));
const wanted = [one, library, two].filter((item) => item !== undefined);

/** Answers each question in turn, and notes it. */
function nodeThatAnswers(...answers: (Reply | Error)[]): { connection: Connection; asked: (readonly Argument[])[] } {
  const asked: (readonly Argument[])[] = [];
  const exchange = (...commands: (readonly Argument[])[]) =>
    commands.map((command) => {
      asked.push(command);
      const answer = answers.shift() as Reply | Error;
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    });
  return { connection: { exchange } as unknown as Connection, asked };
}

const listed = (code: string): Reply => [["library_name", "lib", "engine", "LUA", "library_code", code]];
const findingsOf = async (...answers: (Reply | Error)[]) => {
  const findings = await askWhatIsHeld(nodeThatAnswers(...answers).connection, wanted);
  return wanted.map((item) => findings.get(item));
};

describe("asking a node which scripts it has", () => {
  it("asks once for all scripts, and once for each library", async () => {
    const { connection, asked } = nodeThatAnswers([1, 1], []);
    await askWhatIsHeld(connection, wanted);
    assert.deepEqual(asked, [
      ["SCRIPT", "EXISTS", one?.sha, two?.sha],
      ["FUNCTION", "LIST", "LIBRARYNAME", "lib", "WITHCODE"],
    ]);
  });

  it("asks nothing about scripts where only libraries are wanted", async () => {
    const { connection, asked } = nodeThatAnswers([]);
    await askWhatIsHeld(connection, [library]);
    assert.equal(asked.length, 1);
  });

  for (const { when, answers, expect } of [
    { when: "the node has everything", answers: [[1, 1], listed(source)], expect: ["same", "same", "same"] },
    { when: "the node has nothing", answers: [[0, 0], []], expect: ["none", "none", "none"] },
    { when: "another library has the name", answers: [[0, 1], listed("other")], expect: ["none", "other", "same"] },
    { when: "the node hides the code", answers: [[1, 0], [["library_name", "lib"]]], expect: ["same", "none", "none"] },
    {
      when: "the user may not ask for scripts",
      answers: [new ReplyError("NOPERM no"), listed(source)],
      expect: [undefined, "same", undefined],
    },
    {
      when: "the server is too old for libraries",
      answers: [[1, 0], new ReplyError("ERR unknown command 'FUNCTION'")],
      expect: ["same", undefined, "none"],
    },
  ] satisfies { when: string; answers: (Reply | Error)[]; expect: (string | undefined)[] }[]) {
    it(`when ${when}: ${expect.join(", ")}`, async () => {
      assert.deepEqual(await findingsOf(...answers), expect);
    });
  }

  it("rejects when the connection is lost", async () => {
    const lost = new ConnectionLostError("127.0.0.1:7000", "unknown");
    await assert.rejects(findingsOf([1, 1], lost), lost);
  });
});
