import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { keysAndArguments, numberOf, readArguments } from "../../src/cli/arguments.ts";
import { closedLoop } from "../../src/cli/bench/closed-loop.ts";
import { CONNECTION, connectionOf, namesCluster } from "../../src/cli/connection-options.ts";
import { crc16 } from "../../src/cli/crc16.ts";
import { COLOURS, PLAIN, paintFor } from "../../src/cli/terminal.ts";
import { wordsOf } from "../../src/cli/words.ts";
import { slotOf } from "../../src/index.ts";
import { resolveOptions } from "../../src/options.ts";
import { scriptFolder } from "../support/script-folder.ts";

const read = (line: string, environment: NodeJS.ProcessEnv = {}) => {
  warnings.length = 0;
  return connectionOf(readArguments(CONNECTION, wordsOf(line)).values, environment, {
    warn: (text) => warnings.push(text),
  });
};
const warnings: string[] = [];

describe("--insecure", () => {
  it("warns that nobody's certificate is verified", () => {
    assert.deepEqual(read("--tls --insecure").tls, { rejectUnauthorized: false });
    assert.match(warnings.join(), /--insecure: nobody's certificate is verified/);
    read("--tls");
    assert.deepEqual(warnings, []);
  });
});

describe("words that begin with a dash and a digit", () => {
  it("are values as they are given", () => {
    assert.equal(read("-a -5ecret").password, "-5ecret");
  });
});

describe("where to connect, by redis-cli's names", () => {
  const cases: [string, ReturnType<typeof read>][] = [
    ["", { nodes: [{ host: "127.0.0.1", port: 6379 }] }],
    ["-h a -p 7000", { nodes: [{ host: "a", port: 7000 }] }],
    [
      "-p 7000 -p 7001",
      {
        nodes: [
          { host: "127.0.0.1", port: 7000 },
          { host: "127.0.0.1", port: 7001 },
        ],
      },
    ],
    [
      "-h a -h b -p 7000",
      {
        nodes: [
          { host: "a", port: 7000 },
          { host: "b", port: 7000 },
        ],
      },
    ],
    ["-h ::1", { nodes: [{ host: "::1", port: 6379 }] }],
    ["-u redis://ann:pw@a:7000", { nodes: ["redis://ann:pw@a:7000"] }],
    ["-u redis://a -p 7000", { nodes: ["redis://a", { host: "127.0.0.1", port: 7000 }] }],
    ["-u redis://pw@a", { nodes: ["redis://:pw@a"] }],
    ["-n 3", { nodes: [{ host: "127.0.0.1", port: 6379 }], database: 3 }],
    ["-u redis://a/3", { nodes: ["redis://a/3"] }],
    ["-a pw", { nodes: [{ host: "127.0.0.1", port: 6379 }], password: "pw" }],
    ["--user ann --pass pw", { nodes: [{ host: "127.0.0.1", port: 6379 }], username: "ann", password: "pw" }],
    ["--tls", { nodes: [{ host: "127.0.0.1", port: 6379 }], tls: true }],
    [
      "--tls --insecure --sni a",
      { nodes: [{ host: "127.0.0.1", port: 6379 }], tls: { servername: "a", rejectUnauthorized: false } },
    ],
    ["-u rediss://a --insecure", { nodes: ["rediss://a"], tls: { rejectUnauthorized: false } }],
  ];
  for (const [line, options] of cases) {
    it(line === "" ? "nothing said" : line, () => {
      assert.deepEqual(read(line), options);
      resolveOptions(options);
    });
  }

  it("takes files for TLS", () => {
    const folder = scriptFolder({ "ca.pem": "CA", "cert.pem": "CERT", "key.pem": "KEY" });
    const [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map((name) => join(folder, name));
    const { tls } = read(`--tls --cacert ${ca} --cert ${cert} --key ${key}`);
    assert.deepEqual(tls, { ca: "CA", cert: "CERT", key: "KEY" });
  });

  it("takes the password from the environment, unless one is given", () => {
    const environment = { REDISCLI_AUTH: "env" };
    assert.equal(read("", environment).password, "env");
    assert.equal(read("-a own", environment).password, "own");
    assert.equal(read("-u redis://:own@a", environment).password, undefined);
    assert.equal(read("-u redis://a", environment).password, "env");
    assert.equal(read("", { REDISCLI_AUTH: "" }).password, undefined);
  });

  it("knows whether a cluster is named", () => {
    const named = (line: string) => namesCluster(readArguments(CONNECTION, wordsOf(line)).values);
    assert.deepEqual(["", "-a pw", "-p 1", "-h a", "-u redis://a"].map(named), [false, false, true, true, true]);
  });
});

describe("words of a command line", () => {
  it("are no options when they are numbers, or stand behind --", () => {
    const { values, words } = readArguments(CONNECTION, [
      "k",
      ",",
      "-1",
      "-0.5",
      "-inf",
      "-p",
      "7",
      "--",
      "-x",
      "--tls",
    ]);
    assert.deepEqual(words, ["k", ",", "-1", "-0.5", "-inf", "-x", "--tls"]);
    assert.deepEqual({ ...values }, { port: ["7"] });
  });

  it("are keys up to the first comma, and arguments behind it", () => {
    assert.deepEqual(keysAndArguments(["a", "b", ",", "1", ","]), { keys: ["a", "b"], args: ["1", ","] });
    assert.deepEqual(keysAndArguments(["a"]), { keys: ["a"], args: [] });
    assert.deepEqual(keysAndArguments([",", "1"]), { keys: [], args: ["1"] });
  });

  it("of a line are split as a shell does", () => {
    assert.deepEqual(wordsOf(` a  "b c" 'd "e' f\\ g "h\\"i" "" j'k'l\t`), [
      "a",
      "b c",
      'd "e',
      "f g",
      'h"i',
      "",
      "jkl",
    ]);
    assert.deepEqual(wordsOf("  "), []);
    assert.throws(() => wordsOf("a 'b"), { code: "INVALID_ARGUMENT", message: /the ' is not closed/ });
  });

  it("are whole numbers within bounds", () => {
    const bounds = { fallback: 3, least: 1, most: 10 };
    assert.equal(numberOf("--n", undefined, bounds), 3);
    assert.equal(numberOf("--n", "10", bounds), 10);
    assert.equal(numberOf("--n", "1.5", { ...bounds, fractions: true }), 1.5);
    assert.throws(() => numberOf("--n", "1.5", bounds), { message: /a whole number from 1 to 10/ });
    for (const wrong of ["0", "11", "1e1", "", "x", "-1", " 1"]) {
      assert.throws(() => numberOf("--n", wrong, bounds), { code: "INVALID_ARGUMENT" }, wrong);
    }
  });
});

describe("what commands compute", () => {
  it("CRC16 is that of the slots", () => {
    assert.equal(crc16("123456789"), 0x31c3);
    for (const key of ["foo", "", "ü€😀", "x".repeat(300)]) assert.equal(crc16(key) % 16_384, slotOf(key), key);
  });

  it("colours are for terminals whose owner wants them", () => {
    assert.equal(paintFor(true, {}), COLOURS);
    assert.equal(paintFor(true, { NO_COLOR: "" }), COLOURS);
    assert.equal(paintFor(true, { NO_COLOR: "1" }), PLAIN);
    assert.equal(paintFor(true, { TERM: "dumb" }), PLAIN);
    assert.equal(paintFor(false, {}), PLAIN);
  });

  it("a run keeps as many calls under way as it is told, and ends with the first that fails", async () => {
    let [now, most] = [0, 0];
    const call = async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 2));
      now--;
    };
    let asked = 0;
    const meter = { now: () => ({ bytes: 10 * asked }), asked: async () => ({ cpu: 100 * ++asked }) };
    const { calls, latencies, seconds, costs } = await closedLoop(call, { milliseconds: 50, inFlight: 5, meter });
    assert.equal(most, 5);
    assert.ok(calls >= 5 && latencies.calls === calls && seconds >= 0.05 && now === 0);
    // Others are asked outside of what is counted.
    assert.deepEqual(costs, { bytes: 0, cpu: 100 });
    let number = 0;
    const failing = async () => {
      await call();
      if (number++ === 7) throw new Error("wrong reply");
    };
    const long = { milliseconds: 60_000, inFlight: 3, meter: { now: () => ({}) } };
    await assert.rejects(closedLoop(failing, long), { message: "wrong reply" });
    assert.equal(now, 0);
  });
});
