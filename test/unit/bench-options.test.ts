import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { benchSettings, COMMAND } from "../../bench/support/bench-options.ts";
import {
  BATCHES,
  batchSettings,
  CACHE,
  CLIENTS,
  COMMANDS,
  cacheSettings,
  clientsSettings,
  FLOOR,
  floorSettings,
  NODES,
  nodesSettings,
  SUBSCRIPTIONS,
  subscriptionSettings,
  TOUR,
  TRACING,
  tracingSettings,
} from "../../bench/support/commands.ts";
import { asksForHelp, type BenchCommand, helpOf, readOptions } from "../../bench/support/options.ts";
import { builtPackage } from "../support/built-package.ts";
import { slotwire } from "../support/slotwire-cli.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "slotwire-bench-options-"));
  writeFileSync(join(folder, "a-file"), "{}");
});
after(() => rmSync(folder, { recursive: true }));

/** Makes the settings of a command line, as the benchmark does it before anything is started. */
type Read = (args: readonly string[]) => unknown;
const clients = (values: Parameters<typeof clientsSettings>[0]) =>
  clientsSettings(values, ["64 in flight", "1 in flight"], folder);
const READ: Readonly<Record<string, Read>> = {
  bench: (args) => benchSettings(readOptions(COMMAND, args)),
  floor: (args) => floorSettings(readOptions(FLOOR, args)),
  batch: (args) => batchSettings(readOptions(BATCHES, args)),
  nodes: (args) => nodesSettings(readOptions(NODES, args)),
  cache: (args) => cacheSettings(readOptions(CACHE, args)),
  subscriptions: (args) => subscriptionSettings(readOptions(SUBSCRIPTIONS, args)),
  tracing: (args) => tracingSettings(readOptions(TRACING, args)),
  clients: (args) => clients(readOptions(CLIENTS, args)),
  tour: (args) => readOptions(TOUR, args),
};
const ALL: readonly BenchCommand[] = [COMMAND, ...COMMANDS];

