import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StudyEvent } from "../../src/cli/study/events.ts";
import { type WireEvent, WireTap } from "../../src/cli/study/wire-tap.ts";
import {
  commandsIn,
  hasSecrets,
  ReplySplitter,
  redactedCommand,
  redactedReply,
} from "../../src/cli/study/wire-text.ts";
import { nodeEnvironment } from "../../src/connection/node-environment.ts";
import type { Transport, TransportHandlers } from "../../src/environment.ts";
import { encodeCommand } from "../../src/protocol/encode.ts";

const REPLIES = [
  "+OK\r\n",
  ":-5\r\n",
  "$-1\r\n",
  "$5\r\na\r\nbc\r\n",
  "$0\r\n\r\n",
  "*0\r\n",
  "*-1\r\n",
  "*3\r\n*2\r\n:1\r\n$1\r\nx\r\n*0\r\n-ERR within\r\n",
  "-MOVED 5 h:1\r\n",
];

describe("bytes on the wire", () => {
  it("are split into commands", () => {
    const written = ["GET", "SET", "é\r\n*1"].map((word) => encodeCommand([word, "a\r\nb", ""])).join("");
    const commands = commandsIn(written);
    assert.equal(commands.map(({ text }) => text).join(""), written);
    assert.deepEqual(commands[0]?.args, ["GET", "a\r\nb", ""]);
    assert.equal(commands.length, 3);
  });

  it("are split into replies, wherever the chunks end", () => {
    const stream = Buffer.from(REPLIES.join(""), "latin1");
    for (let size = 1; size <= stream.length; size++) {
      const found: string[] = [];
      const splitter = new ReplySplitter(1000, (text, length) => {
        assert.equal(text.length, length);
        found.push(text);
      });
      for (let at = 0; at < stream.length; at += size) splitter.push(stream.subarray(at, at + size));
      assert.deepEqual(found, REPLIES, `chunks of ${size}`);
    }
  });

  it("are kept only up to a bound", () => {
    const found: [string, number][] = [];
    const splitter = new ReplySplitter(10, (text, length) => found.push([text, length]));
    splitter.push(Buffer.from(`$30\r\n${"x".repeat(30)}\r\n+OK\r\n`));
    assert.deepEqual(found, [
      ["$30\r\nxxxxx", 37],
      ["+OK\r\n", 5],
    ]);
  });

  it("are redacted: names, SHA-1s and numbers of keys stay", () => {
    for (const [args, redacted] of [
      [["GET", "key"], "*2\r\n$3\r\nGET\r\n$3\r\n<3 bytes>\r\n"],
      [
        ["EVALSHA", "abc", "1", "k", "v"],
        "*5\r\n$7\r\nEVALSHA\r\n$3\r\nabc\r\n$1\r\n1\r\n$1\r\n<1 byte>\r\n$1\r\n<1 byte>\r\n",
      ],
      [["script", "load", "return 1"], "*3\r\n$6\r\nscript\r\n$4\r\nload\r\n$8\r\n<8 bytes>\r\n"],
      [["EVAL", "return 1", "0"], "*3\r\n$4\r\nEVAL\r\n$8\r\n<8 bytes>\r\n$1\r\n0\r\n"],
    ] as const) {
      assert.equal(redactedCommand(args), redacted);
    }
    for (const [reply, redacted] of [
      ["$3\r\nabc\r\n", "$3\r\n<3 bytes>\r\n"],
      ["*2\r\n:5\r\n$-1\r\n", "*2\r\n:<1 byte>\r\n$-1\r\n"],
      ["+OK\r\n", "+OK\r\n"],
      ["+secret\r\n", "+<6 bytes>\r\n"],
      ["-MOVED 5 h:1\r\n", "-MOVED 5 h:1\r\n"],
      ["-ERR unknown command 'secret'\r\n", "-ERR <24 bytes>\r\n"],
      // A script may return any text behind any word.
      ["-BUSY the lock is held by alice\r\n", "-BUSY <25 bytes>\r\n"],
      ["-MOVED on, said alice\r\n", "-MOVED <14 bytes>\r\n"],
      ["-alice has it\r\n", "-<12 bytes>\r\n"],
      [
        "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
      ],
      ["-NOAUTH Authentication required.\r\n", "-NOAUTH Authentication required.\r\n"],
    ] as const) {
      assert.equal(redactedReply(reply), redacted);
    }
  });

  it("hold passwords in these commands", () => {
    for (const args of [
      ["AUTH", "x"],
      ["hello", "3"],
      ["ACL", "SETUSER"],
      ["config", "set", "requirepass", "x"],
      ["MIGRATE", "h", "1", "", "0", "5", "AUTH2", "u", "p"],
    ]) {
      assert.equal(hasSecrets(args), true, args.join(" "));
    }
    for (const args of [
      ["GET", "AUTH"],
      ["CONFIG", "GET", "x"],
      ["MIGRATE", "h", "1", "k", "0", "5"],
    ]) {
      assert.equal(hasSecrets(args), false, args.join(" "));
    }
  });
});

