import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { slotOf } from "../../src/index.ts";
import { Guard } from "../../src/testing/guard.ts";
import { scriptFolder } from "../support/script-folder.ts";
import { CLI, ROOT } from "../support/slotwire-cli.ts";

interface Explained {
  readonly owner: string;
  readonly ownerAfter: string;
  readonly reply: unknown;
  readonly hops: { readonly loadBytes: number; readonly asking: boolean; readonly answer: { kind: string } | null }[];
}

/** `slotwire cluster` outlives its input: when this process is ended from outside, the guard ends what it started. */
const guard = new Guard();
after(() => guard.release());

/** `slotwire cluster --json`, asked by lines, with a folder of its own for temporary files. */
class Driven {
  readonly child: ChildProcess;
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>;
  err = "";
  readonly #lines: AsyncIterator<string>;

  constructor(temporary: string, ...args: string[]) {
    const env = { ...process.env, TMPDIR: temporary };
    const child = spawn(process.execPath, [CLI, "cluster", ...args], { cwd: ROOT, env });
    this.child = child;
    guard.watch(child);
    this.exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve([code, signal])));
    child.stderr.on("data", (text) => {
      this.err += text;
    });
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    assert.ok(!done, `it has ended: ${this.err}`);
    return value;
  }

  async ask<T = Record<string, string>>(command: string): Promise<T> {
    this.child.stdin?.write(`${command}\n`);
    return JSON.parse(await this.line()) as T;
  }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const folder = scriptFolder({ "set.lua": "return redis.call('set', KEYS[1], ARGV[1])" });
const temporary = (name: string) => {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
};

/** Folders of clusters, where the compiler of the tests keeps its cache as well, and servers that run in them. */
const leftIn = (path: string) => [
  ...readdirSync(path).filter((name) => name.startsWith("slotwire-")),
  ...(existsSync("/proc") ? readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && worksIn(pid, path)) : []),
];

function worksIn(pid: string, path: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).startsWith(path);
  } catch {
    return false;
  }
}