describe("options of the benchmarks", () => {
  it("are refused where they are wrong, each with what is accepted", () => {
    const file = () => join(folder, "a-file");
    const table: readonly [name: string, args: () => readonly string[], message: RegExp][] = [
      ["floor", () => ["--rounds", "2"], /^--rounds is "2"; accepted is a whole number from 3 to 1000\.$/],
      ["floor", () => ["--rounds", "-5"], /^--rounds is "-5"; accepted is /],
      ["floor", () => ["--rounds=1.5"], /^--rounds is "1\.5"; accepted is a whole number/],
      ["floor", () => ["--rounds", ""], /^--rounds is ""; accepted/],
      ["floor", () => ["--rounds"], /^Option '--rounds <value>' argument missing; accepted are --rounds, --until, /],
      ["floor", () => ["5"], /^bench:floor is given a word that is no option; accepted are --rounds, .*--help\.$/],
      ["floor", () => ["--until", "5"], /^--until is "5"; accepted is a percentage from 0\.1% to 100%, such as 5%\.$/],
      ["floor", () => ["--until", "0%"], /^--until is "0%"; accepted/],
      [
        "floor",
        () => ["--only", "none"],
        /^--only is "none", which is in no name; accepted is a part of "1 in flight", /,
      ],
      ["floor", () => ["--only", ""], /^--only is "", which is in no name/],
      ["floor", () => ["--limit", "5%"], /^--limit and --absolute need --against FILE\.$/],
      ["floor", () => ["--against", file()], /a-file" is no report of a benchmark; accepted is a JSON file/],
      ["floor", () => ["--against", join(folder, "none")], /none" cannot be read \(ENOENT\); accepted is /],
      ["floor", () => ["--out", ""], /^--out "" cannot be written \(it is empty\); accepted is the path of a folder/],
      ["floor", () => ["--out", file()], /a-file" cannot be written \(ENOTDIR\); accepted is /],
      ["floor", () => ["--out", join(file(), "in")], /cannot be written \(ENOTDIR\); accepted is /],
      ["floor", () => ["--out", "/proc/none/here"], /cannot be written \(ENOENT\); accepted is /],
      ["floor", () => ["--out", "a\0b"], /cannot be written \(ERR_INVALID_ARG_VALUE\); accepted is /],
      ["batch", () => ["--rounds", "5"], /^--rounds is "5"; accepted is a whole number from 6 to 1000\.$/],
      ["batch", () => ["--rounds", "1e3"], /^--rounds is "1e3"; accepted/],
      ["nodes", () => ["--nodes", "0"], /^--nodes is "0"; accepted is a whole number from 1 to 10000\.$/],
      ["nodes", () => ["--in-flight", "x"], /^--in-flight is "x"; accepted is a whole number from 1 to 100000\.$/],
      ["cache", () => ["--rounds", "5"], /^--rounds is "5"; accepted is a whole number from 6 to 1000\.$/],
      [
        "cache",
        () => ["--only", "hit me"],
        /accepted is a part of "hits", "misses", "beside a cache", "hedges", "slow /,
      ],
      ["cache", () => ["--base", folder], /^--base ".*" has no index\.js; accepted is the folder dist of a copy /],
      ["cache", () => ["--base", ""], /^--base "" has no index\.js; accepted/],
      ["subscriptions", () => ["--rate", "0"], /^--rate is "0"; accepted is a whole number from 100 to 1000000\.$/],
      ["subscriptions", () => ["--rate=Infinity"], /^--rate is "Infinity"; accepted/],
      ["tracing", () => ["--rounds", "x"], /^--rounds is "x"; accepted/],
      ["clients", () => ["--rounds", "5"], /^--rounds is "5"; accepted is a whole number from 6 to 1000\.$/],
      [
        "clients",
        () => ["--only", "65 in"],
        /accepted is a part of "64 in flight", "1 in flight", "latency under a given rate", "own figures"\.$/,
      ],
      ["clients", () => ["--rate", "-1"], /^--rate /],
      ["clients", () => ["--out", file()], /cannot be written \(ENOTDIR\)/],
      ["tour", () => ["now"], /^tour is given a word that is no option; accepted are only options\.$/],
      ["bench", () => ["--seconds", "0"], /^--seconds is "0"; accepted is a number from /],
      ["bench", () => ["--in-flight", "64,,1"], /^--in-flight is ""; accepted is a whole number from 1 to 10000\.$/],
      ["bench", () => ["--in-flight", "1.5"], /^--in-flight is "1\.5"; accepted/],
      ["bench", () => ["--until", "NaN%"], /^--until is "NaN%"; accepted/],
      ["bench", () => ["--nodes", ""], /^--nodes is no list of nodes; accepted is HOST:PORT,/],
      ["bench", () => ["--nodes", "host"], /^--nodes is no list of nodes; accepted is HOST:PORT,/],
      [
        "bench",
        () => ["--nodes", "127.0.0.1:70000"],
        /accepted are a host name or IP address, and a port from 1 to 65535\.$/,
      ],
      ["bench", () => ["--keys", "a"], /^--keys and --args are those of a script; --eval FILE is missing\.$/],
      ["bench", () => ["--eval", join(folder, "none.lua")], /none\.lua/],
      [
        "bench",
        () => ["--cacert", "x"],
        /^--cacert is about an existing cluster; --nodes HOST:PORT,\.\.\. is missing\.$/,
      ],
      ["bench", () => ["--out", file()], /cannot be written \(ENOTDIR\)/],
      ["bench", () => ["--against", file()], /is no report of a benchmark/],
      ["bench", () => ["--limit", "-1%"], /^--limit is "-1%"; accepted is a percentage/],
    ];
    for (const [name, args, message] of table) {
      assert.throws(() => READ[name]?.(args()), { code: "INVALID_ARGUMENT", message }, `${name} ${args().join(" ")}`);
    }
    // What was looked at before a measurement is as it was.
    assert.deepEqual(readdirSync(folder), ["a-file"]);
    assert.equal(readFileSync(file(), "utf8"), "{}");
  });

  it("are refused by all where nobody knows them, and a word is never shown", () => {
    for (const [name, read] of Object.entries(READ)) {
      assert.throws(() => read(["--nope"]), { message: /^Unknown option '--nope'.*; accepted are .*--help/ }, name);
      assert.throws(
        () => read(["redis://ann:secret@host"]),
        ({ message }: Error) => !message.includes("secret"),
        name,
      );
      assert.throws(() => read(["--", "--rounds"]), { code: "INVALID_ARGUMENT" }, name);
    }
  });

  it("have defaults, and take a folder that is made later", () => {
    for (const read of Object.values(READ)) assert.ok(read([]), "settings");
    const out = join(folder, "new", "folder");
    assert.deepEqual(floorSettings(readOptions(FLOOR, ["--out", out, "--only", "64"])).out, out);
    assert.ok(!existsSync(join(folder, "new")), "the folder is not left behind");
    const { loads, pairs } = floorSettings(readOptions(FLOOR, ["--only", "64", "--rounds", "3"]));
    assert.deepEqual([loads.map(({ name }) => name), pairs], [["64 in flight"], 3]);
    assert.deepEqual(clients(readOptions(CLIENTS, ["--only", "own", "--rounds", "7"])), {
      rounds: 7,
      names: ["own figures"],
      rates: "auto",
      hasCurves: false,
      out: folder,
    });
  });

  it("are told by --help, each on a line", () => {
    for (const command of ALL) {
      const help = helpOf(command);
      assert.ok(help.startsWith(`Usage: ${command.typed}`), command.name);
      for (const option of [...Object.keys(command.options), "help"])
        assert.match(help, new RegExp(`^  (-\\w, )?--${option}\\b`, "m"));
    }
    assert.ok(asksForHelp(["--rounds", "5", "--help"]), "anywhere");
    assert.ok(!asksForHelp(["--", "--help"]), "but not behind --");
  });
});

describe("a benchmark's process", () => {
  const ROOT = fileURLToPath(new URL("../../", import.meta.url));
  const run = (file: string, ...args: readonly string[]) => node(`bench/${file}.ts`, ...args);
  const node = (...args: readonly string[]) =>
    new Promise<{ status: unknown; out: string; err: string }>((resolve) => {
      // Where no server is found and none can be fetched, whoever starts one would fail otherwise.
      const env = { ...process.env, PATH: "/nowhere", XDG_CACHE_HOME: folder, HOME: folder };
      const options = { cwd: ROOT, env, timeout: 120_000 };
      execFile(process.execPath, ["--import", "tsx", ...args], options, (error, out, err) => {
        resolve({ status: error === null ? 0 : error.code, out, err });
      });
    });
  const FILES = {
    "evalsha-vs-eval": COMMAND,
    clients: CLIENTS,
    floor: FLOOR,
    batch: BATCHES,
    nodes: NODES,
    cache: CACHE,
    subscriptions: SUBSCRIPTIONS,
    tracing: TRACING,
    tour: TOUR,
  };

  it("ends with one line and status 2 at a wrong option, and with its help and status 0 at --help", async () => {
    const files = readdirSync(join(ROOT, "bench")).filter((file) => file.endsWith(".ts"));
    assert.deepEqual(Object.keys(FILES).sort(), files.map((file) => file.slice(0, -3)).sort());
    const helped = run("clients", "--help");
    const runs = Object.entries(FILES).map(async ([file, command]) => {
      const { status, out, err } = await run(file, "--nope\x1b[2J");
      assert.deepEqual([status, out], [2, ""], file);
      assert.match(
        err,
        new RegExp(`^${command.name}: Unknown option '--nope\\\\x1b[^\\n]*; accepted are [^\\n]*\\n$`),
        file,
      );
    });
    await Promise.all(runs);
    assert.deepEqual(await helped, { status: 0, out: helpOf(CLIENTS), err: "" });
  });

  it("ends with status 1 where a run is slower than an earlier one, and with 0 where it is not", async () => {
    const runs = join(ROOT, "test", "unit", "bench-runs");
    const judged = (name: string) =>
      slotwire(["bench", "--read", join(runs, `${name}.json`), "--against", join(runs, "before.json")]);
    const [again, slower] = await Promise.all([judged("again"), judged("slower")]);
    assert.deepEqual([again.status, again.err], [0, ""]);
    assert.equal(slower.status, 1);
    assert.match(slower.err, /^slotwire: Worse than the earlier run by more than 10%: [^\n]*\n$/);
    assert.match(slower.out, /worse, beyond the limit/);
  });

  it("tells its figures even where the page cannot be written", { skip: !existsSync("/dev/full") }, async () => {
    const file = join(ROOT, "test", "unit", "bench-runs", "before.json");
    const { status, out, err } = await slotwire(["bench", "--read", file, "--html", "/dev/full"]);
    assert.equal(status, 1);
    assert.match(err, /^slotwire: --html "\/dev\/full" cannot be written \(ENOSPC\)[^\n]*\n$/);
    assert.match(out, /EVALSHA to EVAL/);
  });

  it("ends with one line and status 1 where nobody answers", async () => {
    // What bench/evalsha-vs-eval.ts does, with the package as it was built for the tests: a clone has no dist/.
    const build = pathToFileURL(join(builtPackage(), "dist", "index.js")).href;
    const program = `
      import { benchSettings, COMMAND } from "./bench/support/bench-options.ts";
      import { conducted } from "./bench/support/conducted.ts";
      import { readOptions } from "./bench/support/options.ts";
      import { wholeRun } from "./bench/support/whole-run.ts";
      const settings = benchSettings(readOptions(COMMAND, ["--nodes", "127.0.0.1:1", "--out", ${JSON.stringify(folder)}]));
      await conducted(COMMAND.name, (undo) => wholeRun({ ...settings, build: ${JSON.stringify(build)} }, undo));`;
    const [bench, cli] = await Promise.all([
      node("--input-type=module", "-e", program),
      slotwire(["bench", "-p", "1"]),
    ]);
    assert.deepEqual([bench.status, bench.out], [1, ""]);
    assert.match(bench.err, /^bench: No node could be asked [^\n]*127\.0\.0\.1:1 \(connect ECONNREFUSED[^\n]*\n$/);
    assert.deepEqual([cli.status, cli.out], [1, ""]);
    assert.match(cli.err, /^slotwire: No node could be asked [^\n]*127\.0\.0\.1:1 \(connect ECONNREFUSED[^\n]*\n$/);
  });
});
