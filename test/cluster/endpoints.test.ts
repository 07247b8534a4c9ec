import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect } from "../../src/index.ts";
import { startCluster } from "../../src/testing/index.ts";
import { keyForSlot } from "../support/key-for-slot.ts";

const PREFER_NAMES = ["--cluster-preferred-endpoint-type", "hostname"];

describe("servers that announce host names by preference", { timeout: 30_000 }, () => {
  // Where a server has no name, CLUSTER SHARDS has "?" in its place, and its ip beside it.
  for (const [named, some] of [
    ["one has a name", 1],
    ["all have one", 3],
    ["none has one", 0],
  ] as const) {
    it(`serve all keys where ${named}`, async (test) => {
      const cluster = await startCluster({ primaries: 3, args: PREFER_NAMES }).catch((error: Error) => error);
      if (cluster instanceof Error) return test.skip("this server knows no names of nodes");
      try {
        for (const address of cluster.nodes.slice(0, some)) {
          await cluster.command(address, "CONFIG", "SET", "cluster-announce-hostname", "localhost");
        }
        const until = Date.now() + 10_000;
        const names = async () => String(await cluster.command(cluster.nodes[2] as string, "CLUSTER", "NODES"));
        while ((await names()).split("localhost").length - 1 < some && Date.now() < until) {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        const client = await connect({ ...cluster.connectOptions });
        try {
          for (const slot of [500, 6000, 12_000]) {
            assert.equal(await client.command("SET", keyForSlot(slot), "v"), "OK");
          }
          const hosts = client.topology.nodes.map(({ host }) => host).toSorted();
          assert.deepEqual(hosts, [...Array(3 - some).fill("127.0.0.1"), ...Array(some).fill("localhost")]);
        } finally {
          client.destroy();
        }
      } finally {
        await cluster.stop();
      }
    });
  }
});