describe("slotwire cluster, by lines from a pipe", () => {
  let driven: Driven;
  let nodes: string[];
  let pids: number[];
  const files = temporary("driven");
  const kinds = ({ hops }: Explained) => hops.map(({ answer }) => answer?.kind ?? "reply");
  const explain = (rest: string) => driven.ask<Explained>(`explain --eval "${join(folder, "set.lua")}" ${rest}`);
  before(async () => {
    driven = new Driven(files, "--json");
    const greeting = JSON.parse(await driven.line());
    nodes = greeting.nodes;
    pids = Object.values(greeting.pids);
  });

  it("says where it is", () => {
    assert.equal(nodes.length, 6);
    assert.ok(pids.length === 6 && pids.every(isAlive));
    assert.equal(driven.err, "");
  });

  it("shows by explain what a client meets when slots move and scripts are flushed", async () => {
    const first = await explain("foo , 1");
    assert.deepEqual([kinds(first), (first.hops[0]?.loadBytes ?? 0) > 0, first.reply], [["reply"], true, "OK"]);
    const { ranges } = await driven.ask<{ ranges: { primary: string }[] }>("topology");
    const to = ranges.map(({ primary }) => primary).find((primary) => primary !== first.owner) as string;
    const slot = slotOf("foo");

    assert.match((await driven.ask(`migrate ${slot} ${to}`)).done ?? "", new RegExp(`from ${first.owner} to ${to}`));
    assert.deepEqual(kinds(await explain("foo , 2")), ["reply"]);
    await driven.ask("explain DEL foo");
    const asking = await explain("foo , 3");
    assert.deepEqual([kinds(asking), asking.hops[1]?.asking, asking.ownerAfter], [["ASK", "reply"], true, first.owner]);

    assert.deepEqual(await driven.ask(`move ${slot} ${to.split(":")[1]}`), { done: `slot ${slot} is ${to}'s` });
    const moved = await explain("foo , 4");
    assert.deepEqual([kinds(moved), moved.owner, moved.ownerAfter], [["MOVED", "reply"], first.owner, to]);
    assert.deepEqual(kinds(await explain("foo , 5")), ["reply"]);

    await driven.ask("flush");
    const flushed = await explain("'foo' , \"6 7\"");
    assert.deepEqual([kinds(flushed), (flushed.hops[1]?.loadBytes ?? 0) > 0], [["NOSCRIPT", "reply"], true]);
    assert.equal((await driven.ask<Explained>("explain GET foo")).reply, "6 7");
  });

  it("promotes, adds, freezes, thaws and kills nodes", async () => {
    interface Described {
      readonly nodes: { address: string; role: string; unreachable: string | null }[];
    }
    const replica = (await driven.ask<Described>("topology")).nodes.find(({ role }) => role === "replica");
    assert.deepEqual(await driven.ask(`failover ${replica?.address}`), { done: `${replica?.address} is a primary` });
    const [added = ""] = (await driven.ask("add")).done?.split(" ") ?? [];
    const described = await driven.ask<Described>("topology");
    assert.equal(described.nodes.length, 7);
    assert.equal(described.nodes.find(({ address }) => address === replica?.address)?.role, "primary");
    assert.deepEqual(await driven.ask(`pause ${added}`), { done: `${added} is frozen` });
    assert.deepEqual(await driven.ask(`resume ${added}`), { done: `${added} runs` });
    assert.deepEqual(await driven.ask(`kill ${added}`), { done: `${added} is gone` });
    const last = (await driven.ask<Described>("topology")).nodes.find(({ address }) => address === added);
    assert.match(last?.unreachable ?? "", /ECONNREFUSED/);
  });

  it("answers what it cannot do, and goes on", async () => {
    assert.match((await driven.ask("dance")).error ?? "", /no command "dance"; accepted are topology, explain, /);
    assert.match((await driven.ask("move 16384 1")).error ?? "", /SLOT is "16384"; accepted is a whole number/);
    assert.match((await driven.ask("kill 1")).error ?? "", /no node "1"; accepted are 127\.0\.0\.1:/);
    assert.match((await driven.ask("flush 'x")).error ?? "", /the ' is not closed/);
    const slots = await driven.ask<unknown[]>("slot {a}b");
    assert.deepEqual(slots, [{ key: "{a}b", slot: slotOf("a"), tag: "a" }]);
    const { nodes } = await driven.ask<{ nodes: unknown[] }>(`scripts ${"0".repeat(40)}`);
    assert.ok(nodes.length >= 6);
  });

  it("stays when its input ends, and leaves nothing behind when it is interrupted", async () => {
    driven.child.stdin?.end();
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(driven.child.exitCode, null);
    driven.child.kill("SIGINT");
    assert.deepEqual(await driven.exited, [0, null]);
    assert.deepEqual(pids.filter(isAlive), []);
    assert.deepEqual(leftIn(files), []);
    assert.equal(driven.err, "");
  });
});

describe("slotwire cluster, for people", { concurrency: true }, () => {
  it("says how to connect, answers in words, and ends with quit", async () => {
    const files = temporary("people");
    const driven = new Driven(files, "--primaries", "1", "--replicas", "0");
    const [nodes, command, call, commands] = [
      await driven.line(),
      await driven.line(),
      await driven.line(),
      await driven.line(),
    ];
    const [, port] = /^1 nodes? runs?: 127\.0\.0\.1:(\d+)$/.exec(nodes) ?? [];
    assert.ok(port, nodes);
    assert.equal(command, `  slotwire topology -p ${port}`);
    assert.equal(call, `  connect({ nodes: ["127.0.0.1:${port}"] })`);
    assert.match(commands, /`help` lists them\. Ctrl-C ends/);
    driven.child.stdin?.write("flush\nhelp\nquit\nflush\n");
    assert.equal(await driven.line(), "no node knows any script");
    assert.match(await driven.line(), /^ {2}topology {12}draw/);
    assert.deepEqual(await driven.exited, [0, null]);
    assert.deepEqual(leftIn(files), []);
  });

  it("ends with SIGTERM, also while a server starts", async () => {
    const files = temporary("terminated");
    const driven = new Driven(files, "--json", "--primaries", "1", "--replicas", "0");
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
});
