import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAuthFailure, isUnknownCommand, parseErrorReply, type RefusalKind } from "../../src/protocol/error-reply.ts";

const READONLY = "READONLY You can't write against a read only replica.";

/** Whole texts, as known servers send them. */
const PROOFS: [RefusalKind, string][] = [
  ["noscript", "NOSCRIPT No matching script. Please use EVAL."],
  ["noscript", "NOSCRIPT No matching script."],
  ["tryagain", "TRYAGAIN Multiple keys request during rehashing of slot"],
  ["clusterdown", "CLUSTERDOWN The cluster is down"],
  ["clusterdown", "CLUSTERDOWN The cluster is down and only accepts read commands"],
  ["clusterdown", "CLUSTERDOWN Hash slot not served"],
  ["loading", "LOADING Redis is loading the dataset in memory"],
  ["loading", "LOADING Valkey is loading the dataset in memory"],
  ["masterdown", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."],
  [
    "masterdown",
    "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.",
  ],
  ["busy", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."],
  ["busy", "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."],
  ["busy", "BUSY Redis is busy running a module command."],
  ["busy", "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."],
  ["busy", "BUSY Valkey is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."],
  ["busy", "BUSY Valkey is busy running a module command."],
  ["readonly", READONLY],
  ["unblocked", "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"],
  ["readonly", "READONLY Can not run script with write flag on readonly replica"],
  ["noperm", "NOPERM this user has no permissions to run the 'get' command or its subcommand"],
  ["noperm", "NOPERM this user has no permissions to run the 'script|load' command"],
  ["noperm", "NOPERM User alice has no permissions to run the 'eval' command"],
  ["noperm", "NOPERM this user has no permissions to access one of the keys used as arguments"],
  ["noperm", "NOPERM No permissions to access a key"],
  ["noperm", "NOPERM this user has no permissions to access one of the channels used as arguments"],
  ["noperm", "NOPERM No permissions to access a channel"],
  ["noperm", "NOPERM User alice has no permissions to access the 'it's a {channel}' channel"],
  ["noperm", "NOPERM User default has no permissions to access the 'it's a {key}' key"],
  ["noperm", "NOPERM this user has no permissions to access one of the channels used as arguments"],
  ["noperm", "NOPERM No permissions to access a channel"],
  ["noperm", "NOPERM User alice has no permissions to access the 'it's a channel' channel"],
];

const IN_A_SCRIPT = " script: 9a5a1b2c, on @user_script:1.";
const EXEC_ABORT = "EXECABORT Transaction discarded because of: ";

const REDIRECTIONS: [string, object][] = [
  ["MOVED 12182 127.0.0.1:7002", { kind: "moved", slot: 12182, host: "127.0.0.1", port: 7002 }],
  ["MOVED 0 a.example.org:1", { kind: "moved", slot: 0, host: "a.example.org", port: 1 }],
  ["MOVED 16383 h:65535", { kind: "moved", slot: 16383, host: "h", port: 65535 }],
  ["MOVED 12182 :7003", { kind: "moved", slot: 12182, host: "", port: 7003 }],
  ["MOVED 1 ?:7003", { kind: "moved", slot: 1, host: "?", port: 7003 }],
  ["MOVED 1 2001:db8::7:7000", { kind: "moved", slot: 1, host: "2001:db8::7", port: 7000 }],
  ["ASK 3999 127.0.0.1:6381", { kind: "ask", slot: 3999, host: "127.0.0.1", port: 6381 }],
  ["ASK 1 :7000", { kind: "ask", slot: 1, host: "", port: 7000 }],
  ["ASK 1 ::1:7000", { kind: "ask", slot: 1, host: "::1", port: 7000 }],
];

/** What a script can make up, and what no known server says. */
const PROVES_NOTHING = [
  "",
  "ERR",
  "MOVED",
  "MOVED ",
  "MOVEDOUT x",
  "MOVEDOUT 1 h:1",
  "MOVED 1",
  "MOVED x h:1",
  "MOVED 99999 h:1",
  "MOVED 16384 h:1",
  "MOVED 100000 h:1",
  "MOVED -1 h:1",
  "MOVED 01 h:1",
  "MOVED 1 h:01",
  "MOVED 1.5 h:1",
  "MOVED 1 h:0",
  "MOVED 1 h:65536",
  "MOVED 1 h:99999",
  "MOVED 1 h:",
  "MOVED 1 h",
  "MOVED 1 h:x",
  "MOVED 1  h:1",
  "MOVED 1 h:1 ",
  "MOVED 1 h:1 more",
  " MOVED 1 h:1",
  "moved 1 h:1",
  "Moved 1 h:1",
  "MOVED 1 h i:1",
  "ASK me",
  "ASK 1",
  "ASK 99999 h:1",
  "ASK 1 h:0",
  "ASKING 1 h:1",
  "ERR MOVED 1 h:1",
  "TRYAGAIN",
  "TRYAGAIN later",
  "TRYAGAIN x",
  "NOSCRIPT",
  "NOSCRIPT x",
  "NOSCRIPT No matching script",
  "NOSCRIPT No matching script. Please use EVAL",
  "ERR inner NOSCRIPT thing",
  "ERR NOSCRIPT No matching script. Please use EVAL.",
  "CLUSTERDOWN",
  "CLUSTERDOWN for tea",
  "LOADING",
  "LOADING dataset",
  "LOADING Redict is loading the dataset in memory",
  "MASTERDOWN x",
  "BUSY",
  "BUSY right now",
  "BUSYGROUP Consumer Group name already exists",
  "BUSYKEY Target key name already exists.",
  "READONLY",
  "READONLY mode",
  "NOPERM",
  "NOPERM not for you",
  "UNBLOCKED",
  "UNBLOCKED force unblock",
  "EXECABORT",
  EXEC_ABORT,
  `${EXEC_ABORT}x`,
  "CROSSSLOT Keys in request don't hash to the same slot",
];

const isOther = (text: string) => assert.deepEqual(parseErrorReply(text), { kind: "other" }, JSON.stringify(text));

describe("parseErrorReply", () => {
  for (const [kind, text] of PROOFS) {
    it(`reads ${kind} from ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseErrorReply(text), { kind });
    });
    it(`reads ${kind} when that discarded a transaction: ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseErrorReply(EXEC_ABORT + text), { kind });
    });
    it(`reads nothing from a text that only resembles ${JSON.stringify(text)}`, () => {
      const [word = ""] = text.split(" ");
      for (const forged of [
        ...(text === READONLY ? [] : [text + IN_A_SCRIPT]),
        `${text} `,
        ` ${text}`,
        `${text}.`,
        `${text}\n`,
        `${text}\r\n+OK`,
        `x\n${text}`,
        `ERR ${text}`,
        `-${text}`,
        text.slice(0, -1),
        text.toLowerCase(),
        word,
        `${word} `,
        `${word} x`,
        `${word}S${text.slice(word.length)}`,
        EXEC_ABORT.toLowerCase() + text,
        `${EXEC_ABORT} ${text}`,
        `ERR ${EXEC_ABORT}${text}`,
      ]) {
        isOther(forged);
      }
    });
  }

  for (const [text, expected] of REDIRECTIONS) {
    it(`reads ${JSON.stringify(text)}, also where it discarded a transaction`, () => {
      assert.deepEqual(parseErrorReply(text), expected);
      assert.deepEqual(parseErrorReply(EXEC_ABORT + text), expected);
    });
    it(`reads nothing from a text that only resembles ${JSON.stringify(text)}`, () => {
      for (const forged of [`${text}${IN_A_SCRIPT}`, `${text}\n`, `\n${text}`, `${text}\n${text}`, `-${text}`]) {
        isOther(forged);
      }
    });
  }

  for (const text of PROVES_NOTHING) {
    it(`reads nothing from ${JSON.stringify(text)}`, () => isOther(text));
  }

  it("tells NOPERM to the call from NOPERM in the middle of a script", () => {
    const refused = "NOPERM User alice has no permissions to access the 'k' key";
    assert.equal(parseErrorReply(refused).kind, "noperm");
    isOther(`${refused} script: 9a5a1b2c, on @user_script:1.`);
  });

  it("tells READONLY to the call from READONLY in the middle of a script", () => {
    assert.equal(parseErrorReply(READONLY).kind, "readonly");
    for (const within of [
      `${READONLY} script: 9a5a1b2c, on @user_script:1.`, // Redis 7
      `${READONLY} script: on @user_script:1.`, // Valkey 9
      `ERR Error running script (call to f_9a5a1b2c): @user_script:1: @user_script: 1: -${READONLY}`, // Redis 6
    ]) {
      assert.deepEqual(parseErrorReply(within), { kind: "readonly-within" });
      isOther(`x ${within}`);
    }
  });

  it("tells OOM to the call from OOM in the middle of a script", () => {
    const text = "OOM command not allowed when used memory > 'maxmemory'.";
    assert.deepEqual(parseErrorReply(text), { kind: "out-of-memory" });
    // Redis 7 and 8; Valkey 9.
    for (const within of [`${text} script: 2b58b113, on @user_script:1.`, `${text} script: on @user_script:1.`]) {
      assert.deepEqual(parseErrorReply(within), { kind: "declined" });
    }
    isOther(`x ${text}`);
  });

  for (const text of [
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "NOAUTH Authentication required.",
    "ERR unknown command 'x', with args beginning with: 'y' ",
    "ERR unknown command `x`, with args beginning with: `y`, ",
    "ERR unknown subcommand 'x'. Try CLIENT HELP.",
    "ERR wrong number of arguments for 'get' command",
    "EXECABORT Transaction discarded because of previous errors.",
  ]) {
    it(`reads that a check declined it from ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseErrorReply(text), { kind: "declined" });
      isOther(`x ${text}`);
    });
  }

  it("reads nothing from the words that every object has", () => {
    for (const word of ["constructor", "__proto__", "toString", "hasOwnProperty"]) isOther(word);
  });

  it("answers soon to a very long text", () => {
    isOther(`MOVED 1 ${"x".repeat(1_000_000)}`);
    isOther(`MOVED 1 ${":1".repeat(500_000)} `);
    isOther(`NOPERM User x has no permissions to access the '${"' key".repeat(200_000)} `);
  });
});

