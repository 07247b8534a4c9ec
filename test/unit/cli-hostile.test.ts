import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { perform } from "../../src/cli/commands.ts";
import { LocalActions } from "../../src/cli/local-actions.ts";
import { guardedText, jsonOf, lineOf, printable } from "../../src/cli/printable.ts";
import { Session } from "../../src/cli/session.ts";
import { Shell } from "../../src/cli/shell/shell.ts";
import { Servers } from "../../src/cli/study/servers.ts";
import { COLOURS, type Paint, PLAIN, type Terminal } from "../../src/cli/terminal.ts";
import { writeTypes } from "../../src/cli/types.ts";
import type { LocalCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { type Answer, bulk, error } from "../support/fake-node.ts";
import { takeSubscriptions } from "../support/fake-subscribers.ts";
import { scriptFolder } from "../support/script-folder.ts";

/** Every control and format character: escapes, C1, line and paragraph separators, bidirectional marks. */
const HIDDEN = Array.from({ length: 0x110000 }, (_, code) =>
  code >= 0xd800 && code < 0xe000 ? "" : String.fromCodePoint(code),
)
  .filter((character) => /^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]$/u.test(character))
  .join("");
const HOSTILE = `a${HIDDEN}b\x1b[31mred\x1b]0;title\x07`;
/** What can be in the name of a file, a host or an error line. */
const IN_A_LINE = HOSTILE.replace(/[\0\r\n/]/g, "");

