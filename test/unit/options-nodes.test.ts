import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UntrustedError } from "../../src/connection/retry-policy.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { type ConnectOptions, resolveOptions } from "../../src/options.ts";

const seedsOf = (...nodes: unknown[]) => resolveOptions({ nodes } as ConnectOptions).seeds;

function refuses(options: object, ...words: RegExp[]): void {
  assert.throws(
    () => resolveOptions(options as ConnectOptions),
    (error: unknown) => {
      assert.ok(error instanceof InvalidArgumentError, String(error));
      for (const word of words) assert.match(error.message, word);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    },
  );
}

describe("nodes", () => {
  const valid: [unknown, string, number][] = [
    ["127.0.0.1:7000", "127.0.0.1", 7000],
    ["redis-1.example.org:65535", "redis-1.example.org", 65535],
    ["localhost:1", "localhost", 1],
    ["[::1]:7000", "::1", 7000],
    ["::1:7000", "::1", 7000],
    [{ host: "h", port: 7000 }, "h", 7000],
    [{ host: "::1", port: 7000 }, "::1", 7000],
    [{ host: "[::1]", port: 7000 }, "::1", 7000],
    ["redis://h:7000", "h", 7000],
    ["redis://h", "h", 6379],
    ["redis://h/", "h", 6379],
    ["redis://h:7000/0", "h", 7000],
    ["redis://[2001:db8::7]:7000", "2001:db8::7", 7000],
    ["redis://user:s3cret@h:7000", "h", 7000],
    ["rediss://h:7000", "h", 7000],
    ["valkey://user:s3cret@h:7000", "h", 7000],
    ["valkeys://h", "h", 6379],
    ["localhost", "localhost", 6379],
    ["127.0.0.1", "127.0.0.1", 6379],
    ["[::1]", "::1", 6379],
    [{ host: "h", port: "7000" }, "h", 7000],
    ["redis://h:7000/3", "h", 7000],
    [{ path: "/run/redis.sock" }, "/run/redis.sock", 0],
  ];
  for (const [node, host, port] of valid) {
    it(`may have ${JSON.stringify(node)}`, () => assert.deepEqual(seedsOf(node), [{ host, port }]));
  }

  it("keep their order", () => {
    assert.deepEqual(
      seedsOf("b:2", { host: "a", port: 1 }, "redis://c:3").map(({ port }) => port),
      [2, 1, 3],
    );
  });

  for (const nodes of [undefined, null, [], "h:1", {}, 5]) {
    it(`cannot be ${JSON.stringify(nodes)}`, () => refuses({ nodes }, /nodes must be a non-empty array/));
  }

  const invalid: unknown[] = [
    "",
    ":7000",
    "h]",
    "a:b:c",
    "h:",
    "h:0",
    "h:65536",
    "h:x",
    "h: 7000",
    "a b:7000",
    "h/1:7000",
    "user:s3cret@h:7000",
    "http://h:7000",
    "redis://",
    "redis://:s3cret@",
    "redis://h:99999",
    "redis://user:s3cret@h:99999",
    "redis://user:s3cret@h:x",
    "redis://user:s3cret@h:7000/x",
    "redis://user:s3cret@h:7000/-1",
    "redis://user:s3cret@h:7000/3/4",
    "redis://user:s3cret@h:7000/1e3",
    "redis://user:s3cret@h:7000/1234567890",
    { path: "" },
    { path: 5 },
    { path: "\0s3cret" },
    "unix:///s3cret",
    { host: "h" },
    { port: 7000 },
    { host: "", port: 7000 },
    { host: 5, port: 7000 },
    { host: "h", port: "" },
    { host: "h", port: "7e3" },
    { host: "h", port: " 7000" },
    { host: "h", port: "0" },
    { host: "h", port: 0 },
    { host: "h", port: 65536 },
    { host: "h", port: 1.5 },
    { host: "h", port: -1 },
    { host: "h", port: null },
    null,
    undefined,
    7000,
    ["h", 7000],
    true,
  ];
  for (const node of invalid) {
    it(`cannot have ${JSON.stringify(node)}: the message says which one it is, what is accepted, and no password`, () => {
      refuses(
        { nodes: ["ok:1", node] },
        /nodes\[1\] /,
        /"host:port"/,
        /redis:\/\//,
        /rediss:\/\//,
        /\{ host, port \}/,
        /\{ path \}/,
      );
    });
  }
});