describe("isAuthFailure", () => {
  const failures = [
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "ERR invalid password",
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
    "ERR Client sent AUTH, but no password is set",
  ];
  for (const text of failures) it(`holds for ${JSON.stringify(text)}`, () => assert.equal(isAuthFailure(text), true));

  for (const text of [
    "NOAUTHX y",
    "NOPERM No permissions to access a key",
    "ERR invalid password x",
    "LOADING x",
    "",
  ]) {
    it(`does not hold for ${JSON.stringify(text)}`, () => assert.equal(isAuthFailure(text), false));
  }
});

describe("an EXECABORT inside an EXECABORT", () => {
  it("is no server's wording, however often it is repeated", () => {
    const text = `${"EXECABORT Transaction discarded because of: ".repeat(20_000)}MOVED 1 h:1`;
    assert.deepEqual(parseErrorReply(text), { kind: "other" });
  });
});

describe("isUnknownCommand", () => {
  const unknown = [
    "ERR unknown command 'CLUSTER'",
    "ERR unknown command `CLUSTER`, with args beginning with: `SHARDS`, ",
    "ERR unknown subcommand 'SHARDS'. Try CLUSTER HELP.",
    "ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER HELP.",
  ];
  for (const text of unknown) it(`holds for ${JSON.stringify(text)}`, () => assert.equal(isUnknownCommand(text), true));

  it("does not hold for other errors", () => {
    for (const text of ["ERR syntax error", "x ERR unknown command", "NOPERM unknown command", ""]) {
      assert.equal(isUnknownCommand(text), false, text);
    }
  });
});
