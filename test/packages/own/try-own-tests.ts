import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type LocalCluster, startCluster } from "../../../src/testing/index.ts";
import { type SingleServer, startSingle } from "../../support/single-server.ts";
import { type Outcome, type PointedAt, runSuite, type Suite } from "./suites.ts";

/** The servers of one client. */
type Servers = { readonly cluster: LocalCluster; readonly single: SingleServer };
/** A test is a fault of the facade if it never passes there, in so many runs in which it passes on ioredis. */
const JUDGED_RUNS = 3;
/** So often the tests are run on both at most. What passes on ioredis in fewer of them than are judged is a fault as well. */
const MOST_RUNS = 5;
const CLIENTS = ["ioredis", "slotwire"] as const;

/** Runs tests that packages ship, on ioredis and on the facade, each with servers of its own. Prints one table. */
export function tryOwnTests(suites: readonly Suite[]): void {
  describe("the packages' own tests", () => body(suites));
}

function body(suites: readonly Suite[]): void {
  const servers = new Map<PointedAt["client"], Servers>();
  const table = [
    "| the package's own tests | server | pass on ioredis | pass on slotwire/ioredis |",
    "| --- | --- | --- | --- |",
  ];
  before(async () => {
    for (const client of CLIENTS) {
      const [cluster, single] = await Promise.all([startCluster({ primaries: 3 }), startSingle()]);
      servers.set(client, { cluster, single });
    }
  });
  after(async () => {
    console.log(table.join("\n"));
    for (const { cluster, single } of servers.values()) await Promise.all([cluster.stop(), single.stop()]);
  });

  const run = async (suite: Suite, client: PointedAt["client"], kind: PointedAt["kind"]) => {
    const { cluster, single } = servers.get(client) as Servers;
    if (kind === "single") await single.command("FLUSHALL");
    else await Promise.all(cluster.nodes.map((node) => cluster.command(node, "FLUSHALL")));
    const nodes = (kind === "single" ? [single.address] : cluster.nodes).map((address) => {
      const [host = "", port = ""] = address.split(":");
      return { host, port: Number(port) };
    });
    return runSuite(suite, { client, kind, nodes });
  };

  for (const suite of suites) {
    for (const kind of suite.kinds) {
      it(`${suite.name}, ${kind}: what passes on ioredis passes`, async () => {
        const both = () =>
          Promise.all(CLIENTS.map((client) => run(suite, client, kind))) as Promise<[Outcome, Outcome]>;
        const [ioredis, slotwire] = await both();
        let worse = [...ioredis.passed].filter((title) => !slotwire.passed.has(title));
        const counts = [ioredis, slotwire].map(
          ({ passed, failed }) => `${passed.size} of ${passed.size + failed.size}`,
        );
        // Many of these tests compare times, and fail now and then on a machine that is busy, on either client. A fault fails
        // each time. A run in which ioredis fails as well says nothing.
        const judged = new Map(worse.map((title) => [title, 1]));
        const isOpen = (title: string) => (judged.get(title) ?? 0) < JUDGED_RUNS;
        for (let runs = 1; worse.some(isOpen) && runs < MOST_RUNS; runs++) {
          const [theirs, ours] = await both();
          worse = worse.filter((title) => !ours.passed.has(title));
          for (const title of worse) if (theirs.passed.has(title)) judged.set(title, (judged.get(title) ?? 0) + 1);
          counts.push(`again ${ours.passed.size} (ioredis ${theirs.passed.size})`);
        }
        table.push(`| ${suite.name} | ${kind} | ${counts[0]} | ${counts.slice(1).join(", ")} |`);
        for (const { passed, output } of [ioredis, slotwire]) assert.equal(passed.size > 0, true, output.slice(-3000));
        assert.deepEqual(
          worse.map((title) => `${title} (passed on ioredis ${judged.get(title)} times)`),
          [],
        );
      });
    }
  }
}