describe("credentials in URLs", () => {
  const credentialsOf = (options: object) => resolveOptions(options as ConnectOptions).credentials();

  it("hold for every node", () => {
    assert.deepEqual(credentialsOf({ nodes: ["h:1", "redis://u:p@h:2"] }), { username: "u", password: "p" });
    assert.deepEqual(credentialsOf({ nodes: ["redis://:p@h:2"] }), { password: "p" });
    assert.deepEqual(credentialsOf({ nodes: ["rediss://u:p@h:1", "rediss://u:p@h:2"] }), {
      username: "u",
      password: "p",
    });
  });

  it("are decoded", () => {
    assert.deepEqual(credentialsOf({ nodes: ["redis://us%40er:p%3Aa%2Fss%25@h:1"] }), {
      username: "us@er",
      password: "p:a/ss%",
    });
  });

  it("give way to the option", () => {
    assert.deepEqual(credentialsOf({ nodes: ["redis://u:p@h:1"], password: "own" }), { password: "own" });
  });

  it("must be the same in all of them", () => {
    for (const nodes of [
      ["redis://u:s3cret1@h:1", "redis://u:s3cret2@h:2"],
      ["redis://u:s3cret@h:1", "redis://v:s3cret@h:2"],
    ]) {
      refuses({ nodes }, /nodes have URLs with different credentials/);
    }
  });
});

