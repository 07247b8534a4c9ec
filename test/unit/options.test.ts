import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InvalidArgumentError } from "../../src/errors.ts";
import { type ConnectOptions, type ResolvedOptions, resolveOptions } from "../../src/options.ts";
import { defineScript } from "../../src/scripts/script.ts";

const NODES = ["127.0.0.1:7000"];
const script = defineScript({ name: "one", source: "return 1" });

const resolve = (options: object): ResolvedOptions => resolveOptions({ nodes: NODES, ...options } as ConnectOptions);

/** Refused, with a message in which all of `words` stand and nothing secret does. */
function refuses(options: unknown, ...words: RegExp[]): void {
  assert.throws(
    () => resolveOptions(options as ConnectOptions),
    (error: unknown) => {
      assert.ok(error instanceof InvalidArgumentError, String(error));
      assert.equal(error.code, "INVALID_ARGUMENT");
      assert.equal(error.outcome, "not-executed");
      for (const word of words) assert.match(error.message, word);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    },
  );
}

describe("connect's options", () => {
  it("have these defaults", () => {
    const { credentials, natMap, trusts, ...rest } = resolve({});
    assert.deepEqual(rest, {
      seeds: [{ host: "127.0.0.1", port: 7000 }],
      scripts: [],
      tls: undefined,
      socket: undefined,
      database: 0,
      mode: "auto",
      connectionName: undefined,
      connectTimeout: 2000,
      startTimeout: 0,
      commandTimeout: 5000,
      maxRedirections: 16,
      connectionsPerNode: 1,
      maxPendingPerNode: 10_000,
      maxPendingBytesPerNode: 16 * 1024 * 1024,
      maxReplyBytes: 512 * 1024 * 1024,
      topologyRefreshInterval: 30_000,
      unavailableAfter: 0,
      cache: undefined,
      readFrom: "primary",
      durations: false,
    });
    assert.deepEqual(credentials(), {});
    assert.equal(natMap("127.0.0.1:7000"), undefined);
    trusts("127.0.0.1:7000");
  });

  it("say what a cache takes", () => {
    assert.deepEqual(resolve({ cache: {} }).cache, { maxBytes: 33_554_432, maxStaleness: 1000, maxAge: 60_000 });
    assert.deepEqual(resolve({ cache: { maxAge: 5 } }).cache?.maxAge, 5);
    const refused: [unknown, RegExp][] = [
      [true, /^connect: cache is of type boolean; accepted is an object with maxBytes, maxStaleness, maxAge\.$/],
      [{ maxSize: 1 }, /^connect: cache has no maxSize; accepted are maxBytes, maxStaleness, maxAge\.$/],
      [{ maxStaleness: 9 }, /^connect: cache\.maxStaleness is 9; accepted is a whole number from 10 to 2147483647\.$/],
      [{ maxBytes: "1" }, /^connect: cache\.maxBytes is of type string; accepted is a whole number from 1 to /],
      [{ maxBytes: 0 }, /^connect: cache\.maxBytes is 0; accepted is a whole number from 1 to 9007199254740991\.$/],
      [{ maxStaleness: Number.NaN }, /^connect: cache\.maxStaleness is NaN; accepted is a whole number from 10 to /],
      [{ maxStaleness: Number.POSITIVE_INFINITY }, /^connect: cache\.maxStaleness is Infinity; accepted is /],
      [{ maxAge: 0.5 }, /^connect: cache\.maxAge is 0\.5; accepted is a whole number from 1 to 2147483647\.$/],
      [null, /^connect: cache is null; accepted is an object with /],
    ];
    for (const [cache, words] of refused) refuses({ nodes: NODES, cache }, words);
  });

  it("take undefined for the default", () => {
    const names = [
      "scripts",
      "username",
      "password",
      "credentials",
      "tls",
      "socket",
      "database",
      "mode",
      "connectionName",
      "connectTimeout",
      "startTimeout",
      "natMap",
    ];
    const { connectTimeout, tls, scripts } = resolve(Object.fromEntries(names.map((name) => [name, undefined])));
    assert.deepEqual([connectTimeout, tls, scripts], [2000, undefined, []]);
  });

  it("are frozen once resolved, and no later change of what was given shows", () => {
    const scripts = [script];
    const resolved = resolve({ scripts });
    scripts.length = 0;
    assert.deepEqual(resolved.scripts, [script]);
    assert.ok(Object.isFrozen(resolved) && Object.isFrozen(resolved.scripts));
  });

  for (const value of [undefined, null, 5, "127.0.0.1:7000", true, NODES]) {
    it(`cannot be ${JSON.stringify(value)}`, () => refuses(value));
  }

  it("that do not exist are refused, with a list of those that do", () => {
    refuses({ nodes: NODES, comandTimeout: 5 }, /"comandTimeout"/, /commandTimeout/, /nodes/, /natMap/);
    refuses({ nodes: NODES, toString: 1 }, /"toString"/);
    refuses({ nodes: NODES, pasword: "s3cret" }, /"pasword"/);
  });

  const foreign: [string, RegExp][] = [
    ["host", /nodes: \["host:port"\]/],
    ["port", /nodes: \["host:port"\]/],
    ["url", /nodes: \["redis:/],
    ["rootNodes", /write `nodes`/],
    ["redisOptions", /options of `connect` itself/],
    ["db", /write `database`/],
    ["databaseId", /write `database`/],
    ["path", /nodes: \[\{ path/],
    ["family", /socket: \{ family/],
    ["dnsLookup", /socket: \{ family/],
    ["keyPrefix", /whole keys/],
    ["lazyConnect", /connects at once/],
    ["retryStrategy", /connects again/],
    ["clusterRetryStrategy", /connects again/],
    ["scaleReads", /`readFrom`/],
    ["requestTimeout", /`commandTimeout`/],
    ["clientName", /`connectionName`/],
  ];
  for (const [option, words] of foreign) {
    it(`that other clients have are refused with what to write instead: ${option}`, () => {
      refuses({ nodes: NODES, [option]: "s3cret" }, new RegExp(`there is no option "${option}"; `), words);
    });
  }
});

describe("options that are whole numbers", () => {
  const numbers: [keyof ResolvedOptions, number, number][] = [
    ["connectTimeout", 1, 2 ** 31 - 1],
    ["commandTimeout", 0, 2 ** 31 - 1],
    ["startTimeout", 0, 2 ** 31 - 1],
    ["database", 0, 2 ** 31 - 1],
    ["maxRedirections", 0, 1000],
    ["connectionsPerNode", 1, 64],
    ["maxPendingPerNode", 1, 2 ** 31 - 1],
    ["maxPendingBytesPerNode", 1, Number.MAX_SAFE_INTEGER],
    ["topologyRefreshInterval", 0, 2 ** 31 - 1],
    ["unavailableAfter", 0, 2 ** 31 - 1],
  ];
  for (const [name, least, most] of numbers) {
    it(`${name} is a whole number from ${least} to ${most}`, () => {
      for (const value of [least, least + 1, most]) assert.equal(resolve({ [name]: value })[name], value);
      const accepted = new RegExp(`whole number from ${least} to ${most}`);
      for (const value of [least - 1, most + 1, -5, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        refuses({ nodes: NODES, [name]: value }, new RegExp(`${name} is ${value};`), accepted);
      }
      for (const value of ["5", "s3cret", null, true, 5n, [5], {}]) {
        refuses({ nodes: NODES, [name]: value }, new RegExp(`${name} is `), accepted);
      }
    });
  }
});

describe("scripts", () => {
  it("are what defineScript returned", () => {
    assert.deepEqual(resolve({ scripts: [script, script] }).scripts, [script, script]);
  });

  for (const [what, value] of [
    ["a look-alike", { ...script }],
    ["source text", "return 's3cret'"],
    ["null", null],
    ["undefined", undefined],
  ] as const) {
    it(`are not ${what}`, () => {
      refuses({ nodes: NODES, scripts: [script, value] }, /scripts has an element/, /defineScript/);
    });
  }
});

describe("connectionName", () => {
  it("is printable ASCII without spaces", () => {
    assert.equal(resolve({ connectionName: "worker-7:!~" }).connectionName, "worker-7:!~");
    for (const connectionName of ["", "a b", " a", "a\n", "a\r\nFLUSHALL", "é", "a\u0000", "\x7f"]) {
      refuses({ nodes: NODES, connectionName }, /connectionName/, /printable ASCII without spaces/);
    }
  });
});

describe("username, password and credentials", () => {
  it("are given as they are", () => {
    assert.deepEqual(resolve({ password: "p" }).credentials(), { password: "p" });
    assert.deepEqual(resolve({ username: "u", password: "p" }).credentials(), { username: "u", password: "p" });
  });

  it("are none where they are empty, as where a variable of the environment is not set", async () => {
    assert.deepEqual(resolve({ username: "", password: "" }).credentials(), {});
    assert.deepEqual(resolve({ username: "", password: "p" }).credentials(), { password: "p" });
    assert.deepEqual(resolve({ nodes: ["redis://u:p@h:1"], password: "" }).credentials(), {
      username: "u",
      password: "p",
    });
    assert.deepEqual(resolve({ nodes: ["redis://:p@h:1", "redis://:p@h:2"] }).credentials(), { password: "p" });
    for (const empty of [{ username: "", password: "" }, {}, undefined]) {
      assert.deepEqual(await resolve({ credentials: async () => empty }).credentials(), {});
    }
    refuses({ nodes: NODES, username: "u", password: "" }, /username needs a password/);
  });

  it("of a function are checked: a text or a number is no login", async () => {
    for (const wrong of ["s3cret", 5, { password: 5 }, { username: ["s3cret"] }]) {
      const { credentials } = resolve({ credentials: () => wrong });
      await assert.rejects(async () => credentials(), {
        code: "INVALID_ARGUMENT",
        message: "credentials returned no { username, password } with strings; accepted is a promise of these.",
      });
    }
  });

  it("of a function may say when it wants to be asked again", async () => {
    const answer = { password: "p", renewAfter: 5 };
    assert.deepEqual(await resolve({ credentials: async () => answer }).credentials(), answer);
    for (const renewAfter of [0, -1, Number.NaN, "5", null]) {
      const { credentials } = resolve({ credentials: async () => ({ ...answer, renewAfter }) });
      await assert.rejects(async () => credentials(), { code: "INVALID_ARGUMENT", message: /renewAfter/ });
    }
  });

  it("may come from a function, which is asked each time", async () => {
    let asked = 0;
    const { credentials } = resolve({ credentials: async () => ({ password: `p${++asked}` }) });
    assert.equal(asked, 0);
    assert.deepEqual([await credentials(), await credentials()], [{ password: "p1" }, { password: "p2" }]);
  });

  it("must be of the right kind, and are never shown", () => {
    refuses({ nodes: NODES, password: ["s3cret"] }, /password must be a string/);
    refuses({ nodes: NODES, password: Buffer.from("s3cret") }, /password must be a string/);
    refuses({ nodes: NODES, username: 5, password: "s3cret" }, /username must be a string/);
    refuses({ nodes: NODES, username: "s3cret" }, /username needs a password/);
    refuses({ nodes: NODES, credentials: { password: "s3cret" } }, /credentials must be a function/);
    refuses({ nodes: NODES, credentials: null }, /credentials must be a function/);
  });

  it("cannot be both a function and fixed", () => {
    const credentials = async () => ({ password: "s3cret" });
    refuses({ nodes: NODES, credentials, password: "s3cret" }, /credentials cannot be combined/);
    refuses({ nodes: NODES, credentials, username: "s3cret" }, /credentials cannot be combined/);
  });
});

describe("tls", () => {
  it("is off, on, or Node's options", () => {
    const own = { ca: "certificate", servername: "a.example" };
    assert.equal(resolve({ tls: false }).tls, undefined);
    assert.deepEqual(resolve({ tls: true }).tls, {});
    assert.equal(resolve({ tls: own }).tls, own);
  });

  it("never turns verification off by itself", () => {
    for (const options of [{ tls: true }, { nodes: ["rediss://h:1"] }]) {
      assert.equal(resolve(options).tls?.rejectUnauthorized, undefined);
    }
  });

  for (const tls of [null, 1, "s3cret", () => ({})]) {
    it(`cannot be ${typeof tls === "string" ? "a string" : String(tls)}`, () => {
      refuses({ nodes: NODES, tls }, /tls is /, /true, false and Node's tls\.ConnectionOptions/);
    });
  }
});

describe("mode", () => {
  it('is "auto" or "single"', () => {
    for (const mode of ["auto", "single"] as const) assert.equal(resolve({ mode }).mode, mode);
    for (const mode of ["cluster", "", null, 1, true])
      refuses({ nodes: NODES, mode }, /mode is /, /"auto" and "single"/);
  });

  it("is single where a seed is a socket file", () => {
    assert.equal(resolve({ nodes: [{ path: "/run/redis.sock" }] }).mode, "single");
    assert.equal(resolve({ nodes: [{ path: "/run/redis.sock" }], mode: "auto" }).mode, "single");
  });
});

describe("socket", () => {
  const lookup = () => {};

  it("has options of net.connect, or is a function", () => {
    const socket = { family: 6, lookup, localAddress: "127.0.0.1", keepAliveInitialDelay: 0 };
    assert.deepEqual(resolve({ socket }).socket, socket);
    assert.deepEqual(resolve({ socket: { family: undefined } }).socket, {});
    assert.equal(resolve({ socket: lookup }).socket, lookup);
    assert.ok(Object.isFrozen(resolve({ socket }).socket), "it can be changed");
  });

  const wrong: [unknown, ...RegExp[]][] = [
    [5, /socket is a number/, /family, lookup, localAddress, keepAliveInitialDelay/, /a function/],
    [null, /socket is null/],
    [[], /socket is an array/],
    [{ host: "h" }, /socket has no host/, /accepted are family, lookup/],
    [{ constructor: 1 }, /socket has no constructor/],
    [{ family: 5 }, /socket.family is 5/, /0, 4 and 6/],
    [{ family: "IPv4" }, /socket.family is of type string/],
    [{ lookup: "dns" }, /socket.lookup is of type string/, /a function/],
    [{ localAddress: "" }, /socket.localAddress/, /an IP address/],
    [{ localAddress: 5 }, /socket.localAddress is 5/],
    [{ keepAliveInitialDelay: -1 }, /socket.keepAliveInitialDelay is -1/, /milliseconds/],
    [{ keepAliveInitialDelay: 0.5 }, /socket.keepAliveInitialDelay is 0.5/],
  ];
  for (const [socket, ...words] of wrong) {
    it(`cannot be ${JSON.stringify(socket)}`, () => refuses({ nodes: NODES, socket }, ...words));
  }
});
