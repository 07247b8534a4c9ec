import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Cluster, connect, defineLibrary, ReplyError } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";

const libraryOf = (name: string) =>
  defineLibrary({
    source: `#!lua name=${name}\nredis.register_function("${name}", function() return "${name}" end)`,
    functions: { [name]: { numberOfKeys: 1 } },
  });

/** Settings with which a server refuses FUNCTION LOAD, and those with which it takes it again. SCRIPT LOAD it always takes. */
const REFUSALS = [
  { word: "OOM", refusing: ["maxmemory", "1"], taking: ["maxmemory", "0"] },
  { word: "NOREPLICAS", refusing: ["min-replicas-to-write", "3"], taking: ["min-replicas-to-write", "0"] },
] as const;

describe("a library that servers refuse for now", () => {
  let cluster: LocalCluster;
  let client: Cluster;
  let isTooOld = false;
  before(async () => {
    cluster = await startCluster();
    client = await connect({ ...cluster.connectOptions, topologyRefreshInterval: 0 });
    isTooOld = /v=[0-6]\./.test(cluster.version);
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
  });

  const configure = (setting: readonly [string, string]) =>
    Promise.all(cluster.nodes.map((address) => cluster.command(address, "CONFIG", "SET", ...setting)));

  for (const { word, refusing, taking } of REFUSALS) {
    it(`by ${word} is loaded when they take it again, and not tried all the time before`, async (test) => {
      if (isTooOld) return test.skip("this server has no functions");
      const library = libraryOf(`later${word}`);
      await configure(refusing);
      const before = client.metrics().counters.scriptLoadFailures;
      const report = await client.preload(library);
      for (const { failed } of report) assert.match(String(failed[0]?.cause), new RegExp(word));
      await new Promise((resolve) => setTimeout(resolve, 3000));
      const loads = (client.metrics().counters.scriptLoadFailures - before) / cluster.nodes.length;
      assert.ok(loads >= 2 && loads <= 8, `${loads} loads a node in 3 s`);
      await configure(taking);
      // Nothing is called meanwhile, and the topology is not refreshed.
      const deadline = performance.now() + 15_000;
      const isLoaded = () => client.scripts().every(({ loaded }) => loaded.some(({ name }) => name === `later${word}`));
      while (!isLoaded() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
      assert.ok(isLoaded(), "the library is on all nodes");
    });

    it(`by ${word} is brought by the next call, and a call meanwhile gets the server's word`, async (test) => {
      if (isTooOld) return test.skip("this server has no functions");
      const name = `called${word}`;
      const library = libraryOf(name);
      await configure(refusing);
      await client.preload(library);
      const call = () => client.run(library.functions[name] as never, ["k"]);
      const error = await call().catch((reason: unknown) => reason);
      assert.ok(error instanceof ReplyError, String(error));
      assert.ok(error.reply.startsWith(word), error.reply);
      assert.equal(error.outcome, "not-executed");
      await configure(taking);
      assert.equal(await call(), name);
    });
  }
});
