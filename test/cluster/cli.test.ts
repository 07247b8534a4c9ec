import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Estimate } from "../../src/cli/bench/estimate.ts";
import type { BenchReport, RateCurve, WayFigures } from "../../src/cli/bench/report.ts";
import { connect, slotOf, type Topology } from "../../src/index.ts";
import { type LocalCluster, startCluster } from "../../src/testing/index.ts";
import { scriptFolder } from "../support/script-folder.ts";
import { optionsFor, slotwire } from "../support/slotwire-cli.ts";

const SOURCES = {
  "first.lua": "return {KEYS[1], ARGV[1]}",
  "moved.lua": "return {KEYS[1], ARGV[1], 'moved'}",
  "ask.lua": "return redis.call('set', KEYS[1], ARGV[1]) -- ask",
  "known/one.lua": "return 1 -- one",
  "known/two.lua": "return 2 -- two",
  "bad/bad.lua": "return +",
  "missing.lua": "return redis.call('incr', KEYS[1]) -- missing",
  "wrong.lua": "return redis.error_reply('MINE no')",
  "bump.lua": "return redis.call('incrby', KEYS[1], ARGV[1])",
};

interface Hop {
  readonly attempt: number;
  readonly address: string;
  readonly at: number;
  readonly command: string;
  readonly asking: boolean;
  readonly bytes: number;
  readonly loadBytes: number;
  readonly answer: { readonly at: number; readonly kind: string; readonly to: string | null } | null;
}

