import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProtocolError } from "../../src/errors.ts";
import type { Reply } from "../../src/protocol/reply.ts";
import { shardsOfSlots } from "../../src/topology/slots-reply.ts";
import { parseClusterShards } from "../../src/topology/topology-reply.ts";

const ASKED = { host: "10.0.0.9", port: 7009 };
const read = (reply: Reply) => parseClusterShards(shardsOfSlots(reply), ASKED, false);

describe("a reply to CLUSTER SLOTS", () => {
  it("is read as one to CLUSTER SHARDS: a primary with several ranges is one node", () => {
    const [a, b] = ["a".repeat(40), "b".repeat(40)];
    const primary = ["10.0.0.1", 7000, a, []];
    const replica = ["10.0.0.2", 7001, b, ["hostname", "two"]];
    assert.deepEqual(
      read([
        [0, 99, primary, replica],
        [200, 299, primary, replica],
      ]),
      {
        nodes: [
          { id: a, host: "10.0.0.1", port: 7000, role: "primary", primary: undefined, health: "online" },
          { id: b, host: "10.0.0.2", port: 7001, role: "replica", primary: "10.0.0.1:7000", health: "online" },
        ],
        slots: [
          { owner: 0, start: 0, end: 99 },
          { owner: 0, start: 200, end: 299 },
        ],
      },
    );
  });

  it("names the host that answered by null or nothing, and an unknown one by a question mark", () => {
    const hosts = [null, "", "?"].map((host, index) => [index, index, [host, 7000 + index, String(index).repeat(40)]]);
    const known = [3, 3, ["?", 7003, "3".repeat(40), ["ip", "10.0.0.3"]]];
    const { nodes } = read([...hosts, known]);
    assert.deepEqual(
      nodes.map(({ host, port }) => `${host}:${port}`),
      ["10.0.0.9:7000", "10.0.0.9:7001", "10.0.0.3:7003"],
    );
  });

  it("of a server before ids are known has none", () => {
    const { nodes } = read([[0, 16383, ["10.0.0.1", 7000]]]);
    assert.deepEqual(
      nodes.map(({ id, port }) => [id, port]),
      [["", 7000]],
    );
  });

  for (const reply of [
    "OK",
    null,
    5,
    [5],
    [[0]],
    [[0, 16384, ["h", 1, "x"]]],
    [["a", 1, ["h", 1, "x"]]],
    [[0, 1, "h"]],
  ]) {
    it(`that is ${JSON.stringify(reply)} is PROTOCOL`, () => {
      assert.throws(() => read(reply as Reply), ProtocolError);
    });
  }
});