describe("TLS in URLs", () => {
  const tlsOf = (options: object) => resolveOptions(options as ConnectOptions).tls;

  it("holds for every node", () => {
    assert.deepEqual(tlsOf({ nodes: ["rediss://h:1"] }), {});
    assert.deepEqual(tlsOf({ nodes: ["h:1", "rediss://h:2"] }), {});
    assert.equal(tlsOf({ nodes: ["h:1", "redis://h:2"] }), undefined);
  });

  it("goes with the options of tls", () => {
    const tls = { ca: "certificate" };
    assert.equal(tlsOf({ nodes: ["rediss://h:1"], tls }), tls);
  });

  it("cannot contradict itself or the option", () => {
    refuses({ nodes: ["rediss://h:1", "redis://h:2"] }, /nodes mix redis:\/\/ and rediss:\/\//);
    refuses({ nodes: ["redis://h:1"], tls: true }, /tls is on/);
    refuses({ nodes: ["redis://h:1"], tls: { ca: "s3cret" } }, /tls is on/);
  });
});

describe("databases in URLs", () => {
  const databaseOf = (options: object) => resolveOptions(options as ConnectOptions).database;

  it("hold for every node, as the option does", () => {
    assert.equal(databaseOf({ nodes: ["redis://h:1/3"] }), 3);
    assert.equal(databaseOf({ nodes: ["h:1", "redis://h:2", "redis://h:3/", "redis://h:4/3"] }), 3);
    assert.equal(databaseOf({ nodes: ["redis://h:1/3", "redis://h:2/3"] }), 3);
    assert.equal(databaseOf({ nodes: ["redis://h:1/3"], database: 3 }), 3);
    assert.equal(databaseOf({ nodes: ["h:1"], database: 7 }), 7);
    assert.equal(databaseOf({ nodes: ["redis://h:1/0"] }), 0);
  });

  it("cannot differ, neither from each other nor from the option", () => {
    refuses({ nodes: ["redis://h:1/3", "redis://h:2/4"] }, /nodes have URLs with different databases/);
    refuses({ nodes: ["redis://h:1/0", "redis://h:2/4"] }, /nodes have URLs with different databases/);
    refuses({ nodes: ["redis://h:1/3"], database: 0 }, /database is 0, but a URL in nodes names 3/);
  });
});

describe("trusts", () => {
  const trustsOf = (trusts: unknown) => resolveOptions({ nodes: ["h:1"], trusts } as ConnectOptions).trusts;

  it("trusts by true alone", () => {
    trustsOf(() => true)("h:1");
    trustsOf((address: string) => address === "h:1")("h:1");
    for (const answer of [false, undefined, 1, "yes", null, {}, Promise.resolve(true)]) {
      assert.throws(() => trustsOf(() => answer)("h:1"), UntrustedError);
    }
  });

  it("is a function", () => {
    for (const trusts of [null, 5, "s3cret", true, {}])
      refuses({ nodes: ["h:1"], trusts }, /trusts is .*; accepted is a function/);
  });
});

describe("natMap", () => {
  const nodes = ["h:1"];
  const reached = { host: "127.0.0.1", port: 17000 };
  const natMapOf = (natMap: unknown) => resolveOptions({ nodes, natMap } as ConnectOptions).natMap;

  it("as a table maps announced addresses and leaves the others", () => {
    const natMap = natMapOf({ "10.0.0.1:7000": reached, "[2001:db8::7]:7000": { host: "::1", port: 17001 } });
    assert.deepEqual(natMap("10.0.0.1:7000"), reached);
    assert.deepEqual(natMap("[2001:db8::7]:7000"), { host: "::1", port: 17001 });
    assert.equal(natMap("10.0.0.2:7000"), undefined);
    assert.equal(natMap("constructor"), undefined);
  });

  it("knows an IPv6 address however it is written", () => {
    assert.deepEqual(natMapOf({ "2001:db8::7:7000": reached })("[2001:db8::7]:7000"), reached);
  });

  it("takes no notice of later changes to the table", () => {
    const table = { "10.0.0.1:7000": { ...reached } };
    const natMap = natMapOf(table);
    table["10.0.0.1:7000"].port = 1;
    assert.deepEqual(natMap("10.0.0.1:7000"), reached);
  });

  it("as a function is asked for each address", () => {
    const natMap = natMapOf((address: string) => (address === "a:1" ? reached : undefined));
    assert.deepEqual([natMap("a:1"), natMap("b:1")], [reached, undefined]);
  });

  it("cannot be a Map, none of whose entries would count", () => {
    refuses({ nodes, natMap: new Map([["10.0.0.1:7000", reached]]) }, /Object\.fromEntries/);
  });

  for (const natMap of [null, 5, "s3cret", true]) {
    it(`cannot be of type ${natMap === null ? "null" : typeof natMap}`, () => {
      refuses({ nodes, natMap }, /natMap must be an object or a function/);
    });
  }

  const entries: [string, unknown][] = [
    ["10.0.0.1", reached],
    ["10.0.0.1:0", reached],
    ["10.0.0.1:7000", "127.0.0.1:17000"],
    ["10.0.0.1:7000", null],
    ["10.0.0.1:7000", undefined],
    ["10.0.0.1:7000", { host: "h" }],
    ["10.0.0.1:7000", { port: 1 }],
    ["10.0.0.1:7000", { host: 5, port: 1 }],
    ["10.0.0.1:7000", { host: "h", port: 0 }],
    ["10.0.0.1:7000", { host: "h", port: 65536 }],
    ["10.0.0.1:7000", { host: "h", port: "x" }],
    ["10.0.0.1:7000", { host: "", port: 2 }],
    ["10.0.0.1:7000", { host: "a b", port: 2 }],
  ];
  for (const [from, to] of entries) {
    it(`cannot map ${JSON.stringify(from)} to ${JSON.stringify(to)}`, () => {
      refuses({ nodes, natMap: { [from]: to } }, /natMap\["10\.0\.0\.1/, /"host:port" to \{ host, port \}/);
    });
  }
});

describe("nodes that are nearly right", () => {
  const almost: unknown[] = [
    "redis://u:%zz@h:1",
    "redis://h:0",
    "[::1:7000",
    "::1",
    { host: "a b", port: 1 },
    { host: "h", port: "1:2" },
    { host: "[::1", port: 2 },
  ];
  for (const node of almost) {
    it(JSON.stringify(node), () => refuses({ nodes: [node] }, /nodes\[0\]/, /accepted are "host:port"/));
  }

  it("options that are lists or objects are nothing else", () => {
    for (const scripts of [null, 5]) refuses({ nodes: ["h:1"], scripts }, /scripts is .*; accepted is an array/);
    for (const connectionName of [null, 5, ["a"]])
      refuses({ nodes: ["h:1"], connectionName }, /connectionName must be/);
    refuses({ nodes: ["h:1"], natMap: [] }, /natMap must be/);
    refuses({ nodes: ["h:1"], tls: [] }, /tls is an array/);
  });
});
