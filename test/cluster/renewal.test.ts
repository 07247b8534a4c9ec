import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, connect } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { eventually } from "../support/eventually.ts";
import { setScript } from "../support/scripts.ts";

describe("credentials that end", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let isOld = false;
  let [user, password] = ["first", "p"];
  let asked = 0;
  before(async () => {
    cluster = await startCluster({ primaries: 1, replicasPerPrimary: 1 });
    isOld = /v=6\./.test(cluster.version);
    for (const name of ["first", "second"])
      await onAll("ACL", "SETUSER", name, "on", ">p", "~*", "+@all", ...CHANNELS());
    client = await connect({
      ...cluster.connectOptions,
      credentials: async () => {
        asked++;
        return { username: user, password, renewAfter: 200 };
      },
      connectionsPerNode: 2,
      cache: { maxAge: 500 },
      scripts: [setScript],
    });
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  /** Before 6.2 there were no rights for channels. */
  const CHANNELS = () => (isOld ? [] : ["&*"]);
  const onAll = (...command: string[]) =>
    Promise.all(cluster.nodes.map((address) => cluster.command(address, ...command)));
  /** The connections of a user, as the nodes know them. */
  const connectionsOf = async (name: string) => {
    const lists = await onAll("CLIENT", "LIST");
    const lines = lists.flatMap((list) => String(list).split("\n"));
    return lines.filter((line) => new RegExp(` user=${name}( |$)`).test(line));
  };
  const settled = async () => {
    const from = asked;
    await eventually(() => assert.equal(asked > from + 10, true, "the provider is asked again"));
  };

  /** Calls of every kind, one after the other of each. */
  const WAYS: Record<string, (turn: number) => Promise<unknown>> = {
    command: (turn) => client.command("SET", "{k}1", turn),
    script: (turn) => client.run(setScript, ["{k}2"], [turn]),
    replica: () => client.with({ readFrom: "replica" }).command("GET", "{k}1"),
    cached: () => client.with({ cached: true }).command("GET", "{k}kept"),
    missing: (turn) => client.with({ cached: true }).command("GET", `{k}${turn}`),
    blocking: () => client.command("BLPOP", "{k}none", 0.02),
    watch: (turn) =>
      client.transaction("{k}3", { watch: ["{k}3"] }, async (tx) => tx.multi().command("SET", "{k}3", turn)),
  };

  it("are renewed on connections of every kind before that, and no call fails", async () => {
    const failures: string[] = [];
    let isOver = false;
    const heard = new Set<string>();
    await client.subscribe("news", ({ payload }) => heard.add(payload));
    const loads = Object.entries(WAYS).map(async ([name, call]) => {
      for (let turn = 0; !isOver; turn++) {
        await call(turn).catch((error: Error) => failures.push(`${name}: ${error.message}`));
        await sleep(2);
      }
    });
    try {
      await eventually(async () => assert.equal((await connectionsOf("first")).length > 6, true));
      user = "second";
      // A connection that is subscribed cannot log in again: the old one stays.
      await eventually(async () => {
        const left = (await connectionsOf("first")).map((line) => / flags=(\S+)/.exec(line)?.[1]);
        assert.deepEqual(left, ["P"]);
      });
      await onAll("ACL", "DELUSER", "first");
      await eventually(async () => {
        await client.command("PUBLISH", "news", "after");
        assert.deepEqual([...heard], ["after"]);
      });
      await onAll("ACL", "SETUSER", "second", ">q");
      password = "q";
      await settled();
      await onAll("ACL", "SETUSER", "second", "<p");
      await settled();
      const { cache } = client.metrics();
      if (!isOld) {
        assert.deepEqual(cache?.unavailable, []);
        assert.equal((cache?.hits ?? 0) > 20, true, `${cache?.hits} hits`);
        const lost = Object.keys(cache?.dropped ?? {}).filter(
          (why) => !["expired", "renewed", "own-write"].includes(why),
        );
        assert.deepEqual([lost, cache?.passed.lost], [[], undefined]);
      }
    } finally {
      isOver = true;
      await Promise.all(loads);
    }
    assert.deepEqual(failures, []);
  });
});