const ESCAPES = /\p{Cc}\[(?:1|2|22|31|39|38;5;\d{1,3})m/u;

/** Nothing but characters that are shown, and line ends. With colours, the escapes of these. */
function checkShown(text: string, paint: Paint = PLAIN, allowed = "\n"): void {
  const rest = paint === COLOURS ? text.split(ESCAPES).join("") : text;
  const found = [...rest].filter(
    (character) => !allowed.includes(character) && /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(character),
  );
  assert.deepEqual(
    found.map((character) => character.codePointAt(0)?.toString(16)),
    [],
    printable(text).slice(0, 2000),
  );
}

/** All that a command line writes: its result, what it wrote before, and its error as `main` prints it. */
async function all(words: readonly string[], paint: Paint = PLAIN, onWritten = (_: string) => {}): Promise<string> {
  let out = "";
  const write = (text: string) => {
    out += text;
    onWritten(out);
  };
  const terminal: Terminal = { width: 20_000, paint, write, progress: write, warn: write };
  try {
    write(await perform(words, terminal));
  } catch (thrown) {
    write(`slotwire: ${lineOf(thrown)}\n`);
  }
  checkShown(out, paint);
  return out;
}

describe("the command line shows text from outside as it is, and lets none of it at the terminal", () => {
  let cluster: FakeCluster;
  const folder = scriptFolder({ "one.lua": "return 1", [`${IN_A_LINE.slice(0, 60)}.lua`]: "return 2" });
  const at = () => ["-p", String(cluster.node(0).port)];
  before(async () => {
    cluster = await FakeCluster.start(2);
    for (const name of ["INFO", "COMMAND"]) cluster.node(0).always(name, failure);
  });
  after(() => cluster.stop());

  // A node writes its answers as latin1.
  const bytes = (text: string) => Buffer.from(text, "utf8").toString("latin1");
  const reply = (text: string): Answer => `$${bytes(text).length}\r\n${bytes(text)}\r\n`;
  const failure = (): Answer => error(`ERR ${bytes(IN_A_LINE)}`);

  it("slot", async () => {
    const text = await all(["slot", HOSTILE, `{${HOSTILE}}`]);
    assert.equal(text.split("\n").length, 3);
    const [{ key }] = JSON.parse(await all(["slot", "--json", HOSTILE])) as [{ key: string }];
    assert.equal(key, HOSTILE);
  });

  it("words that are no commands, options or numbers", async () => {
    for (const words of [
      [HOSTILE],
      ["slot", `--${HOSTILE}`],
      ["topology", HOSTILE],
      ["topology", "-h", HOSTILE],
      ["topology", "-p", HOSTILE],
      ["topology", "-u", `redis://${HOSTILE}`],
      ["bench", "--seconds", HOSTILE],
      ["bench", HOSTILE],
      ["subscribe", `--${HOSTILE}`],
      ["subscribe", HOSTILE, "--pattern", "--sharded"],
      ["scripts", HOSTILE],
      ["scripts", "--eval", `${HOSTILE}.lua`],
      ["explain", "--eval", HOSTILE],
      ["cluster", "--primaries", HOSTILE],
      ["cluster", "--primaries", "1", "--replicas", "0", "--server", `/nowhere/${HOSTILE}`],
      ["types", HOSTILE],
      ["types", folder, "--out", `/nowhere/${HOSTILE}`],
    ]) {
      assert.match(await all(words), /slotwire: /);
    }
  });

  it("topology: hosts, and why they cannot be reached", async () => {
    cluster.hostOf = (index) => (index === 0 ? "127.0.0.1" : HOSTILE);
    for (const paint of [PLAIN, COLOURS]) await all(["topology", ...at()], paint);
    await all(["topology", ...at(), "--json"]);
    await all(["scripts", ...at()], COLOURS);
    await all(["scripts", ...at(), folder, "--json"]);
    cluster.hostOf = () => "127.0.0.1";
  });

  it("explain: keys, replies and errors, of commands and of scripts", async () => {
    for (const [answer, json] of [
      [reply(HOSTILE), false],
      [reply(HOSTILE), true],
      [failure(), false],
      [failure(), true],
    ] as const) {
      cluster.node(0).always("PING", () => bulk("PONG"));
      for (const node of cluster.nodes) for (const name of ["GET", "EVALSHA"]) node.always(name, () => answer);
      for (const node of cluster.nodes) node.always("COMMAND", () => `*1\r\n${reply(HOSTILE)}`);
      const flags = json ? ["--json"] : [];
      assert.match(await all(["explain", ...at(), ...flags, "GET", HOSTILE]), /red/);
      assert.match(
        await all(["explain", ...at(), ...flags, "--eval", join(folder, "one.lua"), HOSTILE, ",", HOSTILE]),
        /red/,
      );
      await all(["explain", ...at(), "--from", HOSTILE, "GET", HOSTILE]);
    }
  });

  it("scripts: names of files, and the server's words", async () => {
    for (const node of cluster.nodes) node.always("SCRIPT LOAD", failure);
    for (const paint of [PLAIN, COLOURS]) await all(["scripts", ...at(), folder, "--load"], paint);
  });

  it("bench: the words of a server that refuses", async () => {
    for (const node of cluster.nodes) node.always("EVALSHA", failure);
    assert.match(await all(["bench", ...at(), "--seconds", "0.1"]), /slotwire: /);
  });

  it("subscribe: channels, messages, gaps, and the words of a server that refuses", async () => {
    const subscribers = cluster.nodes.map(takeSubscriptions);
    const name = bytes(HOSTILE);
    for (const paint of [PLAIN, COLOURS]) {
      for (const flags of [[], ["--json"]]) {
        const told = all(["subscribe", ...at(), ...flags, HOSTILE], paint, (out) => {
          if (/gap ends|"to":\d/.test(out)) process.emit("SIGINT");
        });
        await eventually(() => assert.equal(subscribers.flatMap(({ subscribed }) => subscribed()).length, 1));
        for (const each of subscribers) each.publish(name, name);
        for (const each of subscribers) each.dropSubscribers();
        const lines = (await told).split("\n").filter((line) => line.includes("red"));
        assert.equal(lines.length, 3, "a message, and a gap that begins and ends");
        if (flags.length === 0) continue;
        // The progress is in front of the first line.
        const [message, gap] = lines.map((line) => JSON.parse(line.slice(line.indexOf("{"))));
        assert.deepEqual([message, gap.channels], [{ channel: HOSTILE, payload: HOSTILE }, [HOSTILE]]);
      }
    }
    for (const each of subscribers) each.refuse = () => `NOPERM ${bytes(IN_A_LINE)}`;
    assert.match(await all(["subscribe", ...at(), HOSTILE]), /slotwire: NOPERM /);
  });

  it("types: names and contents of files", async () => {
    const source = `-- ${IN_A_LINE}\n-- ${IN_A_LINE}\nreturn "${IN_A_LINE}"`;
    const hostile = scriptFolder({ [`x${IN_A_LINE.slice(0, 60)}.lua`]: source });
    const text = writeTypes(hostile);
    checkShown(text, PLAIN, "\n\t");
    assert.ok(text.includes("\\u{202e}"), "the source has its bidirectional characters as escapes");
    const literal = /source: (`[^`]*`)/.exec(text)?.[1] as string;
    // biome-ignore lint/security/noGlobalEval: the generated literal has to give the source again.
    assert.equal(globalThis.eval(literal), source);
  });

  it("the commands of a local cluster", async () => {
    const session = await Session.open({ nodes: [cluster.node(0).address] });
    const terminal: Terminal = { width: 80, paint: PLAIN, write: () => {}, progress: () => {}, warn: () => {} };
    const hostile = { nodes: [HOSTILE], version: HOSTILE, pids: new Map([[HOSTILE, 1]]), authorityFile: HOSTILE };
    const local = { ...hostile, connectOptions: { password: HOSTILE } } as unknown as LocalCluster;
    const servers = await Servers.find({ nodes: [cluster.node(0).address] });
    try {
      for (const json of [true, false]) {
        const actions = new LocalActions(local, servers);
        const shell = new Shell({ local, actions, session, json, terminal });
        checkShown(guardedText(shell.greeting(), PLAIN));
        for (const line of [
          HOSTILE,
          `slot '${HOSTILE}'`,
          `kill '${HOSTILE}'`,
          `explain GET '${HOSTILE}'`,
          `move 1 '${HOSTILE}'`,
          `get '${HOSTILE}'`,
          `move 1 2 '${HOSTILE}'`,
          `failover A '${HOSTILE}'`,
        ]) {
          checkShown(await shell.perform(line));
        }
      }
    } finally {
      servers.close();
      session.close();
    }
  });

  it("JSON of C1 and of bidirectional characters reads back as it was", () => {
    const value = { [HOSTILE]: [HOSTILE, 2n ** 60n] };
    checkShown(jsonOf(value));
    assert.deepEqual(JSON.parse(jsonOf(value)), { [HOSTILE]: [HOSTILE, String(2n ** 60n)] });
  });

  it("an error of 40,000 spaces is shown in a moment", () => {
    const start = performance.now();
    lineOf(new Error(`a${" ".repeat(40_000)}b`));
    lineOf(new Error(`a${" \n".repeat(40_000)}b`));
    assert.ok(performance.now() - start < 500, "it is linear");
  });
});

describe("passwords", () => {
  const SECRET = "s3cret-Pa55";
  for (const words of [
    [`redis://ann:${SECRET}@h:1`],
    ["topology", SECRET],
    ["topology", `redis://ann:${SECRET}@h:1`],
    ["topology", "-h", `redis://ann:${SECRET}@h:1`],
    ["topology", "-h", `ann:${SECRET}@h`],
    ["topology", "-p", SECRET],
    ["topology", "-u", `redis://ann:${SECRET}@h:x`],
    ["topology", "-u", `http://ann:${SECRET}@h:1`],
    ["topology", "-a", `-${SECRET}`],
    ["topology", "--pasword", SECRET],
    ["topology", `--pasword=${SECRET}`],
    ["topology", `--tls=${SECRET}`],
    ["scripts", "--load", `redis://ann:${SECRET}@h:1`],
    ["subscribe", `--pasword=${SECRET}`, "channel"],
    ["cluster", SECRET],
    ["bench", SECRET],
  ]) {
    it(`are in no error: ${words.join(" ").replace(SECRET, "...")}`, async () => {
      const text = await all(words);
      assert.match(text, /^slotwire: /);
      assert.equal(text.includes(SECRET), false, text);
    });
  }
});

describe("files that are none", () => {
  it("a pipe and a device are refused at once", { timeout: 5000 }, async () => {
    const folder = scriptFolder({ "a.lua": "return 1" });
    execFileSync("mkfifo", [join(folder, "pipe.lua")]);
    assert.match(await all(["types", folder]), /pipe\.lua: it is no regular file\.\n$/);
  });
});
