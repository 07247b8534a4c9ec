import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { inspect } from "node:util";
import { SlotwireError } from "../../src/index.ts";
import { FakeCluster } from "../support/fake-cluster.ts";
import { keyForSlot } from "../support/key-for-slot.ts";
import { setScript } from "../support/scripts.ts";

const SECRET = "s3cret-argument";

/** Bytes that are no RESP2 reply. */
const BROKEN: readonly [what: string, bytes: string][] = [
  ["an unknown type", "?what\r\n"],
  ["a letter", "OK\r\n"],
  ["a NUL", "\0\r\n"],
  ["an empty line", "\r\n"],
  ["a lone line feed", "\n"],
  ["bytes of TLS", "\x16\x03\x01\x02\x00\x01\x00"],
  ["an HTTP answer", "HTTP/1.1 400 Bad Request\r\n\r\n"],
  ["a RESP3 null", "_\r\n"],
  ["a RESP3 boolean", "#t\r\n"],
  ["a RESP3 double", ",1.5\r\n"],
  ["a RESP3 map", "%1\r\n+a\r\n+b\r\n"],
  ["a RESP3 set", "~1\r\n+a\r\n"],
  ["a RESP3 push", ">1\r\n+a\r\n"],
  ["a RESP3 big number", "(12345678901234567890\r\n"],
  ["a RESP3 verbatim string", "=5\r\ntxt:a\r\n"],
  ["a RESP3 blob error", "!3\r\nERR\r\n"],
  ["a bulk string without a length", "$\r\n"],
  ["a bulk string of length x", "$x\r\nabc\r\n"],
  ["a bulk string of length -2", "$-2\r\n"],
  ["a bulk string of length 1.5", "$1.5\r\na\r\n"],
  ["a bulk string of length +1", "$+1\r\na\r\n"],
  ["a bulk string of length 1e3", "$1e3\r\na\r\n"],
  ["a bulk string of a length with a space", "$ 1\r\na\r\n"],
  ["a bulk string longer than it says", "$1\r\nabc\r\n"],
  ["a bulk string shorter than it says", "$4\r\nabc\r\n+x\r\n"],
  ["a bulk string without its end", "$3\r\nabcde"],
  ["a bulk string of 4 billion bytes", "$4294967296\r\n"],
  ["a bulk string of 2^53 bytes", "$9007199254740993\r\n"],
  ["a length of 400 digits", `$${"9".repeat(400)}\r\n`],
  ["an array without a length", "*\r\n"],
  ["an array of length x", "*x\r\n"],
  ["an array of length -2", "*-2\r\n"],
  ["an array of 4 billion elements", "*4294967296\r\n"],
  ["an array with a broken element", "*2\r\n:1\r\n?\r\n"],
  ["an array that ends early in another type", "*2\r\n$1\r\na\r\n\r\n"],
  ["arrays nested 10,000 deep", `${"*1\r\n".repeat(10_000)}:1\r\n`],
  ["an integer without digits", ":\r\n"],
  ["an integer of letters", ":abc\r\n"],
  ["an integer with a fraction", ":1.5\r\n"],
  ["an integer of 400 digits", `:${"1".repeat(400)}\r\n`],
  ["a line without a carriage return", "+OK\n"],
  ["a carriage return in a line", "+O\rK\r\n"],
];

describe("a server that sends no RESP", () => {
  let cluster: FakeCluster;
  beforeEach(async () => {
    cluster = await FakeCluster.start(1);
  });
  afterEach(() => cluster.stop());

  const key = keyForSlot(0);

  for (const [what, bytes] of BROKEN) {
    it(`${what}: the connection ends, calls in flight are unknown, and the next is served at once`, async () => {
      const client = await cluster.connect({ scripts: [setScript] });
      const node = cluster.node(0);
      node.expect("EVALSHA", "+before\r\n");
      node.expect("EVALSHA", bytes);
      node.expect("EVALSHA", "+behind\r\n", 2);
      const calls = [1, 2, 3, 4].map((value) => client.run(setScript, [key], [`${SECRET}${value}`]));
      const [before, broken, ...behind] = await Promise.allSettled(calls);
      assert.equal(before?.status === "fulfilled" && before.value, "before", "what came before is as good as any");
      for (const result of [broken, ...behind]) {
        assert.ok(result?.status === "rejected", inspect(result));
        assert.ok(result.reason instanceof SlotwireError);
        assert.match(result.reason.code, /^(PROTOCOL|CONNECTION_LOST)$/);
        assert.equal(result.reason.outcome, "unknown");
        assert.doesNotMatch(inspect(result.reason, { depth: 9, showHidden: true }), new RegExp(SECRET));
      }
      const start = performance.now();
      node.expect("EVALSHA", "+next\r\n");
      assert.equal(await client.run(setScript, [key], [5]), "next");
      const took = performance.now() - start;
      assert.ok(took < 100, `${took} ms`);
    });
  }

  it("a reply too many: the connection ends before anybody gets it", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", "+mine\r\n+too many\r\n");
    assert.equal(await client.run(setScript, [key], [1]), "mine");
    cluster.node(0).expect("EVALSHA", "+next\r\n");
    assert.equal(await client.run(setScript, [key], [2]), "next");
  });

  it("half a reply, then silence: the connection is replaced, the call unknown", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    const node = cluster.node(0);
    node.expect("EVALSHA", "$10\r\nhal");
    const start = performance.now();
    await assert.rejects(client.run(setScript, [key], [1]), { code: "CONNECTION_LOST", outcome: "unknown" });
    assert.ok(performance.now() - start < 1500);
    node.expect("EVALSHA", "+next\r\n");
    assert.equal(await client.run(setScript, [key], [2]), "next");
  });

  it("a valid reply nested 7,000 deep: that call is told, the others get their own", async () => {
    const client = await cluster.connect({ scripts: [setScript] });
    cluster.node(0).expect("EVALSHA", `${"*1\r\n".repeat(7000)}:1\r\n`);
    cluster.node(0).expect("EVALSHA", "+mine\r\n");
    const deep = client.run(setScript, [key], [1]);
    const other = client.run(setScript, [key], [2]);
    await assert.rejects(deep, { code: "PROTOCOL", outcome: "executed" });
    assert.equal(await other, "mine");
  });
});
