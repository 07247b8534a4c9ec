import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { type SingleServer, startSingle } from "../support/single-server.ts";
import { type PointedAt, runSuite, SUITES } from "./own/suites.ts";

// The tests that packages ship, on ioredis and on the facade. What they show is one table at the end.
describe("the packages' own tests", () => {
  let cluster: LocalCluster;
  let single: SingleServer;
  const table: string[] = [
    "| the package's own tests | server | on ioredis | on slotwire/ioredis |",
    "| --- | --- | --- | --- |",
  ];
  before(async () => {
    [cluster, single] = await Promise.all([startCluster({ primaries: 3 }), startSingle()]);
  });
  after(async () => {
    console.log(table.join("\n"));
    await Promise.all([cluster?.stop(), single?.stop()]);
  });

  const nodesOf = (kind: PointedAt["kind"]) =>
    (kind === "single" ? [single.address] : cluster.nodes).map((address) => {
      const [host = "", port = ""] = address.split(":");
      return { host, port: Number(port) };
    });
  const empty = async (kind: PointedAt["kind"]) => {
    if (kind === "single") await single.command("FLUSHALL");
    else await Promise.all(cluster.nodes.map((node) => cluster.command(node, "FLUSHALL")));
  };

  for (const suite of SUITES) {
    for (const kind of suite.kinds) {
      it(`${suite.name}, ${kind}: what passes on ioredis passes`, async () => {
        const nodes = nodesOf(kind);
        await empty(kind);
        const ioredis = await runSuite(suite, { client: "ioredis", kind, nodes });
        await empty(kind);
        const slotwire = await runSuite(suite, { client: "slotwire", kind, nodes });
        const counts = [ioredis, slotwire].map(
          ({ passed, failed }) => `${passed.size} of ${passed.size + failed.size}`,
        );
        table.push(`| ${suite.name} | ${kind} | ${counts[0]} | ${counts[1]} |`);
        assert.equal(slotwire.passed.size > 0, true, slotwire.output.slice(-3000));
        const worse = [...ioredis.passed].filter((title) => !slotwire.passed.has(title));
        assert.deepEqual(worse, [], slotwire.output.slice(-3000));
      });
    }
  }
});
