import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatAddress, isHostThatAnswered, type NodeAddress, parseAddress } from "../../src/protocol/node-address.ts";

describe("parseAddress", () => {
  const valid: [string, NodeAddress][] = [
    ["127.0.0.1:7000", { host: "127.0.0.1", port: 7000 }],
    ["redis-1.example.org:6379", { host: "redis-1.example.org", port: 6379 }],
    ["[::1]:7000", { host: "::1", port: 7000 }],
    ["::1:7000", { host: "::1", port: 7000 }],
    ["[2001:db8::7]:65535", { host: "2001:db8::7", port: 65535 }],
    ["2001:db8::7:1", { host: "2001:db8::7", port: 1 }],
    [":7000", { host: "", port: 7000 }],
    ["?:7000", { host: "?", port: 7000 }],
  ];
  for (const [text, address] of valid) {
    it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parseAddress(text), address));
  }

  const invalid = [
    "",
    "h",
    "h:",
    "h:0",
    "h:65536",
    "h:99999",
    "h:100000",
    "h:-1",
    "h:1.5",
    "h: 1",
    "h:1 ",
    "h:x",
    "[::1]",
  ];
  for (const text of invalid) {
    it(`finds no valid port in ${JSON.stringify(text)}`, () => assert.equal(parseAddress(text), undefined));
  }
});

describe("formatAddress", () => {
  it("puts brackets around an IPv6 address only", () => {
    assert.equal(formatAddress({ host: "10.0.0.1", port: 7000 }), "10.0.0.1:7000");
    assert.equal(formatAddress({ host: "a.example", port: 1 }), "a.example:1");
    assert.equal(formatAddress({ host: "::1", port: 7000 }), "[::1]:7000");
  });

  it("gives one name to the two ways of writing an IPv6 address", () => {
    for (const text of ["[2001:db8::7]:7000", "2001:db8::7:7000"]) {
      assert.equal(formatAddress(parseAddress(text) as NodeAddress), "[2001:db8::7]:7000");
    }
  });
});

describe("isHostThatAnswered", () => {
  it("holds where a server names no host", () => {
    for (const host of [null, undefined, ""]) assert.equal(isHostThatAnswered(host), true, String(host));
  });

  it("holds for no name, and not for the host that a server does not know", () => {
    for (const host of ["?", "127.0.0.1", "::", "0", "??", "null", " "]) {
      assert.equal(isHostThatAnswered(host), false, host);
    }
  });
});
