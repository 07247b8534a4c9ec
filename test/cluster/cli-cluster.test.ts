import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { slotOf } from "../../src/index.ts";
import { DrivenCluster, isAlive, leftIn, releaseDriven } from "../support/driven-cluster.ts";
import { eventually } from "../support/eventually.ts";
import { scriptFolder } from "../support/script-folder.ts";
import { slotwire } from "../support/slotwire-cli.ts";

interface Explained {
  readonly owner: string;
  readonly ownerAfter: string;
  readonly names: Readonly<Record<string, string>>;
  readonly reply: unknown;
  readonly hops: { readonly loadBytes: number; readonly asking: boolean; readonly answer: { kind: string } | null }[];
}

after(releaseDriven);

const folder = scriptFolder({ "set.lua": "return redis.call('set', KEYS[1], ARGV[1])" });
const temporary = (name: string) => {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
};

describe("slotwire cluster, by lines from a pipe", () => {
  let driven: DrivenCluster;
  let nodes: string[];
  let names: Record<string, string>;
  let pids: number[];
  const files = temporary("driven");
  const kinds = ({ hops }: Explained) => hops.map(({ answer }) => answer?.kind ?? "reply");
  const explain = (rest: string) => driven.ask<Explained>(`explain --eval "${join(folder, "set.lua")}" ${rest}`);
  before(async () => {
    driven = new DrivenCluster(files, "--json");
    const greeting = JSON.parse(await driven.line());
    nodes = greeting.nodes;
    names = greeting.names;
    pids = Object.values(greeting.pids);
  });

  it("says where it is", () => {
    assert.equal(nodes.length, 6);
    assert.ok(pids.length === 6 && pids.every(isAlive));
    assert.deepEqual(Object.values(names).sort(), ["A", "A1", "B", "B1", "C", "C1"]);
    assert.equal(driven.err, "");
  });

  it("shows by explain what a client meets when slots move and scripts are flushed", async () => {
    const first = await explain("foo , 1");
    assert.deepEqual([kinds(first), (first.hops[0]?.loadBytes ?? 0) > 0, first.reply], [["reply"], true, "OK"]);
    const { ranges } = await driven.ask<{ ranges: { primary: string }[] }>("topology");
    const to = ranges.map(({ primary }) => primary).find((primary) => primary !== first.owner) as string;
    const slot = slotOf("foo");

    const begun = (await driven.ask(`migrate ${slot} ${to}`)).done ?? "";
    assert.match(begun, new RegExp(`from ${names[first.owner]} \\(${first.owner}\\) to ${names[to]} \\(${to}\\)`));
    assert.deepEqual(kinds(await explain("foo , 2")), ["reply"]);
    await driven.ask("explain DEL foo");
    const asking = await explain("foo , 3");
    assert.deepEqual([kinds(asking), asking.hops[1]?.asking, asking.ownerAfter], [["ASK", "reply"], true, first.owner]);

    const done = `slot ${slot} is ${names[to]}'s (${to})`;
    assert.deepEqual(await driven.ask(`move ${slot} ${to.split(":")[1]}`), { done });
    const moved = await explain("foo , 4");
    assert.deepEqual([kinds(moved), moved.owner, moved.ownerAfter], [["MOVED", "reply"], first.owner, to]);
    assert.deepEqual(kinds(await explain("foo , 5")), ["reply"]);

    // The client's audit of a node, where one is due just then, brings the script back before the call does.
    await eventually(async () => {
      await driven.ask("flush");
      const flushed = await explain("'foo' , \"6 7\"");
      assert.deepEqual([kinds(flushed), (flushed.hops[1]?.loadBytes ?? 0) > 0], [["NOSCRIPT", "reply"], true]);
    });
    assert.equal((await driven.ask<Explained>("explain GET foo")).reply, "6 7");
  });

  it("promotes, adds, freezes, thaws and kills nodes", async () => {
    interface Described {
      readonly nodes: { address: string; role: string; unreachable: string | null }[];
    }
    const replica = (await driven.ask<Described>("topology")).nodes.find(({ role }) => role === "replica");
    const { address = "" } = replica ?? {};
    const done = `${names[address]} (${address}) is a primary`;
    assert.deepEqual(await driven.ask(`failover ${address}`), { done });
    const [, added = ""] = /^D \((.*)\) has joined$/.exec((await driven.ask("add")).done ?? "") ?? [];
    const described = await driven.ask<Described>("topology");
    assert.equal(described.nodes.length, 7);
    assert.equal(described.nodes.find(({ address }) => address === replica?.address)?.role, "primary");
    assert.deepEqual(await driven.ask(`pause ${added}`), { done: `D (${added}) is frozen` });
    assert.deepEqual(await driven.ask("resume d"), { done: `D (${added}) runs` });
    assert.deepEqual(await driven.ask("freeze D"), { done: `D (${added}) is frozen` });
    assert.deepEqual(await driven.ask(`thaw ${added.split(":")[1]}`), { done: `D (${added}) runs` });
    assert.deepEqual(await driven.ask("kill D"), { done: `D (${added}) is gone` });
    const last = (await driven.ask<Described>("topology")).nodes.find(({ address }) => address === added);
    assert.match(last?.unreachable ?? "", /ECONNREFUSED/);
  });

  it("answers what it cannot do, and goes on", async () => {
    assert.match((await driven.ask("dance")).error ?? "", /no command "dance"; accepted are topology, explain, /);
    assert.match((await driven.ask("move 16384 1")).error ?? "", /SLOT is "16384"; accepted is a whole number/);
    assert.match((await driven.ask("kill 1")).error ?? "", /no node "1" that runs; accepted are A \(127\.0\.0\.1:/);
    assert.match((await driven.ask("flush 'x")).error ?? "", /the ' is not closed/);
    const [{ owner, ...slot }] = await driven.ask<[Record<string, unknown>]>("slot {a}b");
    assert.deepEqual([slot.key, slot.slot, slot.tag], ["{a}b", slotOf("a"), "a"]);
    assert.deepEqual(owner, { name: "C", address: Object.keys(names).find((address) => names[address] === "C") });
    const { nodes } = await driven.ask<{ nodes: unknown[] }>(`scripts ${"0".repeat(40)}`);
    assert.ok(nodes.length >= 6);
  });

  it("performs what was asked for and ends with its input, and leaves nothing behind", async () => {
    driven.child.stdin?.end("flush\nload");
    assert.deepEqual(await driven.exited, [0, null]);
    const rest = await driven.rest();
    assert.deepEqual(
      rest.map((line) => JSON.parse(line)),
      [{ done: "no node knows any script" }, { done: "there is no load", load: null }],
    );
    assert.deepEqual(pids.filter(isAlive), []);
    assert.deepEqual(leftIn(files), []);
    assert.equal(driven.err, "");
  });
});

describe("slotwire cluster, for people", { concurrency: true }, () => {
  it("says how to connect, answers in words, and ends with quit", async () => {
    const files = temporary("people");
    const driven = new DrivenCluster(files, "--primaries", "1", "--replicas", "0");
    const greeting: string[] = [];
    while (!greeting.at(-1)?.startsWith("Commands")) greeting.push(await driven.line());
    const [, port] = /^ {2}A 127\.0\.0\.1:(\d+)$/.exec(greeting[1] ?? "") ?? [];
    assert.ok(port, greeting[1]);
    assert.deepEqual(greeting, [
      "1 node runs:",
      `  A 127.0.0.1:${port}`,
      `  slotwire topology -p ${port}`,
      `  connect({ nodes: ["127.0.0.1:${port}"] })`,
      "Commands are read from standard input; `help` lists them. Ctrl-C ends the cluster.",
    ]);
    driven.child.stdin?.write("flush\nhelp\nquit\nflush\n");
    assert.equal(await driven.line(), "no node knows any script");
    assert.match(await driven.line(), /^ {2}topology {20}draw/);
    assert.deepEqual(await driven.exited, [0, null]);
    assert.deepEqual(leftIn(files), []);
  });

  it("ends with SIGTERM, also while a server starts", async () => {
    const files = temporary("terminated");
    const driven = new DrivenCluster(files, "--json", "--primaries", "1", "--replicas", "0");
    const pids: number[] = Object.values(JSON.parse(await driven.line()).pids);
    const before = leftIn(files).length;
    assert.ok(before > 0);
    driven.child.stdin?.write("add\n");
    const deadline = Date.now() + (existsSync("/proc") ? 2000 : 0);
    while (leftIn(files).length === before && Date.now() < deadline) await new Promise((next) => setTimeout(next, 2));
    driven.child.kill("SIGTERM");
    assert.deepEqual(await driven.exited, [0, null]);
    assert.deepEqual([pids.length, pids.filter(isAlive)], [1, []]);
    assert.deepEqual(leftIn(files), []);
  });

  it("goes on with --keep when its input ends, until a signal", async () => {
    const files = temporary("kept");
    const driven = new DrivenCluster(files, "--json", "--keep", "--primaries", "1", "--replicas", "0");
    const { nodes } = JSON.parse(await driven.line()) as { nodes: string[] };
    driven.child.stdin?.end("get a\n");
    assert.equal(JSON.parse(await driven.line()).reply, null);
    const port = (nodes[0] as string).split(":")[1] as string;
    for (let times = 0; times < 3; times++) assert.equal((await slotwire(["topology", "-p", port])).status, 0);
    assert.equal(driven.child.exitCode, null);
    driven.child.kill("SIGINT");
    assert.deepEqual(await driven.exited, [0, null]);
    assert.deepEqual([leftIn(files), driven.err], [[], ""]);
  });

  it("says why it ends when there was no input at all", async () => {
    const files = temporary("empty");
    const driven = new DrivenCluster(files, "--primaries", "1", "--replicas", "0");
    driven.child.stdin?.end();
    assert.deepEqual(await driven.exited, [0, null]);
    assert.match(driven.err, /^slotwire: the input ended before any command, .*--keep lets it run on\n$/);
    assert.deepEqual(leftIn(files), []);
  });
});

describe("slotwire cluster and its explain", { concurrency: true }, () => {
  for (const options of [[], ["--web"]]) {
    it(`name the nodes alike, ${options.join(" ")}`, async () => {
      const driven = new DrivenCluster(temporary(`alike${options.join("")}`), "--json", ...options);
      const { names } = JSON.parse(await driven.line()) as { names: Record<string, string> };
      // Names that were given only now would be others.
      assert.match((await driven.ask("failover A1")).done ?? "", /^A1 /);
      const [, added = ""] = /^D \((.*)\) has joined$/.exec((await driven.ask("add")).done ?? "") ?? [];
      const explained = await driven.ask<Explained>("explain GET foo");
      assert.deepEqual(explained.names, { ...names, [added]: "D" });
      assert.equal(names[explained.owner], "C");
      driven.child.stdin?.end();
      assert.deepEqual(await driven.exited, [0, null]);
    });
  }
});

describe("slotwire cluster with ports, TLS and a password", () => {
  it("takes consecutive ports, and says how to connect, so that one can", async () => {
    const files = temporary("secured");
    const first = await freeRange(4);
    const password = `it's "secret" \\`;
    const options = [
      "--port",
      String(first),
      "--tls",
      "--requirepass",
      password,
      "--primaries",
      "3",
      "--replicas",
      "0",
    ];
    const driven = new DrivenCluster(files, "--json", ...options);
    const greeting = JSON.parse(await driven.line());
    const ports = [first, first + 1, first + 2].map((port) => `127.0.0.1:${port}`);
    assert.deepEqual([greeting.nodes, greeting.password], [ports, password]);
    assert.deepEqual(greeting.names, {
      [ports[0] as string]: "A",
      [ports[1] as string]: "B",
      [ports[2] as string]: "C",
    });
    const at = ["-p", String(first), "--tls", "--cacert", greeting.cacert];
    const described = await slotwire(["topology", ...at, "-a", password, "--json"]);
    assert.equal(described.status, 0, described.err);
    const refused = await slotwire(["topology", ...at, "--json"]);
    assert.match(refused.err, /NOAUTH|password|credentials/i);
    assert.notEqual((await slotwire(["topology", "-p", String(first), "-a", password])).status, 0);

    // The servers know each other's password: keys are moved, and nodes are joined.
    const key = "foo";
    await driven.ask(`set ${key} bar`);
    for (const node of ["A", "B", "C"]) {
      assert.match((await driven.ask(`move ${slotOf(key)} ${node}`)).done ?? "", new RegExp(`is ${node}'s`));
    }
    assert.equal((await driven.ask(`get ${key}`)).reply, "bar");
    assert.equal((await driven.ask("add")).done, `D (127.0.0.1:${first + 3}) has joined`);

    // The same ports are taken for another one, which leaves nothing.
    const others = temporary("refused");
    const second = new DrivenCluster(others, "--port", String(first + 2), "--primaries", "1", "--replicas", "1");
    assert.deepEqual(await second.exited, [1, null]);
    const needed = `2 servers need the ports ${first + 2} to ${first + 3}, and ${first + 10_002} to ${first + 10_003}`;
    assert.equal(second.err, `slotwire: Port ${first + 2} is taken: ${needed} to talk to each other.\n`);
    assert.deepEqual(leftIn(others), []);

    driven.child.stdin?.end();
    assert.deepEqual(await driven.exited, [0, null]);
    assert.deepEqual([leftIn(files), driven.err], [[], ""]);
  });

  it("prints what redis-cli and a program need, in quotes where a shell wants them", async () => {
    const files = temporary("printed");
    const driven = new DrivenCluster(files, "--tls", "--requirepass", "it's", "--primaries", "1", "--replicas", "0");
    driven.child.stdin?.end("quit\n");
    const text = (await driven.rest()).join("\n");
    const [, file] = /\n {2}slotwire topology -p \d+ -a 'it'\\''s' --tls --cacert (\S+\/ca\.pem)\n/.exec(text) ?? [];
    assert.ok(file, text);
    assert.ok(text.includes(`password: "it's", tls: { ca: readFileSync("${file}") } })`), text);
    assert.deepEqual(await driven.exited, [0, null]);
    assert.deepEqual(leftIn(files), []);
  });

  it("says what is accepted", async () => {
    for (const [words, message] of [
      [["--port", "0"], /--port is "0"; accepted is a whole number from 1 to 55535/],
      [["--port", "x"], /--port is "x"; accepted is a whole number from 1 to 55535/],
      [["--port", "55535"], /The first port is 55535; accepted for 6 servers is 1 to 55530/],
      [["--requirepass", ""], /--requirepass is empty; accepted is any other text/],
      [["--keep=yes"], /'--keep' does not take an argument; accepted are /],
    ] as const) {
      const { status, err, out } = await slotwire(["cluster", ...words]);
      assert.deepEqual([status, out], [1, ""], words.join(" "));
      assert.match(err, message);
      assert.equal(err.split("\n").length, 2, err);
    }
  });
});

describe("a signal, whenever it comes, leaves no server and no file", { concurrency: 2 }, () => {
  // The moments are told by what there is in the folder for temporary files: nothing, the cluster's folder, its servers'.
  const foldersIn = (path: string) => {
    const [cluster] = readdirSync(path).filter((name) => name.startsWith("slotwire-"));
    if (cluster === undefined) return 0;
    try {
      return 1 + readdirSync(join(path, cluster)).length;
    } catch {
      return 1;
    }
  };
  for (const [signal, folders, ...options] of [
    ["SIGTERM", 0, "--tls"],
    ["SIGTERM", 1, "--tls"],
    ["SIGTERM", 3, "--tls"],
    ["SIGTERM", 7, "--tls"],
    ["SIGINT", 2],
    ["SIGHUP", 4, "--requirepass", "x"],
    ["SIGKILL", 7, "--tls"],
  ] as const) {
    it(`${signal} at ${folders} folders, ${options.join(" ")}`, async () => {
      const files = temporary(`${signal}-${folders}`);
      const driven = new DrivenCluster(files, "--json", ...options);
      const ended = driven.exited.then(() => true);
      while (foldersIn(files) < folders && !(await Promise.race([ended, aMoment()])));
      driven.child.kill(signal);
      const [code, by] = await driven.exited;
      // Once the cluster runs, a signal is its regular end.
      if (code !== 0) assert.equal(by, signal);
      await eventually(() => assert.deepEqual(leftIn(files), []));
      assert.equal(driven.err, "");
    });
  }
});

const aMoment = () => new Promise<false>((resolve) => setTimeout(resolve, 1, false));

/** The first of so many ports that are free, with their bus ports. */
async function freeRange(count: number): Promise<number> {
  for (;;) {
    // Behind the ports of all other tests' servers, and with bus ports below those of outgoing connections.
    const first = 22_701 + Math.floor(Math.random() * 60);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const free = await Promise.all([...ports, ...ports.map((port) => port + 10_000)].map(isFree));
    if (free.every(Boolean)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
