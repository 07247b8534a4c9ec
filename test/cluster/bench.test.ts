import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { benchSettings, COMMAND } from "../../bench/support/bench-options.ts";
import { ownReadingScript, ownScript } from "../../bench/support/called-script.ts";
import { readOptions } from "../../bench/support/options.ts";
import { readingWays } from "../../bench/support/other-ways.ts";
import { markdownOf } from "../../bench/support/report.ts";
import { ServerMeter } from "../../bench/support/server-costs.ts";
import { evalAndEvalsha, measuredWay, type WayOfCalling } from "../../bench/support/ways.ts";
import { wholeRun } from "../../bench/support/whole-run.ts";
import { CallNumbers } from "../../src/cli/bench/bench-call.ts";
import { type Cluster, connect } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { builtPackage } from "../support/built-package.ts";

const PASSWORD = "very:secret";

describe("npm run bench", () => {
  const folder = mkdtempSync(join(tmpdir(), "slotwire-bench-"));
  let cluster: LocalCluster;
  let client: Cluster;
  let isOld = false;
  before(async () => {
    cluster = await startCluster({ primaries: 1, replicasPerPrimary: 1, tls: true, password: PASSWORD });
    client = await connect(cluster.connectOptions);
    isOld = /v=[0-6]\./.test(cluster.version);
  });
  after(async () => {
    client?.destroy();
    await cluster?.stop();
    rmSync(folder, { recursive: true });
  });
  const primary = () => client.topology.nodes.find(({ role }) => role === "primary")?.address as string;

  const reportOf = async (words: readonly string[]) => {
    const all = [...words, "--quick", "--in-flight", "4", "--seconds", "0.05"];
    const build = pathToFileURL(join(builtPackage(), "dist", "index.js")).href;
    const undoing: (() => unknown)[] = [];
    const settings = { ...benchSettings(readOptions(COMMAND, all)), build };
    const report = await wholeRun(settings, (undo) => undoing.push(undo));
    for (const undo of undoing.reverse()) await undo();
    return report;
  };

  it("measures a script of one's own on one's own cluster, with TLS and a password, and leaves nothing behind", async () => {
    const file = join(folder, "count.lua");
    writeFileSync(file, "return redis.call('incrby', KEYS[1], ARGV[1])");
    const uri = `rediss://:${encodeURIComponent(PASSWORD)}@${primary()}`;
    const script = ["--eval", file, "--keys", "{one}:__rand_int__,{one}:total", "--args", "5,x"];
    const login = ["--nodes", uri, "--cacert", cluster.authorityFile as string];
    const report = await reportOf([...script, ...login]);

    const [comparison, ...others] = report.comparisons;
    assert.equal(others.length, 0);
    assert.deepEqual(
      [comparison?.script.name, comparison?.inFlight, comparison?.ways.map(({ name }) => name)],
      ["count", 4, ["EVAL", "EVALSHA"]],
    );
    const [source, sha] = comparison?.ways ?? [];
    assert.ok((sha?.costs.bytesSent ?? 0) > 100 && (sha?.costs.bytesSent ?? 0) < 160, String(sha?.costs.bytesSent));
    assert.ok((source?.costs.serverCpu ?? 0) > 0 && (sha?.ratios?.callsPerSecond?.values ?? 0) >= 3);
    // Each call has a number of its own, or the way that is behind would find the keys of the other. Only the calls of one
    // transaction, which has a single slot, are the same call.
    const keys = (await client.command("KEYS", "{one}:1*")) as string[];
    assert.ok(keys.includes("{one}:1000000"), "numbers begin at a million");
    assert.ok(
      keys.every((key) => key.length === "{one}:1000000".length),
      "no call is longer than another",
    );
    assert.deepEqual([...new Set((await client.command("MGET", ...keys)) as string[])].sort(), ["20", "5"]);

    const [ways] = report.otherWays;
    const names = ways?.ways.map(({ name }) => name);
    assert.equal(ways?.base, "EVALSHA");
    assert.deepEqual(names, ["EVALSHA", ...(isOld ? [] : ["FCALL"]), "batch of 4", "transaction of 4"]);
    const sent = (name: string) => ways?.ways.find((way) => way.name === name)?.costs.bytesSent ?? 0;
    // A SHA-1 has 40 characters.
    if (!isOld) assert.ok(sent("EVALSHA") - sent("FCALL") > 35, `${sent("EVALSHA")} and ${sent("FCALL")}`);
    assert.ok(sent("transaction of 4") > sent("EVALSHA"), "MULTI and EXEC have bytes, too");

    assert.match(report.environment.setting, /^1 primary, 1 replica .*TLS/);
    const [first, ...more] = report.leftOut;
    assert.match(first ?? "", /^Cold caches and detours: /);
    assert.match(more.join(" "), /EVALSHA_RO on replicas: the script does not say that it only reads/);
    assert.equal(/FCALL.*FUNCTION/.test(more.join(" ")), isOld);
    assert.match(markdownOf(report), /^\| count +\| +4 \|/m);
    assert.doesNotMatch(JSON.stringify(report), /very.{1,3}secret/);
    if (!isOld) assert.deepEqual(await client.command("FUNCTION", "LIST"), []);
    assert.deepEqual(await client.command("KEYS", "slotwire-bench:*"), []);
  });

  it("leaves out the ways that a user may not go, and says why", async () => {
    await client.command("ACL", "SETUSER", "bea", "on", ">geheim", "~*", "+@all", "-multi");
    const file = join(folder, "one.lua");
    writeFileSync(file, "return 1");
    const login = ["--nodes", primary(), "--tls", "--cacert", cluster.authorityFile as string];
    const report = await reportOf([...login, "--user", "bea", "--pass", "geheim", "--eval", file, "--keys", "a"]);
    const names = report.otherWays[0]?.ways.map(({ name }) => name);
    assert.deepEqual(names, ["EVALSHA", ...(isOld ? [] : ["FCALL"]), "batch of 4"]);
    assert.match(report.leftOut.join(" "), /transaction of 4: NOPERM .*multi/);
  });

  it("measures readers on replicas, and sees by the servers' count that they were there", async (test) => {
    if (isOld) return test.skip("this server has no EVALSHA_RO");
    const called = ownReadingScript();
    const meter = new ServerMeter(
      client,
      client.topology.nodes.map(({ address }) => address),
    );
    const bed = { client, meter, alone: true, numbers: new CallNumbers() };
    const ways = readingWays(client, called, 4);
    for (const way of ways) {
      await measuredWay({ ...bed, alone: false }, way).slice(20);
      const { calls, costs } = await measuredWay(bed, way).slice(20);
      assert.ok(calls > 4 && (costs.bytesSent ?? 0) / calls > 90, `${calls} calls, ${costs.bytesSent} bytes`);
    }
    const [onPrimaries, onReplicas] = ways as [WayOfCalling, WayOfCalling];
    const elsewhere = { ...onPrimaries, ranOn: onReplicas.ranOn as ReadonlySet<string> };
    await assert.rejects(
      measuredWay(bed, elsewhere).slice(5),
      /counted nothing for \d+ calls by EVALSHA_RO, primaries/,
    );
  });

  it("ends when the servers ran other calls than it made, and counts those of a batch one by one", async () => {
    const called = ownScript(100);
    const bed = { client, meter: new ServerMeter(client, [primary()]), alone: true, numbers: new CallNumbers() };
    const sha = evalAndEvalsha(client, called, 2)[1] as WayOfCalling;
    await sha.call(0);
    const twice = async (number: number) => {
      await sha.call(number);
      await sha.call(number);
    };
    await assert.rejects(measuredWay(bed, { ...sha, call: twice }).slice(5), /counted \d+ evalsha for \d+ calls/);
    const { calls, latencies } = await measuredWay(bed, { ...sha, call: twice, callsEach: 2 }).slice(5);
    assert.deepEqual([calls % 2, latencies.calls], [0, calls]);
    const wrong = { ...called, check: (reply: unknown) => assert.equal(reply, 2, "a wrong reply") };
    const checked = evalAndEvalsha(client, wrong, 2)[1] as WayOfCalling;
    await assert.rejects(measuredWay(bed, checked).slice(5), /a wrong reply/);
    await client.command("DEL", ...[0, 1].flatMap(called.keysOf));
  });
});