describe("slotwire at a real cluster", { concurrency: 3 }, () => {
  let cluster: LocalCluster;
  const folder = scriptFolder(SOURCES);
  let topology: Topology;
  let where: string[];
  const file = (name: keyof typeof SOURCES) => join(folder, name);
  before(async () => {
    cluster = await startCluster({ primaries: 3, replicasPerPrimary: 1 });
    const client = await connect(cluster.connectOptions);
    topology = client.topology;
    client.destroy();
    where = optionsFor(cluster, folder);
  });
  after(() => cluster?.stop());

  /** Which nodes have it, by their own word. */
  const holders = async (source: string) => {
    const sha = createHash("sha1").update(source).digest("hex");
    const answers = await Promise.all(cluster.nodes.map((node) => cluster.command(node, "SCRIPT", "EXISTS", sha)));
    return cluster.nodes.filter((_, index) => (answers[index] as number[])[0] === 1);
  };
  const json = async (...args: string[]) => {
    const { status, out, err } = await slotwire([...args, ...where, "--json"]);
    assert.deepEqual([status, err], [0, ""]);
    assert.match(out, /^[^\n]+\n$/);
    return JSON.parse(out);
  };
  const nodesFor = (key: string) => {
    const owner = topology.primaryOf(slotOf(key))?.address as string;
    const [replica] = topology.replicasOf(slotOf(key));
    const other = topology.nodes.find(({ address, role }) => role === "primary" && address !== owner);
    return { owner, replica: replica?.address as string, other: other?.address as string };
  };

  it("topology draws every node, without colours where there is no terminal", async () => {
    const [{ status, out, err }, described] = await Promise.all([slotwire(["topology", ...where]), json("topology")]);
    assert.deepEqual([status, err], [0, ""]);
    assert.match(out, /^3 primaries, 3 replicas; every slot is served\n/);
    for (const address of cluster.nodes) assert.equal(out.split(address).length, 2, address);
    for (const line of out.split("\n")) assert.ok([...line].length <= 80, line);
    assert.ok(!out.includes("\x1b"));
    assert.deepEqual(
      described.nodes.map(({ address }: { address: string }) => address).sort(),
      [...cluster.nodes].sort(),
    );
    assert.deepEqual(described.unowned, []);
    assert.equal(described.ranges.length, 3);
    for (const { start, end, primary, replicas } of described.ranges) {
      assert.equal(
        end - start + 1,
        described.nodes.find((node: { address: string }) => node.address === primary).slots,
      );
      assert.equal(replicas.length, 1);
    }
  });

  it("scripts asks every node and loads nothing, until it is told to", async () => {
    const known = join(folder, "known");
    const { status, out } = await slotwire(["scripts", known, ...where]);
    assert.equal(status, 0);
    assert.match(out, /\none +0 of 6 nodes {2}[0-9a-f]{40}\ntwo +0 of 6 nodes/);
    assert.deepEqual(await holders(SOURCES["known/one.lua"]), []);
    const loaded = await json("scripts", known, "--load");
    assert.deepEqual(
      loaded.scripts.map(({ name }: { name: string }) => name),
      ["one", "two"],
    );
    assert.deepEqual(
      loaded.nodes.map(({ knows }: { knows: unknown }) => knows),
      new Array(6).fill([true, true]),
    );
    assert.equal((await holders(SOURCES["known/two.lua"])).length, 6);
    const replica = loaded.nodes.find(({ role }: { role: string }) => role === "replica").address;
    await cluster.command(replica, "SCRIPT", "FLUSH");
    const shas = loaded.scripts.map(({ sha }: { sha: string }) => sha);
    const asked = await json("scripts", ...shas, "0".repeat(40), "--eval", join(known, "one.lua"));
    for (const { address, knows } of asked.nodes) {
      const has = address !== replica;
      assert.deepEqual(knows, [has, has, has, false], address);
    }
  });

  it("scripts without a script tells how many each node has", async () => {
    const [{ status, out, err }, counted] = await Promise.all([slotwire(["scripts", ...where]), json("scripts")]);
    assert.deepEqual([status, err], [0, ""]);
    assert.equal(counted.nodes.length, 6);
    for (const { address, scripts } of counted.nodes) {
      const memory = String(await cluster.command(address, "INFO", "memory"));
      assert.ok(Number.isInteger(scripts) && memory.includes("number_of_cached_scripts:"), address);
      assert.match(out, new RegExp(`${address} +\\d+ scripts?\\n`));
    }
  });

  it("scripts --load fails with the server's words where a script does not compile", async () => {
    const bad = join(folder, "bad");
    const { status, out, err } = await slotwire(["scripts", bad, "--load", ...where]);
    assert.equal(status, 1);
    assert.match(out, /bad +0 of 6 nodes/);
    assert.match(err, /^slotwire: bad was not loaded on \S+ \(ERR Error compiling script [^\n]*and 5 more failed\.\n$/);
  });

  it("explain shows the first call of a script: loaded in the same write", async () => {
    const key = "{user:1}:first";
    const { owner, replica } = nodesFor(key);
    const { status, out, err } = await slotwire(["explain", "--eval", file("first.lua"), ...where, key, ",", "-5"]);
    assert.deepEqual([status, err], [0, ""]);
    assert.ok(out.includes(`key       ${key}\n           ^^^^^^  CRC16 27162, modulo 16384: slot 10778\n`), out);
    assert.match(out, new RegExp(`\nowner     [ABC] ${owner}, as the client believes, does not know the\\s+script\n`));
    assert.match(out, /\nreally {4}the same: [ABC] says that the slot is its own\n/);
    assert.match(out, new RegExp(`\nreplica   [ABC]1 ${replica}, does not know the script\n`));
    assert.match(
      out,
      / ms {2}1 → [ABC] \S+ {2}SCRIPT LOAD \(\d+ bytes\),\s+EVALSHA \(\d+ bytes\)\n.* ms {2}1 ← \["\{user:1\}:first", "-5"\]\n/,
    );
    const again = await json("explain", "--eval", file("first.lua"), key, ",", "5");
    assert.equal(again.known[owner], true);
    assert.deepEqual([again.slot, again.owner, again.reply], [10_778, owner, [key, "5"]]);
    assert.deepEqual(again.keys, [{ key, slot: 10_778, tag: "user:1", crc16: 27_162 }]);
  });

  it("explain shows NOSCRIPT to who takes the script for known", async () => {
    const { owner } = nodesFor("missing");
    const { hops, known, reply } = await json("explain", "--preloaded", "--eval", file("missing.lua"), "missing");
    assert.equal(known[owner], false);
    assert.equal(reply, 1);
    assert.deepEqual(
      (hops as Hop[]).map(({ attempt, address, command, loadBytes, answer }) => [
        attempt,
        address,
        command,
        loadBytes > 0,
        answer?.kind,
      ]),
      [
        [1, owner, "EVALSHA", false, "NOSCRIPT"],
        [2, owner, "EVALSHA", true, "reply"],
      ],
    );
    const times = (hops as Hop[]).flatMap(({ at, answer }) => [at, answer?.at ?? at]);
    assert.deepEqual(
      times,
      times.toSorted((one, other) => one - other),
    );
  });

  it("explain shows MOVED to who begins at another node, primary or replica", async () => {
    const { owner, other, replica } = nodesFor("moved");
    const [byPrimary, byReplica] = await Promise.all([
      json("explain", "--from", other, "--eval", file("moved.lua"), "moved", ",", "1"),
      json("explain", "--from", replica.split(":")[1] as string, "GET", "moved"),
    ]);
    for (const [explained, first] of [
      [byPrimary, other],
      [byReplica, replica],
    ]) {
      const [one, two, ...more] = explained.hops as Hop[];
      assert.deepEqual([one?.address, one?.answer?.kind, one?.answer?.to], [first, "MOVED", owner]);
      assert.deepEqual([two?.address, two?.answer?.kind, more.length], [owner, "reply", 0]);
      assert.equal(explained.ownerAfter, owner);
    }
    assert.deepEqual(byPrimary.reply, ["moved", "1", "moved"]);
  });

  it("explain shows ASK while a slot moves, and that it teaches nothing", async () => {
    const { owner, other } = nodesFor("ask");
    const [from, to] = await Promise.all([owner, other].map((node) => cluster.command(node, "CLUSTER", "MYID")));
    await cluster.command(other, "CLUSTER", "SETSLOT", slotOf("ask"), "IMPORTING", from as string);
    await cluster.command(owner, "CLUSTER", "SETSLOT", slotOf("ask"), "MIGRATING", to as string);
    const explained = await json("explain", "--eval", file("ask.lua"), "ask", ",", "v");
    for (const node of [owner, other]) await cluster.command(node, "CLUSTER", "SETSLOT", slotOf("ask"), "STABLE");
    const [one, two] = explained.hops as Hop[];
    assert.deepEqual([one?.address, one?.asking, one?.answer?.kind, one?.answer?.to], [owner, false, "ASK", other]);
    assert.deepEqual([two?.address, two?.asking, two?.answer?.kind], [other, true, "reply"]);
    assert.ok((two?.bytes ?? 0) > (one?.bytes ?? 0));
    assert.deepEqual([explained.reply, explained.ownerAfter], ["OK", owner]);
  });

  it("explain shows the parts of a call over several slots, and all the nodes that a command is for", async () => {
    const keys = ["parts:1", "parts:2", "parts:3"];
    const primaries = topology.nodes.filter(({ role }) => role === "primary").map(({ address }) => address);
    const [parts, sizes, loaded, refused] = await Promise.all([
      json("explain", "MGET", ...keys),
      json("explain", "dbsize"),
      json("explain", "SCRIPT", "LOAD", "return 'explained'"),
      slotwire(["explain", "--from", primaries[0] as string, ...where, "MGET", ...keys]),
    ]);
    assert.deepEqual([parts.spread, parts.slot, parts.reply], ["slots", null, [null, null, null]]);
    assert.deepEqual(
      parts.keys.map(({ slot }: { slot: number }) => slot),
      keys.map(slotOf),
    );
    const addresses = (hops: Hop[]) => hops.map(({ address }) => address).sort();
    assert.deepEqual(addresses(parts.hops), keys.map((key) => nodesFor(key).owner).sort());
    assert.deepEqual([sizes.spread, sizes.slot, addresses(sizes.hops)], ["primaries", null, primaries.sort()]);
    assert.deepEqual([loaded.spread, loaded.command, loaded.error], ["all", "SCRIPT", null]);
    assert.deepEqual(await holders("return 'explained'"), cluster.nodes);
    assert.match(refused.err, /^slotwire: --from needs a call for one slot: this call goes to several nodes\.\n$/);
  });

  it("explain fails with what the script raised, after having shown it", async () => {
    const { status, out, err } = await slotwire(["explain", "--eval", file("wrong.lua"), ...where, "wrong"]);
    assert.equal(status, 1);
    assert.match(out, / 1 ← MINE no[\s\S]*\nREPLY, executed: 1 attempt, [\d.]+ ms\n {2}MINE no \(script "wrong"\) \[/);
    assert.match(err, /^slotwire: MINE no [^\n]*\n$/);
    const apart = await slotwire(["explain", ...where, "RENAME", "a", "b"]);
    assert.equal(apart.status, 1);
    assert.match(apart.out, /\nnothing was sent\n\nCROSSSLOT, not-executed: 0 attempts, /);
    assert.match(apart.err, /^slotwire: Keys of one call must be in one slot/);
  });

  it("bench compares, counts and looks at the replies", async () => {
    const quick = ["bench", "--seconds", "0.2", "--in-flight", "16"];
    const page = join(folder, "bench.html");
    const result: BenchReport & { replies: number } = await json(...quick, "--html", page);
    const { environment, quiet, comparisons } = result;
    const [comparison] = comparisons;
    const [base, evalsha] = comparison?.ways ?? [];
    assert.deepEqual(
      [result.format, comparison?.base, base?.name, evalsha?.name],
      ["slotwire-bench/2", "EVAL", "EVAL", "EVALSHA"],
    );
    for (const { calls, rounds, latency } of [base as WayFigures, evalsha as WayFigures]) {
      assert.ok(calls > 100 && rounds.length >= 13, `${calls} calls, ${rounds.length} rounds`);
      assert.equal(latency.calls, calls);
      assert.ok((latency.p50 as number) > 0 && latency.curve.length > 10, JSON.stringify(latency));
    }
    assert.ok(result.replies > (base?.calls ?? 0) + (evalsha?.calls ?? 0));
    // The SHA-1 has 40 bytes, the script more than 400. The numbers of all calls have as many digits.
    const { bytesSent, bytesReceived, serverCpu, clientCpu, callsPerSecond } = evalsha?.ratios ?? {};
    assert.ok((bytesSent as Estimate).high < 0.3, JSON.stringify(bytesSent));
    assert.equal(bytesReceived?.median, 1);
    for (const ratio of [serverCpu, clientCpu, callsPerSecond]) {
      assert.ok(ratio && ratio.low <= ratio.median && ratio.median <= ratio.high, JSON.stringify(ratio));
    }
    assert.match(
      environment.setting,
      /^3 primaries, 3 replicas on this machine, over loopback(, TLS)?, an existing cluster/,
    );
    assert.match(environment.server, /^(Redis|Valkey) \d/);
    assert.ok(environment.cores > 0 && environment.node === process.version);
    // The servers' part of the CPU is known.
    assert.equal(typeof quiet.seen?.meanwhile, "number");
    assert.match(readFileSync(page, "utf8"), /EVALSHA against EVAL/);
    // A key that the script reads makes a reply another than it must be.
    const key = "slotwire:bench:5";
    await cluster.command(nodesFor(key).owner, "SET", key, "1");
    const { status, out, err } = await slotwire([...quick, ...where]);
    await cluster.command(nodesFor(key).owner, "DEL", key);
    assert.deepEqual([status, out], [1, ""]);
    assert.equal(err, "slotwire: Call 1000005 was answered by [1000005,99,0]; the right answer is [1000005,100,0].\n");
  });

  it("bench says beside a busy process that the machine was not quiet", async () => {
    const busy = spawn(process.execPath, ["-e", "process.stdout.write('on'); for (;;);"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      await once(busy.stdout, "data");
      const until = ["--until", "0.1%", "--at-most", "0.3"];
      const load = ["--seconds", "0.1", "--in-flight", "4", "--eval", file("first.lua"), "a", ",", "b"];
      const { status, out } = await slotwire(["bench", ...load, ...until, ...where]);
      assert.equal(status, 0);
      assert.match(out, /^The machine was not quiet: other processes used [\d.]+ of \d+ cores?\s/);
      assert.match(
        out.replaceAll("\n", " "),
        /The interval is [\d.]+% wide to a side .* after 0\.3 s each, the bound was met first\./,
      );
      for (const line of out.split("\n")) assert.ok(line.length <= 80, line);
    } finally {
      busy.kill("SIGKILL");
    }
  });

  it("bench runs a script of one's own, and every call of it", async () => {
    const args = ["bench", "--seconds", "0.2", "--eval", file("bump.lua"), ...where, "bump:a", ",", "1"];
    const { status, out, err } = await slotwire(args);
    assert.deepEqual([status, err], [0, ""]);
    assert.match(out, /bump has 45 bytes; 64 calls in flight\n\n +calls\/s.*\nEVAL +[\d,]+ .*\nEVALSHA +[\d,]+ /);
    const { owner } = nodesFor("bump:a");
    const counted = /([\d,]+) replies were counted/.exec(out)?.[1]?.replaceAll(",", "");
    assert.equal(await cluster.command(owner, "GET", "bump:a"), counted);
  });

  it("bench goes without what a user may not ask: INFO", async () => {
    for (const node of cluster.nodes)
      await cluster.command(node, "ACL", "SETUSER", "bea", "on", ">geheim", "~*", "+@all", "-info");
    const result: BenchReport = await json(
      ..."bench --seconds 0.2 --user bea --pass geheim a , b --eval".split(" "),
      file("first.lua"),
    );
    const ratios = result.comparisons[0]?.ways[1]?.ratios ?? {};
    assert.equal(ratios.serverCpu, undefined);
    for (const name of ["callsPerSecond", "bytesSent", "bytesReceived", "clientCpu"]) assert.ok(ratios[name], name);
    assert.equal(result.quiet.seen?.meanwhile, undefined);
    assert.match(result.environment.server, /^unknown/);
  });

  it("bench measures latency under given rates, counts these calls as well, and gives each another number", async () => {
    const load = ["--seconds", "0.2", "--rate", "400,200", "--eval", file("bump.lua")];
    const { status, out, err } = await slotwire([
      "bench",
      "--json",
      ...load,
      ...where,
      "{bump}:__rand_int__",
      ",",
      "1",
    ]);
    assert.deepEqual([status, err], [0, ""]);
    const { curves, replies } = JSON.parse(out);
    assert.deepEqual(
      curves.map((curve: RateCurve) => [curve.way, curve.points.map(({ rate }) => rate)]),
      [
        ["EVAL", [200, 400]],
        ["EVALSHA", [200, 400]],
      ],
    );
    for (const { points } of curves as RateCurve[]) {
      for (const { rate, latency, lateness } of points) {
        assert.ok(latency.calls >= rate * 0.2, `${latency.calls} calls at ${rate}/s`);
        assert.equal(lateness.calls, latency.calls);
        assert.ok((latency.p50 ?? 0) > (lateness.p50 ?? 0), `${latency.p50} ms, late by ${lateness.p50} ms`);
      }
    }
    const { owner } = nodesFor("{bump}:");
    const keys = (await cluster.command(owner, "KEYS", "{bump}:1*")) as string[];
    assert.equal(keys.length, replies);
    // Some hundred thousand keys are too many for one call.
    const some = await cluster.command(owner, "MGET", ...keys.slice(0, 1000));
    assert.deepEqual([...new Set(some as string[])], ["1"]);
  });

  it("fails with one line: nobody there, wrong credentials, no certificate", async () => {
    const [host, port] = (cluster.nodes[0] as string).split(":") as [string, string];
    for (const node of cluster.nodes)
      await cluster.command(node, "ACL", "SETUSER", "ann", "on", ">geheim", "~*", "+@all");
    const uri = `${where.includes("--tls") ? "rediss" : "redis"}://ann:geheim@${host}:${port}`;
    const tls = where.slice(4);
    const [nobody, wrong, right, environment, byUri] = await Promise.all([
      slotwire(["topology", "-p", "1"]),
      slotwire(["scripts", "0".repeat(40), ...where, "--user", "ann", "-a", "falsch"]),
      slotwire(["explain", ...where, "--user", "ann", "-a", "geheim", "GET", "a"]),
      slotwire(["explain", ...where, "--user", "ann", "GET", "a"], { REDISCLI_AUTH: "geheim" }),
      slotwire(["explain", "-u", uri, ...tls, "GET", "a"]),
    ]);
    assert.match(nobody.err, /^slotwire: No node could be asked [^\n]*127\.0\.0\.1:1 \(connect ECONNREFUSED[^\n]*\n$/);
    assert.match(wrong.err, /^slotwire: \S+ refused the credentials: WRONGPASS [^\n]*\n$/);
    assert.ok(!wrong.err.includes("falsch"));
    for (const { status, out } of [nobody, wrong]) assert.deepEqual([status, out], [1, ""]);
    for (const { status, err, out } of [right, environment, byUri])
      assert.deepEqual([status, err, out === ""], [0, "", false]);
  });

  it("connects to servers with TLS by --tls or rediss://, and says what is missing", async () => {
    const secured = await startCluster({ primaries: 1, tls: true, password: "geheim" });
    try {
      const options = optionsFor(secured, join(folder, "known"));
      assert.match(readFileSync(join(folder, "known", "ca.pem"), "utf8"), /BEGIN CERTIFICATE/);
      const environment = { REDISCLI_AUTH: "geheim" };
      const [verified, unverified, unknown, plain, measured] = await Promise.all([
        slotwire(["topology", ...options], environment),
        slotwire(["topology", "-u", `rediss://:geheim@${secured.nodes[0]}`, "--insecure"]),
        slotwire(["topology", ...options.slice(0, 5)], environment),
        slotwire(["topology", ...options.slice(0, 4)], environment),
        slotwire(["bench", ...options, "-a", "geheim", "--seconds", "0.2"]),
      ]);
      assert.equal(measured.err, "");
      assert.match(
        measured.out.replaceAll("\n", " "),
        /1 primary on this machine, over loopback, TLS, .* calls a second +[\d.]+ \(/,
      );
      for (const { out, err } of [verified, unverified]) assert.match(out, /^1 primary, 0 replicas; every/, err);
      assert.match(unknown.err, /^slotwire: [^\n]*`tls\.ca`[^\n]*\n$/);
      assert.match(plain.err, /^slotwire: [^\n]*if this port expects TLS[^\n]*\n$/);
      assert.deepEqual([unknown.status, plain.status], [1, 1]);
    } finally {
      await secured.stop();
    }
  });
});
