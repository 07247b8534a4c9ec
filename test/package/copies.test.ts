import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { ROOT } from "../support/built-package.ts";
import { run } from "../support/package-run.ts";
import { packedPackage } from "../support/packed-package.ts";

/** What every program below begins with: both copies of the package, in one process. */
const BOTH = `
  import assert from "node:assert/strict";
  import { createRequire } from "node:module";
  import * as es from "slotwire";
  const cjs = createRequire(import.meta.url)("slotwire");
  assert.notEqual(es.connect, cjs.connect);
  const nodes = process.argv.slice(2);
  const pairs = [[es, cjs], [cjs, es]];`;

describe("the CommonJS and the ES copy of the packed package, in one process", () => {
  let cluster: LocalCluster;
  let project: string;
  before(async () => {
    const starting = startCluster({ primaries: 3, tls: false });
    project = (await packedPackage()).projectFor("copies");
    symlinkSync(join(ROOT, "node_modules", "@opentelemetry"), join(project, "node_modules", "@opentelemetry"));
    cluster = await starting;
  });
  after(() => cluster?.stop());

  async function output(name: string, code: string): Promise<string> {
    writeFileSync(join(project, name), code);
    return (await run(project, process.execPath, name, ...cluster.nodes)).trim();
  }

  it("run each other's handles of scripts and libraries", async () => {
    const code = `${BOTH}
      for (const [mine, other] of pairs) {
        const set = mine.defineScript({ name: "set", source: "return redis.call('SET', KEYS[1], ARGV[1])", numberOfKeys: 1 });
        const twice = mine.defineScript({ name: "twice", source: "return ARGV[1] * 2", numberOfKeys: 1, parse: Number });
        const library = mine.defineLibrary({
          source: "#!lua name=copies\\nredis.register_function('add', function(keys, args) return args[1] + 1 end)",
          functions: { add: { numberOfKeys: 1, parse: Number } },
        });
        const cluster = await other.connect({ nodes, scripts: [set, library] });
        assert.equal(await cluster.run(set, ["a"], [1]), "OK");
        assert.equal(await cluster.run(twice, ["a"], [4]), 8);
        assert.equal(await cluster.run(library.functions.add, ["a"], [4]), 5);
        assert.deepEqual(await cluster.batch([twice.call(["b"], [1]), set.call(["c"], [1])]), [2, "OK"]);
        assert.deepEqual((await cluster.preload(twice)).map(({ failed }) => failed.length), [0, 0, 0]);
        await cluster.close();
      }
      console.log("both");`;
    assert.equal(await output("handles.mjs", code), "both");
  });

  it("recognise each other's errors", async () => {
    const code = `${BOTH}
      for (const [mine, other] of pairs) {
        const cluster = await mine.connect({ nodes });
        const reply = await cluster.command("INCR", "a", "b").catch((error) => error);
        const crossing = await cluster.command("MGET", "a", "b", "c").then(() => undefined, (error) => error);
        assert.equal(crossing, undefined);
        const late = await cluster.with({ timeout: 50 }).command("BLPOP", "{none}", 0).catch((error) => error);
        const argument = await cluster.command("GET", {}).catch((error) => error);
        await cluster.close();
        const closed = await cluster.command("GET", "a").catch((error) => error);
        const classes = { ReplyError: reply, DeadlineError: late, InvalidArgumentError: argument, ClosedError: closed };
        for (const [name, error] of Object.entries(classes)) {
          assert.ok(error instanceof mine[name], name + " of its own copy: " + error);
          assert.ok(error instanceof other[name], name + " of the other copy");
          assert.ok(error instanceof other.SlotwireError && error instanceof Error, name);
          for (const another of Object.keys(classes)) assert.equal(error instanceof other[another], another === name);
        }
      }
      console.log("both");`;
    assert.equal(await output("errors.mjs", code), "both");
  });

  it("make one span for a call when both were told to instrument", async () => {
    const code = `${BOTH}
      import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
      import { trace } from "@opentelemetry/api";
      import { instrument } from "slotwire/opentelemetry";
      const other = createRequire(import.meta.url)("slotwire/opentelemetry");
      assert.notEqual(instrument, other.instrument);
      const spans = new InMemorySpanExporter();
      trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }));
      const ends = [instrument(), other.instrument(), instrument()];
      const counts = [];
      for (const end of [undefined, ...ends]) {
        end?.();
        end?.();
        for (const [mine] of pairs) {
          const cluster = await mine.connect({ nodes });
          await cluster.command("GET", "a");
          await cluster.command("INCR", "a", "b").catch(() => undefined);
          await cluster.close();
        }
        const finished = spans.getFinishedSpans();
        counts.push(finished.filter(({ name }) => name === "GET").length);
        counts.push(finished.filter(({ attributes }) => /^ERR/.test(attributes["error.type"] ?? "")).length);
        spans.reset();
      }
      console.log(counts.join());`;
    // One for each of the two clients, until the last of three has ended it.
    assert.equal(await output("spans.mjs", code), "2,2,2,2,2,2,0,0");
  });

  it("give ioredis's shape to import and to require, by its names and as a default", async () => {
    const use = `
      const clients = [new Redis.Cluster(nodes), new Cluster(nodes)];
      for (const client of clients) {
        if ((await client.set("shape", "1")) !== "OK" || (await client.get("shape")) !== "1") throw new Error("not kept");
        if (!(client instanceof Cluster)) throw new Error("not an instance");
        await client.quit();
      }
      console.log("used");`;
    const imported = `
      import Redis, { Cluster } from "slotwire/ioredis";
      const nodes = process.argv.slice(2);${use}`;
    const required = `
      const Redis = require("slotwire/ioredis").default;
      const { Cluster } = require("slotwire/ioredis");
      const nodes = process.argv.slice(2);
      (async () => {${use}})();`;
    assert.equal(await output("shape.mjs", imported), "used");
    assert.equal(await output("shape.cjs", required), "used");
  });

  it("wear ioredis's shape over each other's clients", async () => {
    const code = `${BOTH}
      import * as shape from "slotwire/ioredis";
      const shapes = [shape, createRequire(import.meta.url)("slotwire/ioredis")];
      assert.notEqual(shapes[0].Cluster, shapes[1].Cluster);
      for (const { connect } of [es, cjs]) {
        for (const { Cluster } of shapes) {
          const cluster = await connect({ nodes });
          const shaped = Cluster.from(cluster);
          assert.equal(await shaped.set("worn", "1"), "OK");
          assert.equal((await shaped.incr("worn", "1").catch((error) => error)).name, "ReplyError");
          await cluster.close();
        }
      }
      console.log("all");`;
    assert.equal(await output("worn.mjs", code), "all");
  });

  it("load sockets, hashes and the parser of replies in CommonJS when they are needed", async () => {
    const code = `
      require("slotwire");
      require("slotwire/ioredis");
      const names = ["net", "tls", "crypto", "stream"].map((name) => "NativeModule " + name);
      const loaded = () => names.filter((name) => process.moduleLoadList.includes(name));
      const parser = () => Object.keys(require.cache).some((path) => path.includes("redis-parser"));
      const before = [...loaded(), parser()];
      require("slotwire").defineScript({ name: "one", source: "return 1", numberOfKeys: 0 });
      require("slotwire").connect({ nodes: process.argv.slice(2) }).then(async (cluster) => {
        console.log(before.join(), parser(), await cluster.command("DEL", "none"));
        await cluster.close();
      });`;
    assert.equal(await output("later.cjs", code), "false true 0");
  });

  it("have in CommonJS, once connected, all that a client uses, wherever the package has gone", async () => {
    writeFileSync(join(project, "one.lua"), "-- @keys\nreturn 1");
    const code = `
      const assert = require("node:assert/strict");
      const { basename, join } = require("node:path");
      const { existsSync, renameSync } = require("node:fs");
      const files = () => Object.keys(require.cache).filter((path) => path.includes("shared")).map((path) => basename(path, ".js"));
      const { connect, defineScript, loadScripts, Cluster, InvalidArgumentError, Subscription } = require("slotwire");
      const Redis = require("slotwire/ioredis").default;
      assert.deepEqual(files(), ["core"]);
      const [modules, gone] = [join(__dirname, "node_modules"), join(__dirname, "..", "copies-gone")];
      (async () => {
        const get = defineScript({ name: "get", source: "return redis.call('GET', KEYS[1])", numberOfKeys: 1, readOnly: true });
        const nodes = process.argv.slice(2);
        const cluster = await connect({ nodes, scripts: [get] });
        assert.deepEqual(files(), ["core", "later"]);
        const caching = await connect({ nodes, cache: {} });
        const shaped = new Redis.Cluster(nodes);
        await cluster.command("SET", "later", "1");
        assert.deepEqual(cluster.metrics().subscriptions, { topics: 0, subscriptions: 0, connections: 0 });
        // As some tools do between tests, and as a service is deployed anew in its folder: nothing can be loaded now.
        for (const path of Object.keys(require.cache)) delete require.cache[path];
        renameSync(modules, gone);
        const subscription = await cluster.subscribe("news");
        assert.equal(subscription instanceof Subscription, true);
        assert.equal(cluster.metrics().subscriptions.connections, 1);
        const keys = [];
        for await (const key of cluster.scan()) keys.push(key);
        for await (const some of shaped.scanStream()) keys.push(...some);
        assert.equal(keys.filter((key) => key === "later").length, 2);
        const watched = await cluster.transaction("later", { watch: ["later"] }, async (watching) =>
          watching.multi().command("SET", "later", (await watching.command("GET", "later")) + "0"),
        );
        assert.deepEqual(watched, ["OK"]);
        await assert.rejects(cluster.subscribe({}), (error) => Object.getPrototypeOf(error) === InvalidArgumentError.prototype);
        const cached = caching.with({ cached: true });
        assert.equal(await cached.command("GET", "later"), "10");
        assert.equal(await cached.run(get, ["later"]), "10");
        assert.equal(await cached.run(get, ["later"]), "10");
        assert.equal(caching.metrics().cache.hits, 1);
        assert.equal(await cluster.with({ readFrom: "any", hedge: { after: 1 } }).command("GET", "later"), "10");
        assert.equal(typeof loadScripts(__dirname).one, "object");
        const again = await connect({ nodes, cache: {} });
        assert.equal(await again.with({ cached: true }).command("GET", "later"), "10");
        await again.close();
        await shaped.quit();
        await caching.close();
        await cluster.close();
        assert.equal(cluster.metrics().subscriptions.subscriptions, 0);
        await assert.rejects(cluster.subscribe("news"), { code: "CLOSED" });
        console.log("all, from memory: " + files().length);
      })().finally(() => existsSync(gone) && renameSync(gone, modules));`;
    assert.equal(await output("files.cjs", code), "all, from memory: 0");
  });
});