describe("a wire tap", () => {
  /** A client's transport over a tap. What the tap heard is in `heard`. */
  function tapped(showsArguments = true) {
    const heard: WireEvent[] = [];
    const tap = new WireTap({ showsArguments });
    tap.sink = (event) => heard.push(event);
    let below!: TransportHandlers;
    const environment = tap.over({
      ...nodeEnvironment,
      open(_, handlers): Transport {
        below = handlers;
        return { write: () => true, pendingBytes: 0, destroy: () => {} };
      },
    });
    let seq = 0;
    const hear = (event: object) => tap.hear({ seq: ++seq, at: 0, ...event } as StudyEvent);
    hear({ type: "connecting", connection: 9, address: "a:1", readOnly: false, attempt: 1 });
    const nothing = () => {};
    const transport = environment.open(
      { host: "h", port: 1 },
      { onOpen: nothing, onData: nothing, onDrain: nothing, onClose: nothing },
    );
    const due = (call: number, frame: string, { asking = false, loadBytes = 0 } = {}) => {
      const command = commandsIn(frame)[0]?.args[0];
      const bytes = frame.length + (asking ? encodeCommand(["ASKING"]).length : 0);
      hear({ type: "queued", call, attempt: 1, address: "a:1", command, asking, bytes, loadBytes });
      return () => hear({ type: "written", call, attempt: 1, address: "a:1", connection: 9, waitedMs: 0 });
    };
    return { heard, transport, due, receive: (text: string) => below.onData(Buffer.from(text, "latin1")) };
  }
  const summary = (heard: readonly WireEvent[]) =>
    heard.map(({ direction, call, text }) => `${direction[0]} ${call} ${text.split("\r\n")[2] ?? text}`);

  it("knows whose bytes are whose: loads, ASKING, and calls beside slotwire's own commands", async () => {
    const { heard, transport, due, receive } = tapped();
    const load = encodeCommand(["SCRIPT", "LOAD", "return 1"]);
    const evalsha = encodeCommand(["EVALSHA", "abc", "1", "k"]);
    const get = encodeCommand(["GET", "k"]);
    transport.write(encodeCommand(["AUTH", "geheim"]) + encodeCommand(["PING"]));
    await null;
    const written = [due(1, evalsha, { asking: true, loadBytes: load.length }), due(2, get)];
    for (const each of written) each();
    transport.write(encodeCommand(["CLUSTER", "MYID"]) + load + encodeCommand(["ASKING"]) + evalsha + get);
    await null;
    receive("+OK\r\n+PONG\r\n$2\r\nid\r\n$3\r\nabc\r\n+OK\r\n:1\r\n");
    receive("$-1\r\n");
    assert.deepEqual(summary(heard), [
      ...["s null AUTH", "s null PING", "s null CLUSTER"],
      ...["s 1 SCRIPT", "s 1 ASKING", "s 1 EVALSHA", "s 2 GET"],
      ...["r null +OK\r\n", "r null +PONG\r\n", "r null ", "r 1 ", "r 1 +OK\r\n", "r 1 :1\r\n", "r 2 $-1\r\n"],
    ]);
    assert.ok(!JSON.stringify(heard).includes("geheim"), "a password is never shown");
    assert.deepEqual(new Set(heard.map(({ connection, address }) => `${connection} ${address}`)), new Set(["9 a:1"]));
  });

  it("finds a large command that is written by itself, behind its load", async () => {
    const { heard, transport, due } = tapped();
    const load = encodeCommand(["SCRIPT", "LOAD", "x".repeat(5000)]);
    const evalsha = encodeCommand(["EVALSHA", "abc", "1", "k".repeat(5000)]);
    transport.write(load);
    due(1, evalsha, { loadBytes: load.length })();
    transport.write(evalsha);
    await null;
    assert.deepEqual(
      heard.map(({ call }) => call),
      [1, 1],
    );
  });

  it("hides arguments and replies unless they are asked for", async () => {
    const { heard, transport, due, receive } = tapped(false);
    const set = encodeCommand(["SET", "k", "a secret"]);
    due(1, set)();
    transport.write(set);
    await null;
    receive("$8\r\nanother!\r\n");
    assert.ok(!/secret|another/.test(JSON.stringify(heard)), JSON.stringify(heard));
    assert.deepEqual(
      heard.map(({ length }) => length),
      [set.length, 14],
    );
  });

  it("gives the messages of a subscribed connection to no call", async () => {
    const { heard, transport, receive } = tapped();
    transport.write(encodeCommand(["SUBSCRIBE", "c"]));
    await null;
    receive("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
    assert.deepEqual(
      heard.map(({ call, direction }) => [call, direction]),
      [
        [null, "sent"],
        [null, "received"],
        [null, "received"],
      ],
    );
  });
});
